/* SHA-256 of inputs. A file is read once a process, and again only when its size or time changed. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "run_internal.h"

static ho_digest *find_digest(ho_run *run, const char *path) {
    for (int i = 0; i < run->n_digests; ++i) {
        if (strcmp(run->digest[i].path, path) == 0) {
            return &run->digest[i];
        }
    }
    return NULL;
}

/* A new entry without a digest; NULL without memory. */
static ho_digest *add_digest(ho_run *run, const char *path) {
    ho_digest *grown = realloc(run->digest, ((size_t)run->n_digests + 1) * sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    run->digest = grown;
    char *copy = strdup(path);
    if (copy == NULL) {
        return NULL;
    }
    ho_digest *added = &grown[run->n_digests++];
    *added = (ho_digest){.path = copy, .size = -1};
    return added;
}

static ho_status file_digest(ho_run *run, const char *path, const struct stat *about, char hex[65]) {
    const int64_t mtime_ns = (int64_t)about->st_mtim.tv_sec * 1000000000 + about->st_mtim.tv_nsec;
    ho_digest *known = find_digest(run, path);
    if (known == NULL || known->size != about->st_size || known->mtime_ns != mtime_ns ||
        known->inode != (int64_t)about->st_ino) {
        char fresh[65];
        HO_TRY(ho_file_sha256(path, fresh));
        if (known == NULL) {
            known = add_digest(run, path);
            if (known == NULL) {
                HO_FAIL(HO_EMEMORY, "no memory for the digest of %s", path);
            }
        }
        known->size = about->st_size;
        known->mtime_ns = mtime_ns;
        known->inode = (int64_t)about->st_ino;
        memcpy(known->hex, fresh, sizeof fresh);
    }
    memcpy(hex, known->hex, 65);
    return HO_OK;
}

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* By bytes, so that the digest does not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Writes "name digest" lines of everything under `folder`. Inputs of one stage are few thousand images: they are not
 * put into the table of digests, whose search is linear. */
static ho_status list_folder(const char *folder, const char *shown, FILE *list) {
    struct dirent **entries = NULL;
    const int n = scandir(folder, &entries, visible, by_name);
    if (n < 0) {
        HO_FAIL(HO_EIO, "cannot read folder %s: %s", folder, strerror(errno));
    }
    ho_status status = HO_OK;
    for (int i = 0; i < n; ++i) {
        char path[HO_PATH_SIZE], name[HO_PATH_SIZE], hex[65];
        struct stat about;
        const int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        snprintf(name, sizeof name, "%s%s%s", shown, shown[0] != '\0' ? "/" : "", entries[i]->d_name);
        free(entries[i]);
        if (status != HO_OK) {
            continue;
        }
        if (length >= (int)sizeof path || stat(path, &about) != 0) {
            status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot read %s: %s", path,
                             length >= (int)sizeof path ? "name too long" : strerror(errno));
        } else if (S_ISDIR(about.st_mode)) {
            status = list_folder(path, name, list);
        } else {
            status = ho_file_sha256(path, hex);
            fprintf(list, "%s %s\n", name, status == HO_OK ? hex : "");
        }
    }
    free(entries);
    return status;
}

/* The digest of the list of a folder, by way of a nameless temporary file. */
static ho_status folder_digest(const char *path, char hex[65]) {
    FILE *list = tmpfile();
    if (list == NULL) {
        HO_FAIL(HO_EIO, "cannot make a temporary file: %s", strerror(errno));
    }
    ho_status status = list_folder(path, "", list);
    if (status == HO_OK && fflush(list) != 0) {
        status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot write a temporary file: %s", strerror(errno));
    }
    if (status == HO_OK) {
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fileno(list));
        status = ho_file_sha256(name, hex);
    }
    fclose(list);
    return status;
}

ho_status ho_run_digest(ho_run *run, const char *path, char hex[65]) {
    struct stat about;
    if (stat(path, &about) != 0) {
        HO_FAIL(HO_EIO, "cannot read %s: %s", path, strerror(errno));
    }
    return S_ISDIR(about.st_mode) ? folder_digest(path, hex) : file_digest(run, path, &about, hex);
}

void ho_run_forget_digests(ho_run *run) {
    for (int i = 0; i < run->n_digests; ++i) {
        free(run->digest[i].path);
    }
    free(run->digest);
    run->digest = NULL;
    run->n_digests = 0;
}

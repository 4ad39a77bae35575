#include "leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)place;
    (void)(kind == FTW_DP ? rmdir(path) : unlink(path));
    return 0;
}

void ho_remove_tree(const char *path) {
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* True for "NAME.tmp.PROCESS" of a process that is no more. whole: NAME is `name`; else it ends with `name`. */
static bool is_leftover(const char *entry, const char *name, bool whole) {
    static const char MARK[] = ".tmp.";
    const char *mark = NULL;
    for (const char *at = strstr(entry, MARK); at != NULL; at = strstr(at + 1, MARK)) {
        mark = at;
    }
    const size_t length = strlen(name), size = mark != NULL ? (size_t)(mark - entry) : 0;
    if (mark == NULL || size < length || (whole && size != length) || strncmp(mark - length, name, length) != 0) {
        return false;
    }
    char *end = NULL;
    const long process = strtol(mark + sizeof MARK - 1, &end, 10);
    return process > 0 && *end == '\0' && kill((pid_t)process, 0) != 0 && errno == ESRCH;
}

static void sweep(const char *path, const char *name, bool whole, bool folders) {
    const char *slash = strrchr(path, '/');
    const size_t length = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    char *other = malloc(length + NAME_MAX + 2);
    if (other == NULL) {
        return;
    }
    memcpy(other, path, length);
    other[length] = '\0';
    DIR *folder = opendir(slash != NULL ? other : ".");
    for (struct dirent *entry = NULL; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if (is_leftover(entry->d_name, name, whole)) {
            snprintf(other + length, NAME_MAX + 2, "%s", entry->d_name);
            if (folders) {
                ho_remove_tree(other);
            } else {
                (void)unlink(other);
            }
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    free(other);
}

void ho_remove_leftovers(const char *path) {
    const char *slash = strrchr(path, '/');
    sweep(path, slash != NULL ? slash + 1 : path, true, false);
}

void ho_remove_leftover_folders(const char *path) {
    const char *slash = strrchr(path, '/');
    sweep(path, slash != NULL ? slash + 1 : path, true, true);
}

void ho_remove_folder_leftovers(const char *path) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash != NULL ? slash : path, '.');
    if (dot != NULL) {
        sweep(path, dot, false, false);
    }
}

/* The export of a set: folder, parts, a few images at a time. */
#include "export.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leftovers.h"
#include "suggest.h"

enum { CHUNK_BYTES = 64 << 20, CHUNK_LEAST = 2, CHUNK_MOST = 16 };

/* ---- what formats use -------------------------------------------------------------------------------------------- */

ho_status ho_export_path(const ho_exporting *x, char path[HO_PATH], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = snprintf(path, HO_PATH, "%s/", x->unfinished);
    const int rest =
        length < HO_PATH ? vsnprintf(path + length, (size_t)(HO_PATH - length), format, arguments) : HO_PATH;
    va_end(arguments);
    if (length + rest >= HO_PATH) {
        HO_FAIL(HO_EIO, "a path of more than %d characters below %.60s...", HO_PATH - 1, x->folder);
    }
    return HO_OK;
}

ho_status ho_export_make_folder(const ho_exporting *x, const char *below) {
    char path[HO_PATH];
    HO_TRY(ho_export_path(x, path, "%s/", below));
    for (char *slash = strchr(path + strlen(x->unfinished) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            HO_FAIL(HO_EIO, "cannot make the folder %s: %s", path, strerror(errno));
        }
        *slash = '/';
    }
    return HO_OK;
}

ho_status ho_export_open_list(ho_exporting *x, int which, const char *below) {
    HO_TRY(ho_export_path(x, x->list[which].path, "%s", below));
    x->list[which].file = fopen(x->list[which].path, "wbe");
    x->list[which].has_items = false;
    if (x->list[which].file == NULL) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", x->list[which].path, strerror(errno));
    }
    return HO_OK;
}

ho_status ho_export_close_list(ho_exporting *x, int which) {
    errno = 0;
    const bool failed = ferror(x->list[which].file) != 0, closed = fclose(x->list[which].file) == 0;
    x->list[which].file = NULL;
    if (failed || !closed) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", x->list[which].path, strerror(errno != 0 ? errno : ENOSPC));
    }
    return HO_OK;
}

void ho_export_quote(FILE *file, const char *text) {
    (void)fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            (void)fputc('\\', file);
        }
        if ((unsigned char)*text < 32) {
            (void)fprintf(file, "\\u%04x", (unsigned)*text);
        } else {
            (void)fputc(*text, file);
        }
    }
    (void)fputc('"', file);
}

ho_status ho_export_classes(const ho_exporting *x) {
    const ho_export_set *set = &x->set;
    ho_exporting own = {.folder = x->folder, .unfinished = x->unfinished};
    HO_TRY(ho_export_open_list(&own, 0, "classes.yml"));
    (void)fprintf(own.list[0].file,
                  "# handsoff import-data --merge classes.yml gives the set its names and colours again\n"
                  "classes:\n");
    for (int k = 0; k < set->n_classes; k++) {
        (void)fputs("  - name: ", own.list[0].file);
        ho_export_quote(own.list[0].file, set->class_names[k]);
        (void)fprintf(own.list[0].file, "\n    colour: [%d, %d, %d]\n    ids: [%d]\n", set->palette[k][0],
                      set->palette[k][1], set->palette[k][2], k);
    }
    (void)fputs("ignore: [255]\n", own.list[0].file);
    return ho_export_close_list(&own, 0);
}

/* ---- one part ---------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_exporting x;
    char folder[HO_PATH], unfinished[HO_PATH + 32]; /* of x */
    const ho_export_request *request;
    const ho_export_format *format;
    ho_export_counts *counts;
    int64_t done, total;
    int n_samples;
    ho_export_sample samples[CHUNK_MOST];
} job;

static bool is_written(const job *j, int part) {
    const ho_export_part *p = &j->x.set.part[part];
    return p->n > 0 && (p->labels || (j->format->keeps_points && p->points) ||
                        (part == HO_PART_UNLABELLED && j->format->keeps_unlabelled));
}

/* Writes the samples of a chunk on all threads. Of several that fail the first in order is reported. */
static ho_status write_chunk(job *j, ho_part part, int n) {
    ho_status failed = HO_OK;
    int where = n;
    char text[1024] = "";
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++) {
        const ho_status status = j->format->write(&j->x, part, &j->samples[i]);
        if (status != HO_OK) {
#pragma omp critical(ho_export_failed)
            if (i < where) {
                where = i;
                failed = status;
                (void)snprintf(text, sizeof text, "%s", ho_error());
            }
        }
    }
    return failed == HO_OK ? HO_OK : ho_fail(failed, __FILE__, __LINE__, "%s", text);
}

static ho_status export_chunk(job *j, ho_part part, int64_t first, int n) {
    for (int i = 0; i < n; i++) {
        HO_TRY(ho_export_read(&j->x.set, part, first + i, &j->samples[i]));
    }
    HO_TRY(write_chunk(j, part, n));
    for (int i = 0; i < n; i++) {
        HO_TRY(j->format->list != NULL ? j->format->list(&j->x, part, &j->samples[i]) : HO_OK);
        free(j->samples[i].text);
        j->samples[i].text = NULL;
    }
    j->done += n;
    if (j->request->progress != NULL && !j->request->progress(j->request->user, j->done, j->total)) {
        HO_FAIL(HO_EINTERRUPT, "stopped after %lld of %lld images; nothing of it is left", (long long)j->done,
                (long long)j->total);
    }
    return HO_OK;
}

static ho_status export_images(job *j, ho_part part) {
    const ho_export_part *p = &j->x.set.part[part];
    const int64_t wanted = CHUNK_BYTES / ((int64_t)p->height * p->width * 4);
    const int n_chunk = (int)(wanted < CHUNK_LEAST ? CHUNK_LEAST : wanted > CHUNK_MOST ? CHUNK_MOST : wanted);
    for (; j->n_samples < n_chunk; j->n_samples++) {
        HO_TRY(ho_export_sample_new(&j->x.set, part, &j->samples[j->n_samples]));
    }
    HO_TRY(j->format->begin(&j->x, part));
    for (int64_t first = 0; first < p->n; first += n_chunk) {
        HO_TRY(export_chunk(j, part, first, (int)(p->n - first < n_chunk ? p->n - first : n_chunk)));
    }
    return j->format->end(&j->x, part);
}

static ho_status export_part(job *j, ho_part part) {
    const ho_status status = export_images(j, part);
    for (; j->n_samples > 0; j->n_samples--) {
        ho_export_sample_free(&j->samples[j->n_samples - 1]);
    }
    for (int which = 0; which < 2; which++) {
        if (j->x.list[which].file != NULL) {
            (void)fclose(j->x.list[which].file);
            j->x.list[which].file = NULL;
        }
    }
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static ho_status find_format(const char *name, const ho_export_format **format) {
    const char *names[16];
    int n = 0;
    for (; HO_EXPORT_FORMATS[n].name != NULL; n++) {
        names[n] = HO_EXPORT_FORMATS[n].name;
        if (strcmp(name, names[n]) == 0) {
            *format = &HO_EXPORT_FORMATS[n];
            return HO_OK;
        }
    }
    const char *nearest = ho_nearest(name, n, names);
    HO_FAIL(HO_EUSAGE, "unknown format '%.60s'%s%s; 'handsoff help export-data' lists them", name,
            nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "");
}

const char *ho_export_format_name(int i, const char **writes) {
    for (int at = 0; at <= i; at++) {
        if (i < 0 || HO_EXPORT_FORMATS[at].name == NULL) {
            return NULL;
        }
    }
    if (writes != NULL) {
        *writes = HO_EXPORT_FORMATS[i].writes;
    }
    return HO_EXPORT_FORMATS[i].name;
}

/* What is to be written, and that there is something. */
static ho_status count(job *j) {
    const ho_export_set *set = &j->x.set;
    for (int p = 0; p < HO_N_PARTS; p++) {
        const ho_export_part *part = &set->part[p];
        const bool written = is_written(j, p);
        j->counts->n[p] = written ? part->n : 0;
        j->counts->left_out[p] = written ? 0 : part->n;
        j->counts->depth = j->counts->depth || part->depth;
        j->counts->points = j->counts->points || (part->points && !j->format->keeps_points);
        j->total += j->counts->n[p];
    }
    if (j->total == 0) {
        HO_FAIL(HO_EFORMAT,
                "%s: no labels%s in it, which format %s needs (%lld train, %lld test, %lld unlabelled images)",
                set->path, j->format->keeps_points ? " and no key points" : "", j->format->name,
                (long long)set->part[0].n, (long long)set->part[1].n, (long long)set->part[2].n);
    }
    return HO_OK;
}

/* Nothing of that name, or an empty folder, whose place a rename takes. */
static ho_status check_free(const char *folder) {
    struct stat info;
    if (lstat(folder, &info) != 0) {
        return HO_OK;
    }
    if (!S_ISDIR(info.st_mode)) {
        HO_FAIL(HO_EUSAGE, "cannot make the folder %s: a file or link of that name is there", folder);
    }
    DIR *listing = opendir(folder);
    int n = 0;
    while (listing != NULL && n < 3 && readdir(listing) != NULL) {
        n++;
    }
    if (listing == NULL || n > 2) { /* "." and ".." */
        const char *why = listing == NULL ? strerror(errno) : "is not empty: name a new one";
        (void)(listing != NULL ? closedir(listing) : 0);
        HO_FAIL(HO_EUSAGE, "folder %s %s", folder, why);
    }
    (void)closedir(listing);
    return HO_OK;
}

/* The folder must be new or empty; "DIR/" is DIR. */
static ho_status choose_folder(job *j) {
    char *folder = j->folder;
    for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--) {
        folder[n - 1] = '\0';
    }
    HO_TRY(check_free(folder));
    (void)snprintf(j->unfinished, sizeof j->unfinished, "%s.tmp.%ld", folder, (long)getpid());
    j->x.folder = folder;
    j->x.unfinished = j->unfinished;
    ho_remove_leftover_folders(folder);
    if (mkdir(j->x.unfinished, 0777) != 0) {
        HO_FAIL(HO_EIO, "cannot write %s: cannot make the folder %s beside it: %s", folder, j->x.unfinished,
                strerror(errno));
    }
    return HO_OK;
}

static ho_status generated_step(void *user, int64_t done, int64_t total) {
    const job *j = user;
    if (j->request->progress != NULL && !j->request->progress(j->request->user, done, total)) {
        HO_FAIL(HO_EINTERRUPT, "stopped after %lld of %lld images; nothing of it is left", (long long)done,
                (long long)total);
    }
    return HO_OK;
}

/* A generated set as the released code would have written it. */
static ho_status export_generated(job *j) {
    j->counts->n[HO_PART_TRAIN] = ho_synthetic_info_of(j->x.set.synthetic)->n_generated;
    return ho_synthetic_export_png_as(j->x.set.path, j->x.unfinished, j->x.folder, 0, generated_step, j);
}

static ho_status export_parts(job *j) {
    const bool generated = j->x.set.synthetic != NULL && j->format->generated;
    HO_TRY(generated ? export_generated(j) : HO_OK);
    for (int p = 0; p < HO_N_PARTS && !generated; p++) {
        HO_TRY(is_written(j, p) ? export_part(j, (ho_part)p) : HO_OK);
    }
    HO_TRY(j->x.set.n_classes > 0 ? ho_export_classes(&j->x) : HO_OK);
    if (rename(j->x.unfinished, j->x.folder) != 0) {
        HO_FAIL(HO_EIO, "cannot give %s its name (from %s): %s", j->x.folder, j->x.unfinished, strerror(errno));
    }
    return HO_OK;
}

static ho_status export_set(job *j) {
    HO_TRY(count(j));
    if (snprintf(j->folder, sizeof j->folder, "%s", j->request->folder) >= HO_PATH) {
        HO_FAIL(HO_EIO, "a path of more than %d characters: %.60s...", HO_PATH - 1, j->request->folder);
    }
    HO_TRY(choose_folder(j));
    const ho_status status = export_parts(j);
    if (status != HO_OK) {
        ho_remove_tree(j->x.unfinished);
    }
    return status;
}

ho_status ho_export_data(const ho_export_request *request, ho_export_counts *counts) {
    job j = {.request = request, .counts = counts};
    memset(counts, 0, sizeof *counts);
    HO_TRY(find_format(request->format, &j.format));
    HO_TRY(ho_export_open(request->path, &j.x.set));
    const ho_status status = export_set(&j);
    ho_export_close(&j.x.set);
    return status;
}

/* The samples of a data set, read on all threads and written at once, each to its own place of the file: memory holds
 * one image a thread. Up to where all of them are done is brought to disk by a thread of its own, which waits for the
 * disk and uses no processor. */
#include <malloc.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formats.h"

/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int64_t wanted[HO_STORE_MARKS], written;
    bool stop, failed;
    char text[512];
} saver;

static void *save_on(void *user) {
    saver *s = user;
    pthread_mutex_lock(&s->lock);
    while (!s->stop && !s->failed) {
        if (s->wanted[0] == s->written) {
            pthread_cond_wait(&s->change, &s->lock);
            continue;
        }
        int64_t marks[HO_STORE_MARKS];
        memcpy(marks, s->wanted, sizeof marks);
        pthread_mutex_unlock(&s->lock);
        const ho_status status = ho_store_checkpoint(s->store, marks);
        const struct timespec rest = {0, 200000000}; /* small sets: not after every few images */
        nanosleep(&rest, NULL);
        pthread_mutex_lock(&s->lock);
        s->written = marks[0];
        if (status != HO_OK) {
            s->failed = true;
            snprintf(s->text, sizeof s->text, "%s", ho_error());
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* All samples before `done` are in the file. */
static ho_status saved_up_to(saver *s, int64_t done, int highest) {
    pthread_mutex_lock(&s->lock);
    s->wanted[0] = done;
    s->wanted[1] = highest;
    const bool failed = s->failed;
    pthread_cond_signal(&s->change);
    pthread_mutex_unlock(&s->lock);
    return failed ? ho_fail(HO_EIO, __FILE__, __LINE__, "%s", s->text) : HO_OK;
}

static ho_status start_saving(saver *s, ho_store *store, int64_t done) {
    memset(s, 0, sizeof *s);
    s->store = store;
    s->wanted[0] = s->written = done;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->change, NULL);
    if (pthread_create(&s->thread, NULL, save_on, s) != 0) {
        pthread_cond_destroy(&s->change);
        pthread_mutex_destroy(&s->lock);
        HO_FAIL(HO_EMEMORY, "%s: no further thread can be started to write it", ho_store_path(store));
    }
    return HO_OK;
}

/* What is done when the import ends early is saved, too. */
static ho_status stop_saving(saver *s, bool whole) {
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->change);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->change);
    pthread_mutex_destroy(&s->lock);
    const bool more = s->wanted[0] > s->written && !s->failed;
    return more && !whole ? ho_store_checkpoint(s->store, s->wanted) : HO_OK;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

/* A thread's room for one sample. */
typedef struct {
    uint8_t *label;
    float *depth, *points;
} room;

typedef struct {
    ho_flow *flow;
    const ho_batch *batch;
    int n_rooms;
    room *rooms;
    bool *done; /* of the part's samples */
    int next;   /* the first sample that no thread has taken */
    int ready;  /* all samples before this one are done */
    bool stop;
    ho_status status; /* of the first sample that failed */
    int where;
    char text[1024];
} work;

static void free_rooms(work *w) {
    for (int i = 0; i < w->n_rooms && w->rooms != NULL; i++) {
        free(w->rooms[i].label);
        free(w->rooms[i].depth);
        free(w->rooms[i].points);
    }
    free(w->rooms);
    free(w->done);
}

static ho_status make_rooms(work *w) {
    const size_t pixels = (size_t)w->flow->how->size * (size_t)w->flow->how->size;
    const ho_batch *b = w->batch;
    w->n_rooms = omp_get_max_threads();
    w->rooms = calloc((size_t)w->n_rooms, sizeof *w->rooms);
    w->done = calloc((size_t)b->n, sizeof *w->done);
    bool made = w->rooms != NULL && w->done != NULL;
    for (int i = 0; i < w->n_rooms && made; i++) {
        room *r = &w->rooms[i];
        r->label = b->label ? malloc(pixels) : NULL;
        r->depth = b->depth ? malloc(pixels * sizeof *r->depth) : NULL;
        r->points = b->points ? malloc((size_t)b->n_points * 3 * sizeof *r->points) : NULL;
        made = (r->label != NULL) == b->label && (r->depth != NULL) == b->depth && (r->points != NULL) == b->points;
    }
    if (!made) {
        HO_FAIL(HO_EMEMORY, "no memory for %d images of %d x %d", w->n_rooms, w->flow->how->size, w->flow->how->size);
    }
    return HO_OK;
}

static ho_status put_sample(const work *w, int i, const ho_square *square) {
    const ho_batch *b = w->batch;
    const ho_store *store = w->flow->store;
    HO_TRY(ho_store_put_row(store, &b->image_rows, i, square->image.pixels));
    HO_TRY(b->label ? ho_store_put_row(store, &b->label_rows, i, square->label) : HO_OK);
    HO_TRY(b->depth ? ho_store_put_row(store, &b->depth_rows, i, square->depth) : HO_OK);
    return b->points ? ho_store_put_row(store, &b->point_rows, i, square->points) : HO_OK;
}

static ho_status move_sample(const work *w, int i, const room *r, int *highest) {
    const ho_item *item = &w->batch->items[i];
    ho_square square = {{0, 0, 0, NULL}, r->label, r->depth, r->points};
    ho_status status = ho_square_sample(item->listing, item->sample, w->flow->how, &square, highest);
    status = status == HO_OK ? put_sample(w, i, &square) : status;
    ho_image_free(&square.image);
    return status;
}

static void note_failure(work *w, int i, ho_status status) {
#pragma omp critical(ho_import_failed)
    if (w->status == HO_OK || i < w->where) {
        w->where = i;
        w->status = status;
        snprintf(w->text, sizeof w->text, "%s", ho_error());
    }
}

/* One thread's share: whatever sample is next. They are handed out in order, so that of several that fail the first in
 * order is among those noted. *highest: the highest class number seen. */
static void take_sample(work *w, int i, int *highest) {
    int found = -1;
    const ho_status status = move_sample(w, i, &w->rooms[omp_get_thread_num()], &found);
    *highest = found > *highest ? found : *highest;
    if (status != HO_OK) {
        note_failure(w, i, status);
#pragma omp atomic write
        w->stop = true;
        return;
    }
#pragma omp critical(ho_import_highest)
    w->flow->highest = *highest > w->flow->highest ? *highest : w->flow->highest;
#pragma omp atomic write seq_cst
    w->done[i] = true;
}

/* The first thread does this between two samples of its own. */
static void look_around(work *w, saver *s, int64_t base, int64_t total) {
    const ho_import_request *r = w->flow->request;
    bool done = true, go_on = true;
    while (w->ready < w->batch->n && done) {
#pragma omp atomic read seq_cst
        done = w->done[w->ready];
        w->ready += done;
    }
    int highest;
#pragma omp critical(ho_import_highest)
    highest = w->flow->highest;
    const ho_status status = saved_up_to(s, base + w->ready, highest);
    if (status != HO_OK) {
        note_failure(w, w->ready, status);
        go_on = false;
    }
    if (r->progress != NULL && !r->progress(r->user, w->flow->first, base + w->ready, total)) {
        go_on = false;
    }
    if (!go_on) {
#pragma omp atomic write
        w->stop = true;
    }
}

static ho_status move_batch(work *w, saver *s, int64_t base, int64_t total) {
    const int n = w->batch->n;
    HO_TRY(make_rooms(w));
    w->next = w->ready = w->flow->first > base ? (int)(w->flow->first - base) : 0;
#pragma omp parallel
    {
        int highest = -1;
        for (bool stop = false; !stop;) {
            int i;
#pragma omp atomic capture
            i = w->next++;
#pragma omp atomic read
            stop = w->stop;
            stop = stop || i >= n;
            if (!stop) {
                take_sample(w, i, &highest);
            }
            if (!stop && omp_get_thread_num() == 0) {
                look_around(w, s, base, total);
            }
        }
    }
    const bool stopped = w->stop;
    look_around(w, s, base, total);
    if (w->status != HO_OK) {
        return ho_fail(w->status, __FILE__, __LINE__, "%s", w->text);
    }
    if (stopped) {
        HO_FAIL(HO_EINTERRUPT, "stopped after %lld of %lld images; the same command goes on",
                (long long)(base + w->ready), (long long)total);
    }
    return HO_OK;
}

ho_status ho_flow_run(ho_flow *flow) {
    saver s;
    int64_t base = 0, total = 0;
    ho_status status = HO_OK;
    /* Images are taken and freed over and over: they come from the heap, which keeps their pages. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    HO_TRY(start_saving(&s, flow->store, flow->first));
    for (int p = 0; p < HO_N_PARTS; p++) {
        total += flow->batches[p].n;
    }
    if (flow->first > 0 && flow->request->progress != NULL) {
        (void)flow->request->progress(flow->request->user, flow->first, flow->first, total);
    }
    for (int p = 0; p < HO_N_PARTS && status == HO_OK; base += flow->batches[p++].n) {
        if (base + flow->batches[p].n > flow->first) {
            work w = {.flow = flow, .batch = &flow->batches[p]};
            status = move_batch(&w, &s, base, total);
            free_rooms(&w);
        }
    }
    char text[1024];
    snprintf(text, sizeof text, "%s", ho_error());
    const ho_status saved = stop_saving(&s, status == HO_OK);
    if (status != HO_OK) { /* the first failure is told, not that of saving */
        return ho_fail(status, __FILE__, __LINE__, "%s", text);
    }
    return saved;
}

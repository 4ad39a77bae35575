/* generate with generate.png: the PNG folder, image by image. checkpoints/generate_png_c.h5 tells how many images of
 * which synthetic_c.h5 stand. */
#include "generate_png.h"

#include <unistd.h>

#include "handsoff/synthetic.h"

enum { CHECKPOINT_SECONDS = 30 };
static const char *const STAGE = "generate";

typedef struct {
    ho_run *run;
    int64_t count, shown; /* labelled images; images that the progress line told of */
    double saved_at;
} export_job;

static const char *list_path(ho_run *run, int64_t count) {
    return ho_run_path(run, "synthetic_%lld_png/%lld_0.pickle", (long long)count,
                       (long long)ho_config_int(ho_run_config(run), "generate.n"));
}

static const char *set_path(ho_run *run, int64_t count) {
    return ho_run_path(run, "synthetic_%lld.h5", (long long)count);
}

static const char *checkpoint_path(ho_run *run, int64_t count) {
    return ho_run_path(run, "checkpoints/generate_png_%lld.h5", (long long)count);
}

bool ho_png_folder_is_there(ho_run *run, int64_t count) {
    return access(list_path(run, count), F_OK) == 0;
}

void ho_png_folder_forget(ho_run *run, int64_t count) {
    (void)unlink(list_path(run, count));
    /* Asking for the list's path made its folder: leave none behind that is empty. */
    (void)rmdir(ho_run_path(run, "synthetic_%lld_png", (long long)count));
}

static ho_status save(const export_job *j, int64_t done) {
    const char *const inputs[] = {set_path(j->run, j->count)};
    ho_store *store = NULL;
    HO_TRY(ho_store_create(checkpoint_path(j->run, j->count), &store));
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_store_set_number(store, "images", (double)done));
    HO_TRY_DONE(ho_run_record(j->run, store, STAGE, "png checkpoint", 0, NULL, 1, inputs));
    status = ho_store_commit(store);
done:
    ho_store_close(store);
    return status;
}

/* How many images of this very set an interrupted export left. */
static int64_t images_there(ho_run *run, int64_t count) {
    const char *const inputs[] = {set_path(run, count)};
    const char *path = checkpoint_path(run, count), *why = "";
    ho_store *store = NULL;
    double images = 0.0;
    if (!ho_run_is_current(run, path, STAGE, 0, NULL, 1, inputs, &why) || ho_store_open(path, &store) != HO_OK) {
        return 0;
    }
    const bool known = ho_store_get_number(store, "images", &images) == HO_OK && images >= 1.0;
    ho_store_close(store);
    /* The folder may have been removed since; the map is the last file of an image. */
    const bool whole =
        known && access(ho_run_path(run, "synthetic_%lld_png/%.0f.npy", (long long)count, images - 1.0), F_OK) == 0;
    return whole ? (int64_t)images : 0;
}

static ho_status step(void *user, int64_t done, int64_t total) {
    export_job *j = user;
    const bool interrupted = ho_run_interrupted();
    if (done > j->shown) {
        j->shown = done;
        ho_run_progress(j->run, STAGE, done, total, "PNG images", "%lld labelled", (long long)j->count);
    }
    if (interrupted || ho_seconds() - j->saved_at > CHECKPOINT_SECONDS) {
        HO_TRY(save(j, done));
        j->saved_at = ho_seconds();
    }
    if (interrupted) {
        HO_FAIL(HO_EINTERRUPT, "stopped after %lld of %lld PNG images", (long long)done, (long long)total);
    }
    return HO_OK;
}

ho_status ho_png_folder_write(ho_run *run, int64_t count) {
    const int64_t first = images_there(run, count);
    export_job j = {run, count, first, ho_seconds()};
    if (first > 0) {
        ho_run_say(run, "generate: %lld labelled, going on from PNG image %lld", (long long)count, (long long)first);
    }
    HO_TRY(ho_synthetic_export_png(set_path(run, count), ho_run_path(run, "synthetic_%lld_png", (long long)count),
                                   first, step, &j));
    (void)unlink(checkpoint_path(run, count));
    return HO_OK;
}

#include "training.h"

#include <math.h>
#include <stdlib.h>

#include "handsoff/store.h"

static const double WARM_UP = 50.0;

double pretext_rate(double rate, int64_t step, int64_t steps) {
    const double cosine = 0.5 + 0.5 * cos(3.141592653589793 * (double)step / (double)steps);
    return rate * cosine * fmin(1.0, (double)(step + 1) / WARM_UP);
}

/* Room for both moments; freed by the caller. */
static ho_status take_moments(const char *path, const ho_params *params, int64_t *count, float **moments) {
    (void)ho_params_values(params, count);
    *moments = malloc(2 * (size_t)*count * sizeof **moments);
    if (*moments == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for the optimiser's state", path);
    }
    return HO_OK;
}

ho_status pretext_save(const char *path, ho_params *params, ho_adam *adam, int64_t step) {
    int64_t count = 0;
    float *moments = NULL;
    ho_store *store = NULL;
    ho_status status = HO_OK;
    HO_TRY_DONE(take_moments(path, params, &count, &moments));
    HO_TRY_DONE(ho_store_create(path, &store));
    HO_TRY_DONE(ho_store_write_params(store, "", params));
    HO_TRY_DONE(ho_adam_get(adam, moments, moments + count));
    HO_TRY_DONE(ho_store_write(store, "adam/m", HO_F32, 1, &count, moments));
    HO_TRY_DONE(ho_store_write(store, "adam/v", HO_F32, 1, &count, moments + count));
    HO_TRY_DONE(ho_store_set_number(store, "step", (double)step));
    status = ho_store_commit(store);
done:
    ho_store_close(store);
    free(moments);
    return status;
}

ho_status pretext_load(const char *path, ho_params *params, ho_adam *adam, int64_t *step) {
    int64_t count = 0;
    double saved = 0.0;
    float *moments = NULL;
    ho_store *store = NULL;
    ho_status status = HO_OK;
    HO_TRY_DONE(take_moments(path, params, &count, &moments));
    HO_TRY_DONE(ho_store_open(path, &store));
    HO_TRY_DONE(ho_store_read_params(store, "", params));
    HO_TRY_DONE(ho_store_read(store, "adam/m", HO_F32, 1, &count, moments));
    HO_TRY_DONE(ho_store_read(store, "adam/v", HO_F32, 1, &count, moments + count));
    HO_TRY_DONE(ho_store_get_number(store, "step", &saved));
    *step = (int64_t)saved;
    status = ho_adam_set(adam, *step, moments, moments + count);
done:
    ho_store_close(store);
    free(moments);
    return status;
}

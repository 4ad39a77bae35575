/* Generator files: written, read back, and refused with the file's name and what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "handsoff/stylegan2.h"

static ho_tensor *ramp(ho_context *context, int rank, const int64_t *dim) {
    ho_tensor *tensor = NULL;
    CHECK_OK(ho_tensor_new(context, rank, dim, &tensor));
    float *host = malloc((size_t)ho_tensor_count(tensor) * sizeof *host);
    assert_non_null(host);
    for (int64_t i = 0; i < ho_tensor_count(tensor); i++) {
        host[i] = (float)check_normal(5, (uint64_t)i);
    }
    CHECK_OK(ho_tensor_set_host(context, tensor, host));
    free(host);
    return tensor;
}

static float *image_of(ho_context *context, ho_generator *generator, ho_tensor *w_plus) {
    ho_tensor *image = NULL;
    CHECK_OK(ho_generator_synthesize(context, generator, w_plus, NULL, NULL, &image));
    float *host = malloc((size_t)ho_tensor_count(image) * sizeof *host);
    assert_non_null(host);
    CHECK_OK(ho_tensor_to_host(context, image, host));
    return host;
}

static void file_round_trip(void **state) {
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/handsoff-test-%ld.h5", (long)getpid());
    const ho_stylegan2_shape shape = {16, 8, 5, 6, 80, 9, 2};
    ho_context *context = NULL;
    ho_generator *generator = NULL;
    ho_generator *loaded = NULL;
    ho_store *store = NULL;
    CHECK_OK(ho_context_create(check_device(), &context));
    float w_avg[2][6];
    CHECK_OK(ho_generator_create(check_device(), &shape, 3, &generator));
    CHECK_OK(ho_generator_update_w_avg(context, generator, ramp(context, HO_SHAPE(2, 6))));
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_generator_write(generator, store));
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
    CHECK_OK(ho_generator_load(check_device(), path, &loaded));
    assert_memory_equal(ho_generator_shape(loaded), &shape, sizeof shape);
    ho_tensor *w_plus = ramp(context, HO_SHAPE(1, ho_stylegan2_n_ws(&shape), 6));
    float *before = image_of(context, generator, w_plus);
    float *after = image_of(context, loaded, w_plus);
    assert_memory_equal(before, after, 16 * 8 * 3 * sizeof(float));
    CHECK_OK(ho_generator_w_avg(generator, w_avg[0]));
    CHECK_OK(ho_generator_w_avg(loaded, w_avg[1]));
    assert_memory_equal(w_avg[0], w_avg[1], sizeof w_avg[0]);
    assert_true(w_avg[0][0] != 0.0F);
    free(before);
    free(after);
    (void)unlink(path);
    ho_generator_free(loaded);
    ho_generator_free(generator);
    ho_context_free(context);
}

/* Files with one thing wrong: kind, an attribute, its value, the tensors. */
static void bad_files(void **state) {
    (void)state;
    static const char *const KEYS[] = {"height",       "width",       "z_dim",         "w_dim",
                                       "channel_base", "channel_max", "mapping_layers"};
    static const double VALUES[] = {16, 16, 5, 6, 80, 9, 2};
    static const char *const MESSAGE[] = {"kind", "w_dim", "2.5", "power of two", "mapping.fc0.weight"};
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/handsoff-test-%ld.h5", (long)getpid());
    for (int wrong = 0; wrong < CHECK_LEN(MESSAGE); wrong++) {
        ho_store *store = NULL;
        ho_generator *generator = NULL;
        CHECK_OK(ho_store_create(path, &store));
        CHECK_OK(ho_store_set_text(store, "kind", wrong == 0 ? "head" : "generator"));
        for (int i = 0; i < CHECK_LEN(KEYS); i++) {
            const double value = wrong == 2 && i == 6 ? 2.5 : wrong == 3 && i < 2 ? 24.0 : VALUES[i];
            if (!(wrong == 1 && i == 3)) {
                CHECK_OK(ho_store_set_number(store, KEYS[i], value));
            }
        }
        CHECK_OK(ho_store_commit(store));
        ho_store_close(store);
        const ho_status status = ho_generator_load(check_device(), path, &generator);
        assert_true(status != HO_OK);
        CHECK_FAILS(status, status, path, MESSAGE[wrong]);
        assert_null(generator);
        (void)unlink(path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_round_trip),
        cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

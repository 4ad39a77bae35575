/* Stages refuse numbers that are not finite in their input files. */
#include <math.h>
#include <stdio.h>

#include "handsoff/store.h"
#include "small_run.h"
#include "src/stages/stages.h"

enum { L = 6, D = 8 };

/* latents.h5 with `bad` as number `at` of latent `row`. */
static void write_latents(int row, int at, float bad) {
    const int64_t index[TRAIN] = {2, 0, 3, 1};
    float w_plus[TRAIN * L * D];
    ho_store *store = NULL;
    for (int i = 0; i < TRAIN * L * D; ++i) {
        w_plus[i] = (float)check_normal(4, (uint64_t)i);
    }
    w_plus[row * L * D + at] = bad;
    CHECK_OK(ho_store_create(ho_run_path(run, "latents.h5"), &store));
    CHECK_OK(ho_store_write(store, "w_plus", HO_F32, 3, (const int64_t[]){TRAIN, L, D}, w_plus));
    CHECK_OK(ho_store_write(store, "index", HO_I64, 1, (const int64_t[]){TRAIN}, index));
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
}

static void train_head_names_the_latent(void **state) {
    (void)state;
    open_run("a", 0, NULL);
    make_inputs();
    write_latents(2, 0, NAN);
    CHECK_FAILS(HO_STAGE_TRAIN_HEAD.execute(run), HO_EFORMAT, "latents.h5: 'w_plus' holds nan in row 2",
                "training image 3", "run invert again with --force");
    write_latents(3, L * D - 1, -INFINITY);
    CHECK_FAILS(HO_STAGE_TRAIN_HEAD.execute(run), HO_EFORMAT, "latents.h5: 'w_plus' holds -inf in row 3",
                "training image 1");
    assert_false(is_current(&HO_STAGE_TRAIN_HEAD));
    write_latents(0, 0, 1.0F);
    CHECK_OK(HO_STAGE_TRAIN_HEAD.execute(run));
    close_run();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(train_head_names_the_latent)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

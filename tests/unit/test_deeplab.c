/* The segmentation network against PyTorch in evaluation mode (tests/golden/deeplab_golden.py), its training: gradients
 * that lower the loss at the rate they promise, resume bit for bit; its files and what they refuse. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "handsoff/deeplab.h"
#include "src/stages/downstream_training.h"

static ho_context *context;

static int setup(void **state) {
    (void)state;
    return ho_context_create(check_device(), &context) == HO_OK ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    ho_context_free(context);
    return 0;
}

/* ---- PyTorch
 * --------------------------------------------------------------------------------------------------------------- */

static float *read_golden(ho_store *store, const char *name, const int64_t *dim, int64_t *count) {
    *count = dim[0] * dim[1] * dim[2] * dim[3];
    float *values = malloc(sizeof *values * (size_t)*count);
    assert_non_null(values);
    CHECK_OK(ho_store_read(store, name, HO_F32, 4, dim, values));
    return values;
}

static void compare(const char *what, const float *got, const float *want, int64_t count, double relative) {
    double *wide = malloc(sizeof *wide * (size_t)count);
    assert_non_null(wide);
    for (int64_t i = 0; i < count; ++i) {
        wide[i] = want[i];
    }
    check_close_f32(what, got, count, wide, count, relative * check_max_abs(wide, count));
    free(wide);
}

static void check_golden(const char *path) {
    ho_deeplab *network = NULL;
    ho_store *store = NULL;
    ho_store_info info;
    const ho_deeplab_mode mode = {false, 0, 0};
    ho_tensor *x, *logits, *seed;
    int64_t n_x, n_y;
    CHECK_OK(ho_deeplab_load(check_device(), path, &network));
    CHECK_OK(ho_store_open(path, &store));
    CHECK_OK(ho_store_info_of(store, "golden/x", &info));
    const int64_t x_dim[4] = {info.dim[0], info.dim[1], info.dim[2], 3};
    const int64_t y_dim[4] = {x_dim[0], x_dim[1], x_dim[2], ho_deeplab_shape_of(network)->K};
    float *x_host = read_golden(store, "golden/x", x_dim, &n_x), *g_x = read_golden(store, "golden/g_x", x_dim, &n_x);
    float *y_host = read_golden(store, "golden/logits", y_dim, &n_y);
    float *s_host = read_golden(store, "golden/seed", y_dim, &n_y);
    CHECK_OK(ho_tensor_from_host(context, x_host, 4, x_dim, &x));
    CHECK_OK(ho_tensor_from_host(context, s_host, 4, y_dim, &seed));
    ho_context_record(context, true);
    x->needs_grad = true;
    CHECK_OK(ho_deeplab_logits(context, network, x, &mode, &logits));
    CHECK_OK(ho_tensor_to_host(context, logits, s_host));
    /* About 20 layers in float; 20 times what was seen. */
    compare("logits", s_host, y_host, n_y, 5e-5);
    CHECK_OK(ho_backward_seed(context, logits, seed));
    CHECK_OK(ho_tensor_grad_to_host(context, x, x_host));
    compare("gradient of x", x_host, g_x, n_x, 5e-5);
    ho_context_record(context, false);
    ho_context_reset(context);
    free(x_host), free(y_host), free(s_host), free(g_x);
    ho_store_close(store);
    ho_deeplab_free(network);
}

static void it_computes_what_pytorch_computes(void **state) {
    (void)state;
    check_golden("tests/golden/deeplab_24x20.h5");
    check_golden("tests/golden/deeplab_40x48.h5");
    check_golden("tests/golden/deeplab_66x70.h5");
}

/* ---- training
 * -------------------------------------------------------------------------------------------------------------- */

enum { SIZE = 16, IMAGES = 3, CLASSES = 3, BATCH = 4 };
static const ho_deeplab_shape SHAPE = {{8, 1, SIZE, SIZE}, CLASSES};
static const ho_downstream_options OPTIONS = {7, 60, BATCH, 0.01, HO_LABELLED_AUGMENTATION};

typedef struct {
    uint8_t images[IMAGES * SIZE * SIZE * 3], labels[IMAGES * SIZE * SIZE];
    ho_downstream_images set;
} world;

/* Bright squares (class 1) and dark ones (class 2) on grey. */
static void make_world(world *w) {
    for (int n = 0; n < IMAGES; ++n) {
        for (int p = 0; p < SIZE * SIZE; ++p) {
            const int x = p % SIZE, y = p / SIZE, left = 2 + n, i = n * SIZE * SIZE + p;
            const bool bright = x >= left && x < left + 6 && y >= 3 && y < 9;
            const bool dark = x >= 8 && x < 14 && y >= 10 - n && y < 15 - n && !bright;
            w->labels[i] = bright ? 1 : dark ? 2 : 0;
            for (int c = 0; c < 3; ++c) {
                w->images[3 * i + c] = (uint8_t)((bright ? 220
                                                  : dark ? 30
                                                         : 120) +
                                                 20.0 * check_uniform(5, (uint64_t)(3 * i + c)));
            }
        }
    }
    w->labels[0] = 255;
    w->set = (ho_downstream_images){IMAGES, w->images, w->labels, NULL};
}

static ho_downstream_training *start(const world *w) {
    ho_downstream_training *training = NULL;
    CHECK_OK(ho_downstream_training_create(check_device(), &OPTIONS, &SHAPE, &w->set, &training));
    return training;
}

static double advance(ho_downstream_training *training, int64_t to) {
    double loss = 0.0;
    while (ho_downstream_training_steps(training) < to) {
        CHECK_OK(ho_downstream_training_step(training, &loss));
    }
    return loss;
}

static float *values(ho_deeplab *network, int64_t *count) {
    ho_params *params = ho_deeplab_params(network);
    *count = 0;
    for (int i = 0; i < ho_params_n(params); ++i) {
        *count += ho_tensor_count(&ho_params_at(params, i)->tensor);
    }
    float *all = malloc(sizeof(float) * (size_t)*count), *at = all;
    assert_non_null(all);
    for (int i = 0; i < ho_params_n(params); ++i) {
        CHECK_OK(ho_param_get(params, ho_params_at(params, i), at));
        at += ho_tensor_count(&ho_params_at(params, i)->tensor);
    }
    return all;
}

static void assert_same(ho_downstream_training *a, ho_downstream_training *b, bool same) {
    int64_t n, m;
    float *x = values(ho_downstream_training_network(a), &n), *y = values(ho_downstream_training_network(b), &m);
    assert_true(n == m && n > 0);
    assert_true((memcmp(x, y, sizeof(float) * (size_t)n) == 0) == same);
    free(x), free(y);
}

/* Training loss of one fixed batch, in training mode with one fixed dropout mask. */
static double fixed_loss(ho_deeplab *network, const world *w, bool backward) {
    const ho_deeplab_mode mode = {true, 1, 0};
    float pixels[IMAGES * SIZE * SIZE * 3];
    ho_tensor *x, *logits, *loss;
    double value;
    ho_context_reset(context);
    ho_normalise_pixels(w->images, IMAGES * SIZE * SIZE, pixels);
    CHECK_OK(ho_tensor_from_host(context, pixels, HO_SHAPE(IMAGES, SIZE, SIZE, 3), &x));
    ho_context_record(context, backward);
    CHECK_OK(ho_deeplab_logits(context, network, x, &mode, &logits));
    CHECK_OK(ho_cross_entropy(context, logits, w->labels, &loss));
    CHECK_OK(ho_tensor_scalar(context, loss, &value));
    if (backward) {
        CHECK_OK(ho_backward(context, loss));
    }
    ho_context_record(context, false);
    return value;
}

static void gradients_reach_every_weight(void **state) {
    (void)state;
    world w;
    ho_deeplab *network = NULL;
    make_world(&w);
    CHECK_OK(ho_deeplab_create(check_device(), &SHAPE, 3, &network));
    ho_params *params = ho_deeplab_params(network);
    ho_params_set_trainable(params, true);
    fixed_loss(network, &w, true);
    double norm2 = 0.0;
    const int n = ho_params_n(params);
    float **gradient = calloc((size_t)n, sizeof *gradient);
    assert_non_null(gradient);
    for (int i = 0; i < n; ++i) {
        const ho_param *p = ho_params_at(params, i);
        const int64_t count = ho_tensor_count(&p->tensor);
        double own = 0.0;
        gradient[i] = calloc((size_t)count, sizeof **gradient);
        CHECK_OK(ho_tensor_grad_to_host(context, &p->tensor, gradient[i]));
        for (int64_t k = 0; k < count; ++k) {
            own += (double)gradient[i][k] * (double)gradient[i][k];
        }
        if ((p->kind == HO_PARAM) != (own > 0.0)) {
            fail_msg("%s: squared norm of the gradient is %g", p->name, own);
        }
        norm2 += own;
    }
    /* Against central differences along the gradient; the loss is smooth but for a few ReLUs. */
    double loss[2];
    ho_context_reset(context);
    for (int side = 0; side < 2; ++side) {
        const double step = (side == 0 ? 5e-3 : -1e-2) / sqrt(norm2);
        for (int i = 0; i < n; ++i) {
            ho_param *p = ho_params_at(params, i);
            const int64_t count = ho_tensor_count(&p->tensor);
            float *host = malloc(sizeof *host * (size_t)count);
            ho_tensor *in_memory;
            assert_non_null(host);
            CHECK_OK(ho_tensor_like(context, &p->tensor, &in_memory));
            CHECK_OK(ho_tensor_to_host(context, &p->tensor, host));
            for (int64_t k = 0; k < count && p->kind == HO_PARAM; ++k) {
                host[k] = (float)((double)host[k] + step * (double)gradient[i][k]);
            }
            CHECK_OK(ho_tensor_set_host(context, &p->tensor, host));
            free(host);
        }
        loss[side] = fixed_loss(network, &w, false);
    }
    const double slope = (loss[0] - loss[1]) / 1e-2;
    if (!(fabs(slope - sqrt(norm2)) < 0.05 * sqrt(norm2))) {
        fail_msg("slope along the gradient %g, its norm %g", slope, sqrt(norm2));
    }
    for (int i = 0; i < n; ++i) {
        free(gradient[i]);
    }
    free(gradient);
    ho_deeplab_free(network);
}

static void it_learns_squares(void **state) {
    (void)state;
    world w;
    uint8_t predicted[IMAGES * SIZE * SIZE];
    int right = 0;
    make_world(&w);
    ho_downstream_training *training = start(&w);
    advance(training, OPTIONS.steps);
    CHECK_OK(ho_deeplab_predict(context, ho_downstream_training_network(training), w.images, IMAGES, 2, predicted));
    for (int i = 0; i < IMAGES * SIZE * SIZE; ++i) {
        right += predicted[i] == w.labels[i];
    }
    if (right < IMAGES * SIZE * SIZE * 9 / 10) {
        fail_msg("%d of %d pixels right", right, IMAGES * SIZE * SIZE);
    }
    ho_downstream_training_free(training);
}

static void a_restored_training_ends_with_the_same_bits(void **state) {
    (void)state;
    world w;
    char path[64];
    ho_store *store = NULL;
    make_world(&w);
    (void)snprintf(path, sizeof path, "/tmp/handsoff_test_deeplab_%d.h5", (int)getpid());
    ho_downstream_training *straight = start(&w), *first = start(&w), *second = start(&w);
    advance(straight, 25);
    advance(first, 11);
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_downstream_training_save(first, store));
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
    CHECK_OK(ho_store_open(path, &store));
    CHECK_OK(ho_downstream_training_restore(second, store));
    ho_store_close(store);
    assert_int_equal(ho_downstream_training_steps(second), 11);
    assert_same(straight, second, false);
    advance(second, 25);
    assert_same(straight, second, true);
    (void)unlink(path);
    ho_downstream_training_free(straight);
    ho_downstream_training_free(first);
    ho_downstream_training_free(second);
}

/* ---- files
 * ----------------------------------------------------------------------------------------------------------------- */

static void files_keep_the_network_and_refuse_what_does_not_fit(void **state) {
    (void)state;
    char path[64];
    ho_deeplab *network = NULL, *again = NULL;
    ho_store *store = NULL;
    int64_t n, m;
    (void)snprintf(path, sizeof path, "/tmp/handsoff_test_deeplab_file_%d.h5", (int)getpid());
    CHECK_OK(ho_deeplab_create(check_device(), &SHAPE, 3, &network));
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_deeplab_write(network, store));
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
    CHECK_OK(ho_deeplab_load(check_device(), path, &again));
    float *a = values(network, &n), *b = values(again, &m);
    assert_true(n == m && memcmp(a, b, sizeof(float) * (size_t)n) == 0);
    free(a), free(b);
    ho_deeplab_free(again);

    /* The backbone of a file goes into a network with another head and size; width and depth must be the same. */
    const ho_deeplab_shape other = {{8, 1, 64, 48}, 7}, wide = {{16, 1, SIZE, SIZE}, 3}, deep = {{8, 2, SIZE, SIZE}, 3};
    CHECK_OK(ho_deeplab_create(check_device(), &other, 4, &again));
    CHECK_OK(ho_deeplab_load_backbone(again, path));
    for (int i = 0; i < ho_params_n(ho_deeplab_params(again)); ++i) {
        ho_param *to = ho_params_at(ho_deeplab_params(again), i);
        ho_param *from = ho_params_find(ho_deeplab_params(network), to->name);
        const int64_t count = ho_tensor_count(&to->tensor);
        if (to->kind != HO_PARAM || to->tensor.rank != 4 || count != ho_tensor_count(&from->tensor)) {
            continue;
        }
        float *x = malloc(sizeof *x * (size_t)count), *y = malloc(sizeof *y * (size_t)count);
        CHECK_OK(ho_param_get(ho_deeplab_params(again), to, x));
        CHECK_OK(ho_param_get(ho_deeplab_params(network), from, y));
        const bool same = memcmp(x, y, sizeof *x * (size_t)count) == 0;
        assert_true(same == (strncmp(to->name, "backbone.", 9) == 0));
        free(x), free(y);
    }
    ho_deeplab_free(again);
    CHECK_OK(ho_deeplab_create(check_device(), &wide, 4, &again));
    CHECK_FAILS(ho_deeplab_load_backbone(again, path), HO_ECONFIG, path, "8 channels", "downstream.channels=8");
    ho_deeplab_free(again);
    CHECK_OK(ho_deeplab_create(check_device(), &deep, 4, &again));
    CHECK_FAILS(ho_deeplab_load_backbone(again, path), HO_ECONFIG, path, "1 blocks", "downstream.blocks=1");
    CHECK_FAILS(ho_deeplab_load_backbone(again, "tests/golden/lpips_vgg16.h5"), HO_EFORMAT, "lpips_vgg16.h5",
                "no pretrained backbone");
    ho_deeplab_free(again);
    CHECK_FAILS(ho_deeplab_load(check_device(), "tests/golden/lpips_vgg16.h5", &again), HO_EFORMAT, "lpips_vgg16.h5",
                "train-downstream");
    CHECK_FAILS(ho_deeplab_load(check_device(), "no/such.h5", &again), HO_EIO, "no/such.h5");
    (void)unlink(path);
    ho_deeplab_free(network);
}

static void bad_shapes_and_labels_are_refused(void **state) {
    (void)state;
    world w;
    ho_downstream_training *training = NULL;
    ho_deeplab *network = NULL;
    ho_tensor *x, *logits;
    const ho_deeplab_mode training_mode = {true, 0, 0};
    make_world(&w);
    w.labels[SIZE * SIZE + 4] = CLASSES;
    CHECK_FAILS(ho_downstream_training_create(check_device(), &OPTIONS, &SHAPE, &w.set, &training), HO_EFORMAT,
                "image 1", "label 3", "pixel 4", "below 3");
    CHECK_FAILS(ho_deeplab_create(check_device(), &(ho_deeplab_shape){{8, 0, 16, 16}, 3}, 0, &network), HO_ESHAPE,
                "0 blocks");
    CHECK_FAILS(ho_deeplab_create(check_device(), &(ho_deeplab_shape){{8, 1, 16, 4}, 3}, 0, &network), HO_ESHAPE,
                "16x4");
    CHECK_FAILS(ho_deeplab_create(check_device(), &(ho_deeplab_shape){{8, 1, 16, 16}, 256}, 0, &network), HO_ESHAPE,
                "256 classes");
    CHECK_OK(ho_deeplab_create(check_device(), &SHAPE, 3, &network));
    ho_context_reset(context);
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, SIZE, SIZE, 3), &x));
    CHECK_FAILS(ho_deeplab_logits(context, network, x, &training_mode, &logits), HO_ESHAPE, "at least 2 images");
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2, SIZE, SIZE + 1, 3), &x));
    CHECK_FAILS(ho_deeplab_logits(context, network, x, &training_mode, &logits), HO_ESHAPE, "(2, 16, 17, 3)");
    ho_deeplab_free(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_computes_what_pytorch_computes),
        cmocka_unit_test(gradients_reach_every_weight),
        cmocka_unit_test(it_learns_squares),
        cmocka_unit_test(a_restored_training_ends_with_the_same_bits),
        cmocka_unit_test(files_keep_the_network_and_refuse_what_does_not_fit),
        cmocka_unit_test(bad_shapes_and_labels_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* The networks of pSp, e4e and ReStyle: gradients, files, what does not fit. Their numbers are compared with PyTorch's
 * in tests/golden/check_restyle.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/encoder.h"
#include "opened_run.h"

enum { SIZE = 64, L = 10, D = 6, M = L * D, P = SIZE * SIZE * 3 };

static const ho_encoder_shape SHAPES[] = {
    {SIZE, SIZE, L, D, 16, 128, 1, 5, HO_ENCODER_IRSE50, false, false},
    {SIZE, SIZE, L, D, 16, 128, 1, 1, HO_ENCODER_IRSE50, true, true},
    {SIZE, 2 * SIZE, L, D, 4, 32, 1, 2, HO_ENCODER_RESNET34, true, false},
};

typedef struct {
    ho_context *context;
    ho_encoder *encoder;
    float *image, *current, *weight;
} world;

static float *normals(uint64_t seed, int64_t n) {
    float *values = malloc((size_t)n * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < n; ++i) {
        values[i] = 0.5F * (float)check_normal(seed, (uint64_t)i);
    }
    return values;
}

/* Convolutions at a part of their size: what they begin with makes answers that are far from linear. */
static void calm(ho_params *params) {
    for (int i = 0; i < ho_params_n(params); ++i) {
        ho_param *p = ho_params_at(params, i);
        const int64_t n = ho_tensor_count(&p->tensor);
        float *values = malloc((size_t)n * sizeof *values);
        CHECK_OK(ho_param_get(params, p, values));
        for (int64_t k = 0; k < n && p->tensor.rank == 4; ++k) {
            values[k] *= 0.4F;
        }
        CHECK_OK(ho_param_set(params, p, values));
        free(values);
    }
}

static world make_world(const ho_encoder_shape *shape) {
    world w = {.image = normals(1, 2 * P), .current = normals(2, 2 * P), .weight = normals(3, M)};
    CHECK_OK(ho_encoder_create(check_device(), shape, 5, &w.encoder));
    CHECK_OK(ho_context_create(check_device(), &w.context));
    calm(ho_encoder_params(w.encoder));
    return w;
}

static void free_world(world *w) {
    free(w->image);
    free(w->current);
    free(w->weight);
    ho_context_free(w->context);
    ho_encoder_free(w->encoder);
}

/* sum of weight * latents of one image, from zeros. */
static ho_tensor *answer(const world *w, ho_tensor **latents) {
    const ho_encoder_shape *s = ho_encoder_shape_of(w->encoder);
    static const float zeros[M];
    ho_tensor *image = NULL, *current = NULL, *start = NULL, *weight = NULL, *loss = NULL;
    CHECK_OK(ho_tensor_from_host(w->context, w->image, HO_SHAPE(1, s->height, s->width, 3), &image));
    CHECK_OK(ho_tensor_from_host(w->context, w->current, HO_SHAPE(1, s->height, s->width, 3), &current));
    CHECK_OK(ho_tensor_from_host(w->context, zeros, HO_SHAPE(1, L, D), &start));
    CHECK_OK(ho_tensor_from_host(w->context, w->weight, HO_SHAPE(1, L, D), &weight));
    CHECK_OK(ho_encoder_pass(w->context, w->encoder, image, s->iterations > 1 ? current : NULL, start, false, latents));
    CHECK_OK(ho_dot(w->context, *latents, weight, 1.0, &loss));
    return loss;
}

static double value(const world *w) {
    double v = 0.0;
    ho_tensor *latents = NULL;
    ho_context_reset(w->context);
    CHECK_OK(ho_tensor_scalar(w->context, answer(w, &latents), &v));
    return v;
}

/* values + step * direction, all parameters at once. Answers with how far they went along direction: steps below the
 * last place of a value are lost. */
static double move(const world *w, const float *values, const float *direction, double step) {
    ho_params *params = ho_encoder_params(w->encoder);
    int64_t at = 0;
    double along = 0.0;
    for (int i = 0; i < ho_params_n(params); ++i) {
        ho_param *p = ho_params_at(params, i);
        const int64_t n = ho_tensor_count(&p->tensor);
        float *moved = malloc((size_t)n * sizeof *moved);
        for (int64_t k = 0; k < n; ++k) {
            moved[k] = values[at + k] + (float)(step * (double)direction[at + k]);
            along += ((double)moved[k] - (double)values[at + k]) * (double)direction[at + k];
        }
        CHECK_OK(ho_device_upload(check_device(), p->tensor.data, moved, (size_t)n * sizeof *moved));
        free(moved);
        at += n;
    }
    return along;
}

/* A step along the gradient changes the answer by step times gradient; every parameter takes part. */
static void the_gradient_is_the_slope(void **state) {
    (void)state;
    for (int k = 0; k < CHECK_LEN(SHAPES); ++k) {
        world w = make_world(&SHAPES[k]);
        ho_params *params = ho_encoder_params(w.encoder);
        int64_t n = 0, at = 0;
        int without = 0;
        for (int i = 0; i < ho_params_n(params); ++i) {
            n += ho_tensor_count(&ho_params_at(params, i)->tensor);
        }
        float *values = calloc((size_t)n, sizeof *values), *gradient = calloc((size_t)n, sizeof *gradient);
        ho_tensor *latents = NULL;
        ho_params_set_trainable(params, true);
        ho_context_record(w.context, true);
        CHECK_OK(ho_backward(w.context, answer(&w, &latents)));
        ho_context_record(w.context, false);
        double squares = 0.0;
        for (int i = 0; i < ho_params_n(params); ++i) {
            const ho_param *p = ho_params_at(params, i);
            const int64_t count = ho_tensor_count(&p->tensor);
            CHECK_OK(ho_device_download(check_device(), values + at, p->tensor.data, (size_t)count * sizeof *values));
            if (p->kind == HO_PARAM) {
                CHECK_OK(ho_tensor_grad_to_host(w.context, &p->tensor, gradient + at));
                double own = 0.0;
                for (int64_t j = 0; j < count; ++j) {
                    own += (double)gradient[at + j] * (double)gradient[at + j];
                }
                squares += own;
                /* The few hidden units of an excitation may all be off. */
                without += own > 0.0 || strstr(p->name, "res_layer.5.fc") != NULL ? 0 : 1;
            }
            at += count;
        }
        assert_int_equal(without, 0);
        const double step = 1.5e-6 / sqrt(squares); /* the answer is far from linear */
        ho_params_set_trainable(params, false);
        const double up = move(&w, values, gradient, step), more = value(&w);
        const double down = move(&w, values, gradient, -step), less = value(&w);
        print_message("%d: difference %g, along the gradient %g\n", k, more - less, up - down);
        assert_true(fabs(more - less - (up - down)) < 0.02 * (up - down));
        free(values);
        free(gradient);
        free_world(&w);
    }
}

static void its_file_brings_it_back(void **state) {
    (void)state;
    for (int k = 0; k < CHECK_LEN(SHAPES); ++k) {
        world w = make_world(&SHAPES[k]);
        ho_store *store = NULL;
        ho_encoder_shape shape;
        ho_tensor *latents = NULL;
        float before[M], after[M];
        (void)answer(&w, &latents);
        CHECK_OK(ho_tensor_to_host(w.context, latents, before));
        CHECK_OK(ho_store_create(in_folder("e.h5"), &store));
        CHECK_OK(ho_encoder_write(w.encoder, store));
        commit(store);
        ho_encoder_free(w.encoder);
        CHECK_OK(ho_encoder_file_shape(in_folder("e.h5"), &shape));
        assert_memory_equal(&shape, &SHAPES[k], sizeof shape);
        CHECK_OK(ho_encoder_load(check_device(), in_folder("e.h5"), &w.encoder));
        (void)answer(&w, &latents);
        CHECK_OK(ho_tensor_to_host(w.context, latents, after));
        assert_memory_equal(before, after, sizeof before);
        free_world(&w);
    }
}

/* Larger images are shrunk by means, wide inputs see the middle of square images. */
static void images_are_fitted(void **state) {
    (void)state;
    const ho_encoder_shape wide = {SIZE, 2 * SIZE, L, D, 4, 32, 1, 2, HO_ENCODER_RESNET34, false, false};
    world w = make_world(&wide);
    ho_tensor *image = NULL, *seen = NULL;
    static float host[4 * SIZE * 4 * SIZE * 3], got[2 * P];
    for (int i = 0; i < 4 * SIZE * 4 * SIZE * 3; ++i) {
        host[i] = (float)(i / (4 * SIZE * 3)); /* the row */
    }
    CHECK_OK(ho_tensor_from_host(w.context, host, HO_SHAPE(1, 4 * SIZE, 4 * SIZE, 3), &image));
    CHECK_OK(ho_encoder_fit(w.context, w.encoder, image, &seen));
    CHECK_OK(ho_tensor_to_host(w.context, seen, got));
    assert_true(got[0] == SIZE + 0.5F && got[2 * P - 1] == 3 * SIZE - 1.5F);
    CHECK_OK(ho_tensor_from_host(w.context, host, HO_SHAPE(1, SIZE, SIZE, 3), &image));
    CHECK_FAILS(ho_encoder_fit(w.context, w.encoder, image, &seen), HO_ESHAPE, "(1, 64, 64, 3)", "(N, 64, 128, 3)");
    const ho_stylegan2_shape generator = {128, 128, 8, D, 64, 8, 2};
    CHECK_FAILS(ho_encoder_suits(&wide, &generator), HO_ESHAPE, "64x128", "(10, 6)", "128x128 from (12, 6)");
    free_world(&w);
}

static void shapes_that_cannot_be(void **state) {
    (void)state;
    ho_encoder *e = NULL;
    ho_encoder_shape s = SHAPES[0];
    s.height = 100;
    CHECK_FAILS(ho_encoder_create(check_device(), &s, 0, &e), HO_ESHAPE, "100x64");
    s = SHAPES[0];
    s.channels = 8;
    CHECK_FAILS(ho_encoder_create(check_device(), &s, 0, &e), HO_ESHAPE, "channels 8 to 128");
    s = SHAPES[2];
    s.pyramid = true;
    CHECK_FAILS(ho_encoder_create(check_device(), &s, 0, &e), HO_ESHAPE, "pyramid");
    assert_null(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gradient_is_the_slope),
        cmocka_unit_test(its_file_brings_it_back),
        cmocka_unit_test(images_are_fitted),
        cmocka_unit_test(shapes_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* Augmentation: exact moves of whole pixels, labels that follow their pixels, draws that are a function of seed, stream
 * and index and stay in range. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "handsoff/augment_labelled.h"
#include "handsoff/random.h"

enum { H = 12, W = 16, N = H * W };
static const ho_labelled_change NOTHING = {false, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0};

typedef struct {
    uint8_t image[3 * N], label[N], to_image[3 * N], to_label[N];
    ho_labelled_image job;
} world;

/* Random classes 0 .. 4; colours tell the class, so that image and label can be compared anywhere. */
static void make_world(world *w) {
    memset(w, 0, sizeof *w);
    for (int p = 0; p < N; ++p) {
        w->label[p] = (uint8_t)(check_uniform(3, (uint64_t)p) * 5);
        w->image[3 * p] = (uint8_t)(40 * w->label[p] + 20);
        w->image[3 * p + 1] = (uint8_t)(255 * check_uniform(4, (uint64_t)p));
        w->image[3 * p + 2] = (uint8_t)p;
    }
    w->job = (ho_labelled_image){H, W, w->image, w->label, w->to_image, w->to_label};
}

/* Reflected about the outer edges of the border pixels. */
static int inside(int i, int n) {
    return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i;
}

/* Pixel (x, y) of the result must be (from_x, from_y) of the source, exactly. */
static void assert_pixel(const world *w, int x, int y, int from_x, int from_y) {
    const int p = y * W + x, q = inside(from_y, H) * W + inside(from_x, W);
    if (w->to_label[p] != w->label[q] || memcmp(w->to_image + 3 * p, w->image + 3 * q, 3) != 0) {
        fail_msg("pixel (%d, %d) is not (%d, %d) of the source", x, y, from_x, from_y);
    }
}

static void no_change_is_exact(void **state) {
    (void)state;
    world w;
    make_world(&w);
    ho_change_labelled(&w.job, &NOTHING);
    assert_memory_equal(w.image, w.to_image, sizeof w.image);
    assert_memory_equal(w.label, w.to_label, sizeof w.label);
}

static void whole_moves_are_exact(void **state) {
    (void)state;
    world w;
    make_world(&w);
    ho_labelled_change change = NOTHING;
    change.mirror = true;
    ho_change_labelled(&w.job, &change);
    for (int p = 0; p < N; ++p) {
        assert_pixel(&w, p % W, p / W, W - 1 - p % W, p / W);
    }
    change = NOTHING;
    change.shift_x = 3.0 / W;
    change.shift_y = -2.0 / H;
    ho_change_labelled(&w.job, &change);
    for (int p = 0; p < N; ++p) {
        assert_pixel(&w, p % W, p / W, p % W - 3, p / W + 2);
    }
    change = NOTHING;
    change.turn = 180.0;
    ho_change_labelled(&w.job, &change);
    for (int p = 0; p < N; ++p) {
        assert_pixel(&w, p % W, p / W, W - 1 - p % W, H - 1 - p / W);
    }
}

/* The header's formula in the plain: nearest label, and image between its four neighbours. */
static void turn_and_scale_follow_the_formula(void **state) {
    (void)state;
    world w;
    make_world(&w);
    ho_labelled_change change = NOTHING;
    change.turn = 17.0;
    change.scale = 1.3;
    change.shift_x = 0.06;
    ho_change_labelled(&w.job, &change);
    const double a = 17.0 * acos(-1.0) / 180.0;
    int moved = 0;
    for (int y = 0; y < H; ++y) {
        for (int x = 0; x < W; ++x) {
            const double u = (x - 7.5 - 0.06 * W) / 1.3, v = (y - 5.5) / 1.3;
            const double sx = cos(a) * u + sin(a) * v + 7.5, sy = -sin(a) * u + cos(a) * v + 5.5;
            const int nx = inside((int)floor(sx + 0.5), W), ny = inside((int)floor(sy + 0.5), H);
            assert_int_equal(w.to_label[y * W + x], w.label[ny * W + nx]);
            double want = 0.0;
            for (int k = 0; k < 4; ++k) {
                const double bx = floor(sx) + (k & 1), by = floor(sy) + (k >> 1);
                want += (1.0 - fabs(sx - bx)) * (1.0 - fabs(sy - by)) *
                        w.image[3 * (inside((int)by, H) * W + inside((int)bx, W))];
            }
            if (!(fabs(want - w.to_image[3 * (y * W + x)]) <= 0.51)) {
                fail_msg("pixel (%d, %d): red %d, want %.2f", x, y, w.to_image[3 * (y * W + x)], want);
            }
            moved += nx != x || ny != y;
        }
    }
    assert_true(moved > N / 2);
}

static void colours_follow_the_formula(void **state) {
    (void)state;
    world w;
    make_world(&w);
    ho_labelled_change change = NOTHING;
    change.brightness = 0.1;
    change.contrast = 0.8;
    change.saturation = 1.3;
    ho_change_labelled(&w.job, &change);
    assert_memory_equal(w.label, w.to_label, sizeof w.label);
    double mean = 0.0;
    for (int i = 0; i < 3 * N; ++i) {
        mean += w.image[i] / (3.0 * N);
    }
    for (int i = 0; i < 3 * N; ++i) {
        const uint8_t *v = w.image + i / 3 * 3;
        const double grey = 0.299 * v[0] + 0.587 * v[1] + 0.114 * v[2];
        const double want = mean + 0.8 * (grey + 1.3 * (w.image[i] - grey) - mean) + 25.5;
        assert_true(fabs(fmin(fmax(want, 0.0), 255.0) - w.to_image[i]) <= 0.51);
    }
}

static void draws_are_a_function_of_seed_stream_and_index(void **state) {
    (void)state;
    const ho_labelled_augmentation all = HO_LABELLED_AUGMENTATION;
    const uint64_t stream = ho_stream_id("test");
    const ho_labelled_change a = ho_draw_labelled_change(&all, 1, stream, 5);
    const ho_labelled_change b = ho_draw_labelled_change(&all, 1, stream, 5);
    assert_true(a.mirror == b.mirror && a.turn == b.turn && a.scale == b.scale && a.shift_x == b.shift_x &&
                a.shift_y == b.shift_y && a.brightness == b.brightness && a.contrast == b.contrast &&
                a.saturation == b.saturation);
    assert_true(a.turn != ho_draw_labelled_change(&all, 2, stream, 5).turn);
    assert_true(a.turn != ho_draw_labelled_change(&all, 1, stream + 1, 5).turn);
    assert_true(a.turn != ho_draw_labelled_change(&all, 1, stream, 6).turn);
    int mirrored = 0;
    double most[6] = {0.0};
    for (uint64_t i = 0; i < 1000; ++i) {
        const ho_labelled_change c = ho_draw_labelled_change(&all, 1, stream, i);
        const double size[6] = {fabs(c.turn) / all.turn,
                                fabs(log(c.scale)) / log(all.scale),
                                fmax(fabs(c.shift_x), fabs(c.shift_y)) / all.shift,
                                fabs(c.brightness) / all.brightness,
                                fabs(log(c.contrast)) / log(all.contrast),
                                fabs(log(c.saturation)) / log(all.saturation)};
        mirrored += c.mirror;
        for (int k = 0; k < 6; ++k) {
            most[k] = fmax(most[k], size[k]);
        }
    }
    assert_true(mirrored > 420 && mirrored < 580);
    for (int k = 0; k < 6; ++k) {
        assert_true(most[k] > 0.95 && most[k] < 1.0 + 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_change_is_exact),
        cmocka_unit_test(whole_moves_are_exact),
        cmocka_unit_test(turn_and_scale_follow_the_formula),
        cmocka_unit_test(colours_follow_the_formula),
        cmocka_unit_test(draws_are_a_function_of_seed_stream_and_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

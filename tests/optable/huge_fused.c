/* Huge cases of the fused convolutions: two samples of one tile's width and very many lines, of which the first and the
 * last block have a few. */
#include "huge.h"

#ifdef HO_TARGET_CUDA
#include "cuda/fused_conv.h"

enum { A = 1, B, CHANNELS = 32, LINES = 4 };

static double pixel(const ho_fused_shape *s, int64_t n, int64_t h, int64_t w, int64_t c) {
    return h < 0 || h >= s->H || w < 0 || w >= s->W ? 0.0
                                                    : ot_huge_value(A, ((n * s->H + h) * s->W + w) * CHANNELS + c);
}

/* Tap (k, l) at one pixel for output channel o. */
static double product(const ho_fused_shape *s, int64_t n, int64_t h, int64_t w, int64_t tap, int64_t o) {
    double sum = 0.0;
    for (int64_t c = 0; c < CHANNELS; ++c) {
        sum += pixel(s, n, h, w, c) * ot_huge_value(B, (o * 9 + tap) * CHANNELS + c);
    }
    return sum;
}

static double plain_truth(const void *about, int64_t i) {
    const ho_fused_shape *s = about;
    const int64_t o = i % CHANNELS, w = i / CHANNELS % s->W, h = i / CHANNELS / s->W % s->H;
    double sum = 0.0;
    for (int64_t k = 0; k < 9; ++k) {
        sum += product(s, i / CHANNELS / s->W / s->H, h + k / 3 - 1, w + k % 3 - 1, k, o);
    }
    return sum;
}

/* t[2h+k, 2w+l] += x[h, w] w[k, l], filtered by [1, 3, 3, 1] / 4 with a border of 1. */
static double up_truth(const void *about, int64_t i) {
    static const double TAP[4] = {0.25, 0.75, 0.75, 0.25};
    const ho_fused_shape *s = about;
    const int64_t o = i % CHANNELS, q = i / CHANNELS % (2 * s->W), line = i / CHANNELS / (2 * s->W);
    const int64_t p = line % (2 * s->H), n = line / (2 * s->H);
    double sum = 0.0;
    for (int64_t t = 0; t < 16; ++t) {
        const int64_t a = p + t / 4 - 1, b = q + t % 4 - 1;
        for (int64_t k = 0; k < 9 && a >= 0 && b >= 0; ++k) {
            if ((a - k / 3) % 2 == 0 && (b - k % 3) % 2 == 0) {
                sum += TAP[t / 4] * TAP[t % 4] * product(s, n, (a - k / 3) / 2, (b - k % 3) / 2, k, o);
            }
        }
    }
    return sum;
}

static ho_status fused(ot_huge *h, const ho_fused_shape *s, ot_huge_truth truth) {
    const int64_t line = s->W * CHANNELS, n = s->N * s->H * line, large = s->up ? 4 * n : n;
    ho_real *x, *w, *y;
    h->about = s;
    HO_REQUIRE(ho_k_fused_fits(s), "the fused convolution does not take the shape");
    HO_TRY(ot_huge_input(h, A, ot_ends(n, 64 * line), &x));
    HO_TRY(ot_huge_input(h, B, ot_ends(9 * CHANNELS * CHANNELS, 9 * CHANNELS * CHANNELS), &w));
    HO_TRY(ot_huge_new(h, large, &y));
    HO_TRY(ho_k_fused_forward(h->stream, s, false, x, NULL, w, NULL, y));
    return ot_huge_check(h, "y", y, ot_ends(large, LINES * line), truth);
}

static ho_status plain(ot_huge *h) {
    static const ho_fused_shape s = {5, 16 * 65500, 16, CHANNELS, CHANNELS, 0};
    return fused(h, &s, plain_truth);
}

/* The same convolution from an input of a quarter of the size. */
static ho_status up(ot_huge *h) {
    static const ho_fused_shape s = {2, 168 * 3572, 14, CHANNELS, CHANNELS, 1};
    return fused(h, &s, up_truth);
}

const ot_huge_case ot_huge_fused[] = {
    {"fused_forward", "fused_forward", plain, 0.02},
    {"fused_up_forward", "fused_up_forward", up, 0.02},
    {0},
};
#else
const ot_huge_case ot_huge_fused[] = {{0}};
#endif

/* Huge cases of the label head, of the cross entropy and of augmentation. */
#include "huge.h"

#include <math.h>

#include "augment.h"
#include "head.h"
#include "loss.h"

enum { A = 1, B };

static double at(int id, int64_t i) {
    return ot_huge_value(id, i);
}

static ot_places whole(int64_t n) {
    return ot_ends(n, n);
}

/* ---- rows of hidden units ------------------------------------------------------------------------------------------
 */

static const int64_t ROWS = 65537, UNITS = 32771;

static double relu_truth(const void *about, int64_t i) {
    (void)about;
    return fmax(0.0, at(A, i) + at(B, i % UNITS));
}

static ho_status bias_relu(ot_huge *h) {
    const ot_places places = ot_units(ROWS * UNITS, UNITS, 0);
    ho_real *x, *b;
    HO_TRY(ot_huge_input(h, A, places, &x));
    HO_TRY(ot_huge_input(h, B, whole(UNITS), &b));
    HO_TRY(ho_k_head_bias_relu(x, b, ROWS, UNITS, h->stream));
    return ot_huge_check(h, "x", x, places, relu_truth);
}

/* The last line of the labels, from a level of their size of which that line is there; a block has one group of pixels.
 */
static const int64_t LABELS = 65540;

static double hidden_truth(const void *about, int64_t i) {
    (void)about;
    return fmax(0.0, at(A, i) + at(B, i % UNITS));
}

static ho_status hidden(ot_huge *h) {
    const int64_t groups = (LABELS + HO_HEAD_GROUP - 1) / HO_HEAD_GROUP;
    const ot_places places = ot_ends(LABELS * UNITS, HO_HEAD_GROUP * UNITS);
    const ho_head_tap last = {LABELS - 1, LABELS - 1, 0};
    const ho_k_head_part part = {{LABELS - 1, 0, 1, LABELS}, 0, UNITS, false};
    ho_k_head_levels levels = {.n = 1, .units = UNITS};
    ho_k_head_columns *columns, first;
    ho_head_tap *rows;
    ho_real *map, *b, *y;
    HO_TRY(ot_huge_input(h, A, places, &map));
    HO_TRY(ot_huge_input(h, B, whole(UNITS), &b));
    HO_TRY(ot_huge_new(h, LABELS * UNITS, &y));
    HO_TRY(ot_huge_bytes(h, LABELS, sizeof *rows, &rows));
    HO_TRY(ot_huge_bytes(h, groups, sizeof *columns, &columns));
    HO_TRY(ho_device_upload(h->device, rows + last.low, &last, sizeof last));
    for (int64_t g = 0; g < groups; ++g) {
        first = ho_head_columns_at(g, LABELS, LABELS);
        HO_TRY(ho_device_upload(h->device, columns + g, &first, sizeof first));
    }
    levels.level[0] = (ho_k_head_level){map, LABELS, LABELS - 1, rows, columns};
    HO_TRY(ho_k_head_hidden(&levels, &part, b, y, h->stream));
    return ot_huge_check(h, "hidden", y, places, hidden_truth);
}

/* The last line of a map that has the labels' size. */
static double last_line_truth(const void *about, int64_t i) {
    (void)about;
    return at(A, (LABELS - 1) * LABELS + i);
}

static ho_status resampled(ot_huge *h) {
    const ho_k_head_tile tile = {LABELS - 1, 0, 1, LABELS};
    const ot_places places = ot_units(LABELS, 1, 0);
    ho_k_head_maps maps = {.n = 1, .H = LABELS, .W = LABELS};
    ho_real *map, *y;
    HO_TRY(ot_huge_new(h, LABELS * LABELS, &map));
    HO_TRY(ot_huge_define_from(h, A, (LABELS - 1) * LABELS, map + (LABELS - 1) * LABELS, places));
    HO_TRY(ot_huge_new(h, LABELS, &y));
    maps.map[0] = (ho_k_head_map){map, LABELS, LABELS, 1};
    HO_TRY(ho_k_head_resample(&maps, &tile, y, h->stream));
    return ot_huge_check(h, "rows", y, places, last_line_truth);
}

/* ---- votes and losses: a thread a pixel
 * ------------------------------------------------------------------------------- */

enum { MEMBERS = 3, CLASSES = 7 };
static const int64_t PIXELS = (INT64_C(1) << 31) / (MEMBERS * CLASSES) + 12345;

static double entropy_of(const double *p) {
    double sum = 0.0;
    for (int k = 0; k < CLASSES; ++k) {
        sum -= p[k] > 0.0 ? p[k] * log(p[k]) : 0.0;
    }
    return sum;
}

static double divergence_truth(const void *about, int64_t t) {
    double mean[CLASSES] = {0.0}, entropy = 0.0;
    (void)about;
    for (int m = 0; m < MEMBERS; ++m) {
        double p[CLASSES], sum = 0.0;
        for (int k = 0; k < CLASSES; ++k) {
            p[k] = exp(at(A, (t * MEMBERS + m) * CLASSES + k) + at(B, m * CLASSES + k));
            sum += p[k];
        }
        for (int k = 0; k < CLASSES; ++k) {
            p[k] /= sum;
            mean[k] += p[k] / MEMBERS;
        }
        entropy += entropy_of(p) / MEMBERS;
    }
    return fmax(0.0, entropy_of(mean) - entropy);
}

/* Threads of 128 a block. */
static ho_status vote(ot_huge *h) {
    const int64_t all = MEMBERS * CLASSES, threads = 4096 * 128;
    ho_real *logits, *b, *js;
    uint8_t *label;
    HO_TRY(ot_huge_input(h, A, (ot_places){PIXELS * all, threads * all, 128 * all}, &logits));
    HO_TRY(ot_huge_input(h, B, whole(all), &b));
    HO_TRY(ot_huge_new(h, PIXELS, &js));
    HO_TRY(ot_huge_bytes(h, PIXELS, 1, &label));
    HO_TRY(ho_k_head_vote(logits, b, PIXELS, MEMBERS, CLASSES, label, js, h->stream));
    return ot_huge_check(h, "js", js, (ot_places){PIXELS, threads, 128}, divergence_truth);
}

enum { K = 254 };
static const int64_t COUNTED = (INT64_C(1) << 31) / K + 12345;

static double logit_gradient_truth(const void *about, int64_t i) {
    (void)about;
    return exp(at(A, i) - at(B, i / K)) - (i % K == 5 ? 1.0 : 0.0);
}

static ho_status entropy(ot_huge *h) {
    static uint8_t fives[512];
    const ot_places places = ot_loop(COUNTED), wide = {COUNTED * K, (int64_t)OT_THREADS * K, 256 * K};
    ho_cross_entropy_args args = {.rows = COUNTED, .K = K, .counted = 1};
    ho_real *logits, *log_sum, *g_y, *g;
    uint8_t *label;
    const ho_real one = 1.0F;
    for (int i = 0; i < 512; ++i) {
        fives[i] = 5;
    }
    HO_TRY(ot_huge_input(h, A, wide, &logits));
    HO_TRY(ot_huge_input(h, B, places, &log_sum));
    HO_TRY(ot_huge_bytes(h, COUNTED, 1, &label));
    for (int64_t first = 0; first < COUNTED; first += OT_THREADS) {
        const int64_t from = first < 256 ? 0 : first - 256, end = first + 256 < COUNTED ? first + 256 : COUNTED;
        HO_TRY(ho_device_upload(h->device, label + from, fives, (size_t)(end - from)));
    }
    HO_TRY(ot_huge_bytes(h, 1, sizeof one, &g_y));
    HO_TRY(ho_device_upload(h->device, g_y, &one, sizeof one));
    HO_TRY(ot_huge_new(h, COUNTED * K, &g));
    args.logits = logits;
    args.label = label;
    HO_TRY(ho_k_cross_entropy_backward(h->stream, &args, log_sum, g_y, g, false));
    return ot_huge_check(h, "g_logits", g, wide, logit_gradient_truth);
}

/* ---- augmentation: colours of 65 images of 1024 lines
 * ------------------------------------------------------------------ */

enum { IMAGES = 65, LINES = 1024 };
static const int64_t ACROSS = 10801;

static double color_truth(const void *about, int64_t i) {
    const int64_t c = i % 3, first = i - c;
    double sum = at(B, 4 * c + 3);
    (void)about;
    for (int64_t k = 0; k < 3; ++k) {
        sum += at(B, 4 * c + k) * at(A, first + k);
    }
    return sum;
}

static ho_status colors(ot_huge *h) {
    static ho_k_augment_image images[IMAGES];
    const int64_t n = IMAGES * LINES * 3 * ACROSS;
    const ot_places places = ot_units(n, 3 * ACROSS, 0);
    ho_k_augment a = {.count = IMAGES, .H = LINES, .W = ACROSS};
    ho_k_augment_image *on_device;
    ho_real *x, *y;
    for (int64_t i = 0; i < IMAGES * 12; ++i) {
        images[i / 12].color[i % 12] = (ho_real)at(B, i % 12);
    }
    HO_TRY(ot_huge_bytes(h, IMAGES, sizeof *images, &on_device));
    HO_TRY(ho_device_upload(h->device, on_device, images, sizeof images));
    HO_TRY(ot_huge_input(h, A, places, &x));
    HO_TRY(ot_huge_new(h, n, &y));
    a.images = on_device;
    HO_TRY(ho_k_augment_forward(&a, x, y, true, h->stream));
    return ot_huge_check(h, "y", y, places, color_truth);
}

const ot_huge_case ot_huge_head[] = {
    {"head_bias_relu", "bias_relu_kernel", bias_relu, 0},
    {"head_hidden", "hidden_kernel", hidden, 0},
    {"head_resample", "resample_tile_kernel", resampled, 0},
    {"head_vote", "vote_kernel", vote, 0},
    {"cross_entropy_backward", "cross_entropy_backward_kernel", entropy, 0},
    {"augment_colors", "down_x_color_kernel", colors, 0},
    {0},
};

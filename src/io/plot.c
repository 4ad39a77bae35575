/* Line plots. From top to bottom: title, legend, plot area with tick labels on its left and below, name of the x axis.
 */
#include "handsoff/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCALE = 2, CELL_WIDTH = 6 * SCALE, CELL_HEIGHT = 10 * SCALE, MARGIN = 14, GAP = 8, SWATCH = 22, DENSE = 400 };

static const uint8_t WHITE[3] = {255, 255, 255}, BLACK[3] = {25, 25, 25}, FRAME[3] = {120, 120, 120},
                     LINES[3] = {226, 226, 226};
/* Okabe and Ito's colours without their yellow, which is too light for a line on white. */
static const uint8_t COLOUR[8][3] = {{0, 114, 178}, {213, 94, 0},   {0, 158, 115}, {204, 121, 167},
                                     {230, 159, 0}, {86, 180, 233}, {60, 60, 60},  {150, 150, 150}};

const uint8_t *ho_plot_colour(int i) {
    return COLOUR[i % 8];
}

/* ---- ticks */

static int linear_ticks(double low, double high, double *ticks) {
    const double rough = (high - low) / 6.0, power = pow(10.0, floor(log10(rough))), part = rough / power;
    const double step = power * (part <= 1.0 ? 1.0 : part <= 2.0 ? 2.0 : part <= 5.0 ? 5.0 : 10.0);
    const double first = ceil(low / step - 1e-9);
    int n = 0;
    while (n < HO_PLOT_TICKS && (first + n) * step <= high + 1e-9 * step) {
        ticks[n] = (first + n) * step + 0.0; /* + 0.0: no "-0" */
        ++n;
    }
    return n;
}

/* Powers of ten times each of the factors, with every `each`-th power. */
static int power_ticks(double low, double high, int n_factors, const double *factors, int each, double *ticks) {
    int n = 0;
    for (int k = (int)floor(log10(low)) - 1; k <= (int)ceil(log10(high)); ++k) {
        for (int f = 0; f < n_factors && k % each == 0; ++f) {
            /* A quotient of exact powers, so that 0.001 is the nearest double to 0.001. */
            const double value = k < 0 ? factors[f] / pow(10.0, -k) : factors[f] * pow(10.0, k);
            if (value >= low * (1.0 - 1e-9) && value <= high * (1.0 + 1e-9) && n < HO_PLOT_TICKS) {
                ticks[n++] = value;
            }
        }
    }
    return n;
}

int ho_plot_ticks(double low, double high, bool log_scale, double ticks[HO_PLOT_TICKS]) {
    static const double FACTORS[] = {1.0, 2.0, 5.0};
    if (!isfinite(low) || !isfinite(high) || !(low < high) || (log_scale && low <= 0.0)) {
        return 0;
    }
    if (!log_scale) {
        return linear_ticks(low, high, ticks);
    }
    const double decades = log10(high / low);
    if (decades < 1.0) {
        return linear_ticks(low, high, ticks);
    }
    return decades < 3.0 ? power_ticks(low, high, 3, FACTORS, 1, ticks)
                         : power_ticks(low, high, 1, FACTORS, 1 + (int)(decades / 8.0), ticks);
}

void ho_plot_tick_text(int n, const double *ticks, int i, char text[24]) {
    double largest = 0.0, step = INFINITY;
    for (int t = 0; t < n; ++t) {
        largest = fmax(largest, fabs(ticks[t]));
        step = t > 0 ? fmin(step, fabs(ticks[t] - ticks[t - 1])) : step;
    }
    int digits = 3;
    if (isfinite(step) && step > 0.0 && largest > 0.0) {
        digits = (int)floor(log10(largest) + 1e-9) - (int)floor(log10(step) + 1e-9) + 1;
        /* 1000 rather than 1e+03 */
        digits = largest < 1e6 && digits <= log10(largest) ? (int)floor(log10(largest) + 1e-9) + 1 : digits;
    }
    (void)snprintf(text, 24, "%.*g", digits < 1 ? 1 : digits > 12 ? 12 : digits, ticks[i]);
}

/* ---- axes */

typedef struct {
    double low, high;
    bool log_scale;
    int first, last; /* pixels of low and high */
    int n_ticks;
    double ticks[HO_PLOT_TICKS];
} axis;

static bool drawable(const ho_plot *plot, const ho_plot_series *series, int i) {
    return isfinite(series->x[i]) && isfinite(series->y[i]) && (!plot->log_y || series->y[i] > 0.0);
}

/* Ranges that hold every point. Returns the number of points. */
static int find_ranges(const ho_plot *plot, axis *x, axis *y) {
    int n = 0;
    *x = *y = (axis){.low = INFINITY, .high = -INFINITY};
    for (int s = 0; s < plot->n_series; ++s) {
        const ho_plot_series *series = &plot->series[s];
        for (int i = 0; i < series->n; ++i) {
            if (drawable(plot, series, i)) {
                x->low = fmin(x->low, series->x[i]);
                x->high = fmax(x->high, series->x[i]);
                y->low = fmin(y->low, series->y[i]);
                y->high = fmax(y->high, series->y[i]);
                ++n;
            }
        }
    }
    y->log_scale = plot->log_y && n > 0;
    return n;
}

/* A little room beyond the extremes; a range without width becomes one around its value. */
static void widen(axis *a, double share) {
    if (!(a->low <= a->high)) {
        a->low = 0.0;
        a->high = 1.0;
    }
    if (a->log_scale) {
        const double factor = a->high > a->low ? pow(a->high / a->low, share) : 2.0;
        a->low /= factor;
        a->high *= factor;
    } else {
        const double size = a->high - a->low, room = size > 0.0 ? share * size : fmax(0.1 * fabs(a->low), 1e-6);
        a->low -= room;
        a->high += room;
    }
    a->n_ticks = ho_plot_ticks(a->low, a->high, a->log_scale, a->ticks);
}

static double position(const axis *a, double value) {
    const double t = a->log_scale ? log(value / a->low) / log(a->high / a->low) : (value - a->low) / (a->high - a->low);
    return a->first + t * (a->last - a->first);
}

static int text_width(const char *text) {
    return (int)strlen(text) * CELL_WIDTH;
}

/* Draws text that ends before the right edge of the picture. */
static void draw_text(ho_image *image, int x, int y, const char *text) {
    char cut[256];
    const int room = (image->width - x) / CELL_WIDTH;
    (void)snprintf(cut, sizeof cut, "%.*s", room < 0 ? 0 : room, text);
    ho_image_text(image, x, y, SCALE, BLACK, cut);
}

/* Legend lines from `y` down: a swatch and the name of each series. Returns where they end. With image NULL nothing is
 * drawn. */
static int legend(const ho_plot *plot, ho_image *image, int y) {
    int x = MARGIN;
    for (int s = 0; s < plot->n_series; ++s) {
        const int width = SWATCH + GAP + text_width(plot->series[s].label) + 2 * GAP;
        if (x > MARGIN && x + width > plot->width - MARGIN) {
            x = MARGIN;
            y += CELL_HEIGHT + 4;
        }
        if (image != NULL) {
            ho_image_fill(image, x, y + 6, SWATCH, 4, ho_plot_colour(s));
            draw_text(image, x + SWATCH + GAP, y, plot->series[s].label);
        }
        x += width;
    }
    return plot->n_series > 0 ? y + CELL_HEIGHT + GAP : y;
}

static void draw_axes(const ho_plot *plot, ho_image *image, const axis *x, const axis *y) {
    char text[24];
    int free_from = 0;
    for (int i = 0; i < y->n_ticks; ++i) {
        const int at = (int)lround(position(y, y->ticks[i]));
        ho_image_fill(image, x->first, at, x->last - x->first, 1, LINES);
        ho_plot_tick_text(y->n_ticks, y->ticks, i, text);
        ho_image_text(image, x->first - GAP - text_width(text), at - 7, SCALE, BLACK, text);
    }
    for (int i = 0; i < x->n_ticks; ++i) {
        const int at = (int)lround(position(x, x->ticks[i]));
        ho_image_fill(image, at, y->last, 1, y->first - y->last, LINES);
        ho_plot_tick_text(x->n_ticks, x->ticks, i, text);
        const int width = text_width(text), left = at - width / 2;
        if (left >= free_from && left + width <= plot->width) {
            ho_image_text(image, left, y->first + GAP, SCALE, BLACK, text);
            free_from = left + width + CELL_WIDTH;
        }
    }
    ho_image_fill(image, x->first, y->first, x->last - x->first, 1, FRAME);
    ho_image_fill(image, x->first, y->last, 1, y->first - y->last + 1, FRAME);
    const int middle = (x->first + x->last - text_width(plot->x_label)) / 2;
    draw_text(image, middle < 0 ? 0 : middle, y->first + 2 * GAP + CELL_HEIGHT, plot->x_label);
}

static void draw_series(const ho_plot *plot, int number, ho_image *image, const axis *x, const axis *y) {
    const ho_plot_series *series = &plot->series[number];
    const uint8_t *colour = ho_plot_colour(number);
    const bool thick = series->n <= DENSE;
    for (int i = 0; i < series->n; ++i) {
        if (!drawable(plot, series, i)) {
            continue;
        }
        const double px = position(x, series->x[i]), py = position(y, series->y[i]);
        const bool joined = i > 0 && drawable(plot, series, i - 1);
        if (joined) {
            const double qx = position(x, series->x[i - 1]), qy = position(y, series->y[i - 1]);
            ho_image_line(image, qx, qy, px, py, colour);
            ho_image_line(image, qx, qy + 1, px, py + 1, colour);
            if (thick) {
                ho_image_line(image, qx + 1, qy, px + 1, py, colour);
            }
        }
        if (series->n <= 12 || (!joined && (i + 1 == series->n || !drawable(plot, series, i + 1)))) {
            ho_image_fill(image, (int)lround(px) - 3, (int)lround(py) - 3, 7, 7, colour);
        }
    }
}

ho_status ho_plot_draw(const ho_plot *plot, ho_image *image) {
    HO_REQUIRE(plot->width >= 320 && plot->height >= 200, "plot '%s' of %d x %d pixels; right is 320 x 200 or more",
               plot->title, plot->width, plot->height);
    HO_TRY(ho_image_new(plot->width, plot->height, 3, image));
    axis x, y;
    char text[24];
    const int n = find_ranges(plot, &x, &y);
    widen(&x, 0.0);
    widen(&y, 0.05);
    int label_width = 0;
    for (int i = 0; i < y.n_ticks; ++i) {
        ho_plot_tick_text(y.n_ticks, y.ticks, i, text);
        label_width = text_width(text) > label_width ? text_width(text) : label_width;
    }
    const int legend_top = MARGIN + CELL_HEIGHT + GAP;
    x.first = MARGIN + label_width + GAP;
    x.last = plot->width - 2 * MARGIN;
    y.first = plot->height - MARGIN - 2 * CELL_HEIGHT - 2 * GAP;
    y.last = legend(plot, NULL, legend_top) + GAP;
    ho_image_fill(image, 0, 0, plot->width, plot->height, WHITE);
    draw_text(image, MARGIN, MARGIN, plot->title);
    (void)legend(plot, image, legend_top);
    if (y.last < y.first && x.first < x.last) {
        draw_axes(plot, image, &x, &y);
        for (int s = 0; s < plot->n_series; ++s) {
            draw_series(plot, s, image, &x, &y);
        }
    }
    if (n == 0) {
        draw_text(image, x.first + 2 * GAP, (y.first + y.last) / 2, "no finite values");
    }
    return HO_OK;
}

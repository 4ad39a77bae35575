/* The pictures: shape and texture make the class; place, size, turn, colours, background, light, blur and noise are
 * random and say nothing about it. */
#include "images.h"

#include <math.h>

#include "handsoff/random.h"

enum { SIZE = PRETEXT_SIZE, PIXELS = SIZE * SIZE, DRAWS_PER_PICTURE = 1 << 15 };
static const double TURN = 6.283185307179586;

typedef struct {
    uint64_t seed, stream, next;
} draws;

static double uniform(draws *d, double low, double high) {
    return low + (high - low) * ho_uniform(d->seed, d->stream, d->next++);
}

static double clamp01(double v) {
    return v < 0.0 ? 0.0 : v > 1.0 ? 1.0 : v;
}

/* How far inside the unit shape (u, v) is; negative outside. */
static double shape_depth(int shape, double u, double v) {
    const double r = hypot(u, v);
    switch (shape) {
    case 0: /* disc */
        return 0.9 - r;
    case 1: /* ring */
        return 0.2 - fabs(r - 0.75);
    case 2: /* square */
        return 0.8 - fmax(fabs(u), fabs(v));
    case 3: /* triangle */
        return 0.5 - fmax(v, fmax(0.866 * u - 0.5 * v, -0.866 * u - 0.5 * v));
    case 4: /* cross */
        return fmax(fmin(0.95 - fabs(u), 0.28 - fabs(v)), fmin(0.95 - fabs(v), 0.28 - fabs(u)));
    case 5: { /* star */
        const double sector = atan2(v, u) / TURN * 5.0, wave = 2.0 * fabs(sector - floor(sector) - 0.5);
        return 0.4 + 0.6 * wave - r;
    }
    case 6: /* bar */
        return fmin(1.0 - fabs(u), 0.25 - fabs(v));
    default: /* crescent */
        return fmin(0.95 - r, hypot(u - 0.5, v) - 0.7);
    }
}

typedef struct {
    int kind;
    double cos_turn, sin_turn, period, phase, ratio;
    double low[3], high[3];
    double knots[18 * 18];
} texture;

static texture draw_texture(draws *d, int kind) {
    texture t = {.kind = kind};
    const double turn = uniform(d, 0.0, TURN);
    t.cos_turn = cos(turn);
    t.sin_turn = sin(turn);
    t.period = uniform(d, 5.0, 11.0);
    t.phase = uniform(d, 0.0, 1.0);
    t.ratio = uniform(d, 0.3, 0.45);
    double contrast = 0.0;
    while (contrast < 0.7) { /* sum over the colours of the difference */
        contrast = 0.0;
        for (int c = 0; c < 3; ++c) {
            t.low[c] = uniform(d, 0.0, 1.0);
            t.high[c] = uniform(d, 0.0, 1.0);
            contrast += fabs(t.low[c] - t.high[c]);
        }
    }
    for (int i = 0; i < 18 * 18; ++i) {
        t.knots[i] = uniform(d, 0.0, 1.0);
    }
    return t;
}

/* Random values on a grid, joined bilinearly and sharpened: blotches. */
static double blotches(const texture *t, double x, double y) {
    const double gx = fmin(fabs(x) / t->period * 1.2, 16.0), gy = fmin(fabs(y) / t->period * 1.2, 16.0);
    const int ix = (int)gx, iy = (int)gy;
    const double fx = gx - ix, fy = gy - iy;
    const double *k = t->knots + 18 * iy + ix;
    const double v = (1 - fy) * ((1 - fx) * k[0] + fx * k[1]) + fy * ((1 - fx) * k[18] + fx * k[19]);
    return clamp01(0.5 + 4.0 * (v - 0.5));
}

/* Mixture of the two colours at a pixel, 0..1. */
static double texture_at(const texture *t, double x, double y) {
    const double a = (x * t->cos_turn + y * t->sin_turn) / t->period + t->phase;
    const double b = (y * t->cos_turn - x * t->sin_turn) / t->period + t->phase;
    switch (t->kind) {
    case 0: /* plain */
        return 0.0;
    case 1: /* stripes */
        return clamp01(0.5 + 2.0 * sin(TURN * a));
    case 2: /* chequers */
        return clamp01(0.5 + 3.0 * sin(TURN * a * 0.7) * sin(TURN * b * 0.7));
    case 3: /* dots */
        return clamp01(0.5 + t->period * (t->ratio - hypot(a - floor(a) - 0.5, b - floor(b) - 0.5)));
    case 4:
        return blotches(t, x, y);
    default: /* rings around a point of the picture */
        return clamp01(0.5 + 2.0 * sin(TURN * hypot(x - SIZE * t->ratio, y - SIZE * t->phase) / t->period));
    }
}

typedef struct {
    int shape;
    double x, y, radius, stretch, cos_turn, sin_turn;
} figure;

static void paint(const figure *f, const texture *front, const texture *back, double *image) {
    for (int i = 0; i < PIXELS; ++i) {
        const int row = i / SIZE;
        const double x = i % SIZE, y = row, dx = (x - f->x) / f->radius, dy = (y - f->y) / f->radius;
        const double u = (dx * f->cos_turn + dy * f->sin_turn) * f->stretch;
        const double v = (dy * f->cos_turn - dx * f->sin_turn) / f->stretch;
        const double cover = clamp01(0.5 + shape_depth(f->shape, u, v) * f->radius);
        const double mix = texture_at(front, x, y), back_mix = texture_at(back, x, y);
        for (int c = 0; c < 3; ++c) {
            const double near = front->low[c] + mix * (front->high[c] - front->low[c]);
            const double far = back->low[c] + back_mix * (back->high[c] - back->low[c]);
            image[3 * i + c] = far + cover * (near - far);
        }
    }
}

/* Brightness that changes along a random direction. */
static void light(draws *d, double *image) {
    const double gain = uniform(d, 0.7, 1.2), along_x = uniform(d, -0.5, 0.5), along_y = uniform(d, -0.5, 0.5);
    for (int i = 0; i < 3 * PIXELS; ++i) {
        const int row = i / 3 / SIZE, column = i / 3 % SIZE;
        const double x = (double)column / SIZE - 0.5, y = (double)row / SIZE - 0.5;
        image[i] *= gain * (1.0 + along_x * x + along_y * y);
    }
}

/* Gaussian blur along one axis (step 3 = rows, 3 * SIZE = columns), border repeated. */
static void blur(double sigma, int step, const double *from, double *to) {
    double weight[9], sum = 0.0;
    for (int t = -4; t <= 4; ++t) {
        weight[t + 4] = exp(-0.5 * t * t / (sigma * sigma));
        sum += weight[t + 4];
    }
    for (int i = 0; i < 3 * PIXELS; ++i) {
        const int at = step == 3 ? i / 3 % SIZE : i / 3 / SIZE;
        to[i] = 0.0;
        for (int t = -4; t <= 4; ++t) {
            const int other = at + t < 0 ? 0 : at + t >= SIZE ? SIZE - 1 : at + t;
            to[i] += weight[t + 4] / sum * from[i + (other - at) * step];
        }
    }
}

int pretext_draw(uint64_t seed, uint64_t stream, uint64_t index, float *image) {
    draws d = {seed, stream, index * DRAWS_PER_PICTURE};
    double picture[3 * PIXELS], other[3 * PIXELS];
    const int class = (int)ho_uniform_int(seed, stream, d.next++, PRETEXT_CLASSES);
    const texture front = draw_texture(&d, class % PRETEXT_TEXTURES);
    const texture back = draw_texture(&d, (int)uniform(&d, 0.0, PRETEXT_TEXTURES));
    const double turn = uniform(&d, 0.0, TURN), radius = uniform(&d, 16.0, 27.0);
    figure f = {.shape = class / PRETEXT_TEXTURES, .radius = radius, .cos_turn = cos(turn), .sin_turn = sin(turn)};
    f.x = uniform(&d, 24.0, 40.0);
    f.y = uniform(&d, 24.0, 40.0);
    f.stretch = uniform(&d, 0.9, 1.1);
    paint(&f, &front, &back, picture);
    light(&d, picture);
    const double sigma = uniform(&d, -0.5, 1.2), noise = uniform(&d, -0.03, 0.06);
    if (sigma > 0.3) {
        blur(sigma, 3, picture, other);
        blur(sigma, 3 * SIZE, other, picture);
    }
    for (int i = 0; i < 3 * PIXELS; ++i) {
        const double grain = noise > 0.0 ? noise * uniform(&d, -1.7, 1.7) : 0.0;
        image[i] = (float)(2.0 * clamp01(picture[i] + grain) - 1.0);
    }
    return class;
}

/* Small geometry and colour helpers of the toy faces: signed distances (negative inside) and blending. */
#ifndef HANDSOFF_SRC_IO_TOY_FACE_SHAPES_H
#define HANDSOFF_SRC_IO_TOY_FACE_SHAPES_H

#include <math.h>

#include "toy_face.h"

static inline float clampf(float v, float low, float high) {
    return v < low ? low : (v > high ? high : v);
}

static inline float mixf(float a, float b, float t) {
    return a + (b - a) * t;
}

static inline float smooth(float low, float high, float v) {
    const float t = clampf((v - low) / (high - low), 0.0F, 1.0F);
    return t * t * (3.0F - 2.0F * t);
}

/* Part of a sample inside an edge at signed distance d, the edge being `width` wide. */
static inline float coverage(float d, float width) {
    return clampf(0.5F - d / width, 0.0F, 1.0F);
}

static inline toy_colour mix_colour(toy_colour a, toy_colour b, float t) {
    return (toy_colour){mixf(a.r, b.r, t), mixf(a.g, b.g, t), mixf(a.b, b.b, t)};
}

static inline toy_colour scale_colour(toy_colour a, float s) {
    return (toy_colour){a.r * s, a.g * s, a.b * s};
}

static inline toy_colour tint_colour(toy_colour a, toy_colour by) {
    return (toy_colour){a.r * by.r, a.g * by.g, a.b * by.b};
}

/* Puts an opaque thing over the sample. The class and depth change where it covers the point itself (half or more). */
static inline void put(toy_sample *s, float part, toy_colour colour, int class, float metres) {
    s->colour = mix_colour(s->colour, colour, part);
    if (part >= 0.5F) {
        s->class = class;
        s->metres = metres;
    }
}

/* Changes the colour alone. */
static inline void glaze(toy_sample *s, float part, toy_colour colour) {
    s->colour = mix_colour(s->colour, colour, part);
}

static inline float ellipse_distance(float x, float y, float a, float b) {
    const float f = (x * x) / (a * a) + (y * y) / (b * b) - 1.0F;
    const float gx = 2.0F * x / (a * a);
    const float gy = 2.0F * y / (b * b);
    return f / (sqrtf(gx * gx + gy * gy) + 1e-6F);
}

/* Rounded box, half sizes a and b, corner radius r. */
static inline float box_distance(float x, float y, float a, float b, float r) {
    const float qx = fabsf(x) - a + r;
    const float qy = fabsf(y) - b + r;
    const float ox = qx > 0.0F ? qx : 0.0F;
    const float oy = qy > 0.0F ? qy : 0.0F;
    return sqrtf(ox * ox + oy * oy) + fminf(fmaxf(qx, qy), 0.0F) - r;
}

/* Segment from (x0, y0) of radius r0 to (x1, y1) of radius r1. */
static inline float taper_distance(float x, float y, float x0, float y0, float r0, float x1, float y1, float r1) {
    const float dx = x1 - x0;
    const float dy = y1 - y0;
    const float t = clampf(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0.0F, 1.0F);
    const float ex = x - x0 - t * dx;
    const float ey = y - y0 - t * dy;
    return sqrtf(ex * ex + ey * ey) - mixf(r0, r1, t);
}

#endif

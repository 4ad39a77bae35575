/* What a toy face looks like: every number is drawn from (seed, index). See toy_face.h for the frames. */
#include <math.h>

#include "handsoff/random.h"
#include "toy_face.h"
#include "toy_face_shapes.h"

enum { DRAWS_A_FACE = 1024 };

typedef struct {
    uint64_t seed, stream, next;
} dice;

static float uniform(dice *d) {
    return (float)ho_uniform(d->seed, d->stream, d->next++);
}

static float between(dice *d, float low, float high) {
    return low + (high - low) * uniform(d);
}

/* Bell-shaped between -limit and limit: the mean of two uniform draws. */
static float around(dice *d, float limit) {
    const float u = uniform(d);
    return limit * (u + uniform(d) - 1.0F);
}

static bool chance(dice *d, float probability) {
    return uniform(d) < probability;
}

static int pick(dice *d, int n) {
    const int k = (int)(uniform(d) * (float)n);
    return k < n ? k : n - 1;
}

static toy_colour jitter(dice *d, toy_colour c, float amount) {
    c.r = clampf(c.r + around(d, amount), 0.0F, 1.0F);
    c.g = clampf(c.g + around(d, amount), 0.0F, 1.0F);
    c.b = clampf(c.b + around(d, amount), 0.0F, 1.0F);
    return c;
}

/* Hue in turns, saturation, value. */
static toy_colour hsv(float hue, float saturation, float value) {
    float channel[3];
    for (int i = 0; i < 3; i++) {
        float h = hue + (float)i * (2.0F / 3.0F);
        h -= floorf(h);
        const float ramp = clampf(fabsf(h * 6.0F - 3.0F) - 1.0F, 0.0F, 1.0F);
        channel[i] = value * (1.0F - saturation * (1.0F - ramp));
    }
    return (toy_colour){channel[0], channel[1], channel[2]};
}

static void draw_wall(dice *d, toy_wall *wall) {
    wall->kind = pick(d, 3);
    wall->a = hsv(uniform(d), between(d, 0.05F, 0.6F), between(d, 0.25F, 0.95F));
    wall->b = chance(d, 0.5F) ? hsv(uniform(d), between(d, 0.05F, 0.6F), between(d, 0.25F, 0.95F))
                              : scale_colour(wall->a, between(d, 0.45F, 0.8F));
    if (wall->kind == 2) {
        wall->b = mix_colour(wall->a, wall->b, 0.6F); /* a texture is softer than an edge */
    }
    const float angle = between(d, 0.0F, 6.2831853F);
    wall->nx = cosf(angle);
    wall->ny = sinf(angle);
    wall->offset = around(d, 0.7F);
    wall->softness = wall->kind == 0 ? between(d, 0.8F, 1.6F) : between(d, 0.02F, 0.12F);
    wall->scale = between(d, 1.2F, 3.0F);
    wall->salt = (uint32_t)pick(d, 1 << 20);
    wall->tilt_x = around(d, 0.25F);
    wall->tilt_y = around(d, 0.25F);
    wall->metres = between(d, 1.8F, 2.2F);
}

static void draw_clothes(dice *d, toy_clothes *clothes) {
    clothes->colour = hsv(uniform(d), between(d, 0.1F, 0.85F), between(d, 0.15F, 0.9F));
    clothes->second = chance(d, 0.5F) ? (toy_colour){0.92F, 0.92F, 0.9F} : scale_colour(clothes->colour, 0.55F);
    clothes->width = between(d, 0.72F, 1.0F);
    clothes->height = between(d, 0.42F, 0.55F);
    clothes->top = between(d, 0.02F, 0.10F);
    clothes->neckline = chance(d, 0.4F) ? between(d, 0.1F, 0.22F) : between(d, 0.02F, 0.06F);
    clothes->stripes = chance(d, 0.25F) ? between(d, 14.0F, 26.0F) : 0.0F;
    clothes->neck_width = between(d, 0.34F, 0.46F);
    clothes->neck_bend = between(d, 0.3F, 0.6F);
}

static toy_colour draw_hair_colour(dice *d) {
    static const toy_colour NATURAL[] = {
        {0.09F, 0.08F, 0.08F}, {0.17F, 0.11F, 0.08F}, {0.29F, 0.18F, 0.10F},
        {0.42F, 0.27F, 0.15F}, {0.55F, 0.26F, 0.12F}, {0.72F, 0.53F, 0.28F},
        {0.86F, 0.73F, 0.46F}, {0.60F, 0.59F, 0.58F}, {0.83F, 0.82F, 0.80F},
    };
    const int n = (int)(sizeof NATURAL / sizeof NATURAL[0]);
    if (chance(d, 0.04F)) {
        return hsv(uniform(d), between(d, 0.5F, 0.8F), between(d, 0.4F, 0.8F));
    }
    return jitter(d, NATURAL[pick(d, n)], 0.05F);
}

/* Ten styles: starting values here, varied by the caller. line: fringe down to brows is about -0.35, high about -0.68.
 */
typedef struct {
    float share, line, slope, curve, jag, top, side, side_z, sideburn, lump;
    float back_width, back_bottom, back_top;
    bool covers_ears, bun;
} hair_style;

static const hair_style STYLES[] = {
    /* share line   slope  curve  jag    top    side   side_z sideb  lump   back: width, bottom, top */
    {0.08F, -2.00F, 0.00F, 0.00F, 0.00F, 0.00F, 0.00F, -9.0F, -2.0F, 0.00F, 0.00F, 0.0F, 0.0F, false, false}, /* bald */
    {0.15F, -0.60F, 0.00F, 0.25F, 0.01F, 0.07F, 0.03F, 0.22F, 0.10F, 0.00F, 0.00F, 0.0F, 0.0F, false,
     false}, /* short */
    {0.10F, -0.58F, 0.05F, 0.20F, 0.05F, 0.17F, 0.06F, 0.22F, 0.12F, 0.030F, 0.00F, 0.0F, 0.0F, false,
     false}, /* tousled */
    {0.14F, -0.62F, 0.12F, 0.55F, 0.00F, 0.09F, 0.09F, 0.30F, 1.00F, 0.00F, 1.10F, 1.55F, -0.8F, true,
     false}, /* long */
    {0.11F, -0.42F, 0.00F, 0.10F, 0.02F, 0.10F, 0.11F, 0.32F, 0.75F, 0.00F, 1.12F, 0.85F, -0.8F, true, false}, /* bob */
    {0.11F, -0.42F, 0.05F, 0.05F, 0.05F, 0.10F, 0.04F, 0.24F, 0.18F, 0.00F, 0.00F, 0.0F, 0.0F, false,
     false}, /* fringe */
    {0.10F, -0.60F, 0.40F, 0.15F, 0.00F, 0.12F, 0.05F, 0.20F, 0.14F, 0.00F, 0.00F, 0.0F, 0.0F, false,
     false}, /* parting */
    {0.07F, -0.66F, 0.00F, 0.40F, 0.00F, 0.06F, 0.03F, 0.18F, 0.05F, 0.00F, 0.00F, 0.0F, 0.0F, false, true}, /* bun */
    {0.08F, -0.60F, 0.00F, 0.25F, 0.02F, 0.22F, 0.16F, 0.22F, 0.35F, 0.045F, 1.25F, 0.50F, -1.1F, true,
     false}, /* curls */
    {0.06F, -0.92F, 0.00F, 0.50F, 0.00F, 0.02F, 0.05F, 0.16F, 0.15F, 0.00F, 0.00F, 0.0F, 0.0F, false,
     false}, /* receding */
};

static void draw_hair(dice *d, toy_hair *hair) {
    const int n = (int)(sizeof STYLES / sizeof STYLES[0]);
    float u = uniform(d);
    int k = 0;
    while (k < n - 1 && u >= STYLES[k].share) {
        u -= STYLES[k++].share;
    }
    const hair_style *style = &STYLES[k];
    const float way = chance(d, 0.5F) ? 1.0F : -1.0F;
    hair->bald = k == 0;
    hair->covers_ears = style->covers_ears;
    hair->bun = style->bun;
    hair->back = style->back_width > 0.0F;
    hair->colour = draw_hair_colour(d);
    hair->light = mix_colour(scale_colour(hair->colour, 1.5F), (toy_colour){1.0F, 0.9F, 0.75F}, 0.15F);
    hair->line = style->line + (hair->bald ? 0.0F : around(d, 0.07F));
    hair->line_slope = way * (style->slope + around(d, 0.05F));
    hair->line_curve = style->curve + around(d, 0.12F);
    hair->jag = style->jag * between(d, 0.5F, 1.5F);
    hair->jag_frequency = between(d, 9.0F, 18.0F);
    hair->jag_phase = between(d, 0.0F, 6.28F);
    hair->top = style->top * between(d, 0.75F, 1.3F);
    hair->side = style->side * between(d, 0.75F, 1.3F);
    hair->side_z = style->side_z + around(d, 0.06F);
    hair->sideburn = style->sideburn + around(d, 0.1F);
    hair->lump = style->lump * between(d, 0.5F, 1.3F);
    hair->lump_frequency = (float)(9 + pick(d, 7));
    hair->lump_phase = between(d, 0.0F, 6.28F);
    hair->back_width = style->back_width * between(d, 0.92F, 1.1F);
    hair->back_bottom = style->back_bottom + around(d, 0.25F);
    hair->back_top = style->back_top;
    hair->strand_frequency = between(d, 14.0F, 30.0F);
    hair->strand_amplitude = between(d, 0.04F, 0.14F);
    hair->bun_x = around(d, 0.3F);
    hair->bun_radius = between(d, 0.22F, 0.32F);
}

static void draw_eyes(dice *d, toy_eyes *eyes) {
    static const toy_colour IRIS[] = {
        {0.24F, 0.14F, 0.07F}, {0.36F, 0.22F, 0.10F}, {0.22F, 0.42F, 0.65F},
        {0.35F, 0.52F, 0.60F}, {0.28F, 0.45F, 0.22F}, {0.45F, 0.40F, 0.20F},
    };
    eyes->iris = jitter(d, IRIS[pick(d, 6)], 0.06F);
    eyes->white = jitter(d, (toy_colour){0.95F, 0.94F, 0.92F}, 0.03F);
    eyes->x = between(d, 0.31F, 0.36F);
    eyes->y = between(d, -0.04F, 0.04F);
    eyes->width = between(d, 0.175F, 0.215F);
    const float open = chance(d, 0.12F) ? between(d, 0.2F, 0.45F) : between(d, 0.75F, 1.2F);
    eyes->upper = 0.118F * open;
    eyes->lower = 0.08F * (0.5F + 0.5F * open);
    eyes->tilt = around(d, 0.18F);
    eyes->iris_radius = between(d, 0.088F, 0.108F);
    eyes->gaze_x = around(d, 0.075F);
    eyes->gaze_y = around(d, 0.03F);
    eyes->lash = between(d, 0.018F, 0.034F);
}

static void draw_features(dice *d, toy_face *face) {
    toy_brows *brows = &face->brows;
    brows->y = face->eyes.y - between(d, 0.25F, 0.31F);
    brows->width = between(d, 0.19F, 0.25F);
    brows->thickness = between(d, 0.034F, 0.058F);
    brows->arch = between(d, 0.0F, 0.08F);
    brows->tilt = around(d, 0.3F);
    brows->raise = chance(d, 0.2F) ? around(d, 0.09F) : 0.0F;
    brows->colour = mix_colour(scale_colour(face->hair.colour, 0.6F), scale_colour(face->skin, 0.3F), 0.3F);

    toy_nose *nose = &face->nose;
    nose->top = between(d, -0.02F, 0.06F);
    nose->tip = between(d, 0.30F, 0.38F);
    nose->bridge = between(d, 0.055F, 0.078F);
    nose->width = between(d, 0.115F, 0.165F);
    nose->relief = between(d, 0.12F, 0.22F);
    nose->nostril = between(d, 0.02F, 0.034F);

    toy_mouth *mouth = &face->mouth;
    mouth->y = between(d, 0.585F, 0.645F);
    mouth->width = between(d, 0.24F, 0.33F);
    mouth->upper = between(d, 0.042F, 0.072F);
    mouth->lower = between(d, 0.055F, 0.09F);
    mouth->smile = between(d, -0.04F, 0.11F);
    mouth->bow = between(d, 0.0F, 0.02F);
    mouth->open = chance(d, 0.42F) ? between(d, 0.04F, 0.15F) : 0.0F;
    mouth->teeth = chance(d, 0.75F);
    mouth->lip = mix_colour(tint_colour(face->skin, (toy_colour){0.92F, 0.62F, 0.60F}),
                            hsv(between(d, 0.94F, 1.03F), 0.7F, 0.72F), between(d, 0.0F, 0.65F));
    mouth->inside = (toy_colour){0.28F, 0.07F, 0.08F};

    toy_glasses *glasses = &face->glasses;
    glasses->worn = chance(d, 0.25F);
    glasses->frame = chance(d, 0.6F) ? scale_colour((toy_colour){0.16F, 0.14F, 0.14F}, between(d, 0.5F, 1.4F))
                                     : hsv(uniform(d), between(d, 0.4F, 0.9F), between(d, 0.3F, 0.75F));
    glasses->lens = chance(d, 0.5F) ? (toy_colour){0.75F, 0.85F, 0.95F} : hsv(uniform(d), 0.5F, 0.4F);
    glasses->width = between(d, 0.245F, 0.28F);
    glasses->height = between(d, 0.18F, 0.24F);
    glasses->corner = between(d, 0.3F, 1.0F);
    glasses->thickness = between(d, 0.027F, 0.042F);
    glasses->tint = between(d, 0.05F, 0.25F);
    glasses->y = face->eyes.y + between(d, 0.0F, 0.05F);
}

static void draw_skin_and_light(dice *d, toy_face *face) {
    static const toy_colour TONES[] = {
        {0.98F, 0.86F, 0.77F}, {0.94F, 0.77F, 0.64F}, {0.87F, 0.67F, 0.52F},
        {0.74F, 0.53F, 0.39F}, {0.56F, 0.38F, 0.27F}, {0.38F, 0.25F, 0.18F},
    };
    const float tone = uniform(d) * 4.999F;
    const int k = (int)tone;
    face->skin = jitter(d, mix_colour(TONES[k], TONES[k + 1], tone - (float)k), 0.04F);
    face->blush = tint_colour(face->skin, (toy_colour){1.05F, 0.72F, 0.68F});
    face->blush_strength = between(d, 0.0F, 0.6F);
    face->stubble = chance(d, 0.2F) ? between(d, 0.15F, 0.4F) : 0.0F;
    face->freckles = chance(d, 0.12F) ? between(d, 0.1F, 0.25F) : 0.0F;

    const float lx = around(d, 1.1F);
    const float ly = between(d, -0.9F, 0.1F);
    const float lz = between(d, 0.5F, 1.2F);
    const float length = sqrtf(lx * lx + ly * ly + lz * lz);
    face->light = (toy_point){lx / length, ly / length, lz / length};
    face->diffuse = between(d, 0.25F, 0.62F);
    face->ambient = between(d, 0.97F, 1.06F) - face->diffuse;
    const float warmth = around(d, 0.09F);
    face->light_colour = (toy_colour){1.0F + warmth, 1.0F, 1.0F - warmth};
}

void toy_face_draw_parameters(uint64_t seed, uint64_t index, toy_face *face) {
    dice d = {seed, ho_stream_id("toy-face"), index * DRAWS_A_FACE};
    face->scale = between(&d, 0.70F, 0.79F);
    face->cx = around(&d, 0.12F);
    face->cy = around(&d, 0.08F) + 0.03F;
    face->roll = around(&d, 0.28F);
    face->cos_roll = cosf(face->roll);
    face->sin_roll = sinf(face->roll);
    const float yaw = around(&d, 0.55F);
    const float pitch = around(&d, 0.26F);
    face->cos_yaw = cosf(yaw);
    face->sin_yaw = sinf(yaw);
    face->cos_pitch = cosf(pitch);
    face->sin_pitch = sinf(pitch);
    face->width = between(&d, 0.74F, 0.85F);
    face->power_top = between(&d, 2.0F, 2.4F);
    face->power_jaw = between(&d, 2.0F, 3.2F);
    face->taper = between(&d, 0.10F, 0.30F);
    face->ear = between(&d, 0.10F, 0.15F);
    face->ear_y = between(&d, 0.02F, 0.12F);
    draw_skin_and_light(&d, face);
    draw_wall(&d, &face->wall);
    draw_clothes(&d, &face->clothes);
    draw_hair(&d, &face->hair);
    draw_eyes(&d, &face->eyes);
    draw_features(&d, face);
}

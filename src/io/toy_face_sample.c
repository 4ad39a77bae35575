/* One point of a toy face: wall, hair behind the head, neck, clothes, head, features, hair in front, glasses, in this
 * order, each over the one before. */
#include "toy_face_shapes.h"

static const float METRES_A_UNIT = 0.12F;
static const float HEAD_METRES = 1.0F;

static float lattice(uint32_t x, uint32_t y, uint32_t salt) {
    uint32_t h = x * 0x9E3779B1U ^ y * 0x85EBCA77U ^ salt * 0xC2B2AE3DU;
    h ^= h >> 15;
    h *= 0x2C1B3C6DU;
    h ^= h >> 12;
    h *= 0x297A2D39U;
    h ^= h >> 15;
    return (float)(h >> 8) * (1.0F / 16777216.0F);
}

/* Smooth noise in [0, 1]. */
static float noise(float x, float y, uint32_t salt) {
    const float fx = floorf(x);
    const float fy = floorf(y);
    const uint32_t ix = (uint32_t)(int32_t)fx;
    const uint32_t iy = (uint32_t)(int32_t)fy;
    const float tx = smooth(0.0F, 1.0F, x - fx);
    const float ty = smooth(0.0F, 1.0F, y - fy);
    return mixf(mixf(lattice(ix, iy, salt), lattice(ix + 1U, iy, salt), tx),
                mixf(lattice(ix, iy + 1U, salt), lattice(ix + 1U, iy + 1U, salt), tx), ty);
}

static void paint_wall(const toy_wall *wall, float x, float y, toy_sample *s) {
    const float along = wall->nx * x + wall->ny * y - (wall->kind == 0 ? 0.0F : wall->offset);
    float t = smooth(-wall->softness, wall->softness, along);
    if (wall->kind == 2) {
        const float u = x * wall->scale + 17.0F;
        const float v = y * wall->scale + 17.0F;
        t = 0.65F * noise(u, v, wall->salt) + 0.35F * noise(2.3F * u, 2.3F * v, wall->salt + 1U);
        t = smooth(0.2F, 0.8F, t);
    }
    s->colour = mix_colour(wall->a, wall->b, t);
    s->class = TOY_BACKGROUND;
    s->metres = wall->metres + wall->tilt_x * x + wall->tilt_y * y;
}

/* Signed distance to the head's outline in the head frame, made larger by `side` and `top`. */
static float head_distance(const toy_face *face, float u, float v, float side, float top) {
    const float width = (face->width + side) * (1.0F - face->taper * fmaxf(v, 0.0F) * fminf(v, 1.2F));
    const float up = v < 0.0F ? -v / (1.0F + top) : v;
    const float power = v < 0.0F ? face->power_top : face->power_jaw;
    const float rise = powf(up, power - 1.0F);
    const float f = u * u / (width * width) + rise * up - 1.0F;
    const float gu = 2.0F * u / (width * width);
    const float gv = power * rise / (v < 0.0F ? 1.0F + top : 1.0F);
    return f / (sqrtf(gu * gu + gv * gv) + 1e-3F);
}

/* The surface point under head-frame (u, v), pose undone. Each height of the head is a circle of the outline's half
 * width. */
static toy_point undo_pose(const toy_face *face, float u, float v) {
    const float vc = clampf(v, -0.999F, 0.999F);
    const float power = vc < 0.0F ? face->power_top : face->power_jaw;
    const float fall = sqrtf(1.0F - powf(fabsf(vc), power));
    const float width = face->width * (1.0F - face->taper * fmaxf(vc, 0.0F) * vc) * fall;
    const float z = sqrtf(fmaxf(width * width - u * u, 0.0F));
    const float x1 = u * face->cos_yaw - z * face->sin_yaw;
    const float z1 = u * face->sin_yaw + z * face->cos_yaw;
    return (toy_point){x1, v * face->cos_pitch - z1 * face->sin_pitch, v * face->sin_pitch + z1 * face->cos_pitch};
}

static float shade(const toy_face *face, float nx, float ny) {
    const float rest = 1.0F - nx * nx - ny * ny;
    const float nz = rest > 0.0F ? sqrtf(rest) : 0.0F;
    const float dot = nx * face->light.x + ny * face->light.y + nz * face->light.z;
    return face->ambient + face->diffuse * clampf(0.12F + 0.88F * dot, 0.0F, 1.0F) * 1.15F;
}

static toy_colour hair_colour(const toy_face *face, float u, float v, float light, float along) {
    const toy_hair *hair = &face->hair;
    const float streak = sinf(along * hair->strand_frequency + 2.0F * sinf(v * 3.0F + hair->lump_phase)) *
                         sinf(along * hair->strand_frequency * 0.43F + 1.3F);
    const float gloss =
        expf(-(v + 0.72F) * (v + 0.72F) * 28.0F - (u - 0.4F * face->light.x) * (u - 0.4F * face->light.x) * 5.0F);
    const toy_colour base = scale_colour(hair->colour, light * (1.0F + hair->strand_amplitude * 2.0F * streak));
    return mix_colour(base, hair->light, clampf(gloss * 0.45F * face->diffuse + 0.12F * streak * gloss, 0.0F, 1.0F));
}

static void paint_back_hair(const toy_face *face, float u, float v, float edge, toy_sample *s) {
    const toy_hair *hair = &face->hair;
    const float wave =
        hair->lump > 0.0F ? hair->lump * sinf(hair->lump_frequency * atan2f(v, u) + hair->lump_phase) : 0.0F;
    if (hair->back) {
        const float middle = 0.5F * (hair->back_bottom + hair->back_top);
        const float half = 0.5F * (hair->back_bottom - hair->back_top);
        const float width = face->width * hair->back_width;
        const float d = box_distance(u, v - middle, width, half, fminf(0.95F * width, half)) - wave;
        const float light = 0.74F * shade(face, clampf(u / (1.2F * width), -0.9F, 0.9F), 0.0F);
        put(s, coverage(d, edge), hair_colour(face, u, v, light, u), TOY_HAIR, HEAD_METRES + 0.04F);
    }
    if (hair->bun) {
        const float bx = u - hair->bun_x;
        const float by = v + 1.0F + 0.5F * hair->bun_radius;
        const float d = sqrtf(bx * bx + by * by) - hair->bun_radius;
        const float light = shade(face, clampf(bx / hair->bun_radius, -0.9F, 0.9F) * 0.7F,
                                  clampf(by / hair->bun_radius, -0.9F, 0.9F) * 0.7F);
        put(s, coverage(d, edge), hair_colour(face, u, v, light * 0.9F, bx + by), TOY_HAIR, HEAD_METRES + 0.02F);
    }
}

static void paint_neck_and_clothes(const toy_face *face, float x, float y, float edge, toy_sample *s) {
    const toy_clothes *clothes = &face->clothes;
    /* The neck hangs from the head, turned by a part of its roll; x and y from the head's middle, in head units. */
    const float px = (x - face->cx) / face->scale;
    const float py = (y - face->cy) / face->scale;
    if (py < 0.2F) { /* both lie below the middle of the face */
        return;
    }
    const float chin_x = -face->sin_roll;
    const float slope = face->sin_roll * (1.0F - clothes->neck_bend);
    const float across = px - chin_x * 0.8F - slope * (py - 0.8F) * 0.5F;
    const float flare = 0.30F * smooth(0.95F, 1.5F, py);
    const float neck = fmaxf(fabsf(across) - clothes->neck_width - flare * 0.5F, 0.3F - py);
    const float part = coverage(neck, edge);
    if (part > 0.0F) {
        const float under = smooth(1.28F, 0.85F, py);
        const float light = shade(face, clampf(across / (clothes->neck_width * 1.2F), -0.9F, 0.9F), 0.1F);
        const toy_colour skin = scale_colour(face->skin, light * (0.90F - 0.34F * under));
        put(s, part, skin, TOY_SKIN, HEAD_METRES + 0.02F);
    }
    /* Shoulders: a wide dome from below, cut by the neckline. */
    const float base_x = across * face->scale;
    const float top = face->cy + face->scale * (1.02F + clothes->top);
    const float spread = fabsf(base_x) / clothes->width;
    const float dome = (top - y + clothes->height * spread * spread * spread) * 0.9F;
    const float cut = face->scale * clothes->neck_width + 0.05F;
    const float v_line = clothes->neckline + 0.06F - (clothes->neckline + 0.06F) * fminf(fabsf(base_x) / cut, 2.0F);
    const float d = fmaxf(dome, top + v_line - y) / face->scale;
    const float cover = coverage(d, edge);
    if (cover > 0.0F) {
        const float light = shade(face, clampf(base_x, -0.8F, 0.8F), -0.25F);
        toy_colour cloth = clothes->colour;
        if (clothes->stripes > 0.0F) {
            cloth = mix_colour(cloth, clothes->second, smooth(-0.2F, 0.2F, sinf(y * clothes->stripes)));
        }
        const float hem = smooth(-0.10F, -0.05F, d);
        cloth = mix_colour(cloth, clothes->second, clothes->stripes > 0.0F ? 0.0F : 0.5F * hem);
        put(s, cover, scale_colour(cloth, light), TOY_BACKGROUND, HEAD_METRES + 0.05F + 0.05F * spread);
    }
}

static void paint_ear(const toy_face *face, float side, float u, float v, float edge, toy_sample *s) {
    /* The ear sits at (side width, ear_y, 0) of the face frame; z of the head frame tells whether it is in front. */
    const float eu = side * face->width * face->cos_yaw * 1.0F + side * 0.03F;
    const float ev = face->ear_y * face->cos_pitch;
    const float du = (u - eu) * side;
    const float dv = v - ev;
    if (fabsf(du) > 0.3F || fabsf(dv) > 0.35F) {
        return;
    }
    const float d = ellipse_distance(du + 0.12F * dv, dv, face->ear, 0.19F);
    const float light = shade(face, side * 0.55F, 0.0F) * 0.95F;
    put(s, coverage(d, edge), scale_colour(face->skin, light), TOY_SKIN, HEAD_METRES + 0.005F);
    const float inner = ellipse_distance(du + 0.12F * dv - 0.01F, dv + 0.01F, face->ear * 0.5F, 0.11F);
    glaze(s, 0.45F * coverage(inner, 2.0F * edge), scale_colour(face->blush, light * 0.65F));
}

static void paint_skin(const toy_face *face, float u, float v, toy_point p, float part, toy_sample *s) {
    const float light = shade(face, 0.92F * u / face->width, 0.72F * v);
    toy_colour skin = face->skin;
    const float cheek_x = fabsf(p.x) - 0.40F;
    const float cheek_y = p.y - 0.32F;
    const float cheek = expf(-(cheek_x * cheek_x * 34.0F + cheek_y * cheek_y * 40.0F));
    skin = mix_colour(skin, face->blush, face->blush_strength * cheek);
    if (face->stubble > 0.0F) {
        const float beard = smooth(0.25F, 0.55F, p.y + 0.45F * fabsf(p.x) - 0.1F);
        skin = mix_colour(skin, mix_colour(face->hair.colour, face->skin, 0.25F), face->stubble * beard);
    }
    if (face->freckles > 0.0F) {
        const float spots = smooth(0.62F, 0.8F, noise(p.x * 15.0F + 40.0F, p.y * 15.0F + 40.0F, 7U));
        skin = mix_colour(skin, scale_colour(face->blush, 0.72F), face->freckles * 2.0F * spots * (0.2F + cheek));
    }
    put(s, part, scale_colour(skin, light), TOY_SKIN, HEAD_METRES - METRES_A_UNIT * p.z);
}

static float hairline(const toy_hair *hair, float x) {
    return hair->line + hair->line_slope * x + hair->line_curve * x * x +
           hair->jag * sinf(hair->jag_frequency * x + hair->jag_phase);
}

/* Hair on the head: above the hairline or at the sides, out to the head's outline made thicker. */
static void paint_front_hair(const toy_face *face, float u, float v, toy_point p, float outline, float edge,
                             toy_sample *s) {
    const toy_hair *hair = &face->hair;
    if (hair->bald) {
        return;
    }
    const float lump =
        hair->lump > 0.0F ? hair->lump * sinf(hair->lump_frequency * atan2f(v, u) + hair->lump_phase) : 0.0F;
    const float thick = smooth(0.4F, -0.2F, v);
    const float thin = smooth(hair->sideburn + 0.02F, hair->sideburn - 0.45F, v); /* hair thins towards its lower end */
    const float shell = head_distance(face, u, v, hair->side * thin, hair->top * thick) - lump * thin;
    if (shell > edge) {
        return;
    }
    const float below_line = p.y - hairline(hair, p.x);
    const float soft = 0.05F * smooth(0.5F, -0.5F, fabsf(p.x));                /* corners of the hairline are rounded */
    const float side_z = mixf(-0.12F, hair->side_z, smooth(0.95F, 0.3F, p.y)); /* the chin stays free */
    const float below_side = fmaxf((p.z - side_z) * 0.9F, p.y - hair->sideburn);
    float d = fminf(below_line + soft - 0.05F, below_side);
    if (outline > 0.0F) { /* beside the bare head: hair where the head's edge next to it has hair */
        d = fminf(below_line, p.y - fminf(hair->sideburn, 0.8F));
    }
    d = fmaxf(d, shell);
    const float part = coverage(d, edge);
    if (part <= 0.0F) {
        return;
    }
    const float width = face->width + hair->side + 0.03F;
    const float near = smooth(0.0F, -0.12F, d); /* darker at the edge: the hair has a thickness */
    const float light =
        shade(face, clampf(0.9F * u / width, -0.95F, 0.95F), clampf(0.75F * v / (1.0F + hair->top), -0.9F, 0.5F)) *
        mixf(0.84F, 1.0F, near);
    const float along = 1.6F * p.x / (0.6F + fabsf(p.y)) + hair->line_slope * v;
    const float relief = 0.35F * hair->top + 0.03F;
    put(s, part, hair_colour(face, u, v, light, along), TOY_HAIR,
        HEAD_METRES - METRES_A_UNIT * (fmaxf(p.z, 0.0F) + relief));
}

toy_sample toy_face_sample(const toy_face *face, float x, float y, float width) {
    toy_sample s;
    const float edge = width / face->scale;
    const float dx = (x - face->cx) / face->scale;
    const float dy = (y - face->cy) / face->scale;
    const float u = dx * face->cos_roll + dy * face->sin_roll;
    const float v = -dx * face->sin_roll + dy * face->cos_roll;
    paint_wall(&face->wall, x, y, &s);
    paint_back_hair(face, u, v, edge, &s);
    paint_neck_and_clothes(face, x, y, edge, &s);
    if (fabsf(u) < 1.3F && fabsf(v) < 1.5F) {
        const float outline = head_distance(face, u, v, 0.0F, 0.0F);
        const float part = coverage(outline, edge);
        const toy_point p = undo_pose(face, u, v);
        const float near_side = face->sin_yaw > 0.0F ? -1.0F : 1.0F; /* a face turned right shows its image-left ear */
        const bool ears = !face->hair.covers_ears;
        if (ears) {
            paint_ear(face, -near_side, u, v, edge, &s);
        }
        if (part > 0.0F) {
            paint_skin(face, u, v, p, part, &s);
            if (p.z > 0.0F && outline < 0.0F) {
                toy_paint_features(face, p, edge, &s);
            }
        }
        paint_front_hair(face, u, v, p, outline, edge, &s);
        if (ears) {
            paint_ear(face, near_side, u, v, edge, &s);
        }
        if (outline < 0.05F) {
            toy_paint_glasses(face, p, edge, &s);
        }
    }
    s.colour = tint_colour(s.colour, face->light_colour);
    return s;
}

void toy_face_locate(const toy_face *face, float x, float y, float *image_x, float *image_y, float *z_out) {
    float u = x * face->cos_yaw;
    float v = y;
    toy_point p = undo_pose(face, u, v);
    for (int i = 0; i < 40; i++) { /* damped: the frames differ by a rotation of less than half a right angle */
        u += 0.7F * (x - p.x);
        v += 0.7F * (y - p.y);
        p = undo_pose(face, u, v);
    }
    *image_x = face->cx + face->scale * (u * face->cos_roll - v * face->sin_roll);
    *image_y = face->cy + face->scale * (u * face->sin_roll + v * face->cos_roll);
    *z_out = p.z;
}

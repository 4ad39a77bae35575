/* Eyes, brows, nose, mouth and glasses of a toy face, drawn in the face frame (toy_face.h). */
#include "toy_face_shapes.h"

/* Metres in front of the middle of the head for one unit of the head frame; the head's middle is 1 m away. */
static const float METRES_A_UNIT = 0.12F;

/* Between two parabolas that meet at x = +-width: upper at -up (1 - t^2), lower at down (1 - t^2), t = x / width. */
static float almond_distance(float x, float y, float width, float up, float down) {
    const float t = x / width;
    const float bow = 1.0F - t * t;
    const float high = y < 0.0F ? up : down;
    const float slope = 2.0F * high * t / width;
    const float d = (fabsf(y) - high * bow) / sqrtf(1.0F + slope * slope);
    return fmaxf(d, fabsf(x) - width);
}

static void paint_eye(const toy_face *face, float side, toy_point p, float edge, toy_sample *s) {
    const toy_eyes *eyes = &face->eyes;
    const float dx = (p.x - side * eyes->x) * side; /* outwards */
    const float dy = p.y - eyes->y + eyes->tilt * dx;
    if (fabsf(dx) > 0.32F || fabsf(dy) > 0.3F) {
        return;
    }
    const float socket = expf(-(dx * dx * 22.0F + (dy + 0.05F) * (dy + 0.05F) * 50.0F));
    glaze(s, 0.22F * socket, scale_colour(tint_colour(s->colour, (toy_colour){0.8F, 0.66F, 0.64F}), 0.85F));

    const float d = almond_distance(dx, dy, eyes->width, eyes->upper, eyes->lower);
    const float rim = d - (dy < 0.0F ? eyes->lash : 0.4F * eyes->lash);
    const toy_colour dark = scale_colour(tint_colour(face->skin, (toy_colour){0.36F, 0.26F, 0.24F}), 0.7F);
    put(s, coverage(rim, edge), dark, TOY_EYE, s->metres);
    const float inside = coverage(d, edge);
    if (inside <= 0.0F) {
        return;
    }
    const float shade = 0.72F + 0.28F * smooth(-eyes->upper, 0.3F * eyes->upper, dy);
    glaze(s, inside, scale_colour(eyes->white, shade));
    const float ix = p.x - side * eyes->x - eyes->gaze_x;
    const float iy = dy - eyes->gaze_y;
    const float r = sqrtf(ix * ix + iy * iy);
    const float iris = inside * coverage(r - eyes->iris_radius, edge);
    glaze(s, iris, scale_colour(eyes->iris, (0.75F + 0.5F * r / eyes->iris_radius) * shade));
    glaze(s, inside * coverage(fabsf(r - eyes->iris_radius) - 0.008F, edge), scale_colour(eyes->iris, 0.4F));
    glaze(s, inside * coverage(r - 0.45F * eyes->iris_radius, edge), (toy_colour){0.04F, 0.03F, 0.03F});
    const float gx = ix + 0.03F;
    const float gy = iy + 0.035F;
    glaze(s, 0.9F * inside * coverage(sqrtf(gx * gx + gy * gy) - 0.020F, edge), (toy_colour){1.0F, 1.0F, 1.0F});
}

static void paint_brow(const toy_face *face, float side, toy_point p, float edge, toy_sample *s) {
    const toy_brows *brows = &face->brows;
    const float t = (p.x - side * (face->eyes.x + 0.01F)) * side / brows->width; /* -1 inner end, 1 outer end */
    if (fabsf(t) > 1.3F) {
        return;
    }
    const float middle =
        brows->y - (side < 0.0F ? brows->raise : 0.0F) - brows->arch * (1.0F - t * t) + brows->tilt * 0.2F * t;
    const float thickness = brows->thickness * (1.0F - 0.45F * smooth(0.0F, 1.0F, t));
    const float over = fmaxf(fabsf(t) - 0.9F, 0.0F) * brows->width;
    const float dy = fabsf(p.y - middle);
    const float d = sqrtf(dy * dy + over * over) - thickness;
    put(s, coverage(d, edge), brows->colour, TOY_BROW, s->metres - 0.004F);
}

float toy_face_nose_shift_x(const toy_face *face) {
    return face->nose.relief * face->sin_yaw;
}

float toy_face_nose_shift_y(const toy_face *face) {
    return face->nose.relief * face->sin_pitch * 0.6F;
}

static void paint_nose(const toy_face *face, toy_point p, float edge, toy_sample *s) {
    const toy_nose *nose = &face->nose;
    const float tip_x = toy_face_nose_shift_x(face);
    const float tip_y = nose->tip + toy_face_nose_shift_y(face);
    if (fabsf(p.x) > 0.5F || p.y < nose->top - 0.2F || p.y > tip_y + 0.35F) {
        return;
    }
    const float t = clampf((p.y - nose->top) / (tip_y - nose->top), 0.0F, 1.1F);
    const float nx = p.x - tip_x * t; /* from the ridge */
    const float ny = p.y - tip_y;
    const float body = taper_distance(p.x, p.y, 0.0F, nose->top, nose->bridge, tip_x, tip_y, 0.8F * nose->width);
    const float wing_x = fabsf(p.x - 0.8F * tip_x) - 0.8F * nose->width;
    const float wings = sqrtf(wing_x * wing_x + (ny - 0.02F) * (ny - 0.02F)) - 0.52F * nose->width;
    const float d = fminf(body, wings);

    /* A ridge lit from the side: one flank darkens, the other brightens; below the tip a shadow falls. */
    const float width = mixf(nose->bridge, nose->width, t * t);
    const float flank = clampf(nx / (width + 0.02F), -1.5F, 1.5F) * expf(-1.1F * nx * nx / (width * width + 0.002F));
    const float inside = smooth(0.05F, -0.03F, d);
    const float lit = 1.0F + inside * (0.9F * face->diffuse * face->light.x * flank - 0.05F);
    s->colour = scale_colour(s->colour, lit);
    const float under = (ny - 0.115F) * 11.0F;
    const float below = expf(-(under * under + (p.x - tip_x) * (p.x - tip_x) * 40.0F));
    glaze(s, 0.34F * below, tint_colour(s->colour, (toy_colour){0.55F, 0.42F, 0.40F}));
    const float edge_line = expf(-d * d * 1600.0F) * smooth(0.25F, 0.9F, t);
    glaze(s, 0.38F * edge_line, tint_colour(s->colour, (toy_colour){0.6F, 0.46F, 0.43F}));

    const float part = coverage(d, edge);
    if (part > 0.0F) {
        const float bulge = nose->relief * t * clampf(1.0F - nx * nx / (width * width + 0.004F), 0.0F, 1.0F);
        const toy_colour warm = tint_colour(s->colour, (toy_colour){1.04F, 0.89F, 0.87F});
        put(s, part, warm, TOY_NOSE, s->metres - METRES_A_UNIT * bulge);
        const float sx = (p.x - tip_x + 0.3F * width * face->light.x * -1.0F) * 13.0F;
        const float sy = (ny + 0.03F) * 13.0F;
        glaze(s, 0.30F * part * expf(-(sx * sx + sy * sy)), (toy_colour){1.0F, 0.97F, 0.94F});
    }
    const float hole_x = fabsf(p.x - tip_x) - 0.48F * nose->width;
    const float hole = ellipse_distance(hole_x, ny - 0.075F, nose->nostril * 1.5F, nose->nostril);
    glaze(s, 0.75F * coverage(hole, edge), scale_colour(face->skin, 0.25F));
}

static void paint_mouth(const toy_face *face, toy_point p, float edge, toy_sample *s) {
    const toy_mouth *mouth = &face->mouth;
    const float t = p.x / mouth->width;
    if (fabsf(t) > 1.4F || fabsf(p.y - mouth->y) > 0.35F) {
        return;
    }
    const float bend = mouth->smile * (0.45F - t * t); /* corners up when smiling */
    const float y = p.y - mouth->y - bend;
    const float half = 0.5F * mouth->open;
    const float cupid = mouth->bow * expf(-t * t * 40.0F);
    const float outer = almond_distance(p.x, y, mouth->width, half + mouth->upper - cupid, half * 1.3F + mouth->lower);
    const float below = (y - half * 1.3F - mouth->lower - 0.05F) * 18.0F;
    glaze(s, 0.22F * expf(-below * below - t * t * 2.0F), tint_colour(s->colour, (toy_colour){0.7F, 0.58F, 0.55F}));
    const float lower_lip = smooth(-0.02F, 0.05F, y);
    const float lit = s->colour.g / fmaxf(face->skin.g, 0.05F); /* the shading that the skin has here */
    const toy_colour lip = scale_colour(mouth->lip, clampf(lit, 0.3F, 1.3F) * mixf(0.86F, 1.06F, lower_lip));
    put(s, coverage(outer - 0.012F, edge), lip, TOY_MOUTH, s->metres - 0.006F);
    if (mouth->open > 0.0F) {
        const float inner = almond_distance(p.x, y, mouth->width * 0.86F, half, half * 1.3F);
        const float part = coverage(inner, edge);
        glaze(s, part, mouth->inside);
        const float tongue = ellipse_distance(p.x, y - half * 1.5F, mouth->width * 0.5F, half);
        glaze(s, part * coverage(tongue, edge), (toy_colour){0.66F, 0.27F, 0.27F});
        if (mouth->teeth) {
            const float row = y - half * 0.15F;
            glaze(s, part * coverage(row, edge), (toy_colour){0.95F, 0.93F, 0.88F});
        }
    } else {
        const float line = fabsf(y) - 0.010F;
        glaze(s, 0.8F * coverage(fmaxf(line, fabsf(p.x) - mouth->width), edge), scale_colour(mouth->lip, 0.42F));
    }
}

void toy_paint_features(const toy_face *face, toy_point p, float edge, toy_sample *sample) {
    paint_nose(face, p, edge, sample);
    for (int k = 0; k < 2; k++) {
        const float side = k == 0 ? -1.0F : 1.0F;
        paint_eye(face, side, p, edge, sample);
        paint_brow(face, side, p, edge, sample);
    }
    paint_mouth(face, p, edge, sample);
}

void toy_paint_glasses(const toy_face *face, toy_point p, float edge, toy_sample *s) {
    const toy_glasses *glasses = &face->glasses;
    const float y = p.y - glasses->y;
    if (!glasses->worn || fabsf(y) > 0.35F || p.z < 0.0F) {
        return;
    }
    const float x = fabsf(p.x) - face->eyes.x;
    const float radius = glasses->corner * fminf(glasses->width, glasses->height);
    const float lens = box_distance(x, y, glasses->width, glasses->height, radius);
    const float part = coverage(lens, edge);
    if (part > 0.0F) {
        glaze(s, part * glasses->tint, glasses->lens);
        const float streak = fabsf(x * 0.8F + y + 0.06F) - 0.035F;
        glaze(s, 0.16F * part * coverage(streak, 0.04F), (toy_colour){1.0F, 1.0F, 1.0F});
    }
    const float ring = fabsf(lens) - glasses->thickness;
    const float bridge_y = y + 0.45F * glasses->height;
    const float bridge =
        fmaxf(fabsf(bridge_y + 0.25F * p.x * p.x) - glasses->thickness, fabsf(p.x) - (face->eyes.x - glasses->width));
    const float bar =
        fmaxf(fabsf(y + 0.4F * glasses->height) - glasses->thickness, (face->eyes.x + glasses->width) - fabsf(p.x));
    const float d = fminf(ring, fminf(bridge, bar));
    const float gleam = 1.0F + 0.8F * smooth(0.5F * glasses->thickness, -glasses->thickness, d) * face->diffuse;
    put(s, coverage(d, edge), scale_colour(glasses->frame, gleam), TOY_GLASSES, s->metres - 0.012F);
}

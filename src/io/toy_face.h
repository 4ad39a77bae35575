/* The parts of a toy face, shared by the files that draw it. Not public: see ho_draw_toy_face in handsoff/dataset.h.
 *
 * Three frames, y pointing down in each:
 *   image  (x, y) in [-1, 1] from edge to edge.
 *   head   image, moved to the middle of the head, turned back by the roll, divided by half the head's height: the
 * crown is near v = -1, the chin at v = 1. face   a point of the head's surface after yaw and pitch are undone:
 * features are drawn here as seen from the front, so that they move and foreshorten with the pose. z > 0 faces
 * forwards. */
#ifndef HANDSOFF_SRC_IO_TOY_FACE_H
#define HANDSOFF_SRC_IO_TOY_FACE_H

#include <stdbool.h>
#include <stdint.h>

enum { TOY_BACKGROUND, TOY_SKIN, TOY_HAIR, TOY_EYE, TOY_BROW, TOY_NOSE, TOY_MOUTH, TOY_GLASSES };

typedef struct {
    float r, g, b;
} toy_colour;

typedef struct {
    float x, y, z;
} toy_point;

typedef struct {
    int kind; /* 0 gradient, 1 two colours, 2 soft texture */
    toy_colour a, b;
    float nx, ny, offset, softness; /* direction and place of the change from a to b */
    float scale;                    /* of the texture */
    uint32_t salt;
    float tilt_x, tilt_y, metres; /* the wall's plane, for depth */
} toy_wall;

typedef struct {
    toy_colour colour, second;
    float width, height, top;    /* of the shoulders, image frame */
    float neckline, stripes;     /* depth of the V; stripes 0: none, else their frequency */
    float neck_width, neck_bend; /* half width, head frame; part of the roll that the neck follows */
} toy_clothes;

typedef struct {
    bool bald, covers_ears, bun, back;
    toy_colour colour, light;
    float line, line_slope, line_curve;       /* hairline y = line + slope x + curve x^2, face frame */
    float jag, jag_frequency, jag_phase;      /* zigzag of the hairline */
    float top, side;                          /* thickness of the hair on the head */
    float side_z, sideburn;                   /* sides: hair where z < side_z and y < sideburn */
    float lump, lump_frequency, lump_phase;   /* curls on the outline */
    float back_width, back_bottom, back_top;  /* the mass of hair behind the head */
    float strand_frequency, strand_amplitude; /* streaks */
    float bun_x, bun_radius;
} toy_hair;

typedef struct {
    toy_colour iris, white;
    float x, y, width, upper, lower, tilt, iris_radius;
    float gaze_x, gaze_y, lash;
} toy_eyes;

typedef struct {
    toy_colour colour;
    float y, width, thickness, arch, tilt, raise; /* raise: the left brow above the right one */
} toy_brows;

typedef struct {
    float top, tip, bridge, width, relief, nostril;
} toy_nose;

typedef struct {
    toy_colour lip, inside;
    float y, width, upper, lower, open, smile, bow;
    bool teeth;
} toy_mouth;

typedef struct {
    bool worn;
    toy_colour frame, lens;
    float width, height, corner, thickness, tint, y;
} toy_glasses;

typedef struct {
    float cx, cy, scale, cos_roll, sin_roll, roll; /* of the head in the image */
    float cos_yaw, sin_yaw, cos_pitch, sin_pitch;
    float width, power_top, power_jaw, taper; /* outline (|u| / (width (1 - taper v+^2)))^2 + |v|^power = 1 */
    float ear, ear_y;
    toy_colour skin, blush, light_colour;
    toy_point light;
    float ambient, diffuse, stubble, blush_strength, freckles;
    toy_wall wall;
    toy_clothes clothes;
    toy_hair hair;
    toy_eyes eyes;
    toy_brows brows;
    toy_nose nose;
    toy_mouth mouth;
    toy_glasses glasses;
} toy_face;

/* What is seen at one point. */
typedef struct {
    toy_colour colour;
    float metres;
    int class;
} toy_sample;

/* The parameters of face `index` of stream `seed`. */
void toy_face_draw_parameters(uint64_t seed, uint64_t index, toy_face *face);

/* What is seen at image point (x, y); edges are softened over `width` (image frame). */
toy_sample toy_face_sample(const toy_face *face, float x, float y, float width);

/* Where the face-frame point (x, y) of the surface is seen in the image; *z_out its face-frame z there. */
void toy_face_locate(const toy_face *face, float x, float y, float *image_x, float *image_y, float *z_out);

/* The place of the nose's tip in the face frame: relief moves it with the pose. */
float toy_face_nose_shift_x(const toy_face *face);
float toy_face_nose_shift_y(const toy_face *face);

/* Drawn over the skin, in the face frame; `edge` is the softening width there. */
void toy_paint_features(const toy_face *face, toy_point p, float edge, toy_sample *sample);
void toy_paint_glasses(const toy_face *face, toy_point p, float edge, toy_sample *sample);

#endif

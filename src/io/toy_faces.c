/* Drawn faces with exact labels. Each pixel is the mean of five samples with softened edges, the centre and a turned
 * square around it; its label and depth are those of the centre. */
#include "handsoff/dataset.h"

#include <math.h>
#include <stddef.h>

#include "toy_face.h"

enum { SAMPLES = 5 };
static const float SAMPLE_X[SAMPLES] = {0.0F, -0.375F, -0.125F, 0.125F, 0.375F};
static const float SAMPLE_Y[SAMPLES] = {0.0F, -0.125F, 0.375F, -0.375F, 0.125F};

const char *const HO_TOY_FACE_CLASS_NAMES[HO_TOY_FACE_CLASSES] = {"background", "skin", "hair",  "eye",
                                                                  "brow",       "nose", "mouth", "glasses"};

static uint8_t to_byte(float sum) {
    const float v = sum * (255.0F / SAMPLES) + 0.5F;
    return (uint8_t)(v < 0.0F ? 0.0F : (v > 255.0F ? 255.0F : v));
}

static void draw_row(const toy_face *face, int size, int row, uint8_t *image, uint8_t *label, float *depth) {
    const float pixel = 2.0F / (float)size;
    for (int column = 0; column < size; column++) {
        const int64_t at = (int64_t)row * size + column;
        toy_colour sum = {0.0F, 0.0F, 0.0F};
        for (int k = 0; k < (image != NULL ? SAMPLES : 1); k++) {
            const float x = ((float)column + 0.5F + SAMPLE_X[k]) * pixel - 1.0F;
            const float y = ((float)row + 0.5F + SAMPLE_Y[k]) * pixel - 1.0F;
            const toy_sample sample = toy_face_sample(face, x, y, 0.55F * pixel);
            sum.r += sample.colour.r;
            sum.g += sample.colour.g;
            sum.b += sample.colour.b;
            if (k == 0) {
                if (label != NULL) {
                    label[at] = (uint8_t)sample.class;
                }
                if (depth != NULL) {
                    depth[at] = sample.metres;
                }
            }
        }
        if (image != NULL) {
            image[3 * at] = to_byte(sum.r);
            image[3 * at + 1] = to_byte(sum.g);
            image[3 * at + 2] = to_byte(sum.b);
        }
    }
}

static void write_keypoint(const toy_face *face, int size, float x, float y, float *keypoint) {
    float image_x;
    float image_y;
    float z;
    toy_face_locate(face, x, y, &image_x, &image_y, &z);
    const toy_sample sample = toy_face_sample(face, image_x, image_y, 2.0F / (float)size);
    const bool inside = fabsf(image_x) < 1.0F && fabsf(image_y) < 1.0F;
    keypoint[0] = 0.5F * (image_x + 1.0F) * (float)size;
    keypoint[1] = 0.5F * (image_y + 1.0F) * (float)size;
    keypoint[2] = inside && z > 0.0F && sample.class != TOY_HAIR ? 1.0F : 0.0F;
}

void ho_draw_toy_face(uint64_t seed, uint64_t index, int size, uint8_t *image, uint8_t *label, float *keypoint,
                      float *depth) {
    toy_face face;
    toy_face_draw_parameters(seed, index, &face);
    if (image != NULL || label != NULL || depth != NULL) {
        for (int row = 0; row < size; row++) {
            draw_row(&face, size, row, image, label, depth);
        }
    }
    if (keypoint != NULL) {
        const float corner_y = face.mouth.y - 0.55F * face.mouth.smile;
        write_keypoint(&face, size, -face.eyes.x, face.eyes.y, keypoint);
        write_keypoint(&face, size, face.eyes.x, face.eyes.y, keypoint + 3);
        write_keypoint(&face, size, toy_face_nose_shift_x(&face), face.nose.tip + toy_face_nose_shift_y(&face),
                       keypoint + 6);
        write_keypoint(&face, size, -face.mouth.width, corner_y, keypoint + 9);
        write_keypoint(&face, size, face.mouth.width, corner_y, keypoint + 12);
    }
}

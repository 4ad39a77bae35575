/* Many toy faces at once, and what a data set of them says about its classes. */
#include "handsoff/import.h"

const uint8_t HO_TOY_FACE_PALETTE[HO_TOY_FACE_CLASSES][3] = {
    {255, 255, 255}, {242, 190, 150}, {116, 72, 40},  {46, 110, 230},
    {250, 160, 20},  {226, 84, 84},   {196, 20, 140}, {20, 170, 120},
};
const char *const HO_TOY_FACE_KEYPOINT_NAMES[HO_TOY_FACE_KEYPOINTS] = {
    "left_eye", "right_eye", "nose_tip", "left_mouth_corner", "right_mouth_corner",
};

void ho_toy_faces_fill(uint64_t seed, uint64_t first, int from, int to, ho_split *split) {
    const int64_t pixels = (int64_t)split->height * split->width;
#pragma omp parallel for schedule(dynamic, 4)
    for (int i = from; i < to; i++) {
        ho_draw_toy_face(seed, first + (uint64_t)i, split->width, split->images + i * pixels * 3,
                         split->labels != NULL ? split->labels + i * pixels : NULL,
                         split->keypoints != NULL ? split->keypoints + (int64_t)i * HO_TOY_FACE_KEYPOINTS * 3 : NULL,
                         split->depth != NULL ? split->depth + i * pixels : NULL);
    }
}

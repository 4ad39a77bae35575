/* Drawn faces: a function of (seed, index, size), with labels that match the picture's parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handsoff/import.h"

enum { SIZE = 64, FACES = 200, POINTS = 3 * HO_TOY_FACE_KEYPOINTS };
enum { BACKGROUND, SKIN, HAIR, EYE, BROW, NOSE, MOUTH, GLASSES };

static void new_faces(int n, int size, ho_split *split) {
    const ho_split_shape shape = {
        .n = n, .size = size, .n_keypoints = HO_TOY_FACE_KEYPOINTS, .labels = true, .depth = true};
    assert_int_equal(ho_split_new(&shape, split), HO_OK);
}

/* Any order, any number of threads, any choice of outputs: the same bits. */
static void same_bits_however_drawn(void **state) {
    (void)state;
    ho_split all;
    new_faces(8, SIZE, &all);
    ho_toy_faces_fill(7, 100, 0, 8, &all);
    for (int i = 7; i >= 0; i--) {
        uint8_t image[SIZE * SIZE * 3], label[SIZE * SIZE];
        float depth[SIZE * SIZE], keypoint[POINTS];
        ho_draw_toy_face(7, 100 + (uint64_t)i, SIZE, image, NULL, NULL, NULL);
        ho_draw_toy_face(7, 100 + (uint64_t)i, SIZE, NULL, label, NULL, depth);
        ho_draw_toy_face(7, 100 + (uint64_t)i, SIZE, NULL, NULL, keypoint, NULL);
        assert_memory_equal(image, all.images + (size_t)i * sizeof image, sizeof image);
        assert_memory_equal(label, all.labels + (size_t)i * sizeof label, sizeof label);
        assert_memory_equal(depth, all.depth + (size_t)i * SIZE * SIZE, sizeof depth);
        assert_memory_equal(keypoint, all.keypoints + (size_t)i * POINTS, sizeof keypoint);
    }
    ho_split_free(&all);
}

static void differs(uint64_t seed, uint64_t index, const uint8_t *from) {
    uint8_t image[SIZE * SIZE * 3];
    ho_draw_toy_face(seed, index, SIZE, image, NULL, NULL, NULL);
    assert_memory_not_equal(image, from, sizeof image);
}

static void seed_and_index_both_count(void **state) {
    (void)state;
    uint8_t image[SIZE * SIZE * 3];
    ho_draw_toy_face(1, 2, SIZE, image, NULL, NULL, NULL);
    differs(1, 3, image);
    differs(2, 2, image);
    differs(1, 2000000002, image);
}

/* Every class has pixels enough to learn from; glasses are worn by about a quarter. */
static void classes_have_pixels(void **state) {
    (void)state;
    static const double LEAST[HO_TOY_FACE_CLASSES] = {1000, 600, 200, 40, 20, 30, 25, 15};
    double pixels[HO_TOY_FACE_CLASSES] = {0};
    int wearers = 0;
    ho_split faces;
    new_faces(FACES, SIZE, &faces);
    ho_toy_faces_fill(3, 0, 0, FACES, &faces);
    for (int n = 0; n < FACES; n++) {
        int seen[HO_TOY_FACE_CLASSES] = {0};
        for (int i = 0; i < SIZE * SIZE; i++) {
            const int class = faces.labels[(size_t)n * SIZE * SIZE + (size_t)i];
            assert_in_range(class, 0, HO_TOY_FACE_CLASSES - 1);
            seen[class]++;
        }
        for (int k = 0; k < HO_TOY_FACE_CLASSES; k++) {
            pixels[k] += seen[k];
        }
        wearers += seen[GLASSES] > 0;
        assert_true(seen[EYE] > 8 && seen[NOSE] > 8 && seen[MOUTH] > 4 && seen[SKIN] > 300);
    }
    for (int k = 0; k < HO_TOY_FACE_CLASSES; k++) {
        if (!(pixels[k] / FACES >= LEAST[k])) {
            fail_msg("%s: %.1f pixels a face", HO_TOY_FACE_CLASS_NAMES[k], pixels[k] / FACES);
        }
    }
    assert_in_range(wearers, FACES * 15 / 100, FACES * 35 / 100);
    ho_split_free(&faces);
}

/* A keypoint lies on its part: the eyes' and the nose's on the pixel itself, mouth corners, where lips end in a point,
 * within two. */
static void keypoints_lie_on_their_parts(void **state) {
    (void)state;
    static const int CLASS[HO_TOY_FACE_KEYPOINTS] = {EYE, EYE, NOSE, MOUTH, MOUTH};
    static uint8_t label[SIZE * SIZE];
    float keypoint[POINTS];
    int visible = 0;
    for (uint64_t n = 0; n < FACES; n++) {
        ho_draw_toy_face(11, n, SIZE, NULL, label, keypoint, NULL);
        for (int j = 0; j < HO_TOY_FACE_KEYPOINTS; j++) {
            const int x = (int)keypoint[3 * j], y = (int)keypoint[3 * j + 1], reach = CLASS[j] == MOUTH ? 2 : 0;
            bool found = false;
            if (keypoint[3 * j + 2] == 0.0F) {
                continue;
            }
            visible++;
            for (int v = y - reach; v <= y + reach; v++) {
                for (int u = x - reach; u <= x + reach; u++) {
                    const int seen = u >= 0 && v >= 0 && u < SIZE && v < SIZE ? label[v * SIZE + u] : -1;
                    found = found || seen == CLASS[j] || seen == GLASSES;
                }
            }
            if (!found) {
                fail_msg("face %d: keypoint %d at (%d, %d) is not on its part", (int)n, j, x, y);
            }
        }
        assert_true(keypoint[0] < keypoint[3]); /* "left" is left in the picture */
    }
    assert_true(visible > FACES * 4);
}

/* Depth tells wall and person apart, and the nose is nearer than the neck. */
static void depth_is_in_metres(void **state) {
    (void)state;
    static uint8_t label[SIZE * SIZE];
    static float depth[SIZE * SIZE];
    for (uint64_t n = 0; n < 50; n++) {
        double sum[HO_TOY_FACE_CLASSES] = {0};
        int count[HO_TOY_FACE_CLASSES] = {0};
        ho_draw_toy_face(5, n, SIZE, NULL, label, NULL, depth);
        for (int i = 0; i < SIZE * SIZE; i++) {
            assert_true(depth[i] > 0.8F && depth[i] < 3.0F);
            assert_true(label[i] == BACKGROUND || depth[i] < 1.2F);
            sum[label[i]] += depth[i];
            count[label[i]]++;
        }
        assert_true(sum[NOSE] / count[NOSE] < sum[SKIN] / count[SKIN] - 0.02);
    }
}

/* The same face at another size: labels agree where a big pixel's block is of one class. */
static void sizes_agree(void **state) {
    (void)state;
    enum { BIG = 3 * SIZE };
    static uint8_t small[SIZE * SIZE], big[BIG * BIG];
    for (uint64_t n = 0; n < 5; n++) {
        ho_draw_toy_face(9, n, SIZE, NULL, small, NULL, NULL);
        ho_draw_toy_face(9, n, BIG, NULL, big, NULL, NULL);
        int different = 0;
        for (int i = 0; i < SIZE * SIZE; i++) { /* the middle of a 3 x 3 block has the same centre */
            different += small[i] != big[(3 * (i / SIZE) + 1) * BIG + 3 * (i % SIZE) + 1];
        }
        assert_true(different <= 4); /* centres within rounding of an edge */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_however_drawn), cmocka_unit_test(seed_and_index_both_count),
        cmocka_unit_test(classes_have_pixels),     cmocka_unit_test(keypoints_lie_on_their_parts),
        cmocka_unit_test(depth_is_in_metres),      cmocka_unit_test(sizes_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

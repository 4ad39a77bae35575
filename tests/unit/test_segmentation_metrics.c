/* Intersection over union by hand. */
#include <math.h>

#include "check.h"
#include "handsoff/segmentation_metrics.h"

static void sums_run_over_all_images(void **state) {
    (void)state;
    /* Image 1: class 0 has I = 2, U = 3; class 1 I = 1, U = 2. Image 2: class 0 I = 1, U = 2; class 2 I = 1, U = 3;
     * class 1: predicted once, U = 1. Together: 3/5, 1/3, 1/3. The mean over images would differ. */
    const uint8_t truth1[4] = {0, 0, 1, 1}, got1[4] = {0, 0, 0, 1};
    const uint8_t truth2[4] = {0, 0, 2, 2}, got2[4] = {0, 2, 2, 1};
    ho_confusion c;
    double iou[4];
    bool present[4];
    CHECK_OK(ho_confusion_create(4, &c));
    CHECK_OK(ho_confusion_add(&c, truth1, got1, 4));
    CHECK_OK(ho_confusion_add(&c, truth2, got2, 4));
    const ho_iou r = ho_confusion_iou(&c, iou, present);
    const double want[4] = {3.0 / 5.0, 1.0 / 3.0, 1.0 / 3.0, 0.0};
    check_close_f64("IoU", iou, 4, want, 4, 1e-8);
    assert_true(present[0] && present[1] && present[2] && !present[3]);
    assert_int_equal(r.n_present, 3);
    assert_float_equal(r.miou, (3.0 / 5.0 + 2.0 / 3.0) / 4.0, 1e-8);
    assert_float_equal(r.miou_present, (3.0 / 5.0 + 2.0 / 3.0) / 3.0, 1e-8);
    ho_confusion_free(&c);
}

static void ignored_pixels_count_nowhere(void **state) {
    (void)state;
    const uint8_t truth[5] = {0, 255, 1, 255, 1}, got[5] = {0, 0, 1, 1, 0};
    ho_confusion c;
    double iou[2];
    CHECK_OK(ho_confusion_create(2, &c));
    CHECK_OK(ho_confusion_add(&c, truth, got, 5));
    (void)ho_confusion_iou(&c, iou, NULL);
    assert_float_equal(iou[0], 0.5, 1e-8);
    assert_float_equal(iou[1], 0.5, 1e-8);
    ho_confusion_free(&c);
}

static void a_class_that_is_only_predicted_is_absent_and_zero(void **state) {
    (void)state;
    const uint8_t truth[2] = {0, 0}, got[2] = {0, 1};
    ho_confusion c;
    double iou[2];
    bool present[2];
    CHECK_OK(ho_confusion_create(2, &c));
    const ho_iou empty = ho_confusion_iou(&c, iou, present);
    assert_true(empty.miou == 0.0 && empty.miou_present == 0.0 && empty.n_present == 0 && iou[0] == 0.0);
    CHECK_OK(ho_confusion_add(&c, truth, got, 2));
    const ho_iou r = ho_confusion_iou(&c, iou, present);
    assert_true(present[0] && !present[1] && iou[1] == 0.0);
    assert_float_equal(r.miou, 0.25, 1e-8);
    assert_float_equal(r.miou_present, 0.5, 1e-8);
    ho_confusion_free(&c);
}

static void classes_out_of_range_are_refused_and_not_counted(void **state) {
    (void)state;
    const uint8_t good[3] = {0, 1, 2}, bad[3] = {0, 1, 3}, ignored[3] = {0, 1, 255};
    ho_confusion c;
    CHECK_OK(ho_confusion_create(3, &c));
    CHECK_FAILS(ho_confusion_add(&c, bad, good, 3), HO_EFORMAT, "pixel 2", "true class 3", "predicted 2");
    CHECK_FAILS(ho_confusion_add(&c, good, bad, 3), HO_EFORMAT, "true class 2", "predicted 3");
    CHECK_FAILS(ho_confusion_add(&c, good, ignored, 3), HO_EFORMAT, "predicted 255");
    for (int i = 0; i < 9; ++i) {
        assert_int_equal(c.count[i], 0);
    }
    CHECK_OK(ho_confusion_add(&c, ignored, bad, 3));
    ho_confusion_free(&c);
    CHECK_FAILS(ho_confusion_create(0, &c), HO_ESHAPE, "0 classes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_run_over_all_images),
        cmocka_unit_test(ignored_pixels_count_nowhere),
        cmocka_unit_test(a_class_that_is_only_predicted_is_absent_and_zero),
        cmocka_unit_test(classes_out_of_range_are_refused_and_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

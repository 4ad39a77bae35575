/* Sheets of the report: rows of pictures, enlarged or reduced to a page, and label colours over images. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "handsoff/image.h"
#include "src/stages/report_parts.h"

static void a_sheet_enlarges_and_marks(void **state) {
    (void)state;
    ho_sheet sheet;
    ho_image page;
    const uint8_t red[3] = {214, 30, 30}, blue[3] = {0, 0, 255};
    CHECK_OK(ho_sheet_new(3, 2, 50, 50, &sheet));
    for (int i = 0; i < 3; ++i) {
        ho_image_fill(&sheet.items[i].panel[1], 0, 0, 50, 50, blue);
    }
    sheet.items[1].marked = true;
    snprintf(sheet.title, sizeof sheet.title, "title");
    CHECK_OK(ho_sheet_draw(&sheet, &page));
    int64_t n_blue = 0, n_red = 0;
    for (int64_t p = 0; p < (int64_t)page.width * page.height; ++p) {
        n_blue += memcmp(page.pixels + 3 * p, blue, 3) == 0;
        n_red += memcmp(page.pixels + 3 * p, red, 3) == 0;
    }
    assert_int_equal(n_blue, 3 * 150 * 150); /* 50 pixels become 150, the least multiple from 128 on */
    assert_int_equal(n_red, (316 * 162) - (306 * 152));
    ho_image_free(&page);
    ho_sheet_free(&sheet);
}

static void large_images_are_reduced_to_the_page(void **state) {
    (void)state;
    ho_sheet sheet;
    ho_image page;
    CHECK_OK(ho_sheet_new(2, 5, 512, 512, &sheet));
    CHECK_OK(ho_sheet_draw(&sheet, &page));
    assert_in_range(page.width, 1500, HO_REPORT_WIDTH);
    ho_image_free(&page);
    ho_sheet_free(&sheet);
    assert_int_equal(ho_sheet_new(2, 6, 8, 8, &sheet), HO_ESHAPE);
}

static void overlays_mix_seven_to_three(void **state) {
    (void)state;
    uint8_t palette[2][3] = {{0, 0, 0}, {100, 200, 0}}, rgb[9];
    const ho_dataset dataset = {.n_classes = 2, .palette = palette};
    const uint8_t label[3] = {0, 1, 255}, image[9] = {100, 100, 100, 0, 100, 255, 0, 0, 0};
    ho_sheet_colours(&dataset, 3, label, image, rgb);
    const uint8_t mixed[9] = {30, 30, 30, 70, 170, 77, 140, 140, 140};
    assert_memory_equal(rgb, mixed, sizeof mixed);
    ho_sheet_colours(&dataset, 3, label, NULL, rgb);
    const uint8_t plain[9] = {0, 0, 0, 100, 200, 0, 200, 200, 200};
    assert_memory_equal(rgb, plain, sizeof plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sheet_enlarges_and_marks),
        cmocka_unit_test(large_images_are_reduced_to_the_page),
        cmocka_unit_test(overlays_mix_seven_to_three),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* libFuzzer target: any bytes as the JSON files of data sets: COCO's annotations of Car-Parts, HandsOff's split, the
 * camera of Cityscapes. */
#include "fuzz.h"
#include "src/io/formats.h"

enum { SIZE = 16 };

static void make_folders(void) {
    static const char *const PHOTOS[] = {"parts/JPEGImages/a.jpg", "city/leftImg8bit/train/x/x_0_leftImg8bit.png",
                                         "city/gtFine/train/x/x_0_gtFine_labelIds.png",
                                         "city/disparity/train/x/x_0_disparity.png", "coco/train/a.jpg"};
    for (int i = 0; i < 5; i++) {
        fuzz_write_picture(PHOTOS[i]);
    }
}

static void read_parts(void) {
    ho_merge own;
    ho_split split;
    if (ho_car_parts_read("parts", SIZE, HO_ASPECT_PAD, NULL, &own, &split) == HO_OK) {
        ho_split_free(&split);
        ho_merge_free(&own);
    }
}

static void read_city(void) {
    ho_listing city = {.folder = "city"};
    ho_reading reading;
    memset(&reading, 0, sizeof reading);
    if (ho_list_cityscapes(&city) == HO_OK && city.n > 0) {
        (void)city.read(&city, &city.samples[0], &reading);
    }
    ho_reading_free(&reading);
    ho_listing_free(&city);
}

static void read_coco(void) {
    ho_listing coco = {.folder = "coco"};
    if (ho_list_coco(&coco) == HO_OK) {
        for (int i = 0; i < coco.n && i < 2; i++) {
            ho_reading reading;
            memset(&reading, 0, sizeof reading);
            (void)coco.read(&coco, &coco.samples[i], &reading);
            ho_reading_free(&reading);
        }
    }
    ho_listing_free(&coco);
}

static void read_split(void) {
    ho_listing listing = {.folder = "."};
    int n_missing = 0;
    for (int i = 0; i < 6; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, i % 2 == 0 ? "%d.png" : "a/%d.png", i / 2);
        (void)ho_listing_add(&listing, &(ho_sample){.name = name});
    }
    (void)ho_split_apply(FUZZ_FILE, 1, &listing, &n_missing);
    ho_listing_free(&listing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool made = false;
    if (!made) {
        make_folders();
        fuzz_name("parts/annotations.json");
        fuzz_name("coco/annotations/instances_train.json");
        fuzz_name("city/camera/train/x/x_0_camera.json");
        made = true;
    }
    fuzz_file(data, size);
    read_parts();
    read_city();
    read_coco();
    read_split();
    return 0;
}

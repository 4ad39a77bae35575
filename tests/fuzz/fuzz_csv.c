/* libFuzzer target: any bytes as the tables of data sets: key points of faces (CSV) and people (blanks), the mapping
 * file of CelebAMask-HQ, a split file of lines. */
#include "fuzz.h"
#include "src/io/formats.h"

static void read_set(const char *folder, ho_status (*list)(ho_listing *listing)) {
    ho_listing listing = {.folder = folder};
    int n_missing = 0;
    if (list(&listing) == HO_OK) {
        for (int i = 0; i < listing.n && i < 2; i++) {
            ho_reading reading;
            memset(&reading, 0, sizeof reading);
            (void)listing.read(&listing, &listing.samples[i], &reading);
            ho_reading_free(&reading);
        }
        (void)ho_split_apply(FUZZ_FILE, 1, &listing, &n_missing);
    }
    ho_listing_free(&listing);
}

static void make_folders(void) {
    static const char *const PHOTOS[] = {"faces/training/a.jpg",
                                         "faces/training/b.jpg",
                                         "people/images/a.jpg",
                                         "people/segm/a_segm.png",
                                         "celeba/CelebA-HQ-img/0.jpg",
                                         "celeba/CelebA-HQ-img/1.jpg",
                                         "celeba/CelebAMask-HQ-mask-anno/0/00000_skin.png"};
    for (size_t i = 0; i < sizeof PHOTOS / sizeof *PHOTOS; i++) {
        fuzz_write_picture(PHOTOS[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool made = false;
    if (!made) {
        make_folders();
        fuzz_name("faces/training_frames_keypoints.csv");
        fuzz_name("people/keypoints/keypoints_loc.txt");
        fuzz_name("people/keypoints/keypoints_vis.txt");
        fuzz_name("celeba/CelebA-HQ-to-CelebA-mapping.txt");
        made = true;
    }
    fuzz_file(data, size);
    read_set("faces", ho_list_face_keypoints);
    read_set("people", ho_list_deepfashion);
    read_set("celeba", ho_list_celebamask);
    return 0;
}

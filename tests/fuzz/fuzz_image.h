/* Any bytes as a picture: the readers of photos, of labels and of depth. */
#include "fuzz.h"
#include "src/io/formats.h"

static inline void fuzz_picture(const uint8_t *data, size_t size) {
    ho_image image = {0, 0, 0, NULL};
    uint16_t *pixels = NULL;
    int width = 0, height = 0, bits = 0;
    fuzz_file(data, size);
    if (ho_image_read(FUZZ_FILE, &image) == HO_OK) {
        ho_image_free(&image);
    }
    if (ho_image_read_labels(FUZZ_FILE, &image) == HO_OK) {
        ho_image_free(&image);
    }
    if (ho_png_read_grey(FUZZ_FILE, &width, &height, &bits, &pixels) == HO_OK) {
        free(pixels);
    }
}

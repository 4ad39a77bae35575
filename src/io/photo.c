/* Photos of any size to squares of one size. */
#include <string.h>

#include "handsoff/import.h"

ho_aspect ho_aspect_of(const char *text) {
    if (strcmp(text, "crop") == 0) {
        return HO_ASPECT_CROP;
    }
    return strcmp(text, "pad") == 0 ? HO_ASPECT_PAD : HO_ASPECT_SQUASH;
}

/* The window of the photo that becomes the square: its corner (may lie outside) and its size. */
static void window_of(int width, int height, ho_aspect aspect, int window[4]) {
    const int least = width < height ? width : height, most = width < height ? height : width;
    const int side = aspect == HO_ASPECT_CROP ? least : most;
    window[2] = aspect == HO_ASPECT_SQUASH ? width : side;
    window[3] = aspect == HO_ASPECT_SQUASH ? height : side;
    window[0] = (width - window[2]) / 2;
    window[1] = (height - window[3]) / 2;
}

ho_framing ho_framing_of(int width, int height, int size, ho_aspect aspect) {
    int window[4];
    window_of(width, height, aspect, window);
    const ho_framing framing = {window[0], window[1], (double)size / window[2], (double)size / window[3]};
    return framing;
}

static int clamp_to(int at, int n) {
    return at < 0 ? 0 : (at >= n ? n - 1 : at);
}

typedef ho_status (*resizer)(const ho_image *from, int width, int height, ho_image *to);

static ho_status to_square(const ho_image *photo, int size, ho_aspect aspect, resizer resize, ho_image *square) {
    int window[4];
    window_of(photo->width, photo->height, aspect, window);
    if (window[2] == photo->width && window[3] == photo->height) {
        return resize(photo, size, size, square);
    }
    ho_image part;
    HO_TRY(ho_image_new(window[2], window[3], 3, &part));
    for (int y = 0; y < part.height; y++) {
        const uint8_t *from = photo->pixels + (int64_t)clamp_to(y + window[1], photo->height) * photo->width * 3;
        for (int x = 0; x < part.width; x++) {
            memcpy(part.pixels + ((int64_t)y * part.width + x) * 3,
                   from + (int64_t)clamp_to(x + window[0], photo->width) * 3, 3);
        }
    }
    const ho_status status = resize(&part, size, size, square);
    ho_image_free(&part);
    return status;
}

ho_status ho_photo_to_square(const ho_image *photo, int size, ho_aspect aspect, ho_image *square) {
    return to_square(photo, size, aspect, ho_image_resize, square);
}

ho_status ho_photo_to_square_bicubic(const ho_image *photo, int size, ho_aspect aspect, ho_image *square) {
    return to_square(photo, size, aspect, ho_image_resize_bicubic, square);
}

#include "picture.h"

#include "check.h"

/* The formula of tests/golden/resize_pillow.py. */
static int value(int x, int y, int c) {
    return (x * x * 7 + y * 31 * (c + 1) + (x * y) % 11 * 19 + (x > 11 ? 90 : 0)) % 256;
}

ho_image make_picture(int width, int height, int channels) {
    ho_image image;
    CHECK_OK(ho_image_new(width, height, channels, &image));
    for (int i = 0; i < width * height * channels; i++) {
        image.pixels[i] = (uint8_t)value(i / channels % width, i / channels / width, i % channels);
    }
    return image;
}

/* The picture that tests/golden/resize_pillow.py resizes. */
#ifndef HANDSOFF_TESTS_PICTURE_H
#define HANDSOFF_TESTS_PICTURE_H

#include "handsoff/image.h"

/* Of any size, the channels differing; free with ho_image_free. */
ho_image make_picture(int width, int height, int channels);

#endif

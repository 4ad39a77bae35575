/* Images as an encoder sees them: in its own size, by the filter that its training used. */
#include "encoder_view.h"

#include <stdlib.h>
#include <string.h>

#include "handsoff/image.h"

/* One image, of whose rows those in the middle count that have the input's shape. */
static ho_status view(const ho_encoder_shape *shape, const uint8_t *image, int64_t H, int64_t W, float *seen) {
    const int64_t rows = W * shape->height / shape->width < H ? W * shape->height / shape->width : H;
    const int64_t count = shape->height * shape->width * 3;
    const uint8_t *first = image + (H - rows) / 2 * W * 3;
    if (rows == shape->height && W == shape->width) {
        ho_bytes_to_floats(first, count, seen);
        return HO_OK;
    }
    uint8_t *copy = malloc((size_t)(rows * W * 3));
    if (copy == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for an image of %lldx%lld", (long long)rows, (long long)W);
    }
    memcpy(copy, first, (size_t)(rows * W * 3));
    ho_image from = {.width = (int)W, .height = (int)rows, .channels = 3, .pixels = copy}, to = {0};
    const ho_status status = ho_image_resize(&from, (int)shape->width, (int)shape->height, &to);
    if (status == HO_OK) {
        ho_bytes_to_floats(to.pixels, count, seen);
    }
    ho_image_free(&to);
    ho_image_free(&from);
    return status;
}

ho_status ho_encoder_view(ho_context *context, const ho_encoder *encoder, const uint8_t *images, int64_t N, int64_t H,
                          int64_t W, ho_tensor **input) {
    const ho_encoder_shape *s = ho_encoder_shape_of(encoder);
    const int64_t count = s->height * s->width * 3;
    float *seen = malloc((size_t)(N * count) * sizeof *seen);
    ho_status status = HO_OK;
    if (seen == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %lld images of %lldx%lld", (long long)N, (long long)s->height,
                (long long)s->width);
    }
    for (int64_t n = 0; n < N && status == HO_OK; ++n) {
        status = view(s, images + n * H * W * 3, H, W, seen + n * count);
    }
    status = status == HO_OK ? ho_tensor_from_host(context, seen, HO_SHAPE(N, s->height, s->width, 3), input) : status;
    free(seen);
    return status;
}

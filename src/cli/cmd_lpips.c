/* handsoff lpips --weights NET.h5 A.png B.png */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "handsoff/image.h"
#include "handsoff/perceptual.h"

/* The image as a tensor (1, H, W, 3) in [-1, 1]. */
static ho_status image_tensor(ho_context *context, const ho_image *image, ho_tensor **tensor) {
    const int64_t count = (int64_t)image->height * image->width * 3;
    float *host = malloc((size_t)count * sizeof *host);
    if (host == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for an image of %d x %d", image->width, image->height);
    }
    ho_bytes_to_floats(image->pixels, count, host);
    const ho_status status = ho_tensor_from_host(context, host, HO_SHAPE(1, image->height, image->width, 3), tensor);
    free(host);
    return status;
}

static ho_status print_distance(const char *weights, const ho_image images[2], char **names) {
    ho_device *device = NULL;
    ho_context *context = NULL;
    ho_perceptual *net = NULL;
    ho_tensor *a = NULL, *b = NULL, *distance = NULL;
    double value = 0.0;
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_device_open(0, 0, &device));
    HO_TRY_DONE(ho_context_create(device, &context));
    HO_TRY_DONE(ho_perceptual_load(device, weights, &net));
    HO_TRY_DONE(image_tensor(context, &images[0], &a));
    HO_TRY_DONE(image_tensor(context, &images[1], &b));
    status = ho_lpips(context, net, a, b, &distance);
    if (status != HO_OK) {
        ho_fail_context(status, "%s and %s", names[0], names[1]);
        goto done;
    }
    HO_TRY_DONE(ho_tensor_scalar(context, distance, &value));
    printf("%.6f\n", value);
done:
    ho_context_free(context);
    ho_perceptual_free(net);
    ho_device_close(device);
    return status;
}

ho_status ho_cmd_lpips(const char *name, int argc, char **argv) {
    const char *weights = NULL;
    const ho_option options[] = {{"--weights", &weights, NULL, true}};
    int n_words = 0;
    HO_TRY(ho_options_parse(name, argc, argv, 1, options, &n_words));
    if (n_words != 2) {
        HO_FAIL(HO_EUSAGE, "%s: expected two images, found %d; usage: handsoff lpips --weights NET.h5 A.png B.png",
                name, n_words);
    }
    ho_image images[2] = {{0}, {0}};
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_image_read(argv[0], &images[0]));
    HO_TRY_DONE(ho_image_read(argv[1], &images[1]));
    if (images[0].width != images[1].width || images[0].height != images[1].height) {
        status =
            ho_fail(HO_ESHAPE, __FILE__, __LINE__, "%s is %d x %d pixels and %s is %d x %d: they must be of one size",
                    argv[0], images[0].width, images[0].height, argv[1], images[1].width, images[1].height);
        goto done;
    }
    status = print_distance(weights, images, argv);
done:
    ho_image_free(&images[0]);
    ho_image_free(&images[1]);
    return status;
}

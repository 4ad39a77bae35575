/* handsoff synth --weights G.h5 --seeds 0-3,7 [--trunc 0.7] [--noise const|none] --out DIR
 *
 * As the official generator: z = RandomState(seed).randn (stylegan2-ada-pytorch, generate.py), w truncated towards
 * w_avg, constant noise. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "handsoff/image.h"
#include "handsoff/random.h"
#include "handsoff/stylegan2.h"
#include "src/stages/run_internal.h"

enum { MOST_IMAGES = 8, MOST_PIXELS = MOST_IMAGES * 256 * 256 }; /* of one batch */

typedef struct {
    const char *weights, *out;
    double psi;
    ho_noise noise;
    int64_t n_seeds;
    uint32_t *seeds;
} synth;

static ho_status draw_z(ho_context *context, const uint32_t *seeds, int64_t n, int64_t z_dim, ho_tensor **z) {
    float *host = malloc((size_t)(n * z_dim) * sizeof *host);
    if (host == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %lld latents", (long long)n);
    }
    for (int64_t i = 0; i < n; ++i) {
        ho_numpy_random random;
        ho_numpy_seed(&random, seeds[i]);
        for (int64_t j = 0; j < z_dim; ++j) {
            host[i * z_dim + j] = (float)ho_numpy_randn(&random);
        }
    }
    const ho_status status = ho_tensor_from_host(context, host, HO_SHAPE(n, z_dim), z);
    free(host);
    return status;
}

/* Writes the images (n, H, W, 3) of the tensor as DIR/seedNNNN.png. */
static ho_status write_images(ho_context *context, const synth *args, int64_t first, const ho_tensor *images) {
    const int64_t H = images->dim[1], W = images->dim[2], count = H * W * 3;
    float *host = malloc((size_t)ho_tensor_count(images) * sizeof *host);
    ho_image image = {0};
    ho_status status = HO_OK;
    if (host == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %lld images", (long long)images->dim[0]);
    }
    HO_TRY_DONE(ho_tensor_to_host(context, images, host));
    HO_TRY_DONE(ho_image_new((int)W, (int)H, 3, &image));
    for (int64_t i = 0; i < images->dim[0]; ++i) {
        char path[HO_PATH_SIZE];
        if (snprintf(path, sizeof path, "%s/seed%04u.png", args->out, args->seeds[first + i]) >= (int)sizeof path) {
            status = ho_fail(HO_EIO, __FILE__, __LINE__, "--out: the name '%.100s...' is too long", args->out);
            goto done;
        }
        ho_floats_to_bytes(host + i * count, count, image.pixels);
        HO_TRY_DONE(ho_image_write_png(path, &image));
    }
done:
    ho_image_free(&image);
    free(host);
    return status;
}

static ho_status make_images(ho_context *context, ho_generator *generator, const synth *args) {
    const ho_stylegan2_shape *shape = ho_generator_shape(generator);
    const int64_t fits = MOST_PIXELS / (shape->height * shape->width);
    const int64_t batch = fits < 1 ? 1 : fits < MOST_IMAGES ? fits : MOST_IMAGES;
    for (int64_t first = 0; first < args->n_seeds; first += batch) {
        const int64_t left = args->n_seeds - first, n = left < batch ? left : batch;
        ho_tensor *z = NULL, *w = NULL, *truncated = NULL, *w_plus = NULL, *images = NULL;
        ho_context_reset(context);
        HO_TRY(draw_z(context, args->seeds + first, n, shape->z_dim, &z));
        HO_TRY(ho_generator_map(context, generator, z, &w));
        HO_TRY(ho_generator_truncate(context, generator, w, args->psi, &truncated));
        HO_TRY(ho_w_to_w_plus(context, truncated, ho_stylegan2_n_ws(shape), &w_plus));
        HO_TRY(ho_generator_synthesize(context, generator, w_plus, &args->noise, NULL, &images));
        HO_TRY(write_images(context, args, first, images));
    }
    return HO_OK;
}

static ho_status synthesize(const synth *args) {
    ho_device *device = NULL;
    ho_context *context = NULL;
    ho_generator *generator = NULL;
    ho_status status = HO_OK;
    HO_TRY(ho_make_folders(args->out, true));
    if (access(args->out, W_OK | X_OK) != 0) {
        HO_FAIL(HO_EIO, "--out: folder %s cannot be written: %s", args->out, strerror(errno));
    }
    HO_TRY_DONE(ho_device_open(0, 0, &device));
    HO_TRY_DONE(ho_context_create(device, &context));
    HO_TRY_DONE(ho_generator_load(device, args->weights, &generator));
    status = make_images(context, generator, args);
done:
    ho_context_free(context);
    ho_generator_free(generator);
    ho_device_close(device);
    return status;
}

ho_status ho_cmd_synth(const char *name, int argc, char **argv) {
    const char *seeds = NULL, *psi = NULL, *noise = NULL;
    synth args = {.psi = 1.0, .noise = {.mode = HO_NOISE_CONST}};
    const ho_option options[] = {{"--weights", &args.weights, NULL, true},
                                 {"--seeds", &seeds, NULL, true},
                                 {"--trunc", &psi, NULL, false},
                                 {"--noise", &noise, NULL, false},
                                 {"--out", &args.out, NULL, true}};
    int n_words = 0;
    HO_TRY(ho_options_parse(name, argc, argv, 5, options, &n_words));
    if (n_words > 0) {
        HO_FAIL(HO_EUSAGE, "%s: unexpected '%.80s'; 'handsoff help synth' lists the options", name, argv[0]);
    }
    if (psi != NULL) {
        HO_TRY(ho_option_real("--trunc", psi, -10.0, 10.0, &args.psi));
    }
    if (noise != NULL && strcmp(noise, "const") != 0 && strcmp(noise, "none") != 0) {
        HO_FAIL(HO_EUSAGE, "--noise: expected const or none, found '%.80s'", noise);
    }
    args.noise.mode = noise != NULL && strcmp(noise, "none") == 0 ? HO_NOISE_NONE : HO_NOISE_CONST;
    HO_TRY(ho_option_seeds("--seeds", seeds, &args.n_seeds, &args.seeds));
    const ho_status status = synthesize(&args);
    free(args.seeds);
    return status;
}

/* The encoder with a generator: its start latent, and all of its iterations. */
#include "encoder_parts.h"

/* N times the latent where passes begin. */
static ho_status start_latents(ho_context *context, const ho_encoder *encoder, ho_generator *generator, int64_t N,
                               ho_tensor **start) {
    ho_tensor *w = NULL;
    if (encoder != NULL && encoder->latent_avg != NULL) {
        return ho_broadcast_batch(context, encoder->latent_avg, N, start);
    }
    HO_TRY(
        ho_broadcast_batch(context, &ho_params_find(ho_generator_params(generator), "mapping.w_avg")->tensor, N, &w));
    HO_TRY(ho_w_to_w_plus(context, w, ho_stylegan2_n_ws(ho_generator_shape(generator)), start));
    ho_tensor_release(context, w);
    return HO_OK;
}

ho_status ho_encoder_start(ho_context *context, const ho_encoder *encoder, ho_generator *generator, int64_t N,
                           ho_tensor **start, ho_tensor **image) {
    const ho_stylegan2_shape *shape = ho_generator_shape(generator);
    HO_TRY(start_latents(context, encoder, generator, N, start));
    if (image != NULL) {
        /* One image is made and copied N times. */
        ho_tensor *w_plus = NULL, *single = NULL, *plane = NULL;
        HO_TRY(start_latents(context, encoder, generator, 1, &w_plus));
        HO_TRY(ho_generator_synthesize(context, generator, w_plus, NULL, NULL, &single));
        HO_TRY(ho_reshape(context, single, HO_SHAPE(shape->height, shape->width, 3), &plane));
        HO_TRY(ho_broadcast_batch(context, plane, N, image));
        ho_tensor_release(context, plane);
        ho_tensor_release(context, single);
        ho_tensor_release(context, w_plus);
    }
    return HO_OK;
}

static ho_status iterate(ho_context *context, ho_encoder *encoder, ho_generator *generator, ho_tensor *image,
                         ho_tensor **w_plus) {
    const int64_t iterations = ho_encoder_shape_of(encoder)->iterations;
    ho_tensor *latent = NULL, *current = NULL, *next = NULL;
    HO_TRY(ho_encoder_start(context, encoder, generator, image->dim[0], &latent, iterations > 1 ? &current : NULL));
    for (int64_t i = 0; i < iterations; ++i) {
        if (i > 0) {
            ho_tensor_release(context, current);
            HO_TRY(ho_generator_synthesize(context, generator, latent, NULL, NULL, &current));
        }
        HO_TRY(ho_encoder_pass(context, encoder, image, current, latent, false, &next));
        ho_tensor_release(context, latent);
        latent = next;
    }
    if (current != NULL) {
        ho_tensor_release(context, current);
    }
    *w_plus = latent;
    return HO_OK;
}

ho_status ho_encoder_invert(ho_context *context, ho_encoder *encoder, ho_generator *generator, ho_tensor *image,
                            ho_tensor **w_plus) {
    HO_TRY(ho_encoder_suits(ho_encoder_shape_of(encoder), ho_generator_shape(generator)));
    const bool recording = ho_context_recording(context);
    ho_context_record(context, false);
    const ho_status status = iterate(context, encoder, generator, image, w_plus);
    ho_context_record(context, recording);
    return status;
}

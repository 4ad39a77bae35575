/* R1 (Mescheder et al. 2018) without a tape of tapes: with g = grad_x s and s = sum of the logits, the gradient of
 * ||g||^2 / 2 in the weights is that of the directional derivative of s along the fixed vector g. So: one reverse pass
 * for g, then a forward pass that carries the tangent g through augmentation and discriminator, and one reverse pass
 * from the tangent. */
#include "handsoff/gan_trainer.h"

static ho_status load(ho_context *context, const ho_gan_r1_args *args, ho_tensor **x) {
    return ho_tensor_from_host(context, args->images, HO_SHAPE(args->N, args->H, args->W, 3), x);
}

static ho_status seen(ho_context *context, ho_tensor *x, const ho_gan_r1_args *args, ho_tensor **y) {
    *y = x;
    return args->augmentations == NULL ? HO_OK : ho_augment(context, x, args->augmentations, y);
}

/* g (device memory, N * H * W * 3) = gradient of the summed logits in the images, and the penalty. */
static ho_status image_gradient(ho_context *context, ho_discriminator *discriminator, const ho_gan_r1_args *args,
                                ho_real *g, double *penalty) {
    ho_tensor *x, *y, *logits, *sum, *norm;
    ho_context_reset(context);
    ho_context_record(context, true);
    HO_TRY(load(context, args, &x));
    x->needs_grad = true;
    HO_TRY(seen(context, x, args, &y));
    HO_TRY(ho_discriminator_forward(context, discriminator, y, NULL, &logits, NULL));
    HO_TRY(ho_sum(context, logits, 1.0, &sum));
    HO_TRY(ho_backward(context, sum));
    ho_context_record(context, false);
    HO_REQUIRE(x->grad != NULL, "r1: no gradient reached the images");
    ho_tensor gradient = {.name = "r1/gradient", .rank = x->rank, .data = x->grad};
    for (int i = 0; i < x->rank; ++i) {
        gradient.dim[i] = x->dim[i];
    }
    HO_TRY(ho_dot(context, &gradient, &gradient, 0.5 * args->gamma / (double)args->N, &norm));
    HO_TRY(ho_tensor_scalar(context, norm, penalty));
    return ho_device_copy(ho_context_device(context), g, x->grad, ho_tensor_bytes(x));
}

static ho_status weight_gradient(ho_context *context, ho_discriminator *discriminator, const ho_gan_r1_args *args,
                                 const ho_real *g) {
    ho_tensor *x, *x_dot, *y, *y_dot, *logits, *logits_dot, *loss;
    ho_context_reset(context);
    ho_context_record(context, true);
    HO_TRY(load(context, args, &x));
    HO_TRY(ho_tensor_like(context, x, &x_dot));
    HO_TRY(ho_device_copy(ho_context_device(context), x_dot->data, g, ho_tensor_bytes(x)));
    HO_TRY(seen(context, x, args, &y));
    y_dot = x_dot;
    if (args->augmentations != NULL) {
        HO_TRY(ho_augment_tangent(context, x_dot, args->augmentations, &y_dot));
    }
    HO_TRY(ho_discriminator_forward(context, discriminator, y, y_dot, &logits, &logits_dot));
    HO_TRY(ho_sum(context, logits_dot, args->weight * args->gamma / (double)args->N, &loss));
    HO_TRY(ho_backward(context, loss));
    ho_context_record(context, false);
    return HO_OK;
}

ho_status ho_gan_r1(ho_context *context, ho_discriminator *discriminator, const ho_gan_r1_args *args, double *penalty) {
    ho_device *device = ho_context_device(context);
    ho_params *params = ho_discriminator_params(discriminator);
    void *g;
    HO_TRY(ho_device_alloc(device, (size_t)(args->N * args->H * args->W * 3) * sizeof(ho_real), &g));
    ho_params_set_trainable(params, false);
    ho_status status = image_gradient(context, discriminator, args, g, penalty);
    ho_params_set_trainable(params, true);
    if (status == HO_OK && args->weight != 0.0) {
        status = weight_gradient(context, discriminator, args, g);
    }
    ho_context_record(context, false);
    ho_context_reset(context);
    ho_device_free(device, g);
    return status;
}

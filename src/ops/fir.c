/* Filtered resampling: see kernels/fir.cu. */
#include "handsoff/ops.h"

#include "fir.h"

enum { TAPS = 4 };

typedef struct {
    ho_tensor *x, *y;
    ho_fir_shape shape;
} fir_saved;

static ho_status fir_backward(ho_context *context, void *saved) {
    const fir_saved *s = saved;
    const ho_fir_shape *f = &s->shape;
    const ho_fir_shape transposed = {f->N, f->P, f->Q, f->C, f->H, f->W, f->down, f->up, TAPS - 1 - f->before, f->gain};
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->x, &g, &accumulate));
    return ho_k_fir(ho_context_stream(context), &transposed, s->y->grad, accumulate, g);
}

ho_status ho_fir(ho_context *context, ho_tensor *x, const ho_fir_options *options, ho_tensor **y) {
    HO_REQUIRE(x->rank == 4, "fir: x %s must be (N, H, W, C)", ho_tensor_shape_text(x));
    HO_REQUIRE(options->up >= 1 && options->down >= 1 && options->before >= 0 && options->before < TAPS &&
                   options->after >= 0,
               "fir: up %lld, down %lld, padding (%lld, %lld): padding before must be 0 to 3, after not negative",
               (long long)options->up, (long long)options->down, (long long)options->before, (long long)options->after);
    const int64_t pad = options->before + options->after - TAPS;
    const int64_t room[2] = {x->dim[1] * options->up + pad, x->dim[2] * options->up + pad};
    HO_REQUIRE(room[0] >= 0 && room[1] >= 0, "fir: x %s is smaller than the filter of 4 at padding (%lld, %lld)",
               ho_tensor_shape_text(x), (long long)options->before, (long long)options->after);
    const ho_fir_shape shape = {x->dim[0],
                                x->dim[1],
                                x->dim[2],
                                x->dim[3],
                                room[0] / options->down + 1,
                                room[1] / options->down + 1,
                                options->up,
                                options->down,
                                options->before,
                                (ho_real)options->gain};
    HO_TRY(ho_tensor_new(context, HO_SHAPE(shape.N, shape.P, shape.Q, shape.C), y));
    HO_TRY(ho_k_fir(ho_context_stream(context), &shape, x->data, false, (*y)->data));
    if (HO_WANTS_GRAD(context, x)) {
        fir_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (fir_saved){x, *y, shape};
        HO_TRY(ho_tape_push(context, "fir", *y, fir_backward, saved));
    }
    return HO_OK;
}

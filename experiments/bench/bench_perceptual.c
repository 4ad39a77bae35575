/* LPIPS over VGG16 of full width; forward, and forward with the gradient of one image. */
#include <stdio.h>

#include "bench.h"
#include "handsoff/perceptual.h"

typedef struct {
    ho_perceptual *net;
    ho_tensor *a, *b;
    bool backward;
} lpips;

static ho_status compare(bench_work *work, const lpips *s) {
    ho_tensor *distance = NULL, *loss = NULL;
    HO_TRY(ho_lpips(work->context, s->net, s->a, s->b, &distance));
    HO_TRY(ho_sum(work->context, distance, 1.0, &loss));
    return s->backward ? ho_backward(work->context, loss) : HO_OK;
}

static ho_status run_lpips(bench_work *work) {
    const lpips *s = work->state;
    ho_context_reset(work->context);
    s->a->has_grad = false;
    s->a->grad = NULL;
    ho_context_record(work->context, s->backward);
    const ho_status status = compare(work, s);
    ho_context_record(work->context, false);
    return status;
}

ho_status bench_make_lpips(bench_work *work, int64_t size, int64_t N, int64_t backward) {
    static lpips s;
    HO_TRY(bench_vgg16(work, size, &s.net));
    HO_TRY(bench_normal(work, HO_SHAPE(N, size, size, 3), 1, &s.a));
    HO_TRY(bench_normal(work, HO_SHAPE(N, size, size, 3), 2, &s.b));
    s.backward = backward != 0;
    s.a->needs_grad = s.backward;
    work->state = &s;
    work->run = run_lpips;
    work->recordable = true;
    work->flop = (double)N * (s.backward ? 3.0 : 2.0) * bench_flop_vgg16(size, size);
    (void)snprintf(work->shape, sizeof work->shape, "N%lld %lldx%lld VGG16, features of both images%s", (long long)N,
                   (long long)size, (long long)size, s.backward ? ", gradient of one" : "");
    return HO_OK;
}

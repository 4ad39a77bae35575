/* Parameter updates over flat blocks of n numbers.
 *
 * Adam (Kingma & Ba 2015; eps placed as in torch.optim.Adam), g = clean(grad_scale * grad) + weight_decay * value:
 *   m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2,
 *   value <- value - lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps).
 * clean: NaN -> 0, +-inf -> +-1e5 (stylegan2-ada-pytorch, training/training_loop.py). One element a thread. */
#include "update.h"

#include "real.h"

HO_DEVICE ho_real clean(ho_real g) {
    const ho_real most = HO_R(1e5);
    if (g != g) {
        return 0;
    }
    return isinf(g) ? (g > 0 ? most : -most) : g;
}

HO_KERNEL adam_kernel(ho_real *HO_RESTRICT value, const ho_real *HO_RESTRICT grad, ho_real *HO_RESTRICT m,
                      ho_real *HO_RESTRICT v, int64_t n, ho_adam_step_args a) {
    HO_GRID_LOOP (i, n) {
        const ho_real g = clean(a.grad_scale * grad[i]) + a.weight_decay * value[i];
        const ho_real m_new = a.beta1 * m[i] + (1 - a.beta1) * g;
        const ho_real v_new = a.beta2 * v[i] + (1 - a.beta2) * g * g;
        m[i] = m_new;
        v[i] = v_new;
        value[i] -= a.lr * m_new / (ho_sqrt(v_new * a.v_correction) + a.eps);
    }
}

ho_status ho_k_adam(ho_real *value, const ho_real *grad, ho_real *m, ho_real *v, int64_t n,
                    const ho_adam_step_args *args, ho_stream stream) {
    if (n == 0) {
        return HO_OK;
    }
    HO_LAUNCH(adam_kernel, ho_grid(n, 256), 256, 0, stream, value, grad, m, v, n, *args);
    return HO_LAUNCH_STATUS("adam");
}

HO_KERNEL lerp_kernel(ho_real *HO_RESTRICT to, const ho_real *HO_RESTRICT from, int64_t n, ho_real t) {
    HO_GRID_LOOP (i, n) {
        to[i] += (from[i] - to[i]) * t;
    }
}

ho_status ho_k_lerp(ho_real *to, const ho_real *from, int64_t n, ho_real t, ho_stream stream) {
    if (n == 0) {
        return HO_OK;
    }
    HO_LAUNCH(lerp_kernel, ho_grid(n, 256), 256, 0, stream, to, from, n, t);
    return HO_LAUNCH_STATUS("lerp");
}

/* The parameters of a network: named tensors in a few flat device blocks (values, gradients), so that the optimiser,
 * the moving average and an all-reduce are one pass each. And Adam.
 *
 * Life: create, add..., commit (allocates and initialises), use, free. Tensor pointers stay valid from add to free. */
#ifndef HANDSOFF_PARAMS_H
#define HANDSOFF_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/device.h"
#include "handsoff/status.h"
#include "handsoff/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Initial value of element i: mean + std * normal(seed, stream of the name, i). */
typedef struct {
    double mean, std;
} ho_init;
#define HO_INIT_ZERO      ((ho_init){0.0, 0.0})
#define HO_INIT_ONE       ((ho_init){1.0, 0.0})
#define HO_INIT_NORMAL(s) ((ho_init){0.0, (s)})

typedef enum {
    HO_PARAM,  /* trained                                                                            */
    HO_BUFFER, /* state that is saved but not trained: w_avg, noise_const, running mean and variance */
} ho_param_kind;

/* How the tensor is written to files. Convolution weights are (O, k, k, I) in memory and (O, I, k, k), PyTorch's order,
 * in files, so that a viewer shows the shapes that the field knows. */
typedef enum { HO_FILE_SAME, HO_FILE_OIHW, HO_FILE_CHW /* (H, W, C) in memory, (C, H, W) in files */ } ho_file_order;

typedef struct {
    char name[96];
    ho_tensor tensor; /* tensor.name points to name */
    ho_param_kind kind;
    ho_init init;
    ho_file_order order;
} ho_param;

typedef struct ho_params ho_params;

/* An empty set, for tensors on this device. */
ho_status ho_params_create(ho_device *device, ho_params **params);
void ho_params_free(ho_params *params); /* with all its tensors; NULL is allowed */
/* Declares a tensor; *tensor is its handle. name (printf format) must be new, at most 95 characters. */
ho_status ho_params_add(ho_params *params, ho_param_kind kind, ho_init init, ho_file_order order, int rank,
                        const int64_t *dim, ho_tensor **tensor, const char *name, ...)
    __attribute__((format(printf, 8, 9)));
/* Allocates all declared tensors and draws their initial values. */
ho_status ho_params_commit(ho_params *params, uint64_t seed);
/* Draws the initial values again (another ensemble member, another seed). */
ho_status ho_params_init(ho_params *params, uint64_t seed);

/* How many tensors are declared, and number i of them in order of declaration; owned by the set. */
int ho_params_n(const ho_params *params);
ho_param *ho_params_at(const ho_params *params, int i);
ho_param *ho_params_find(const ho_params *params, const char *name);  /* NULL when there is none */
int64_t ho_params_count(const ho_params *params, ho_param_kind kind); /* elements */

/* needs_grad of all HO_PARAM tensors: false freezes the network, so that no weight gradients are computed. */
void ho_params_set_trainable(ho_params *params, bool on);
/* Forgets gradients: the next backward overwrites them. */
void ho_params_zero_grad(ho_params *params);
/* to = to + (from - to) * t for HO_PARAM tensors; HO_BUFFER tensors are copied. Same declarations required. */
ho_status ho_params_lerp(ho_params *to, const ho_params *from, double t);
/* Copies values and buffers. Same declarations required: HO_ESHAPE otherwise. */
ho_status ho_params_copy(ho_params *to, const ho_params *from);
/* Values as they are written to files: `host` has the tensor's count, in file order. */
ho_status ho_param_get(ho_params *params, const ho_param *param, float *host);
/* The reverse: `host` has values in file order. */
ho_status ho_param_set(ho_params *params, ho_param *param, const float *host);
/* Flat block of all HO_PARAM elements, in order of declaration (each tensor padded to 64 elements). */
ho_real *ho_params_values(const ho_params *params, int64_t *count);
/* The values of a network that is used many times between changes: the target keeps what it derives from them, at the
 * cost of memory (ho_device_hold). Changes through this interface and the device's are seen. */
ho_status ho_params_hold(ho_params *params, bool on);

/* Adam (Kingma & Ba 2015) with bias correction, as torch.optim.Adam. weight_decay adds decay * value to the gradient.
 */
typedef struct {
    double lr, beta1, beta2, eps, weight_decay;
} ho_adam_options;
typedef struct ho_adam ho_adam;
ho_status ho_adam_create(ho_params *params, ho_adam **adam); /* borrows params */
void ho_adam_free(ho_adam *adam);
/* One update from the gradients (a tensor without a gradient counts as zero), which are scaled by grad_scale first;
 * NaN becomes 0 and +-inf +-1e5, as in stylegan2-ada-pytorch (training/training_loop.py). Clears the gradients. */
ho_status ho_adam_step(ho_adam *adam, const ho_adam_options *options, double grad_scale);
/* State for checkpoints. The number of updates so far: */
int64_t ho_adam_steps(const ho_adam *adam);
/* Copies the two moment blocks to the host: m and v have ho_params_values's count of floats each. */
ho_status ho_adam_get(ho_adam *adam, float *m, float *v);
/* Takes them, and the number of updates, from there. */
ho_status ho_adam_set(ho_adam *adam, int64_t steps, const float *m, const float *v);

#ifdef __cplusplus
}
#endif
#endif

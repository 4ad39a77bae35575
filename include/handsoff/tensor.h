/* Tensors, the arena they live in, and the tape that differentiates what was done with them.
 *
 * A step (one training iteration, one image batch) runs inside a ho_context: it allocates tensors from the context's
 * arena, and ho_context_reset() forgets them all at once, so that addresses repeat from step to step. An operation
 * (ops.h) runs at once and, while the context records and an input needs a gradient, pushes its backward onto the tape;
 * ho_backward() walks the tape. Nothing else knows how a gradient is computed. */
#ifndef HANDSOFF_TENSOR_H
#define HANDSOFF_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handsoff/device.h"
#include "handsoff/status.h"
#include "handsoff/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HO_MAX_RANK = 5 };

/* A dense row-major array in device memory. Images are (N, H, W, C). Borrowed: the arena or a ho_params owns the data.
 */
typedef struct ho_tensor {
    const char *name; /* for messages; may be NULL */
    int rank;
    int64_t dim[HO_MAX_RANK];
    ho_real *data;
    ho_real *grad;   /* same shape; NULL until the first gradient arrives */
    bool needs_grad; /* gradients flow into this tensor */
    bool has_grad;   /* grad holds a value: the next contribution is added, the first one overwrites */
} ho_tensor;

typedef struct ho_context ho_context;

/* A context on `device` (borrowed). Fresh contexts do not record. */
ho_status ho_context_create(ho_device *device, ho_context **context);
void ho_context_free(ho_context *context);
/* Forgets every tensor, tape entry and scratch block of the step; memory stays reserved for the next one. */
void ho_context_reset(ho_context *context);
ho_device *ho_context_device(const ho_context *context);
ho_stream ho_context_stream(const ho_context *context);
/* The most bytes of device memory that a step has used. */
size_t ho_context_peak_bytes(const ho_context *context);

/* While recording, operations whose inputs need gradients go onto the tape. */
void ho_context_record(ho_context *context, bool on);
bool ho_context_recording(const ho_context *context);

/* Shape arguments: HO_SHAPE(N, H, W, C) expands to a dimension count and an array. */
#define HO_SHAPE(...)                                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                                     \
        __VA_ARGS__                                                                                                    \
    }

/* A new tensor with undefined content, alive until reset or release. */
ho_status ho_tensor_new(ho_context *context, int rank, const int64_t *dim, ho_tensor **tensor);
ho_status ho_tensor_like(ho_context *context, const ho_tensor *model, ho_tensor **tensor);
/* A new tensor filled from host floats (converted to ho_real), and the way back. `host` holds ho_tensor_count values.
 */
ho_status ho_tensor_from_host(ho_context *context, const float *host, int rank, const int64_t *dim, ho_tensor **tensor);
ho_status ho_tensor_set_host(ho_context *context, ho_tensor *tensor, const float *host);
ho_status ho_tensor_to_host(ho_context *context, const ho_tensor *tensor, float *host);
ho_status ho_tensor_grad_to_host(ho_context *context, const ho_tensor *tensor,
                                 float *host); /* zeros where no gradient came */
/* The value of a one-element tensor. */
ho_status ho_tensor_scalar(ho_context *context, const ho_tensor *tensor, double *value);
/* Gives the data back to the arena before the step ends; does nothing while recording (the backward may need it). */
void ho_tensor_release(ho_context *context, ho_tensor *tensor);

int64_t ho_tensor_count(const ho_tensor *tensor);
size_t ho_tensor_bytes(const ho_tensor *tensor);
bool ho_tensor_same_shape(const ho_tensor *a, const ho_tensor *b);
/* "(2, 8, 8, 3)" in one of a few rotating static buffers: for messages only. */
const char *ho_tensor_shape_text(const ho_tensor *tensor);

/* ---- for operations ---------------------------------------------------------------------------------------------- */

/* Device scratch from the arena, alive until ho_scratch_free, ho_context_reset. 256-byte aligned. */
ho_status ho_scratch(ho_context *context, int64_t count, ho_real **scratch);
ho_status ho_scratch_bytes(ho_context *context, size_t bytes, void **scratch);
void ho_scratch_free(ho_context *context, void *scratch); /* memory that is not the arena's is left alone */
/* Zeroed host memory alive until ho_context_reset: for what an operation saves for its backward. */
ho_status ho_host_scratch(ho_context *context, size_t bytes, void **scratch);

/* Backward of one operation: reads the outputs' grad, adds into the inputs' grad. `saved` is what was pushed. */
typedef ho_status (*ho_backward_fn)(ho_context *context, void *saved);

/* True when a gradient of this operation can be asked for: recording, and one of the inputs needs it. NULLs allowed. */
bool ho_wants_grad(const ho_context *context, int n_inputs, ho_tensor *const *inputs);
#define HO_WANTS_GRAD(context, ...)                                                                                    \
    ho_wants_grad((context), (int)(sizeof((ho_tensor *[]){__VA_ARGS__}) / sizeof(ho_tensor *)),                        \
                  (ho_tensor *const[]){__VA_ARGS__})

/* Pushes the backward and marks `output` as needing a gradient. When the walk reaches an entry whose output received no
 * gradient, the entry is skipped; after it ran, the output's grad memory is returned to the arena. */
ho_status ho_tape_push(ho_context *context, const char *op, ho_tensor *output, ho_backward_fn backward, void *saved);

/* Where to put a gradient of `tensor`: *grad is NULL when none is wanted; *accumulate says add (true) or overwrite.
 * Call once per contribution, and then write all elements. */
ho_status ho_grad_target(ho_context *context, ho_tensor *tensor, ho_real **grad, bool *accumulate);

/* ---- differentiation --------------------------------------------------------------------------------------------- */

/* d loss / d everything that needs a gradient; loss has one element and was recorded in this step. */
ho_status ho_backward(ho_context *context, ho_tensor *loss);
/* The same with the gradient of `output` given: seed has output's shape (vector-Jacobian product). */
ho_status ho_backward_seed(ho_context *context, ho_tensor *output, const ho_tensor *seed);
/* Empties the tape and keeps the tensors: a second, unrelated recording may follow in the same step. */
void ho_tape_clear(ho_context *context);

#ifdef __cplusplus
}
#endif
#endif

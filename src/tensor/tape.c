/* The tape: reverse-mode differentiation of what a context recorded. */
#include "context.h"

#include <stdlib.h>

#include "fill.h"

bool ho_wants_grad(const ho_context *context, int n_inputs, ho_tensor *const *inputs) {
    if (!context->recording) {
        return false;
    }
    for (int i = 0; i < n_inputs; ++i) {
        if (inputs[i] != NULL && inputs[i]->needs_grad) {
            return true;
        }
    }
    return false;
}

ho_status ho_tape_push(ho_context *context, const char *op, ho_tensor *output, ho_backward_fn backward, void *saved) {
    if (context->tape.n == context->tape.room) {
        const int room = context->tape.room == 0 ? 256 : 2 * context->tape.room;
        tape_entry *grown = realloc(context->tape.entries, (size_t)room * sizeof *grown);
        if (grown == NULL) {
            HO_FAIL(HO_EMEMORY, "cannot allocate a tape of %d entries", room);
        }
        context->tape.entries = grown;
        context->tape.room = room;
    }
    output->needs_grad = true;
    context->tape.entries[context->tape.n++] = (tape_entry){op, output, backward, saved};
    return HO_OK;
}

void ho_tape_clear(ho_context *context) {
    context->tape.n = 0;
}

ho_status ho_grad_target(ho_context *context, ho_tensor *tensor, ho_real **grad, bool *accumulate) {
    *grad = NULL;
    *accumulate = false;
    if (tensor == NULL || !tensor->needs_grad) {
        return HO_OK;
    }
    if (tensor->grad == NULL) {
        HO_TRY(ho_scratch(context, ho_tensor_count(tensor), &tensor->grad));
    }
    *grad = tensor->grad;
    *accumulate = tensor->has_grad;
    tensor->has_grad = true;
    return HO_OK;
}

static ho_status walk(ho_context *context) {
    const bool recording = context->recording;
    context->recording = false; /* a backward may use operations; they are not to be differentiated again */
    ho_status status = HO_OK;
    for (int i = context->tape.n - 1; i >= 0 && status == HO_OK; --i) {
        const tape_entry *entry = &context->tape.entries[i];
        if (!entry->output->has_grad) {
            continue;
        }
        status = entry->backward(context, entry->saved);
        if (status != HO_OK) {
            ho_fail_context(status, "backward of %s", entry->op);
        }
        ho_scratch_free(context, entry->output->grad);
        entry->output->grad = NULL;
        entry->output->has_grad = false;
    }
    context->recording = recording;
    return status;
}

ho_status ho_backward(ho_context *context, ho_tensor *loss) {
    HO_REQUIRE(ho_tensor_count(loss) == 1, "ho_backward: the loss has shape %s, not one element",
               ho_tensor_shape_text(loss));
    HO_REQUIRE(loss->needs_grad, "ho_backward: nothing that the loss depends on needs a gradient");
    ho_real *grad;
    bool accumulate;
    HO_TRY(ho_grad_target(context, loss, &grad, &accumulate));
    /* A kernel rather than an upload: a step that is being captured as a graph may not wait for the host. */
    HO_TRY(ho_k_fill(grad, 1, HO_R(1.0), ho_context_stream(context)));
    return walk(context);
}

ho_status ho_backward_seed(ho_context *context, ho_tensor *output, const ho_tensor *seed) {
    HO_REQUIRE(ho_tensor_same_shape(output, seed), "ho_backward_seed: the seed has shape %s, the output %s",
               ho_tensor_shape_text(seed), ho_tensor_shape_text(output));
    HO_REQUIRE(output->needs_grad, "ho_backward_seed: nothing that the output depends on needs a gradient");
    ho_real *grad;
    bool accumulate;
    HO_TRY(ho_grad_target(context, output, &grad, &accumulate));
    HO_TRY(ho_device_copy(context->device, grad, seed->data, ho_tensor_bytes(seed)));
    return walk(context);
}

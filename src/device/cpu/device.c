/* The cpu target: host memory, one implicit stream that runs at once, OpenMP threads. */
#include "dry.h"
#include "kept.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

_Thread_local int64_t ho_block_index = 0;
_Thread_local int64_t ho_block_count = 1;

enum { ALIGNMENT = 256, HUGE_PAGE = 2 << 20 };

static const char *vector_unit(void) {
    if (__builtin_cpu_supports("avx512f")) {
        return "AVX-512";
    }
    return __builtin_cpu_supports("avx2") ? "AVX2" : "SSE";
}

ho_status ho_device_list(char *text, size_t size) {
    snprintf(text, size, "cpu: %d threads, %s\n", omp_get_max_threads(), vector_unit());
    return HO_OK;
}

ho_status ho_device_open(int n_threads, int index, ho_device **device) {
    (void)index;
    if (n_threads > 0) {
        omp_set_num_threads(n_threads);
    }
    ho_device *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate the device");
    }
    snprintf(opened->name, sizeof opened->name, "cpu (%d threads, %s)", omp_get_max_threads(), vector_unit());
    const ho_status status = ho_cpu_conv_open(opened);
    if (status != HO_OK) {
        ho_device_close(opened);
        return status;
    }
    *device = opened;
    return HO_OK;
}

void ho_device_close(ho_device *device) {
    if (device == NULL) {
        return;
    }
    ho_cpu_conv_close(device);
    ho_cpu_kept_close(device);
    ho_dry_close(device);
    free(device->workspace);
    free(device);
}

const char *ho_device_name(const ho_device *device) {
    return device->name;
}

/* Launches on a stream that is not NULL are left out (kernel.h). */
ho_stream ho_device_stream(const ho_device *device) {
    return (ho_stream)device->dry;
}

/* Each block is preceded by one aligned unit that holds its size. Large ones ask for huge pages, where the system gives
 * them on request: products of tall matrices and images touch a page a row. */
ho_status ho_device_alloc(ho_device *device, size_t bytes, void **memory) {
    if (device->dry != NULL) {
        return ho_dry_alloc(device, bytes, memory);
    }
    const size_t padded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + ALIGNMENT;
    const bool large = padded >= (size_t)4 * HUGE_PAGE;
    char *block = padded > bytes ? aligned_alloc(large ? HUGE_PAGE : ALIGNMENT, padded) : NULL;
    if (block == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %.1f MB (%.1f MB are in use)", (double)bytes / 1048576.0,
                (double)device->bytes / 1048576.0);
    }
    if (large) {
        (void)madvise(block, padded / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    }
    memcpy(block, &bytes, sizeof bytes);
    device->bytes += bytes;
    if (device->bytes > device->peak_bytes) {
        device->peak_bytes = device->bytes;
    }
    *memory = block + ALIGNMENT;
    return HO_OK;
}

void ho_device_free(ho_device *device, void *memory) {
    if (memory == NULL) {
        return;
    }
    if (device->dry != NULL) {
        ho_dry_free(device, memory);
        return;
    }
    char *block = (char *)memory - ALIGNMENT;
    size_t bytes;
    memcpy(&bytes, block, sizeof bytes);
    ho_cpu_forget(device, memory, bytes);
    device->bytes -= bytes;
    free(block);
}

ho_status ho_cpu_workspace(ho_device *device, size_t bytes, void **workspace) {
    if (device->dry != NULL) {
        return ho_dry_workspace(device, bytes, workspace);
    }
    if (bytes > device->workspace_bytes) {
        free(device->workspace);
        device->workspace_bytes = 0;
        /* Huge pages where the system has them: transforms write to many distant lines at once. */
        const size_t padded = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        device->workspace = aligned_alloc(HUGE_PAGE, padded);
        if (device->workspace == NULL) {
            HO_FAIL(HO_EMEMORY, "cannot allocate a workspace of %.1f MB", (double)bytes / 1048576.0);
        }
        (void)madvise(device->workspace, padded, MADV_HUGEPAGE);
        device->workspace_bytes = padded;
    }
    *workspace = device->workspace;
    return HO_OK;
}

ho_status ho_device_upload(ho_device *device, void *to, const void *host, size_t bytes) {
    return ho_device_copy(device, to, host, bytes);
}

ho_status ho_device_download(ho_device *device, void *host, const void *from, size_t bytes) {
    if (device->dry != NULL) {
        memset(host, 0, bytes);
        return HO_OK;
    }
    return ho_device_copy(device, host, from, bytes);
}

ho_status ho_device_copy(ho_device *device, void *to, const void *from, size_t bytes) {
    if (device->dry != NULL) {
        ho_dry_touch(device, to, bytes);
    } else if (bytes > 0) {
        memcpy(to, from, bytes);
        ho_cpu_changed(device, to, bytes);
    }
    return HO_OK;
}

ho_status ho_device_zero(ho_device *device, void *memory, size_t bytes) {
    if (device->dry != NULL) {
        ho_dry_touch(device, memory, bytes);
    } else if (bytes > 0) {
        memset(memory, 0, bytes);
        ho_cpu_changed(device, memory, bytes);
    }
    return HO_OK;
}

ho_status ho_device_sync(ho_device *device) {
    (void)device;
    return HO_OK;
}

void ho_device_touch(ho_device *device, const void *memory, size_t bytes) {
    if (device->dry != NULL) {
        ho_dry_touch(device, memory, bytes);
    }
}

size_t ho_device_bytes(const ho_device *device) {
    return device->bytes;
}

size_t ho_device_peak_bytes(const ho_device *device) {
    return device->peak_bytes;
}

ho_status ho_device_record_begin(ho_device *device, void **graph) {
    (void)device, (void)graph;
    return HO_OK;
}

ho_status ho_device_record_end(ho_device *device, void **graph, ho_status status) {
    (void)device, (void)graph;
    return status;
}

void ho_device_graph_free(ho_device *device, void *graph) {
    (void)device, (void)graph;
}

void ho_device_use_graphs(ho_device *device, bool on) {
    (void)device, (void)on;
}

/* Operands are float. */
ho_status ho_device_set_precision(ho_device *device, ho_precision precision, bool fuse) {
    if (device->dry != NULL) {
        ho_dry_set_fusing(device, fuse && precision != HO_PRECISION_FP32);
    }
    return HO_OK;
}

bool ho_fused_gives_scale_gradient(const ho_device *device) {
    return ho_dry_is_cuda(device);
}

ho_status ho_fused_backward_input(ho_device *device, const ho_fused_shape *s, const ho_fused_gradients *g) {
    void *scratch = NULL;
    (void)g;
    if (ho_dry_is_cuda(device)) {
        ho_dry_flops(device, 18.0 * (double)(s->N * s->H * s->W) * (double)(s->C * s->O));
        return ho_dry_workspace(device, ho_dry_input_scratch(s), &scratch);
    }
    HO_FAIL(HO_EDEVICE, "cpu gives no gradient of the scale: ask ho_fused_gives_scale_gradient first");
}

int ho_device_lanes(const ho_device *device) {
    return ho_dry_is_cuda(device) ? 1 : omp_get_max_threads();
}

ho_status ho_device_each(ho_device *device, int64_t count, ho_status (*work)(void *state, int64_t i, int lane),
                         void *state) {
    enum { TEXT = 1024 };
    char text[TEXT] = "";
    ho_status first = HO_OK;
#pragma omp parallel for schedule(dynamic, 1) if (device->dry == NULL)
    for (int64_t i = 0; i < count; ++i) {
        ho_status seen;
#pragma omp atomic read
        seen = first;
        const ho_status status = seen == HO_OK ? work(state, i, omp_get_thread_num()) : HO_OK;
        if (status != HO_OK) {
#pragma omp critical(ho_device_each_text)
            if (first == HO_OK) {
                snprintf(text, TEXT, "%s", ho_error());
#pragma omp atomic write
                first = status;
            }
        }
    }
    if (first != HO_OK) { /* the text stayed with the thread that failed */
        HO_FAIL(first, "%s", text);
    }
    return HO_OK;
}

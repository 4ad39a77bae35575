/* What nvcc's host code calls to register modules and to launch kernels (CUDA 13). The PTX text is taken out of the fat
 * binary: a header of 16 bytes, then entries {kind 2, ?, header size 4, payload 8, ... flags at 40}; kind 1 is PTX. */
#include <stdlib.h>
#include <string.h>

#include "cudart.h"

enum { PTX_ENTRY = 1, COMPRESSED = 0xf000, DEFAULT_SHARED = 49152 };

/* No header of CUDA declares these: nvcc's host code does, where it calls them. */
void **__cudaRegisterFatBinary(void *wrapper);
void __cudaRegisterFatBinaryEnd(void **handle);
void __cudaUnregisterFatBinary(void **handle);
char __cudaInitModule(void **handle);
void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit, uint3 *thread,
                            uint3 *block, dim3 *block_dim, dim3 *grid_dim, int *warp);
void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external, size_t size,
                       int constant, int global);
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream);
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream);
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args, size_t shared,
                               cudaStream_t stream);

typedef struct fat_module fat_module;
struct fat_module {
    fat_module *next;
    const char *text;
    gs_module *module; /* NULL before the first use */
};

/* A kernel or variable of the host program. */
typedef struct symbol symbol;
struct symbol {
    symbol *next;
    const void *host;
    const char *name;
    fat_module *from;
    const gs_function *function;
    size_t max_dynamic;
    bool kernel;
};

static fat_module *modules;
static symbol *symbols;

typedef struct {
    uint32_t grid[3], block[3];
    size_t shared;
    cudaStream_t stream;
} configuration;
enum { MAX_CONFIGURATIONS = 16 };
static _Thread_local configuration pushed[MAX_CONFIGURATIONS];
static _Thread_local int n_pushed;

static uint64_t number(const char *at, size_t size) {
    uint64_t value = 0;
    memcpy(&value, at, size);
    return value;
}

static const char *find_ptx(const char *image) {
    const char *at = image + number(image + 6, 2), *end = image + 16 + number(image + 8, 8);
    while (at < end) {
        const uint64_t header = number(at + 4, 4), payload = number(at + 8, 8);
        if (number(at, 2) == PTX_ENTRY) {
            if ((number(at + 40, 8) & COMPRESSED) != 0) {
                gs_fatal("the PTX of a module is compressed: build with nvcc --compress-mode=none");
            }
            return at + header;
        }
        at += header + payload;
    }
    gs_fatal("a module holds no PTX: build with -gencode arch=compute_80,code=compute_80");
}

GS_EXPORT void **__cudaRegisterFatBinary(void *wrapper) {
    struct {
        int magic, version;
        const char *data;
    } head;
    memcpy(&head, wrapper, sizeof head);
    fat_module *made = calloc(1, sizeof *made);
    if (made == NULL) {
        gs_fatal("no memory for a module");
    }
    made->text = find_ptx(head.data);
    gs_lock();
    made->next = modules;
    modules = made;
    gs_unlock();
    return (void **)made;
}

GS_EXPORT void __cudaRegisterFatBinaryEnd(void **handle) {
    (void)handle;
}

GS_EXPORT void __cudaUnregisterFatBinary(void **handle) {
    (void)handle;
}

GS_EXPORT char __cudaInitModule(void **handle) {
    (void)handle;
    return 1;
}

static void add_symbol(void **handle, const void *host, const char *name, bool kernel) {
    symbol *made = calloc(1, sizeof *made);
    if (made == NULL) {
        gs_fatal("no memory for symbol %s", name);
    }
    made->host = host;
    made->name = name;
    made->from = (fat_module *)handle;
    made->kernel = kernel;
    made->max_dynamic = DEFAULT_SHARED;
    gs_lock();
    made->next = symbols;
    symbols = made;
    gs_unlock();
}

GS_EXPORT void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit,
                                      uint3 *thread, uint3 *block, dim3 *block_dim, dim3 *grid_dim, int *warp) {
    (void)device, (void)limit, (void)thread, (void)block, (void)block_dim, (void)grid_dim, (void)warp;
    add_symbol(handle, host, name, true);
}

GS_EXPORT void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external, size_t size,
                                 int constant, int global) {
    (void)device, (void)external, (void)size, (void)constant, (void)global;
    add_symbol(handle, host, name, false);
}

static gs_module *module_of(symbol *s) {
    if (s->from->module == NULL) {
        s->from->module = gs_module_parse(s->name, s->from->text);
    }
    return s->from->module;
}

/* NULL and a report when the address is no kernel. */
static symbol *kernel_of(const void *host, const char *where) {
    for (symbol *s = symbols; s != NULL; s = s->next) {
        if (s->kernel && (s->host == host || (const void *)s == host)) {
            if (s->function == NULL) {
                s->function = gs_module_find(module_of(s), s->name);
            }
            if (s->function == NULL) {
                gs_fatal("kernel %s is not in the PTX of its module", s->name);
            }
            return s;
        }
    }
    GS_WRONG_CALL(where, "%p is no kernel of this program", host);
    return NULL;
}

const void *gs_symbol_memory(const void *host, size_t *bytes) {
    for (symbol *s = symbols; s != NULL; s = s->next) {
        const gs_variable *v = !s->kernel && s->host == host ? gs_module_variable(module_of(s), s->name) : NULL;
        if (v != NULL) {
            *bytes = (size_t)v->size;
            return v->memory;
        }
    }
    return NULL;
}

/* ---- launches ---------------------------------------------------------------------------------------------- */

GS_EXPORT unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream) {
    if (n_pushed == MAX_CONFIGURATIONS) {
        gs_fatal("kernel launches nest deeper than %d", MAX_CONFIGURATIONS);
    }
    pushed[n_pushed++] = (configuration){{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared, stream};
    return 0;
}

GS_EXPORT cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
    if (n_pushed == 0) {
        gs_fatal("a launch without a configuration");
    }
    const configuration *c = &pushed[--n_pushed];
    *grid = (dim3){c->grid[0], c->grid[1], c->grid[2]};
    *block = (dim3){c->block[0], c->block[1], c->block[2]};
    *shared = c->shared;
    *(cudaStream_t *)stream = c->stream;
    return cudaSuccess;
}

GS_EXPORT cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host) {
    gs_lock();
    symbol *s = kernel_of(host, "cudaGetKernel");
    gs_unlock();
    *kernel = (cudaKernel_t)(void *)s;
    return gs_result(s == NULL ? cudaErrorInvalidDeviceFunction : cudaSuccess);
}

/* A launch in a queue: arguments follow, laid out as the kernel's parameters. */
typedef struct {
    gs_launch_config config;
    char bytes[];
} queued_launch;

static void run_launch(void *data) {
    queued_launch *q = data;
    const gs_function *f = q->config.function;
    const void **args = malloc(sizeof *args * (size_t)(f->n_params + 1));
    if (args == NULL) {
        gs_fatal("no memory for the arguments of %s", f->name);
    }
    for (int i = 0; i < f->n_params; ++i) {
        args[i] = q->bytes + f->param[i].offset;
    }
    q->config.args = args;
    gs_launch_run(&q->config);
    free(args);
}

static cudaError_t launch(const void *kernel, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t stream) {
    static const char NAME[] = "cudaLaunchKernel";
    const symbol *s = kernel_of(kernel, NAME);
    if (s == NULL) {
        return cudaErrorInvalidDeviceFunction;
    }
    const gs_function *f = s->function;
    const size_t size = sizeof(queued_launch) + (size_t)f->param_bytes;
    queued_launch *q = calloc(1, size);
    if (q == NULL) {
        gs_fatal("no memory for a launch of %s", f->name);
    }
    q->config = (gs_launch_config){.function = f,
                                   .grid = {grid.x, grid.y, grid.z},
                                   .block = {block.x, block.y, block.z},
                                   .dynamic_shared = shared,
                                   .max_dynamic_shared = s->max_dynamic};
    for (int i = 0; i < f->n_params; ++i) {
        memcpy(q->bytes + f->param[i].offset, args[i], (size_t)f->param[i].size);
    }
    cudaError_t result = (cudaError_t)gs_launch_check(&q->config);
    if (result == cudaSuccess) {
        result = gs_submit(stream, f->name, run_launch, q, size, f);
    } else {
        gs_report_host(GS_BAD_LAUNCH, f->name, "a GPU refuses this launch: %s", cudaGetErrorString(result));
    }
    free(q);
    return result;
}

GS_EXPORT cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **args, size_t shared,
                                       cudaStream_t stream) {
    if (gs_call_fails("cudaLaunchKernel")) {
        return gs_result(cudaErrorLaunchFailure);
    }
    gs_lock();
    const cudaError_t result = launch(kernel, grid, block, args, shared, stream);
    gs_unlock();
    return gs_result(result);
}

GS_EXPORT cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **args, size_t shared,
                                         cudaStream_t stream) {
    return cudaLaunchKernel((const void *)kernel, grid, block, args, shared, stream);
}

GS_EXPORT cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value) {
    static const char NAME[] = "cudaFuncSetAttribute";
    if (gs_call_fails(NAME)) {
        return gs_result(cudaErrorInvalidValue);
    }
    gs_lock();
    symbol *s = kernel_of(kernel, NAME);
    cudaError_t result = s == NULL ? cudaErrorInvalidDeviceFunction : cudaSuccess;
    if (s != NULL && attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        struct cudaDeviceProp p;
        (void)cudaGetDeviceProperties(&p, 0);
        if (value < 0 || (size_t)value + (size_t)s->function->shared_bytes > p.sharedMemPerBlockOptin) {
            GS_WRONG_CALL(NAME, "%s: %d bytes of dynamic shared memory; with %lld static ones at most %zu", s->name,
                          value, (long long)s->function->shared_bytes, p.sharedMemPerBlockOptin);
            result = cudaErrorInvalidValue;
        } else {
            s->max_dynamic = (size_t)value > DEFAULT_SHARED ? (size_t)value : DEFAULT_SHARED;
        }
    } else if (s != NULL && attribute != cudaFuncAttributePreferredSharedMemoryCarveout) {
        gs_fatal("cudaFuncSetAttribute: attribute %d is not simulated", (int)attribute);
    }
    gs_unlock();
    return gs_result(result);
}

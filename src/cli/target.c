/* Loading of the cuda target at run time. */
#include "target.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "handsoff/device.h"

enum { PATH_SIZE = 4096, LIST_SIZE = 8192 };

/* What the shared object exports. */
typedef struct {
    int (*program)(int, char **);
    ho_status (*device_list)(char *, size_t);
    const char *(*error)(void);
} cuda_target;

/* HANDSOFF-cuda.so beside the program; false where it was not built. */
static bool cuda_path(char *path, size_t size) {
    char program[PATH_SIZE];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    const int n = snprintf(path, size, "%s-cuda.so", program);
    return length > 0 && n > 0 && (size_t)n < size && access(path, F_OK) == 0;
}

/* Loads the shared object. HO_EDEVICE with the reason where that is impossible: no driver, a library is missing. The
 * driver's library is asked for first: without it the others (half a gigabyte) need not be mapped. */
static ho_status load(const char *path, cuda_target *cuda) {
    void *object = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        HO_FAIL(HO_EDEVICE, "no NVIDIA driver (%s)", dlerror());
    }
    object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        HO_FAIL(HO_EDEVICE, "the cuda target does not load (%s)", dlerror());
    }
    /* dlsym gives void *, which POSIX has hold a function's address. */
    *(void **)&cuda->program = dlsym(object, "ho_program");
    *(void **)&cuda->device_list = dlsym(object, "ho_device_list");
    *(void **)&cuda->error = dlsym(object, "ho_error");
    if (cuda->program == NULL || cuda->device_list == NULL || cuda->error == NULL) {
        HO_FAIL(HO_EDEVICE, "%s is not the cuda target of this program: build it again with 'make'", path);
    }
    return HO_OK;
}

/* Loads the cuda target and asks for its devices. cuda->program stays NULL on failure. */
static ho_status try_cuda(cuda_target *cuda, char *list, size_t size) {
    char path[PATH_SIZE];
    *cuda = (cuda_target){NULL, NULL, NULL};
    if (!cuda_path(path, sizeof path)) {
        HO_FAIL(HO_EDEVICE, "this program was built without the cuda target: 'make' builds it where nvcc is found");
    }
    const ho_status loaded = load(path, cuda);
    if (loaded != HO_OK || cuda->program == NULL) {
        return loaded;
    }
    const ho_status status = cuda->device_list(list, size);
    if (status != HO_OK) {
        cuda->program = NULL;
        return ho_fail(status, __FILE__, __LINE__, "%s", cuda->error());
    }
    return HO_OK;
}

/* Removes "--device X" or "--device=X" from argv. `info` has an option of that name without a value. */
static ho_status take_option(int *argc, char **argv, const char **device) {
    static const char NAME[] = "--device";
    int n = *argc < 1 ? *argc : 1;
    bool open = *argc < 2 || strcmp(argv[1], "info") != 0;
    for (int i = 1; i < *argc; ++i) {
        open = open && strcmp(argv[i], "--") != 0;
        if (open && strncmp(argv[i], NAME, sizeof NAME - 1) == 0 && argv[i][sizeof NAME - 1] == '=') {
            *device = argv[i] + sizeof NAME;
        } else if (open && strcmp(argv[i], NAME) == 0) {
            if (i + 1 >= *argc) {
                HO_FAIL(HO_EUSAGE, "--device needs a value: auto, cpu or cuda");
            }
            *device = argv[++i];
        } else {
            argv[n++] = argv[i];
        }
    }
    argv[n] = NULL;
    *argc = n;
    return HO_OK;
}

/* True for the commands that compute on tensors. */
static bool computes(int argc, char **argv) {
    ho_command command;
    const char *first = argc > 2 ? argv[2] : NULL;
    for (int i = 2; i < argc; ++i) { /* a plan is made without a GPU, for it too */
        if (strcmp(argv[i], "--dry-run") == 0) {
            return false;
        }
    }
    return first != NULL && strcmp(first, "--help") != 0 && strcmp(first, "-h") != 0 &&
           ho_command_find(argv[1], &command) == HO_OK && command.computes;
}

ho_status ho_target_choose(int *argc, char **argv, ho_target *target, char *note, size_t size) {
    const char *device = getenv("HANDSOFF_DEVICE"), *given = NULL;
    *target = (ho_target){ho_program};
    HO_TRY(take_option(argc, argv, &given));
    device = given != NULL ? given : device != NULL && device[0] != '\0' ? device : "auto";
    const char *source = given != NULL ? "--device" : "HANDSOFF_DEVICE";
    const bool automatic = strcmp(device, "auto") == 0;
    if (!automatic && strcmp(device, "cpu") != 0 && strcmp(device, "cuda") != 0) {
        HO_FAIL(HO_EUSAGE, "%s: expected auto, cpu or cuda, found '%.80s'", source, device);
    }
    char path[PATH_SIZE], list[LIST_SIZE];
    if (strcmp(device, "cpu") == 0 || !computes(*argc, argv) || (automatic && !cuda_path(path, sizeof path))) {
        return HO_OK;
    }
    cuda_target cuda;
    const ho_status status = try_cuda(&cuda, list, sizeof list);
    if (status == HO_OK) {
        target->program = cuda.program;
    } else if (automatic) {
        snprintf(note, size, "computing on the cpu: %s", ho_error());
    } else {
        return ho_fail_context(status, "%s%ccuda", source, given != NULL ? ' ' : '=');
    }
    return HO_OK;
}

ho_status ho_target_print_devices(void) {
    char list[LIST_SIZE];
    cuda_target cuda;
    HO_TRY(ho_device_list(list, sizeof list));
    printf("%s", list);
    if (try_cuda(&cuda, list, sizeof list) == HO_OK) {
        printf("%s", list);
    } else {
        printf("cuda: none: %s\n", ho_error());
    }
    return HO_OK;
}

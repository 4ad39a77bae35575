/* A run: its folder, its paths, its device, its signals and clocks. Records are in run_record.c, the loop over the
 * stages in run_stages.c, the lock and what is set aside in run_keep.c. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run_internal.h"

enum { MAX_NAME = 100 };

ho_status ho_make_folders(const char *path, bool whole) {
    char part[HO_PATH_SIZE];
    const size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) {
        HO_FAIL(HO_EIO, "cannot make folder '%.100s': %s", path, length == 0 ? "empty name" : "name too long");
    }
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; ++i) {
        if (part[i] != '/' && !(whole && i == length)) {
            continue;
        }
        const char kept = part[i];
        part[i] = '\0';
        struct stat about;
        if (mkdir(part, 0777) != 0 && !(errno == EEXIST && stat(part, &about) == 0 && S_ISDIR(about.st_mode))) {
            HO_FAIL(HO_EIO, "cannot make folder %s: %s", part,
                    errno == EEXIST ? "a file of this name is in the way" : strerror(errno));
        }
        part[i] = kept;
    }
    return HO_OK;
}

static ho_status check_name(const char *name) {
    if (name[0] == '\0' || strlen(name) > MAX_NAME || strchr(name, '/') != NULL || name[0] == '.' || name[0] == '-') {
        HO_FAIL(HO_ECONFIG,
                "name: '%.100s' cannot name a folder of runs: 1 to %d characters, no '/', no '.' or '-' in front", name,
                MAX_NAME);
    }
    return HO_OK;
}

/* Each entry of these lists makes files and rows of its own. */
static ho_status check_distinct(const ho_config *config, const char *key) {
    const int64_t *values = NULL;
    const int n = ho_config_ints(config, key, &values);
    for (int i = 0; i < n; ++i) {
        for (int j = 0; j < i; ++j) {
            if (values[i] == values[j]) {
                HO_FAIL(HO_ECONFIG, "%s: %s lists %lld twice; each number may stand once", ho_config_path(config), key,
                        (long long)values[i]);
            }
        }
    }
    return HO_OK;
}

/* A run whose names and lists are right; its folder is not looked at yet. */
static ho_status make_run(ho_config *config, ho_run **run) {
    const char *name = ho_config_text(config, "name"), *folder = ho_config_text(config, "runs_dir");
    HO_TRY(check_name(name));
    HO_TRY(check_distinct(config, "labelled"));
    HO_TRY(check_distinct(config, "downstream.seeds"));
    if (folder[0] == '\0' || strlen(folder) + MAX_NAME + 100 > HO_PATH_SIZE) {
        HO_FAIL(HO_ECONFIG, "runs_dir: '%.100s' cannot name a folder", folder);
    }
    ho_run *made = calloc(1, sizeof *made);
    if (made == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for run %s", name);
    }
    made->config = config;
    made->lock = -1;
    snprintf(made->dir, sizeof made->dir, "%s/%s", folder, name);
    *run = made;
    return HO_OK;
}

ho_status ho_run_inspect(ho_config *config, ho_run **run) {
    *run = NULL;
    const ho_status status = make_run(config, run);
    if (status == HO_OK && *run != NULL) {
        (*run)->inspecting = true;
    }
    return status;
}

ho_status ho_run_open(ho_config *config, ho_run **run) {
    ho_run *made = NULL;
    *run = NULL;
    ho_status status = make_run(config, &made);
    if (status != HO_OK || made == NULL) {
        return status;
    }
    status = ho_make_folders(made->dir, true);
    if (status == HO_OK && access(made->dir, W_OK | X_OK) != 0) {
        status = ho_fail(HO_EIO, __FILE__, __LINE__, "run folder %s cannot be written: %s", made->dir, strerror(errno));
    }
    status = status == HO_OK ? ho_run_lock(made) : status;
    if (status != HO_OK) {
        free(made);
        return status;
    }
    *run = made;
    return HO_OK;
}

void ho_run_close(ho_run *run) {
    if (run == NULL) {
        return;
    }
    ho_progress_end_line(run);
    ho_device_close(run->device);
    ho_run_forget_digests(run);
    if (run->lock >= 0) {
        (void)close(run->lock);
    }
    free(run);
}

const ho_config *ho_run_config(const ho_run *run) {
    return run->config;
}

const char *ho_run_dir(const ho_run *run) {
    return run->dir;
}

uint64_t ho_run_seed(const ho_run *run) {
    return (uint64_t)ho_config_int(run->config, "seed");
}

static ho_precision precision_of(const ho_config *config) {
    const char *name = ho_config_text(config, "precision");
    return strcmp(name, "fp32") == 0   ? HO_PRECISION_FP32
           : strcmp(name, "tf32") == 0 ? HO_PRECISION_TF32
                                       : HO_PRECISION_BF16;
}

ho_status ho_run_device(ho_run *run, ho_device **device) {
    if (run->device == NULL) {
        HO_TRY(ho_device_open((int)ho_config_int(run->config, "threads"), (int)ho_config_int(run->config, "gpu"),
                              &run->device));
        ho_device_use_graphs(run->device, ho_config_bool(run->config, "graphs"));
        HO_TRY(ho_device_set_precision(run->device, precision_of(run->config),
                                       strcmp(ho_config_text(run->config, "modconv"), "fused") == 0));
    }
    *device = run->device;
    return HO_OK;
}

char *ho_run_buffer(ho_run *run) {
    char *buffer = run->path[run->next_path];
    run->next_path = (run->next_path + 1) % HO_N_PATHS;
    return buffer;
}

/* A folder that cannot be made shows when the file is opened: that failure names the path. */
const char *ho_run_path(ho_run *run, const char *format, ...) {
    char name[HO_PATH_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    char *path = ho_run_buffer(run);
    const int length = snprintf(path, HO_PATH_SIZE, "%s/%s", run->dir, name);
    if (length < HO_PATH_SIZE && !run->inspecting) {
        (void)ho_make_folders(path, false);
    }
    return path;
}

/* `path` below the folder that holds the program's own, as in a checkout (bin/handsoff beside data/). True when such a
 * file exists: configs and defaults that name data/... then work from every folder. */
static bool beside_program(const char *path, char *resolved) {
    char program[HO_PATH_SIZE];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) {
        return false;
    }
    program[length] = '\0';
    for (int i = 0; i < 2; ++i) {
        char *slash = strrchr(program, '/');
        if (slash == NULL) {
            return false;
        }
        *slash = '\0';
    }
    const int size = snprintf(resolved, HO_PATH_SIZE, "%s/%s", program, path);
    return size > 0 && size < HO_PATH_SIZE && access(resolved, F_OK) == 0;
}

const char *ho_run_data_path(ho_run *run, const char *path) {
    static const char MARK[] = "{data}";
    const char *folder = getenv("HANDSOFF_DATA");
    const bool marked = strncmp(path, MARK, sizeof MARK - 1) == 0;
    char *resolved = ho_run_buffer(run);
    if (!marked && path[0] != '\0' && path[0] != '/' && access(path, F_OK) != 0 && beside_program(path, resolved)) {
        return resolved;
    }
    (void)!snprintf(resolved, HO_PATH_SIZE, "%s%s",
                    !marked                               ? ""
                    : folder != NULL && folder[0] != '\0' ? folder
                                                          : "data",
                    marked ? path + sizeof MARK - 1 : path);
    return resolved;
}

static volatile sig_atomic_t interrupted;

static struct timespec interrupted_at;

/* A signal that follows the first by a second or more ends the process at once. One that follows sooner is the same
 * wish: timeout, docker and batch systems signal the process and its group. */
static void on_signal(int number) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!interrupted) {
        interrupted_at = now;
        interrupted = 1;
    } else if (now.tv_sec - interrupted_at.tv_sec > 1 ||
               (now.tv_sec - interrupted_at.tv_sec == 1 && now.tv_nsec >= interrupted_at.tv_nsec)) {
        signal(number, SIG_DFL);
        raise(number);
    }
}

/* nohup has a process ignore SIGHUP: it stays ignored. */
void ho_run_catch_signals(void) {
    static const int NUMBERS[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; ++i) {
        sigaddset(&action.sa_mask, NUMBERS[i]);
    }
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; ++i) {
        const bool ignored = sigaction(NUMBERS[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN;
        if (NUMBERS[i] != SIGHUP || !ignored) {
            sigaction(NUMBERS[i], &action, NULL);
        }
    }
}

bool ho_run_interrupted(void) {
    return interrupted != 0;
}

double ho_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* VmHWM of /proc can be reset; where there is no /proc, the peak since the start of the process must do. */
double ho_peak_rss_mb(void) {
    FILE *file = fopen("/proc/self/status", "r");
    double kilobytes = -1.0;
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kilobytes = strtod(line + 6, NULL);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    if (kilobytes < 0.0) {
        struct rusage usage;
        kilobytes = getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss : 0.0;
    }
    return kilobytes / 1024.0;
}

void ho_peak_rss_reset(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file != NULL) {
        fputs("5", file);
        fclose(file);
    }
}

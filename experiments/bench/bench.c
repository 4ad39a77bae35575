/* bench [--quick] [--threads N] [ITEM...]   one JSON line per item, each measured in a process of its own
 * bench --list                              the names
 * bench --one ITEM                          one item in this process (what a profiler wants)
 * bench --serve ITEM                        answers each line of stdin with the seconds of one repetition, by the clock
 * and of CPU: how peer.py takes turns; ends with stdin, and then prints the item's line */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const bench_item ITEMS[] = {
    {"synth_64_c64_n8", bench_make_synthesis, 64, 64, 8},
    {"synth_256_n1", bench_make_synthesis, 256, 512, 1},
    {"synth_256_n8", bench_make_synthesis, 256, 512, 8},
    {"synth_512_n1", bench_make_synthesis, 512, 512, 1},
    {"synth_1024_n1", bench_make_synthesis, 1024, 512, 1},
    {"invert_256_n1", bench_make_inversion, 256, 256, 0},
    {"invert_512_n1", bench_make_inversion, 512, 512, 0},
    {"invert_1024_n1", bench_make_inversion, 1024, 512, 0},
    {"lpips_64_n1_fwd", bench_make_lpips, 64, 1, 0},
    {"lpips_64_n1_fwdbwd", bench_make_lpips, 64, 1, 1},
    {"lpips_64_n8_fwd", bench_make_lpips, 64, 8, 0},
    {"lpips_64_n8_fwdbwd", bench_make_lpips, 64, 8, 1},
    {"lpips_256_n1_fwd", bench_make_lpips, 256, 1, 0},
    {"lpips_256_n1_fwdbwd", bench_make_lpips, 256, 1, 1},
    {"lpips_512_n1_fwd", bench_make_lpips, 512, 1, 0},
    {"lpips_512_n1_fwdbwd", bench_make_lpips, 512, 1, 1},
    {"head_infer_64", bench_make_head_inference, 64, 700, 0},
    {"head_infer_256", bench_make_head_inference, 256, 6080, 0},
    {"head_train_64", bench_make_head_training, 64, 6080, 0},
    {"head_train_4096", bench_make_head_training, 4096, 6080, 0},
    {"deeplab_64_n4_infer", bench_make_deeplab, 64, 4, 0},
    {"deeplab_64_n4_train", bench_make_deeplab, 64, 4, 1},
    {"gan_32_n16", bench_make_gan, 32, 64, 16},
    {"gan_64_n16", bench_make_gan, 64, 64, 16},
    {"sgemm_1024", bench_make_gemm, 1024, 0, 0},
    {"conv3x3_n1_c256_s64_fwd", bench_make_conv_forward, 64, 256, 1},
    {"conv3x3_n1_c256_s64_data", bench_make_conv_data, 64, 256, 1},
    {"conv3x3_n1_c256_s64_weights", bench_make_conv_weights, 64, 256, 1},
    {"conv3x3_n1_c512_s32_fwd", bench_make_conv_forward, 32, 512, 1},
    {"conv3x3_n1_c512_s32_data", bench_make_conv_data, 32, 512, 1},
    {"conv3x3_n16_c64_s64_fwd", bench_make_conv_forward, 64, 64, 16},
    {"conv3x3_n16_c64_s64_data", bench_make_conv_data, 64, 64, 16},
    {"conv3x3_n16_c64_s64_weights", bench_make_conv_weights, 64, 64, 16},
};
enum { N_ITEMS = sizeof ITEMS / sizeof ITEMS[0], MAX_REPS = 2000 };

typedef struct {
    bool quick, serve;
    int threads; /* 0: all cores */
} settings;

/* The most memory this process has held, in MiB. */
static double peak_rss(void) {
    char line[128];
    double kib = 0.0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kib = strtod(line + 6, NULL);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kib / 1024.0;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_line(const char *item, const bench_work *work, int reps, double *seconds, int threads) {
    qsort(seconds, (size_t)reps, sizeof *seconds, by_value);
    const double median = 0.5 * (seconds[(reps - 1) / 2] + seconds[reps / 2]);
    const char *commit = getenv("BENCH_COMMIT");
    printf("{\"item\": \"%s\", \"shape\": \"%s\", \"reps\": %d, \"median_s\": %.6g, \"min_s\": %.6g, \"max_s\": %.6g, "
           "\"gflop\": %.5g, \"gflops\": %.4g, ",
           item, work->shape, reps, median, seconds[0], seconds[reps - 1], 1e-9 * work->flop,
           1e-9 * work->flop / median);
    if (work->images > 0.0) {
        printf("\"images_per_s\": %.4g, ", work->images / median);
    }
    printf("\"peak_rss_mb\": %.0f, \"threads\": %d, \"device\": \"%s\", \"commit\": \"%s\"}\n", peak_rss(), threads,
           ho_device_name(work->device), commit != NULL ? commit : "unknown");
    (void)fflush(stdout);
}

/* Seconds by the clock and of CPU, of all threads; an item that extrapolates scales both. */
static ho_status once(bench_work *work, double *seconds, double *cpu) {
    const double start = bench_now(), cpu_start = bench_cpu();
    work->seconds = -1.0;
    HO_TRY(work->run(work));
    const double wall = bench_now() - start;
    *seconds = work->seconds < 0.0 ? wall : work->seconds;
    *cpu = (bench_cpu() - cpu_start) * *seconds / wall;
    return HO_OK;
}

/* Until there are 5 repetitions and 2 seconds, at most 15 seconds; quick: 2 repetitions. */
static ho_status repeat(const settings *set, bench_work *work, double *seconds, int *reps) {
    const double start = bench_now(), least = set->quick ? 0.0 : 2.0, most = set->quick ? 5.0 : 15.0;
    const int least_reps = set->quick ? 2 : 5;
    double cpu;
    for (*reps = 0; *reps < MAX_REPS; ++*reps) {
        const double spent = bench_now() - start;
        if (*reps > 0 && (spent > most || (*reps >= least_reps && spent >= least))) {
            break;
        }
        HO_TRY(once(work, &seconds[*reps], &cpu));
    }
    return HO_OK;
}

/* A line in: a repetition of at least a tenth of a second, as the mean of its runs, out. */
static ho_status serve(bench_work *work, double *seconds, int *reps) {
    char line[64];
    puts("ready");
    (void)fflush(stdout);
    for (*reps = 0; *reps < MAX_REPS && fgets(line, sizeof line, stdin) != NULL; ++*reps) {
        const double start = bench_now();
        double sum = 0.0, cpu_sum = 0.0, one, cpu;
        int n = 0;
        do {
            HO_TRY(once(work, &one, &cpu));
            sum += one;
            cpu_sum += cpu;
            ++n;
        } while (bench_now() - start < 0.1);
        seconds[*reps] = sum / n;
        printf("%.9g %.9g\n", seconds[*reps], cpu_sum / n);
        (void)fflush(stdout);
    }
    return HO_OK;
}

static ho_status measure(const settings *set, const bench_item *item) {
    static double seconds[MAX_REPS];
    bench_work work = {0};
    int reps = 0;
    double warm_up, cpu;
    HO_TRY(ho_device_open(set->threads, 0, &work.device));
    HO_TRY(ho_context_create(work.device, &work.context));
    HO_TRY(ho_context_create(work.device, &work.lasting));
    HO_TRY(item->make(&work, item->a, item->b, item->c));
    HO_TRY(once(&work, &warm_up, &cpu));
    HO_TRY(set->serve ? serve(&work, seconds, &reps) : repeat(set, &work, seconds, &reps));
    if (reps > 0) {
        print_line(item->name, &work, reps, seconds,
                   set->threads > 0 ? set->threads : (int)sysconf(_SC_NPROCESSORS_ONLN));
    }
    return HO_OK;
}

static const bench_item *find_item(const char *name) {
    for (int i = 0; i < N_ITEMS; ++i) {
        if (strcmp(ITEMS[i].name, name) == 0) {
            return &ITEMS[i];
        }
    }
    return NULL;
}

static int measure_by_name(const settings *set, const char *name) {
    const bench_item *item = find_item(name);
    if (item == NULL) {
        (void)fprintf(stderr, "bench: no item \"%s\"; bench --list names them\n", name);
        return 2;
    }
    if (measure(set, item) != HO_OK) {
        (void)fprintf(stderr, "bench: %s: %s\n", name, ho_error());
        return 1;
    }
    return 0;
}

/* The item in a process of its own, so that its peak memory is its own. */
static int measure_apart(const settings *set, const char *self, const char *name) {
    char threads[16];
    int status = 0;
    (void)snprintf(threads, sizeof threads, "%d", set->threads);
    const pid_t child = fork();
    if (child == 0) {
        (void)execl(self, self, "--threads", threads, set->quick ? "--quick" : "--thorough", "--one", name,
                    (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("bench");
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* An item's name, or the beginning of several. */
static int measure_all(const settings *set, const char *self, int n, char **names) {
    int worst = 0;
    for (int i = 0; i < N_ITEMS; ++i) {
        bool wanted = n == 0;
        for (int k = 0; k < n; ++k) {
            wanted = wanted || strncmp(ITEMS[i].name, names[k], strlen(names[k])) == 0;
        }
        const int result = wanted ? measure_apart(set, self, ITEMS[i].name) : 0;
        worst = result > worst ? result : worst;
    }
    return worst;
}

int main(int argc, char **argv) {
    settings set = {0};
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--quick") == 0 || strcmp(argv[i], "--thorough") == 0) {
            set.quick = argv[i][2] == 'q';
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
            set.threads = (int)strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--list") == 0) {
            for (int k = 0; k < N_ITEMS; ++k) {
                puts(ITEMS[k].name);
            }
            return 0;
        } else if ((strcmp(argv[i], "--one") == 0 || strcmp(argv[i], "--serve") == 0) && i + 1 < argc) {
            set.serve = argv[i][2] == 's';
            return measure_by_name(&set, argv[i + 1]);
        } else if (argv[i][0] == '-') {
            (void)fprintf(stderr,
                          "usage: bench [--quick] [--threads N] [ITEM... | --list | --one ITEM | --serve ITEM]\n");
            return 2;
        } else {
            return measure_all(&set, "/proc/self/exe", argc - i, argv + i);
        }
    }
    return measure_all(&set, "/proc/self/exe", 0, NULL);
}

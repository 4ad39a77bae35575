/* bench [--quick] [--threads N] [ITEM...]   one JSON line per item, each measured in a process of its own
 * --precision fp32|tf32|bf16: of cuda's products and convolutions; --eager: without CUDA graphs; --simulated: names and
 * shapes of what ran, no times
 * bench --list                              the names
 * bench --one ITEM                          one item in this process (what a profiler wants)
 * bench --serve ITEM                        answers each line of stdin with the seconds of one repetition, by the clock
 * and of CPU: how peer.py takes turns; ends with stdin, and then prints the item's line */
#include "bench.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const bench_item ITEMS[] = {
    {"synth_64_c64_n8", bench_make_synthesis, 64, 64, 8, false},
    {"synth_256_n1", bench_make_synthesis, 256, 512, 1, false},
    {"synth_256_n8", bench_make_synthesis, 256, 512, 8, false},
    {"synth_512_n1", bench_make_synthesis, 512, 512, 1, false},
    {"synth_1024_n1", bench_make_synthesis, 1024, 512, 1, false},
    {"invert_256_n1", bench_make_inversion, 256, 256, 512, false},
    {"invert_512_n1", bench_make_inversion, 512, 512, 512, false},
    {"invert_1024_n1", bench_make_inversion, 1024, 512, 512, false},
    {"lpips_64_n1_fwd", bench_make_lpips, 64, 1, 0, false},
    {"lpips_64_n1_fwdbwd", bench_make_lpips, 64, 1, 1, false},
    {"lpips_64_n8_fwd", bench_make_lpips, 64, 8, 0, false},
    {"lpips_64_n8_fwdbwd", bench_make_lpips, 64, 8, 1, false},
    {"lpips_256_n1_fwd", bench_make_lpips, 256, 1, 0, false},
    {"lpips_256_n1_fwdbwd", bench_make_lpips, 256, 1, 1, false},
    {"lpips_512_n1_fwd", bench_make_lpips, 512, 1, 0, false},
    {"lpips_512_n1_fwdbwd", bench_make_lpips, 512, 1, 1, false},
    {"head_infer_64", bench_make_head_inference, 64, 700, 0, false},
    {"head_infer_256", bench_make_head_inference, 256, 6080, 0, false},
    {"label_infer_512", bench_make_head_inference, 512, 6080, 0, true},
    {"label_infer_cars", bench_make_head_inference, 512, 6016, 384, true},
    {"head_train_64", bench_make_head_training, 64, 6080, 0, false},
    {"head_train_4096", bench_make_head_training, 4096, 6080, 0, false},
    {"deeplab_64_n4_infer", bench_make_deeplab, 64, 4, 0, false},
    {"deeplab_64_n4_train", bench_make_deeplab, 64, 4, 1, false},
    {"gan_32_n16", bench_make_gan, 32, 64, 16, false},
    {"gan_64_n16", bench_make_gan, 64, 64, 16, false},
    {"sgemm_1024", bench_make_gemm, 1024, 0, 0, false},
    {"conv3x3_n1_c256_s64_fwd", bench_make_conv_forward, 64, 256, 1, false},
    {"conv3x3_n1_c256_s64_data", bench_make_conv_data, 64, 256, 1, false},
    {"conv3x3_n1_c256_s64_weights", bench_make_conv_weights, 64, 256, 1, false},
    {"conv3x3_n1_c512_s32_fwd", bench_make_conv_forward, 32, 512, 1, false},
    {"conv3x3_n1_c512_s32_data", bench_make_conv_data, 32, 512, 1, false},
    {"conv3x3_n16_c64_s64_fwd", bench_make_conv_forward, 64, 64, 16, false},
    {"conv3x3_n16_c64_s64_data", bench_make_conv_data, 64, 64, 16, false},
    {"conv3x3_n16_c64_s64_weights", bench_make_conv_weights, 64, 64, 16, false},
    {"gan_256_n8", bench_make_gan, 256, 512, 8, true},
    {"tiny_synth", bench_make_synthesis, 16, 8, 1, true},
    {"tiny_invert", bench_make_inversion, 16, 16, 8, true},
    {"tiny_lpips", bench_make_lpips, 16, 1, 1, true},
    {"tiny_head_infer", bench_make_head_inference, 8, 700, 0, true},
    {"tiny_deeplab", bench_make_deeplab, 16, 2, 1, true},
    {"tiny_gan", bench_make_gan, 16, 8, 4, true},
};
enum { N_ITEMS = sizeof ITEMS / sizeof ITEMS[0], MAX_REPS = 2000 };

typedef struct {
    bool quick, serve;
    bool eager, simulated;  /* eager: without CUDA graphs                 */
    int threads;            /* 0: all cores                               */
    ho_precision precision; /* of products and convolutions on cuda       */
    const char *precision_name;
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

/* What a simulator ran: its times mean nothing. */
static void print_simulated(const settings *set, const char *item, const bench_work *work) {
    printf("{\"item\": \"%s\", \"shape\": \"%s\", \"gflop\": %.5g, \"device\": \"%s\", \"graph\": %s, \"precision\": "
           "\"%s\", \"simulated\": true}\n",
           item, work->shape, 1e-9 * work->flop, ho_device_name(work->device), set->eager ? "false" : "true",
           set->precision_name);
    (void)fflush(stdout);
}

static void print_line(const settings *set, const char *item, const bench_work *work, int reps, double *seconds) {
    const int threads = set->threads > 0 ? set->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
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
    if (work->given_bytes > 0) {
        printf("\"added_mb\": %.0f, ", 1e-6 * (double)(ho_device_peak_bytes(work->device) - work->given_bytes));
    }
#ifdef HO_TARGET_CUDA
    printf("\"device_mb\": %.0f, \"graph\": %s, \"precision\": \"%s\", ",
           1e-6 * (double)ho_device_peak_bytes(work->device), set->eager ? "false" : "true", set->precision_name);
#endif
    printf("\"peak_rss_mb\": %.0f, \"threads\": %d, \"device\": \"%s\", \"commit\": \"%s\"}\n", peak_rss(), threads,
           ho_device_name(work->device), commit != NULL ? commit : "unknown");
    (void)fflush(stdout);
}

/* Seconds by the clock and of CPU, of all threads; an item that extrapolates scales both. */
static ho_status once(bench_work *work, double *seconds, double *cpu) {
    const double start = bench_now(), cpu_start = bench_cpu();
    work->seconds = -1.0;
    if (work->recordable) {
        HO_TRY(ho_device_record_begin(work->device, &work->graph));
        HO_TRY(ho_device_record_end(work->device, &work->graph, work->run(work)));
    } else {
        HO_TRY(work->run(work));
    }
    HO_TRY(ho_device_sync(work->device));
    const double wall = bench_now() - start;
    *seconds = work->seconds < 0.0 ? wall : work->seconds;
    *cpu = (bench_cpu() - cpu_start) * *seconds / wall;
    return HO_OK;
}

/* Until there are 5 repetitions and 2 seconds, at most 15 seconds; quick: 2 repetitions. */
static ho_status repeat(const settings *set, bench_work *work, double *seconds, int *reps) {
    const double start = bench_now(), least = set->quick ? 0.0 : 2.0, most = set->quick ? 5.0 : 15.0;
    const int least_reps = set->simulated ? 1 : set->quick ? 2 : 5;
    double cpu;
    for (*reps = 0; *reps < MAX_REPS; ++*reps) {
        const double spent = bench_now() - start;
        if (*reps > 0 && (set->simulated || spent > most || (*reps >= least_reps && spent >= least))) {
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
    HO_TRY(ho_device_set_precision(work.device, set->precision, true));
    ho_device_use_graphs(work.device, !set->eager);
    HO_TRY(ho_context_create(work.device, &work.context));
    HO_TRY(ho_context_create(work.device, &work.lasting));
    HO_TRY(item->make(&work, item->a, item->b, item->c));
    /* Three times: the second records, the third updates what was recorded. */
    for (int i = 0; i < (work.recordable && !set->eager ? 3 : 1); ++i) {
        HO_TRY(once(&work, &warm_up, &cpu));
    }
    HO_TRY(set->serve ? serve(&work, seconds, &reps) : repeat(set, &work, seconds, &reps));
    if (reps > 0 && set->simulated) {
        print_simulated(set, item->name, &work);
    } else if (reps > 0) {
        print_line(set, item->name, &work, reps, seconds);
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
        (void)execl(self, self, "--threads", threads, "--precision", set->precision_name,
                    set->quick ? "--quick" : "--thorough", set->eager ? "--eager" : "--graphs",
                    set->simulated ? "--simulated" : "--measured", "--one", name, (char *)NULL);
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
        bool wanted = n == 0 && !ITEMS[i].by_name;
        for (int k = 0; k < n; ++k) {
            wanted = wanted || strncmp(ITEMS[i].name, names[k], strlen(names[k])) == 0;
        }
        const int result = wanted ? measure_apart(set, self, ITEMS[i].name) : 0;
        worst = result > worst ? result : worst;
    }
    return worst;
}

/* Takes the option argv[*i] and its value; false: not one of these. */
static bool take_option(settings *set, int argc, char **argv, int *i) {
    static const struct {
        const char *name;
        size_t at;
        bool value;
    } FLAGS[] = {
        {"--quick", offsetof(settings, quick), true},         {"--thorough", offsetof(settings, quick), false},
        {"--eager", offsetof(settings, eager), true},         {"--graphs", offsetof(settings, eager), false},
        {"--simulated", offsetof(settings, simulated), true}, {"--measured", offsetof(settings, simulated), false}};
    static const char *const PRECISIONS[] = {"fp32", "tf32", "bf16"};
    for (size_t k = 0; k < sizeof FLAGS / sizeof FLAGS[0]; ++k) {
        if (strcmp(argv[*i], FLAGS[k].name) == 0) {
            *(bool *)((char *)set + FLAGS[k].at) = FLAGS[k].value;
            return true;
        }
    }
    if (*i + 1 < argc && strcmp(argv[*i], "--threads") == 0) {
        set->threads = (int)strtol(argv[++*i], NULL, 10);
        return true;
    }
    for (int k = 0; *i + 1 < argc && strcmp(argv[*i], "--precision") == 0 && k < 3; ++k) {
        if (strcmp(argv[*i + 1], PRECISIONS[k]) == 0) {
            set->precision = (ho_precision)k;
            set->precision_name = PRECISIONS[k];
            ++*i;
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv) {
    settings set = {.precision = HO_PRECISION_TF32, .precision_name = "tf32"};
    for (int i = 1; i < argc; ++i) {
        if (take_option(&set, argc, argv, &i)) {
            continue;
        }
        if (strcmp(argv[i], "--list") == 0) {
            for (int k = 0; k < N_ITEMS; ++k) {
                puts(ITEMS[k].name);
            }
            return 0;
        }
        if ((strcmp(argv[i], "--one") == 0 || strcmp(argv[i], "--serve") == 0) && i + 1 < argc) {
            set.serve = argv[i][2] == 's';
            return measure_by_name(&set, argv[i + 1]);
        }
        if (argv[i][0] == '-') {
            (void)fprintf(stderr,
                          "usage: bench [--quick] [--threads N] [--precision fp32|tf32|bf16] [--eager] [--simulated] "
                          "[ITEM... | --list | --one ITEM | --serve ITEM]\n");
            return 2;
        }
        return measure_all(&set, "/proc/self/exe", argc - i, argv + i);
    }
    return measure_all(&set, "/proc/self/exe", 0, NULL);
}

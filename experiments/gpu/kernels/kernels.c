/* kernels [--size tiny|cpu|gpu] [--simulated] [LAUNCHER...]   every kernel launcher against its roofline, a JSON line
 * an item; LAUNCHER: the beginning of a name kernels --list                                              the names
 * --simulated: times mean nothing and are not printed; what is printed is what ran. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bench.h"

/* Of `gpu`, maps are 268 MB, beyond the L2 of any GPU; of `cpu`, 17 MB. */
static const bench_size SIZES[] = {
    {"tiny", 2, 16, 32, 64, 0.0}, {"cpu", 2, 128, 128, 1024, 0.02}, {"gpu", 8, 256, 128, 8192, 0.01}};
enum { N_SIZES = sizeof SIZES / sizeof SIZES[0] };

static const kernel_item *const LISTS[] = {
    BENCH_POINTWISE, BENCH_SUMS, BENCH_IMAGES, BENCH_NETWORKS,
#ifdef HO_TARGET_CUDA
    BENCH_FUSED,
#endif
};
enum { N_LISTS = sizeof LISTS / sizeof LISTS[0] };

typedef struct {
    const bench_size *size;
    bool simulated;
    int n_names;
    char **names;
    bench_ceilings ceilings;
} settings;

static bool wanted(const settings *set, const char *launcher) {
    bool found = set->n_names == 0;
    for (int i = 0; i < set->n_names; ++i) {
        found = found || strncmp(launcher, set->names[i], strlen(set->names[i])) == 0;
    }
    return found;
}

static void print_ceilings(const settings *set, const ho_device *device) {
    const bench_ceilings *c = &set->ceilings;
    printf("{\"part\": \"ceilings\", \"device\": \"%s\", \"size\": \"%s\"", ho_device_name(device), set->size->name);
    if (set->simulated) {
        printf(", \"simulated\": true}\n");
    } else {
        printf(", \"copy_GB_s\": %.4g, \"fp32_GFLOP_s\": %.5g, \"tf32_GFLOP_s\": %.5g}\n", 1e-9 * c->bytes,
               1e-9 * c->fp32, 1e-9 * c->tf32);
    }
    (void)fflush(stdout);
}

/* The least time that the ceilings allow; products on tensor cores are measured against TF32's. */
static double roofline(const settings *set, const kernel_item *item, const kernel_bench *b, bool *by_bytes) {
    const bool tensor_cores = strncmp(item->launcher, "ho_k_fused_", 11) == 0;
    const double bytes = b->bytes / set->ceilings.bytes;
    const double flop = b->flop / (tensor_cores ? set->ceilings.tf32 : set->ceilings.fp32);
    *by_bytes = bytes >= flop;
    return bytes >= flop ? bytes : flop;
}

static void print_item(const settings *set, const kernel_item *item, kernel_bench *b) {
    printf("{\"part\": \"kernel\", \"item\": \"%s\", \"shape\": \"N%lld %lldx%lld C%lld\", \"bytes\": %.6g, "
           "\"flop\": %.6g, \"launches\": %lld, ",
           item->launcher, (long long)b->N, (long long)b->side, (long long)b->side, (long long)b->C, b->bytes, b->flop,
           (long long)b->launches);
    if (set->simulated) {
        printf("\"simulated\": true}\n");
    } else {
        bool by_bytes;
        const double seconds = bench_seconds(b), least = roofline(set, item, b, &by_bytes);
        printf(
            "\"seconds\": %.6g, \"GB_s\": %.4g, \"GFLOP_s\": %.4g, \"limit\": \"%s\", \"roofline_fraction\": %.3g}\n",
            seconds, 1e-9 * b->bytes / seconds, 1e-9 * b->flop / seconds, by_bytes ? "bytes" : "flop", least / seconds);
    }
    (void)fflush(stdout);
}

/* Failed items are counted; a sticky error of the device ends the rest one by one, each with its message. */
static int measure_items(settings *set, ho_device *device) {
    int failed = 0, measured = 0;
    for (int l = 0; l < N_LISTS; ++l) {
        for (const kernel_item *item = LISTS[l]; item->launcher != NULL; ++item) {
            if (!wanted(set, item->launcher)) {
                continue;
            }
            kernel_bench b;
            bench_open(&b, device, set->size);
            item->run(&b);
            if (b.status == HO_OK) {
                print_item(set, item, &b);
                ++measured;
            } else {
                (void)fprintf(stderr, "kernels: %s: %s\n", item->launcher, ho_error());
                ++failed;
            }
            bench_free_buffers(&b);
        }
    }
    (void)fprintf(stderr, "kernels: %d measured, %d failed\n", measured, failed);
    return failed > 0 || measured == 0 ? 1 : 0;
}

static int run(settings *set) {
    ho_device *device = NULL;
    ho_status status = bench_measure_ceilings(set->size, &set->ceilings);
    if (status == HO_OK) {
        status = ho_device_open(0, 0, &device);
    }
    if (status != HO_OK) {
        (void)fprintf(stderr, "kernels: %s\n", ho_error());
        return 1;
    }
    print_ceilings(set, device);
    const int result = measure_items(set, device);
    ho_device_close(device);
    return result;
}

static int usage(void) {
    (void)fprintf(stderr, "usage: kernels [--size tiny|cpu|gpu] [--simulated] [LAUNCHER... | --list]\n");
    return 2;
}

int main(int argc, char **argv) {
    settings set = {.size = &SIZES[1]};
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--list") == 0) {
            for (int l = 0; l < N_LISTS; ++l) {
                for (const kernel_item *item = LISTS[l]; item->launcher != NULL; ++item) {
                    puts(item->launcher);
                }
            }
            return 0;
        }
        if (strcmp(argv[i], "--simulated") == 0) {
            set.simulated = true;
        } else if (strcmp(argv[i], "--size") == 0 && i + 1 < argc) {
            set.size = NULL;
            for (int k = 0; k < N_SIZES; ++k) {
                set.size = strcmp(SIZES[k].name, argv[i + 1]) == 0 ? &SIZES[k] : set.size;
            }
            ++i;
            if (set.size == NULL) {
                return usage();
            }
        } else if (argv[i][0] == '-') {
            return usage();
        } else {
            set.n_names = argc - i;
            set.names = argv + i;
            break;
        }
    }
    return run(&set);
}

/* Runs the huge cases: huge.h. */
#include "huge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

ot_places ot_loop(int64_t n) {
    return (ot_places){n, OT_THREADS, 256};
}

ot_places ot_units(int64_t n, int64_t unit, int64_t more) {
    return (ot_places){n, OT_BLOCKS * unit, (1 + more) * unit};
}

ot_places ot_ends(int64_t n, int64_t half) {
    return (ot_places){n, n, half};
}

double ot_huge_value(int id, int64_t i) {
    return (double)(float)(2.0 * ot_uniform(77 + (uint64_t)id, (uint64_t)i) - 1.0);
}

ho_status ot_huge_bytes(ot_huge *h, int64_t n, size_t size, void *array) {
    void *memory = NULL;
    HO_REQUIRE(h->n_arrays < OT_HUGE_ARRAYS, "more than %d arrays", OT_HUGE_ARRAYS);
    HO_TRY(ho_device_alloc(h->device, (size_t)n * size, &memory));
    h->memory[h->n_arrays++] = memory;
    memcpy(array, &memory, sizeof memory);
    return HO_OK;
}

ho_status ot_huge_new(ot_huge *h, int64_t count, ho_real **array) {
    return ot_huge_bytes(h, count, sizeof(ho_real), array);
}

/* The next piece at or after *k; false behind the last. */
static bool next_piece(ot_places p, int64_t *k, int64_t *first, int64_t *count) {
    const int64_t begin = *k * p.step - p.half, end = *k * p.step + p.half;
    *first = begin < 0 ? 0 : begin;
    *count = (end < p.n ? end : p.n) - *first;
    ++*k;
    return *count > 0;
}

static ho_status upload(ot_huge *h, int id, int64_t from, ho_real *array, ot_places places) {
    ho_real *host = malloc((size_t)(2 * places.half) * sizeof *host);
    ho_status status = host == NULL ? HO_EMEMORY : HO_OK;
    int64_t first, count;
    for (int64_t k = 0; status == HO_OK && next_piece(places, &k, &first, &count);) {
        for (int64_t i = 0; i < count; ++i) {
            host[i] = id < 0 ? 0 : (ho_real)ot_huge_value(id, from + first + i);
        }
        status = ho_device_upload(h->device, array + first, host, (size_t)count * sizeof *host);
    }
    free(host);
    return status;
}

ho_status ot_huge_define(ot_huge *h, int id, ho_real *array, ot_places places) {
    return upload(h, id, 0, array, places);
}

ho_status ot_huge_define_from(ot_huge *h, int id, int64_t from, ho_real *array, ot_places places) {
    return upload(h, id, from, array, places);
}

ho_status ot_huge_zero(ot_huge *h, ho_real *array, ot_places places) {
    return upload(h, -1, 0, array, places);
}

ho_status ot_huge_input(ot_huge *h, int id, ot_places places, ho_real **array) {
    HO_TRY(ot_huge_new(h, places.n, array));
    return ot_huge_define(h, id, *array, places);
}

ho_status ot_huge_check(ot_huge *h, const char *what, const ho_real *array, ot_places places, ot_huge_truth truth) {
    ho_real *host = malloc((size_t)(2 * places.half) * sizeof *host);
    ho_status status = host == NULL ? HO_EMEMORY : HO_OK;
    int64_t first, count;
    for (int64_t k = 0; status == HO_OK && next_piece(places, &k, &first, &count);) {
        status = ho_device_download(h->device, host, array + first, (size_t)count * sizeof *host);
        for (int64_t i = 0; status == HO_OK && i < count; ++i) {
            const double want = truth(h->about, first + i), error = fabs((double)host[i] - want) / (1.0 + fabs(want));
            h->worst = fmax(h->worst, error);
            ++h->compared;
            if (!(error <= h->tolerance) && h->message[0] == '\0') {
                (void)snprintf(h->message, sizeof h->message, "%s[%lld] is %.9g, not %.9g", what,
                               (long long)first + (long long)i, (double)host[i], want);
            }
        }
    }
    free(host);
    return status;
}

/* 1 passed, 0 not run, -1 failed. */
static int run_case(const ot_huge_case *c, ho_device *device) {
    ot_huge h = {
        .device = device, .stream = ho_device_stream(device), .tolerance = c->tolerance > 0.0 ? c->tolerance : 1e-5};
    const ho_status status = c->run(&h);
    for (int i = 0; i < h.n_arrays; ++i) {
        ho_device_free(device, h.memory[i]);
    }
    if (status == HO_EMEMORY) {
        printf("skip huge_%s: not run: %s\n", c->name, ho_error());
        return 0;
    }
    const bool ok = status == HO_OK && h.message[0] == '\0' && h.compared > 0;
    printf("%s huge_%s: ", ok ? "ok" : "not ok", c->name);
    if (ok) {
        printf("%lld elements, error %.2g\n", (long long)h.compared, h.worst);
    } else {
        printf("%s\n", status != HO_OK ? ho_error() : h.message[0] != '\0' ? h.message : "nothing was compared");
    }
    (void)fflush(stdout);
    return ok ? 1 : -1;
}

static bool wanted(const ot_huge_case *c, int n, char **names) {
    bool found = n == 0;
    for (int i = 0; i < n; ++i) {
        found = found || strcmp(names[i], c->name) == 0;
    }
    return found;
}

int ot_huge_main(bool list, int n, char **names) {
    const ot_huge_case *const families[] = {ot_huge_rows, ot_huge_sums,  ot_huge_images,
                                            ot_huge_head, ot_huge_fused, NULL};
    ho_device *device = NULL;
    int passed = 0, failed = 0, not_run = 0;
    if (!list && strcmp(ot_target(), "cpu") == 0) {
        printf("skip huge: not run: every block would run on cpu, for hours\n");
        return 0;
    }
    if (!list && ho_device_open(0, 0, &device) != HO_OK) {
        printf("not ok huge: %s\n", ho_error());
        return 1;
    }
    for (const ot_huge_case *const *family = families; *family != NULL; ++family) {
        for (const ot_huge_case *c = *family; c->name != NULL; ++c) {
            if (list) {
                printf("%s: %s\n", c->name, c->kernels);
            } else if (wanted(c, n, names)) {
                const int result = run_case(c, device);
                passed += result > 0;
                not_run += result == 0;
                failed += result < 0;
            }
        }
    }
    ho_device_close(device);
    if (!list) {
        printf("huge: %d passed, %d failed, %d not run\n", passed, failed, not_run);
    }
    return failed > 0 || (!list && passed + not_run == 0) ? 1 : 0;
}

/* libFuzzer target: any bytes as a weight file. Whatever they are, opening, reading and importing them ends with a
 * status: no crash, no endless loop, no memory beyond the reader's own limits. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "handsoff/weights.h"

enum { MOST_ELEMENTS = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(ho_weights *weights) {
    static float values[MOST_ELEMENTS];
    for (int64_t i = 0; i < ho_weights_n(weights) && i < 256; ++i) {
        const ho_weight *weight = ho_weights_at(weights, i);
        if (ho_weight_count(weight) <= MOST_ELEMENTS) {
            (void)ho_weights_read(weights, weight, values);
        }
    }
}

/* One input in 32 is imported where its kind is recognised (writing HDF5 is slow); which is a function of its bytes. */
static bool chosen(const uint8_t *data, size_t size) {
    uint32_t sum = 0;
    for (size_t i = 0; i < size; ++i) {
        sum = 31 * sum + data[i];
    }
    return sum % 32 == 0;
}

static void import(const char *path) {
    char out[64], report[1024];
    const char *const files[1] = {path};
    const ho_import_options options = {.n_files = 1, .files = files};
    (void)snprintf(out, sizeof out, "/dev/shm/handsoff_fuzz_%d.h5", (int)getpid());
    (void)ho_weights_import(&options, out, report, sizeof report);
    (void)unlink(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    ho_weights *weights = NULL;
    const int file = memfd_create("fuzz", 0);
    if (file < 0 || write(file, data, size) != (ssize_t)size) {
        abort();
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (ho_weights_open(path, &weights) == HO_OK) {
        const char *kind = ho_weights_kind(weights);
        read_all(weights);
        ho_weights_close(weights);
        if (kind != NULL && chosen(data, size)) {
            import(path);
        }
    }
    (void)close(file);
    return 0;
}

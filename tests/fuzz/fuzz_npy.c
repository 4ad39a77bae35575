/* libFuzzer target: any bytes as a NumPy array, as labels and as floats. */
#include "fuzz.h"
#include "src/io/formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ho_image label = {0, 0, 0, NULL};
    int rank = 0;
    int64_t dim[4];
    float *values = NULL;
    fuzz_file(data, size);
    (void)ho_npy_read_labels(FUZZ_FILE, &label);
    ho_image_free(&label);
    if (ho_npy_read_floats(FUZZ_FILE, &rank, dim, &values) == HO_OK) {
        free(values);
    }
    return 0;
}

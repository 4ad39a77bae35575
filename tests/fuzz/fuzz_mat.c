/* libFuzzer target: any bytes as a label map in a MATLAB 5 file. */
#include "fuzz.h"
#include "src/io/formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ho_image label = {0, 0, 0, NULL};
    fuzz_file(data, size);
    (void)ho_mat5_read_labels(FUZZ_FILE, &label);
    ho_image_free(&label);
    return 0;
}

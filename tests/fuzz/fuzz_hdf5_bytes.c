/* libFuzzer target: any bytes as an HDF5 file. Most of what it meets is the HDF5 library's own reading of a damaged
 * file, whose crashes are not ours: tests/fuzz/triage.py tells them from ours. */
#include "fuzz_hdf5_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool made = false;
    if (!made) {
        fuzz_make_folders(FUZZ_HDF5);
        made = true;
    }
    fuzz_write(FUZZ_HDF5, data, size);
    fuzz_read_hdf5(FUZZ_HDF5);
    return 0;
}

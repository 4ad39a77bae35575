/* libFuzzer target: any bytes as an HDF5 file. What it finds is mostly the HDF5 library's own, so that neither `make
 * test` nor `make fuzz` runs it without being asked; fuzz_hdf5.c writes files that the library reads soundly.
 */
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

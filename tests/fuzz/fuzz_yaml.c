/* libFuzzer target: any bytes as a config and as a merge table. */
#include "fuzz.h"
#include "handsoff/config.h"
#include "handsoff/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ho_config *config = NULL;
    ho_merge merge;
    fuzz_file(data, size);
    if (ho_config_load(FUZZ_FILE, 0, NULL, &config) == HO_OK) {
        char *text = NULL;
        if (ho_config_dump(config, 0, NULL, &text) == HO_OK) {
            free(text);
        }
        ho_config_free(config);
    }
    if (ho_merge_read(FUZZ_FILE, &merge) == HO_OK) {
        ho_merge_free(&merge);
    }
    return 0;
}

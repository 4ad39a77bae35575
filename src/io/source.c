#include "source.h"

ho_status ho_source_read(const ho_source *source, int64_t offset, int64_t n, void *bytes) {
    if (offset < 0 || n < 0 || offset > source->size || n > source->size - offset) {
        HO_FAIL(HO_EFORMAT, "%s: ends at byte %lld, but %lld bytes are wanted from byte %lld on: the file is cut off",
                source->name, (long long)source->size, (long long)n, (long long)offset);
    }
    return source->read(source, offset + source->first, n, bytes);
}

ho_status ho_source_part(const ho_source *source, int64_t offset, int64_t n, ho_source *part) {
    if (offset < 0 || n < 0 || offset > source->size || n > source->size - offset) {
        HO_FAIL(HO_EFORMAT, "%s: ends at byte %lld, but a part of %lld bytes begins at byte %lld: the file is cut off",
                source->name, (long long)source->size, (long long)n, (long long)offset);
    }
    *part = *source;
    part->first += offset;
    part->size = n;
    return HO_OK;
}

uint64_t ho_little(const uint8_t *bytes, int n) {
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; --i) {
        value = value << 8 | bytes[i];
    }
    return value;
}

void ho_printable(char *text) {
    for (; *text != '\0'; ++text) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

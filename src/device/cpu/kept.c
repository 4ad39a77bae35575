/* Arrays derived from held weights: two short lists, of what is held and of what is kept. */
#include "kept.h"

#include <stdlib.h>

struct ho_held {
    ho_held *next;
    const char *at;
    size_t bytes;
};

struct ho_kept_entry {
    ho_kept_entry *next;
    ho_kept kept;
    const char *source;
    size_t source_bytes;
    int layout;
};

/* True when [a, a + a_bytes) and [b, b + b_bytes) share a byte. */
static bool overlap(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    return a < b + b_bytes && b < a + a_bytes;
}

static bool is_held(const ho_device *device, const char *source) {
    for (const ho_held *h = device->held; h != NULL; h = h->next) {
        if (overlap(source, 1, h->at, h->bytes)) {
            return true;
        }
    }
    return false;
}

static void release(ho_device *device, const void *memory, size_t bytes) {
    for (ho_held **link = &device->held; *link != NULL;) {
        ho_held *h = *link;
        if (overlap(h->at, h->bytes, memory, bytes)) {
            *link = h->next;
            free(h);
        } else {
            link = &h->next;
        }
    }
}

ho_status ho_device_hold(ho_device *device, const void *memory, size_t bytes, bool on) {
    release(device, memory, bytes);
    if (!on) {
        ho_cpu_changed(device, memory, bytes);
        return HO_OK;
    }
    ho_held *h = malloc(sizeof *h);
    if (h == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %zu bytes", sizeof *h);
    }
    *h = (ho_held){device->held, memory, bytes};
    device->held = h;
    return HO_OK;
}

void ho_device_changed(ho_device *device, const void *memory, size_t bytes) {
    ho_cpu_changed(device, memory, bytes);
}

ho_kept *ho_cpu_keep(ho_device *device, const void *source, size_t source_bytes, int layout, size_t bytes) {
    if (!is_held(device, source)) {
        return NULL;
    }
    for (ho_kept_entry *e = device->kept; e != NULL; e = e->next) {
        if (e->source == source && e->layout == layout) {
            return &e->kept;
        }
    }
    ho_kept_entry *made = calloc(1, sizeof *made);
    if (made == NULL || ho_device_alloc(device, bytes, &made->kept.memory) != HO_OK) {
        free(made);
        return NULL;
    }
    made->source = source;
    made->source_bytes = source_bytes;
    made->layout = layout;
    made->next = device->kept;
    device->kept = made;
    return &made->kept;
}

void ho_cpu_changed(ho_device *device, const void *memory, size_t bytes) {
    for (ho_kept_entry **link = &device->kept; *link != NULL;) {
        ho_kept_entry *e = *link;
        if (overlap(e->source, e->source_bytes, memory, bytes)) {
            *link = e->next;
            ho_device_free(device, e->kept.memory);
            free(e);
        } else {
            link = &e->next;
        }
    }
}

void ho_cpu_forget(ho_device *device, const void *memory, size_t bytes) {
    release(device, memory, bytes);
    ho_cpu_changed(device, memory, bytes);
}

void ho_cpu_kept_close(ho_device *device) {
    while (device->kept != NULL) {
        ho_cpu_changed(device, device->kept->source, 1);
    }
    while (device->held != NULL) {
        release(device, device->held->at, 1);
    }
}

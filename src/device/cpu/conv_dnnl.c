/* Convolutions of the cpu target through oneDNN, direct algorithm, activations in NHWC as they lie in memory. oneDNN
 * wants the weights in a layout of its own: they are re-ordered at each call, or once where they are held (kept.h).
 *
 * Primitives are made once per (shape, direction) and kept. Their scratch comes from the device's workspace. */
#include "conv_cpu.h"
#include "kept.h"

#ifndef HO_REAL_DOUBLE

#include <assert.h>
#include <dnnl.h>
#include <stdlib.h>
#include <string.h>

typedef enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS } direction;

typedef struct {
    ho_conv_shape shape;
    direction way;
    dnnl_primitive_t conv, reorder;
    dnnl_memory_t x, y;              /* user memory, NHWC                                    */
    dnnl_memory_t w_user, w_blocked; /* (O,k,k,I) as we keep it; as the primitive wants it  */
    dnnl_memory_t scratch;
    size_t w_bytes, scratch_bytes; /* w_bytes 0: the primitive takes the weights as they are */
    dnnl_memory_desc_t w_md;       /* the blocked layout                                     */
    int layout;                    /* its number: entries with equal layouts share it        */
} conv_entry;

struct ho_conv_cache {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    conv_entry *entries;
    int n, room;
};

#define DNNL_TRY(call)      HO_TRY(checked((call), #call))
#define DNNL_TRY_DONE(call) HO_TRY_DONE(checked((call), #call))

static ho_status checked(dnnl_status_t result, const char *call) {
    if (result != dnnl_success) {
        HO_FAIL(HO_EDEVICE, "oneDNN: %s returned %d", call, (int)result);
    }
    return HO_OK;
}

ho_status ho_cpu_conv_open(ho_device *device) {
    device->conv = calloc(1, sizeof *device->conv);
    if (device->conv == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate the convolution cache");
    }
    DNNL_TRY(dnnl_engine_create(&device->conv->engine, dnnl_cpu, 0));
    DNNL_TRY(dnnl_stream_create(&device->conv->stream, device->conv->engine, dnnl_stream_default_flags));
    return HO_OK;
}

static void entry_free(conv_entry *e) {
    dnnl_primitive_destroy(e->conv);
    dnnl_primitive_destroy(e->reorder);
    dnnl_memory_destroy(e->x);
    dnnl_memory_destroy(e->y);
    dnnl_memory_destroy(e->w_user);
    dnnl_memory_destroy(e->w_blocked);
    dnnl_memory_destroy(e->scratch);
}

void ho_cpu_conv_close(ho_device *device) {
    ho_conv_cache *cache = device->conv;
    if (cache == NULL) {
        return;
    }
    for (int i = 0; i < cache->n; ++i) {
        entry_free(&cache->entries[i]);
    }
    dnnl_stream_destroy(cache->stream);
    dnnl_engine_destroy(cache->engine);
    free(cache->entries);
    free(cache);
    device->conv = NULL;
}

/* The last row and column of padding follow from the output size: with a stride some input pixels may be left over. */
static void paddings(const ho_conv_shape *s, dnnl_dims_t before, dnnl_dims_t after) {
    const int64_t size[2] = {s->H, s->W};
    for (int axis = 0; axis < 2; ++axis) {
        const int64_t out = ho_conv_out(s, size[axis]);
        before[axis] = s->pad;
        after[axis] = (out - 1) * s->stride + (s->kernel - 1) * s->dilation + 1 - size[axis] - s->pad;
    }
}

typedef struct {
    dnnl_memory_desc_t x, y, w_user, w_any;
} conv_descs;

static ho_status describe(const ho_conv_shape *s, conv_descs *d) {
    const dnnl_dims_t x = {s->N, s->C, s->H, s->W};
    const dnnl_dims_t w = {s->O, s->C, s->kernel, s->kernel};
    const dnnl_dims_t y = {s->N, s->O, ho_conv_out(s, s->H), ho_conv_out(s, s->W)};
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&d->x, 4, x, dnnl_f32, dnnl_nhwc));
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&d->y, 4, y, dnnl_f32, dnnl_nhwc));
    /* O, kh, kw, I, or I, kh, kw, O */
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&d->w_user, 4, w, dnnl_f32, s->swapped ? dnnl_bcda : dnnl_acdb));
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&d->w_any, 4, w, dnnl_f32, dnnl_format_tag_any));
    return HO_OK;
}

/* The primitive descriptor for a direction; backward ones need the forward one as a hint. */
static ho_status make_primitive_desc(const ho_conv_cache *cache, const ho_conv_shape *s, direction way,
                                     const conv_descs *d, dnnl_primitive_desc_t *pd) {
    const dnnl_dims_t stride = {s->stride, s->stride};
    const dnnl_dims_t dilation = {s->dilation - 1, s->dilation - 1};
    dnnl_dims_t before = {0}, after = {0};
    paddings(s, before, after);
    ho_status status = HO_OK;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_convolution_desc_t forward, backward;
    DNNL_TRY_DONE(dnnl_primitive_attr_create(&attr));
    DNNL_TRY_DONE(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    DNNL_TRY_DONE(dnnl_dilated_convolution_forward_desc_init(&forward, dnnl_forward_training, dnnl_convolution_direct,
                                                             &d->x, &d->w_any, NULL, &d->y, stride, dilation, before,
                                                             after));
    DNNL_TRY_DONE(dnnl_primitive_desc_create(way == FORWARD ? pd : &hint, &forward, attr, cache->engine, NULL));
    if (way == BACKWARD_DATA) {
        DNNL_TRY_DONE(dnnl_dilated_convolution_backward_data_desc_init(
            &backward, dnnl_convolution_direct, &d->x, &d->w_any, &d->y, stride, dilation, before, after));
        DNNL_TRY_DONE(dnnl_primitive_desc_create(pd, &backward, attr, cache->engine, hint));
    } else if (way == BACKWARD_WEIGHTS) {
        DNNL_TRY_DONE(dnnl_dilated_convolution_backward_weights_desc_init(
            &backward, dnnl_convolution_direct, &d->x, &d->w_any, NULL, &d->y, stride, dilation, before, after));
        DNNL_TRY_DONE(dnnl_primitive_desc_create(pd, &backward, attr, cache->engine, hint));
    }
done:
    dnnl_primitive_desc_destroy(hint); /* NULL is refused without harm */
    dnnl_primitive_attr_destroy(attr);
    return status;
}

/* The primitive that brings the weights into the layout of `e`, or their gradient back. */
static ho_status make_reorder(const ho_conv_cache *cache, const dnnl_memory_desc_t *w_user, conv_entry *e) {
    const bool to_user = e->way == BACKWARD_WEIGHTS;
    ho_status status = HO_OK;
    dnnl_primitive_desc_t pd = NULL;
    DNNL_TRY_DONE(dnnl_reorder_primitive_desc_create(&pd, to_user ? &e->w_md : w_user, cache->engine,
                                                     to_user ? w_user : &e->w_md, cache->engine, NULL));
    DNNL_TRY_DONE(dnnl_primitive_create(&e->reorder, pd));
done:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

/* Equal layouts have one number, so that entries which differ in the image's size share what is kept. */
static int layout_of(const ho_conv_cache *cache, const conv_entry *e) {
    for (int i = 0; i < cache->n; ++i) {
        const conv_entry *other = &cache->entries[i];
        if (other->shape.swapped == e->shape.swapped && dnnl_memory_desc_equal(&other->w_md, &e->w_md)) {
            return other->layout;
        }
    }
    return cache->n;
}

/* What fails leaves its parts in *e, which the caller frees. */
static ho_status entry_make(const ho_conv_cache *cache, const ho_conv_shape *s, direction way, conv_entry *e) {
    const dnnl_query_t w_query = way == BACKWARD_WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
    ho_status status = HO_OK;
    conv_descs d;
    dnnl_primitive_desc_t pd = NULL;
    e->shape = *s;
    e->way = way;
    HO_TRY(describe(s, &d));
    HO_TRY_DONE(make_primitive_desc(cache, s, way, &d, &pd));
    DNNL_TRY_DONE(dnnl_primitive_create(&e->conv, pd));
    e->w_md = *dnnl_primitive_desc_query_md(pd, w_query, 0);
    const dnnl_memory_desc_t *scratch_md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    e->w_bytes = dnnl_memory_desc_equal(&e->w_md, &d.w_user) ? 0 : dnnl_memory_desc_get_size(&e->w_md);
    e->scratch_bytes = dnnl_memory_desc_get_size(scratch_md);
    e->layout = layout_of(cache, e);
    DNNL_TRY_DONE(dnnl_memory_create(&e->x, &d.x, cache->engine, DNNL_MEMORY_NONE));
    DNNL_TRY_DONE(dnnl_memory_create(&e->y, &d.y, cache->engine, DNNL_MEMORY_NONE));
    DNNL_TRY_DONE(dnnl_memory_create(&e->w_user, &d.w_user, cache->engine, DNNL_MEMORY_NONE));
    DNNL_TRY_DONE(dnnl_memory_create(&e->w_blocked, &e->w_md, cache->engine, DNNL_MEMORY_NONE));
    DNNL_TRY_DONE(dnnl_memory_create(&e->scratch, scratch_md, cache->engine, DNNL_MEMORY_NONE));
    if (e->w_bytes > 0) {
        HO_TRY_DONE(make_reorder(cache, &d.w_user, e));
    }
done:
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static ho_status entry_find(ho_device *device, const ho_conv_shape *s, direction way, conv_entry **entry) {
    ho_conv_cache *cache = device->conv;
    for (int i = 0; i < cache->n; ++i) {
        if (cache->entries[i].way == way && memcmp(&cache->entries[i].shape, s, sizeof *s) == 0) {
            *entry = &cache->entries[i];
            return HO_OK;
        }
    }
    if (cache->n == cache->room) {
        const int room = cache->room == 0 ? 64 : 2 * cache->room;
        conv_entry *grown = realloc(cache->entries, (size_t)room * sizeof *grown);
        if (grown == NULL) {
            HO_FAIL(HO_EMEMORY, "cannot allocate the convolution cache");
        }
        cache->entries = grown;
        cache->room = room;
    }
    conv_entry *e = &cache->entries[cache->n];
    memset(e, 0, sizeof *e);
    const ho_status status = entry_make(cache, s, way, e);
    if (status != HO_OK) {
        entry_free(e);
        return status;
    }
    ++cache->n;
    *entry = e;
    return HO_OK;
}

static ho_status run_reorder(ho_conv_cache *cache, const conv_entry *e, dnnl_memory_t from, dnnl_memory_t to) {
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    DNNL_TRY(dnnl_primitive_execute(e->reorder, cache->stream, 2, args));
    return HO_OK;
}

/* Where weights that are held are kept in the layout of `e`; NULL for others. */
static ho_kept *kept_weights(ho_device *device, const conv_entry *e, const ho_real *w) {
    const ho_conv_shape *s = &e->shape;
    const size_t bytes = (size_t)(s->O * s->kernel * s->kernel * s->C) * sizeof *w;
    ho_kept *kept = ho_cpu_keep(device, w, bytes, e->layout, e->w_bytes);
    if (kept != NULL && device->dry != NULL) {
        ho_device_touch(device, kept->memory, e->w_bytes);
    }
    return kept;
}

/* The weights in the layout of `e`: kept beside held weights, else in `room`. */
static ho_status blocked_weights(ho_device *device, conv_entry *e, const ho_real *w, void *room) {
    ho_kept *kept = kept_weights(device, e, w);
    DNNL_TRY(dnnl_memory_set_data_handle(e->w_blocked, kept != NULL ? kept->memory : room));
    if (kept != NULL && kept->ready) {
        return HO_OK;
    }
    HO_TRY(run_reorder(device->conv, e, e->w_user, e->w_blocked));
    if (kept != NULL) {
        kept->ready = true;
    }
    return HO_OK;
}

/* x, w, y are the three tensors of the convolution in any direction; two of them are read, one is written. */
static ho_status run(ho_device *device, const ho_conv_shape *s, direction way, const ho_real *x, const ho_real *w,
                     const ho_real *y) {
    conv_entry *e = NULL;
    HO_TRY(entry_find(device, s, way, &e));
    assert(e != NULL);
    ho_conv_cache *cache = device->conv;
    void *workspace = NULL;
    const size_t w_room = (e->w_bytes + 255) / 256 * 256;
    HO_TRY(ho_cpu_workspace(device, w_room + e->scratch_bytes + 256, &workspace));
    if (device->dry != NULL) {
        if (e->w_bytes > 0 && way != BACKWARD_WEIGHTS) {
            (void)kept_weights(device, e, w);
        }
        return HO_OK;
    }
    DNNL_TRY(dnnl_memory_set_data_handle(e->x, (void *)x));
    DNNL_TRY(dnnl_memory_set_data_handle(e->y, (void *)y));
    DNNL_TRY(dnnl_memory_set_data_handle(e->w_user, (void *)w));
    DNNL_TRY(dnnl_memory_set_data_handle(e->w_blocked, e->w_bytes > 0 ? workspace : (void *)w));
    DNNL_TRY(dnnl_memory_set_data_handle(e->scratch, (char *)workspace + w_room));
    if (e->w_bytes > 0 && way != BACKWARD_WEIGHTS) {
        HO_TRY(blocked_weights(device, e, w, workspace));
    }
    const int x_arg = way == BACKWARD_DATA ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC;
    const int y_arg = way == FORWARD ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST;
    const int w_arg = way == BACKWARD_WEIGHTS ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS;
    const dnnl_exec_arg_t args[] = {
        {x_arg, e->x}, {y_arg, e->y}, {w_arg, e->w_blocked}, {DNNL_ARG_SCRATCHPAD, e->scratch}};
    DNNL_TRY(dnnl_primitive_execute(e->conv, cache->stream, 4, args));
    if (e->w_bytes > 0 && way == BACKWARD_WEIGHTS) {
        HO_TRY(run_reorder(cache, e, e->w_blocked, e->w_user));
    }
    DNNL_TRY(dnnl_stream_wait(cache->stream));
    return HO_OK;
}

ho_status ho_cpu_conv_direct_forward(ho_device *device, const ho_conv_shape *s, const ho_real *x, const ho_real *w,
                                     ho_real *y) {
    return run(device, s, FORWARD, x, w, y);
}

ho_status ho_cpu_conv_direct_backward_data(ho_device *device, const ho_conv_shape *s, const ho_real *g_y,
                                           const ho_real *w, ho_real *g_x) {
    return run(device, s, BACKWARD_DATA, g_x, w, g_y);
}

ho_status ho_cpu_conv_direct_backward_weights(ho_device *device, const ho_conv_shape *s, const ho_real *x,
                                              const ho_real *g_y, ho_real *g_w) {
    return run(device, s, BACKWARD_WEIGHTS, x, g_w, g_y);
}

#endif

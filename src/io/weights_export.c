/* generator.h5 in rosinality's naming, as torch.save writes it: an archive of stored members with the pickle data.pkl,
 * of protocol 2, and one file of elements a tensor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_stylegan2.h"

enum { MOST_TENSORS = 320 };

/* A tensor of the archive: a data set of ours, or the filter. */
typedef struct {
    ho_store *store;
    char name[HO_NAME], set[HO_NAME]; /* set "": the filter */
    int rank;
    int64_t dim[5];
    float *values; /* while the archive is written */
    int64_t at, n_bytes;
    ho_status status;
    zip_error_t error;
} member;

typedef struct {
    ho_store *store;
    ho_sg2 s;
    member *member;
    int n;
} export;

/* ---- what ------------------------------------------------------------------------------------------------------- */

static member *add(export *e, const char *name, const char *set, int rank, const int64_t *dim) {
    member *m = &e->member[e->n++];
    m->store = e->store;
    m->rank = rank;
    m->n_bytes = (int64_t)sizeof(float);
    for (int i = 0; i < rank; ++i) {
        m->dim[i] = dim[i];
        m->n_bytes *= dim[i];
    }
    (void)snprintf(m->name, sizeof m->name, "%s", name);
    (void)snprintf(m->set, sizeof m->set, "%s", set);
    return m;
}

static void add_leaf(export *e, int64_t k, const char *layer, const char *leaf, int rank, const int64_t *dim) {
    char name[HO_NAME], set[HO_NAME];
    ho_stylegan2_name(true, k, layer, leaf, name);
    ho_stylegan2_name(false, k, layer, leaf, set);
    (void)add(e, name, set, rank, dim);
}

static void add_filter(export *e, const char *format, int64_t i) __attribute__((format(printf, 2, 0)));
static void add_filter(export *e, const char *format, int64_t i) {
    char name[HO_NAME];
    (void)snprintf(name, sizeof name, format, (long long)i);
    (void)add(e, name, "", 2, (int64_t[]){4, 4});
}

static void add_layer(export *e, int64_t k, const char *layer) {
    const ho_sg2 *s = &e->s;
    const bool rgb = strcmp(layer, "torgb") == 0;
    const int64_t r = 4LL << k, size = rgb ? 1 : 3, C = ho_sg2_channels(s, k);
    const int64_t I = layer[4] == '0' ? ho_sg2_channels(s, k - 1) : C, O = rgb ? 3 : C;
    add_leaf(e, k, layer, "weight", 5, (int64_t[]){1, O, I, size, size});
    add_leaf(e, k, layer, "affine.weight", 2, (int64_t[]){I, s->w_dim});
    add_leaf(e, k, layer, "affine.bias", 1, (int64_t[]){I});
    if (rgb) {
        add_leaf(e, k, layer, "bias", 4, (int64_t[]){1, 3, 1, 1});
        if (k > 0) {
            add_filter(e, "to_rgbs.%lld.upsample.kernel", k - 1);
        }
        return;
    }
    if (layer[4] == '0') {
        add_filter(e, "convs.%lld.conv.blur.kernel", 2 * k - 2);
    }
    add_leaf(e, k, layer, "noise_strength", 1, (int64_t[]){1});
    add_leaf(e, k, layer, "bias", 1, (int64_t[]){O});
    add_leaf(e, k, layer, "noise_const", 4, (int64_t[]){1, 1, r, ho_sg2_wide(s, r)});
}

/* The last is latent_avg, which stands beside the network. */
static void list_members(export *e) {
    const ho_sg2 *s = &e->s;
    char name[HO_NAME], set[HO_NAME];
    for (int64_t i = 0; i < s->mapping_layers; ++i) {
        for (int j = 0; j < 2; ++j) {
            const char *leaf = j == 0 ? "weight" : "bias";
            (void)ho_stylegan2_fc_name(false, i, leaf, set);
            (void)add(e, ho_stylegan2_fc_name(true, i, leaf, name), set, 2 - j,
                      (int64_t[]){s->w_dim, i == 0 ? s->z_dim : s->w_dim});
        }
    }
    (void)add(e, "input.input", "synthesis.b4.const", 4, (int64_t[]){1, ho_sg2_channels(s, 0), 4, ho_sg2_wide(s, 4)});
    for (int64_t k = 0; k < s->n_blocks; ++k) {
        if (k > 0) {
            add_layer(e, k, "conv0");
        }
        add_layer(e, k, "conv1");
        add_layer(e, k, "torgb");
    }
    (void)add(e, "latent_avg", "mapping.w_avg", 1, &s->w_dim);
}

/* ---- the pickle -------------------------------------------------------------------------------------------------- */

static void put_text(FILE *f, const char *text) {
    const uint32_t n = (uint32_t)strlen(text);
    (void)fputc('X', f); /* BINUNICODE */
    (void)fwrite(&n, 4, 1, f);
    (void)fputs(text, f);
}

static void put_number(FILE *f, int64_t value) {
    const int32_t number = (int32_t)value;
    (void)fputc('J', f); /* BININT */
    (void)fwrite(&number, 4, 1, f);
}

static void put_tensor(FILE *f, const member *m, int key) {
    char text[16];
    int64_t stride[5] = {1, 1, 1, 1, 1};
    for (int i = m->rank - 2; i >= 0; --i) {
        stride[i] = stride[i + 1] * m->dim[i + 1];
    }
    (void)snprintf(text, sizeof text, "%d", key);
    (void)fputs("ctorch._utils\n_rebuild_tensor_v2\n((", f);
    put_text(f, "storage");
    (void)fputs("ctorch\nFloatStorage\n", f);
    put_text(f, text);
    put_text(f, "cpu");
    put_number(f, m->n_bytes / (int64_t)sizeof(float));
    (void)fputs("tQ", f); /* the persistent id of the storage */
    put_number(f, 0);
    (void)fputc('(', f);
    for (int i = 0; i < m->rank; ++i) {
        put_number(f, m->dim[i]);
    }
    (void)fputs("t(", f);
    for (int i = 0; i < m->rank; ++i) {
        put_number(f, stride[i]);
    }
    (void)fputs("t\x89"
                "ccollections\nOrderedDict\n)RtR",
                f); /* requires_grad False, no hooks */
}

static ho_status make_pickle(const export *e, char **bytes, size_t *n) {
    FILE *f = open_memstream(bytes, n);
    if (f == NULL) {
        HO_FAIL(HO_EMEMORY, "export-weights: no memory for the list of tensors");
    }
    (void)fwrite("\x80\x02}(", 1, 4, f);
    put_text(f, "g_ema");
    (void)fputs("}(", f);
    for (int i = 0; i < e->n - 1; ++i) {
        put_text(f, e->member[i].name);
        put_tensor(f, &e->member[i], i);
    }
    (void)fputc('u', f);
    put_text(f, "latent_avg");
    put_tensor(f, &e->member[e->n - 1], e->n - 1);
    (void)fputs("u.", f);
    if (fclose(f) != 0) {
        HO_FAIL(HO_EMEMORY, "export-weights: no memory for the list of tensors");
    }
    return HO_OK;
}

/* ---- the archive ------------------------------------------------------------------------------------------------- */

/* [1, 3, 3, 1] x [1, 3, 3, 1] / 16: rosinality keeps the filter with its gain of 4. */
static ho_status load(member *m) {
    static const float TAPS[4] = {1.0F, 3.0F, 3.0F, 1.0F};
    int64_t n = 1;
    for (int i = 0; i < m->rank; ++i) {
        n *= m->dim[i];
    }
    m->values = malloc((size_t)n * sizeof *m->values);
    if (m->values == NULL) {
        HO_FAIL(HO_EMEMORY, "export-weights: no memory for '%s'", m->name);
    }
    if (m->set[0] == '\0') {
        for (int i = 0; i < 16; ++i) {
            m->values[i] = TAPS[i / 4] * TAPS[i % 4] / 16.0F;
        }
        return HO_OK;
    }
    /* The shape in the store lacks the leading ones; its elements are counted instead. */
    ho_store_info info;
    HO_TRY(ho_store_info_of(m->store, m->set, &info));
    int64_t found = 1;
    for (int i = 0; i < info.rank; ++i) {
        found *= info.dim[i];
    }
    if (found != n) {
        HO_FAIL(HO_EFORMAT, "%s: '%s' has %lld elements, expected %lld", ho_store_path(m->store), m->set,
                (long long)found, (long long)n);
    }
    return ho_store_read(m->store, m->set, HO_F32, info.rank, info.dim, m->values);
}

/* libzip asks for a member's bytes when the archive is closed: one tensor is in memory at a time. A member that could
 * not be opened is freed with its source. */
static zip_int64_t give(void *user, void *data, zip_uint64_t size, zip_source_cmd_t command) {
    member *m = user;
    switch (command) {
    case ZIP_SOURCE_OPEN:
        m->at = 0;
        m->status = load(m);
        zip_error_set(&m->error, m->status == HO_OK ? ZIP_ER_OK : ZIP_ER_READ, 0);
        return m->status == HO_OK ? 0 : -1;
    case ZIP_SOURCE_READ: {
        const int64_t left = m->n_bytes - m->at, n = (int64_t)size < left ? (int64_t)size : left;
        memcpy(data, (const char *)m->values + m->at, (size_t)n);
        m->at += n;
        return n;
    }
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        free(m->values);
        m->values = NULL;
        return 0;
    case ZIP_SOURCE_STAT: {
        zip_stat_t *about = data;
        zip_stat_init(about);
        about->size = (zip_uint64_t)m->n_bytes;
        about->valid = ZIP_STAT_SIZE;
        return sizeof *about;
    }
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&m->error, data, size);
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT,
                                              ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, -1);
    default:
        zip_error_set(&m->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

static ho_status add_source(zip_t *zip, const char *out, const char *name, zip_source_t *source) {
    const zip_int64_t i = source == NULL ? -1 : zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8);
    if (i < 0 || zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) != 0) {
        HO_FAIL(HO_EIO, "%s: cannot add '%s' to the archive: %s", out, name, zip_strerror(zip));
    }
    return HO_OK;
}

static ho_status fill_archive(zip_t *zip, export *e, const char *out, const char *pickle, size_t n) {
    HO_TRY(add_source(zip, out, "archive/data.pkl", zip_source_buffer(zip, pickle, n, 0)));
    for (int i = 0; i < e->n; ++i) {
        char name[64];
        (void)snprintf(name, sizeof name, "archive/data/%d", i);
        HO_TRY(add_source(zip, out, name, zip_source_function(zip, give, &e->member[i])));
    }
    return add_source(zip, out, "archive/version", zip_source_buffer(zip, "3\n", 2, 0));
}

/* A tensor that could not be read has said so itself. */
static ho_status why_not_closed(zip_t *zip, const export *e, const char *out) {
    for (int i = 0; i < e->n; ++i) {
        if (e->member[i].status != HO_OK) {
            return e->member[i].status;
        }
    }
    HO_FAIL(HO_EIO, "%s: cannot write: %s", out, zip_strerror(zip));
}

static ho_status write_archive(export *e, const char *out) {
    char *pickle = NULL;
    size_t n = 0;
    int code = 0;
    HO_TRY(make_pickle(e, &pickle, &n));
    zip_t *zip = zip_open(out, ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (zip == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        const ho_status status =
            ho_fail(HO_EIO, __FILE__, __LINE__, "%s: cannot create: %s", out, zip_error_strerror(&error));
        zip_error_fini(&error);
        free(pickle);
        return status;
    }
    ho_status status = fill_archive(zip, e, out, pickle, n);
    if (status == HO_OK && zip_close(zip) == 0) {
        zip = NULL;
    } else if (status == HO_OK) {
        status = why_not_closed(zip, e, out);
    }
    if (zip != NULL) {
        zip_discard(zip);
    }
    free(pickle);
    return status;
}

/* ---- the generator ----------------------------------------------------------------------------------------------- */

static ho_status read_size(ho_store *store, const char *key, int64_t most, int64_t *value) {
    double number = 0.0;
    HO_TRY(ho_store_get_number(store, key, &number));
    if (!(number >= 1.0 && number <= (double)most)) {
        HO_FAIL(HO_EFORMAT, "%s: the attribute '%s' is %g; right is 1 to %lld", ho_store_path(store), key, number,
                (long long)most);
    }
    *value = (int64_t)number;
    return HO_OK;
}

static ho_status read_sizes(ho_store *store, ho_sg2 *s) {
    char kind[32] = "";
    if (ho_store_has_attribute(store, "kind")) {
        HO_TRY(ho_store_get_text(store, "kind", kind, sizeof kind));
    }
    if (strcmp(kind, "generator") != 0) {
        HO_FAIL(HO_EFORMAT, "%s: is no generator: export-weights takes the generator.h5 of a run, or an imported one",
                ho_store_path(store));
    }
    HO_TRY(read_size(store, "height", 1024, &s->height));
    HO_TRY(read_size(store, "width", 1024, &s->width));
    HO_TRY(read_size(store, "z_dim", 65536, &s->z_dim));
    HO_TRY(read_size(store, "w_dim", 65536, &s->w_dim));
    HO_TRY(read_size(store, "channel_base", 1 << 26, &s->channel_base));
    HO_TRY(read_size(store, "channel_max", 65536, &s->channel_max));
    HO_TRY(read_size(store, "mapping_layers", 64, &s->mapping_layers));
    for (int64_t r = 4; r <= s->height; r *= 2) {
        ++s->n_blocks;
    }
    return HO_OK;
}

ho_status ho_weights_export(const char *generator, const char *out) {
    export e = {0};
    ho_status status = HO_OK;
    HO_TRY(ho_store_open(generator, &e.store));
    HO_TRY_DONE(read_sizes(e.store, &e.s));
    e.member = calloc(MOST_TENSORS + 2 * 64, sizeof *e.member);
    if (e.member == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "export-weights: no memory for the list of tensors");
        goto done;
    }
    list_members(&e);
    HO_TRY_DONE(write_archive(&e, out));
done:
    free(e.member);
    ho_store_close(e.store);
    return status;
}

/* HDF5 stores: round trips, what does not fit and how it is said. */
#include "handsoff/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "opened_run.h"

static void every_type_round_trips(void **state) {
    (void)state;
    const uint8_t u8[4] = {0, 1, 128, 255};
    const int32_t i32[3] = {-2147483647 - 1, 0, 2147483647};
    const int64_t i64[2] = {INT64_MIN, INT64_MAX};
    const float f32[6] = {0.0f, -1.5f, 3.1415927f, 1e-38f, 3e38f, INFINITY};
    const double f64[2] = {1.0 / 3.0, -1e300};
    ho_store *store;
    CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_write(store, "a/b/u8", HO_U8, 2, (int64_t[]){2, 2}, u8));
    CHECK_OK(ho_store_write(store, "a/i32", HO_I32, 1, (int64_t[]){3}, i32));
    CHECK_OK(ho_store_write(store, "i64", HO_I64, 1, (int64_t[]){2}, i64));
    CHECK_OK(ho_store_write(store, "f32", HO_F32, 3, (int64_t[]){1, 2, 3}, f32));
    CHECK_OK(ho_store_write(store, "f64", HO_F64, 1, (int64_t[]){2}, f64));
    CHECK_OK(ho_store_write(store, "scalar", HO_F64, 0, NULL, f64));
    CHECK_OK(ho_store_write(store, "empty", HO_F32, 2, (int64_t[]){0, 5}, NULL));
    assert_false(exists(in_folder("0.h5")));
    assert_true(temporary_exists(in_folder("0.h5")));
    commit(store);
    assert_true(exists(in_folder("0.h5")));
    assert_false(temporary_exists(in_folder("0.h5")));

    uint8_t u8_back[4];
    int32_t i32_back[3];
    int64_t i64_back[2];
    float f32_back[6];
    double f64_back[2], scalar = 0.0;
    CHECK_OK(ho_store_open(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_read(store, "a/b/u8", HO_U8, 2, (int64_t[]){-1, 2}, u8_back));
    CHECK_OK(ho_store_read(store, "a/i32", HO_I32, 1, (int64_t[]){3}, i32_back));
    CHECK_OK(ho_store_read(store, "i64", HO_I64, 1, (int64_t[]){2}, i64_back));
    CHECK_OK(ho_store_read(store, "f32", HO_F32, 3, (int64_t[]){1, 2, 3}, f32_back));
    CHECK_OK(ho_store_read(store, "f64", HO_F64, 1, (int64_t[]){2}, f64_back));
    CHECK_OK(ho_store_read(store, "scalar", HO_F64, 0, NULL, &scalar));
    CHECK_OK(ho_store_read(store, "empty", HO_F32, 2, (int64_t[]){-1, 5}, f32_back + 1));
    assert_memory_equal(u8, u8_back, sizeof u8);
    assert_memory_equal(i32, i32_back, sizeof i32);
    assert_memory_equal(i64, i64_back, sizeof i64);
    assert_memory_equal(f32, f32_back, sizeof f32);
    assert_memory_equal(f64, f64_back, sizeof f64);
    assert_true(scalar == f64[0]);
    ho_store_info info;
    CHECK_OK(ho_store_info_of(store, "f32", &info));
    assert_int_equal(info.dtype, HO_F32);
    assert_int_equal(info.rank, 3);
    assert_int_equal(info.dim[2], 3);
    assert_true(ho_store_has(store, "a/b/u8"));
    assert_false(ho_store_has(store, "a/b"));
    assert_false(ho_store_has(store, "a/c/u8"));
    assert_false(ho_store_has(store, ""));
    assert_false(ho_store_has(store, "/"));
    ho_store_close(store);
    ho_store_close(NULL);
}

/* Truth in double: the nearest multiple of the spacing of half-precision numbers at that size, ties to even. */
static float nearest_half(double value) {
    int exponent;
    frexp(value, &exponent); /* |value| in [2^(exponent - 1), 2^exponent) */
    const double spacing = ldexp(1.0, (exponent - 1 < -14 ? -14 : exponent - 1) - 10);
    const double rounded = isinf(value) ? value : rint(value / spacing) * spacing;
    return fabs(rounded) > 65504.0 ? copysignf(INFINITY, (float)value) : (float)rounded;
}

static void half_precision_rounds_as_ieee(void **state) {
    (void)state;
    enum { N = 4096 };
    float values[N], back[N];
    for (int i = 0; i < N; i++) {
        values[i] = ((float)i - 0.5f * N) * powf(1.013f, (float)(i % 1500) - 900.0f);
    }
    static const float SPECIAL[] = {0.0f,    1.0f,    65504.0f,       6.1035e-5f, 5.96e-8f, 1e-9f,
                                    2049.0f, 2051.0f, 1.00048828125f, -0.1f,      INFINITY, 1.00146484375f};
    memcpy(values, SPECIAL, sizeof SPECIAL);
    ho_store *store;
    CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_write(store, "x", HO_F16, 1, (int64_t[]){N}, values));
    commit(store);
    CHECK_OK(ho_store_open(in_folder("0.h5"), &store));
    ho_store_info info;
    CHECK_OK(ho_store_info_of(store, "x", &info));
    assert_int_equal(info.dtype, HO_F16);
    CHECK_OK(ho_store_read(store, "x", HO_F32, 1, (int64_t[]){N}, back));
    ho_store_close(store);
    for (int i = 0; i < N; i++) {
        const float want = nearest_half(values[i]);
        if (back[i] != want) {
            fail_msg("half of %.9g is %.9g, got %.9g", values[i], want, back[i]);
        }
    }
    struct stat facts;
    assert_int_equal(stat(in_folder("0.h5"), &facts), 0);
    assert_in_range(facts.st_size, 2 * N, 2 * N + 4096);
}

static void rows_come_and_go_in_parts(void **state) {
    (void)state;
    enum { N = 37, ROW = 200 * 200 * 3 }; /* more than a million bytes: chunked and compressed */
    uint8_t *images = malloc((size_t)N * ROW), *back = malloc((size_t)N * ROW);
    for (int i = 0; i < N * ROW; i++) {
        images[i] = (uint8_t)((i / 600) * 7 + i % 5);
    }
    ho_store *store;
    CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_reserve(store, "images", HO_U8, 4, (int64_t[]){N, 200, 200, 3}));
    CHECK_OK(ho_store_reserve(store, "latents", HO_F16, 2, (int64_t[]){N, 8}));
    for (int first = 0; first < N; first += 5) {
        const int n = first + 5 <= N ? 5 : N - first;
        float latents[5 * 8];
        for (int i = 0; i < n * 8; i++) {
            latents[i] = (float)(first * 8 + i);
        }
        CHECK_OK(ho_store_write_rows(store, "images", first, n, images + (size_t)first * ROW));
        CHECK_OK(ho_store_write_rows(store, "latents", first, n, latents));
    }
    assert_int_equal(ho_store_write_rows(store, "images", N - 1, 2, images), HO_ESHAPE);
    CHECK_SAYS("(37, 200, 200, 3) has no rows 36 to 37");
    CHECK_OK(ho_store_write_rows(store, "images", N, 0, images));
    commit(store);

    struct stat facts;
    assert_int_equal(stat(in_folder("0.h5"), &facts), 0);
    assert_in_range(facts.st_size, 1, N * ROW / 4);
    CHECK_OK(ho_store_open(in_folder("0.h5"), &store));
    for (int i = N - 1; i >= 0; i--) {
        CHECK_OK(ho_store_read_rows(store, "images", i, 1, back + (size_t)i * ROW));
    }
    assert_memory_equal(images, back, (size_t)N * ROW);
    float latents[2 * 8];
    CHECK_OK(ho_store_read_rows(store, "latents", 30, 2, latents));
    assert_true(latents[0] == 240.0f && latents[15] == 255.0f);
    assert_int_equal(ho_store_read_rows(store, "latents", -1, 2, latents), HO_ESHAPE);
    assert_int_equal(ho_store_write_rows(store, "latents", 0, 1, latents), HO_EIO);
    CHECK_SAYS("is open for reading");
    ho_store_close(store);
    free(images);
    free(back);
}

static void texts_and_numbers(void **state) {
    (void)state;
    static const char *const NAMES[] = {"skin", "", "left eye", "Augenbraue \xc3\xbc"};
    char *long_text = malloc(200001), *long_back = malloc(200001), text[8];
    memset(long_text, 'k', 200000);
    long_text[200000] = '\0';
    ho_store *store;
    CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_write_strings(store, "classes/names", 4, NAMES));
    CHECK_OK(ho_store_write_strings(store, "none", 0, NULL));
    CHECK_OK(ho_store_set_text(store, "config", long_text));
    CHECK_OK(ho_store_set_text(store, "blank", ""));
    CHECK_OK(ho_store_set_text(store, "kind", "old"));
    CHECK_OK(ho_store_set_text(store, "kind", "generator"));
    CHECK_OK(ho_store_set_number(store, "step", 12345.0));
    commit(store);
    CHECK_OK(ho_store_open(in_folder("0.h5"), &store));
    int n = -1;
    char **names = NULL;
    CHECK_OK(ho_store_read_strings(store, "classes/names", &n, &names));
    assert_int_equal(n, 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(names[i], NAMES[i]);
    }
    free(names);
    CHECK_OK(ho_store_read_strings(store, "none", &n, &names));
    assert_int_equal(n, 0);
    free(names);
    CHECK_OK(ho_store_get_text(store, "config", long_back, 200001));
    assert_string_equal(long_back, long_text);
    CHECK_OK(ho_store_get_text(store, "kind", text, sizeof text));
    assert_string_equal(text, "generat");
    CHECK_OK(ho_store_get_text(store, "blank", text, sizeof text));
    assert_string_equal(text, "");
    double number = 0.0;
    CHECK_OK(ho_store_get_number(store, "step", &number));
    assert_true(number == 12345.0);
    assert_true(ho_store_has_attribute(store, "step"));
    assert_false(ho_store_has_attribute(store, "steps"));
    assert_int_equal(ho_store_get_number(store, "kind", &number), HO_EFORMAT);
    CHECK_SAYS("attribute 'kind' is not a number");
    assert_int_equal(ho_store_get_text(store, "step", text, sizeof text), HO_EFORMAT);
    assert_int_equal(ho_store_get_text(store, "missing", text, sizeof text), HO_EFORMAT);
    CHECK_SAYS("has no attribute 'missing'");
    ho_store_close(store);
    free(long_text);
    free(long_back);
}

static void says_what_does_not_fit(void **state) {
    (void)state;
    float values[6] = {0};
    uint8_t bytes[6];
    ho_store *store;
    CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_write(store, "g/x", HO_F32, 2, (int64_t[]){2, 3}, values));
    assert_int_equal(ho_store_write(store, "g/x", HO_F32, 1, (int64_t[]){6}, values), HO_EIO);
    CHECK_SAYS("'g/x' exists already");
    assert_int_equal(ho_store_write(store, "y", HO_F32, 1, (int64_t[]){-6}, values), HO_ESHAPE);
    const char *const one = "x";
    CHECK_OK(ho_store_write_strings(store, "text", 1, &one));
    CHECK_OK(ho_store_commit(store));
    assert_int_equal(ho_store_write(store, "z", HO_F32, 1, (int64_t[]){6}, values), HO_EIO);
    CHECK_SAYS("is committed");
    ho_store_close(store);
    CHECK_OK(ho_store_open(in_folder("0.h5"), &store));
    assert_int_equal(ho_store_read(store, "g/x", HO_F32, 2, (int64_t[]){3, -1}, values), HO_EFORMAT);
    CHECK_SAYS("0.h5: data set 'g/x' has the shape (2, 3), expected (3, *)");
    assert_int_equal(ho_store_read(store, "g/x", HO_U8, 2, (int64_t[]){2, 3}, bytes), HO_EFORMAT);
    CHECK_SAYS("'g/x' holds f32, expected u8");
    assert_int_equal(ho_store_read(store, "g/y", HO_F32, 1, (int64_t[]){2}, values), HO_EFORMAT);
    CHECK_SAYS("has no data set 'g/y'");
    assert_int_equal(ho_store_read(store, "g", HO_F32, 1, (int64_t[]){2}, values), HO_EFORMAT);
    CHECK_SAYS("'g' is a group");
    assert_int_equal(ho_store_read(store, "text", HO_F32, 1, (int64_t[]){1}, values), HO_EFORMAT);
    CHECK_SAYS("not one of u8");
    int n;
    char **strings;
    assert_int_equal(ho_store_read_strings(store, "g/x", &n, &strings), HO_EFORMAT);
    assert_null(strings);
    ho_store_close(store);
}

static void write_mixed(const char *path) {
    static const char *const NAMES[] = {"a", "bc"};
    uint8_t *bytes = calloc(1500000, 1);
    float values[100];
    for (int i = 0; i < 100; i++) {
        values[i] = (float)i * 0.1f;
    }
    ho_store *store;
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_store_set_text(store, "config", "steps = 1"));
    CHECK_OK(ho_store_write(store, "g/h/x", HO_F16, 1, (int64_t[]){100}, values));
    CHECK_OK(ho_store_reserve(store, "images", HO_U8, 2, (int64_t[]){1500, 1000}));
    CHECK_OK(ho_store_write_rows(store, "images", 0, 700, bytes));
    CHECK_OK(ho_store_write_strings(store, "names", 2, NAMES));
    CHECK_OK(ho_store_set_text(store, "config", "steps = 2"));
    commit(store);
    free(bytes);
}

static void equal_content_gives_equal_bytes(void **state) {
    (void)state;
    char first[65], second[65];
    write_mixed(in_folder("0.h5"));
    sleep(1); /* time stamps would differ */
    write_mixed(in_folder("1.h5"));
    CHECK_OK(ho_file_sha256(in_folder("0.h5"), first));
    CHECK_OK(ho_file_sha256(in_folder("1.h5"), second));
    assert_string_equal(first, second);
}

typedef struct {
    char names[128];
    ho_status answer;
} visited;

static ho_status note_name(void *user, const char *name, const ho_store_info *info) {
    visited *all = user;
    const size_t at = strlen(all->names);
    snprintf(all->names + at, sizeof all->names - at, "%s:%d ", name, info->rank);
    if (all->answer != HO_OK) {
        HO_FAIL(all->answer, "stopped at %s", name);
    }
    return HO_OK;
}

static void visits_in_name_order(void **state) {
    (void)state;
    write_mixed(in_folder("0.h5"));
    ho_store *store;
    CHECK_OK(ho_store_open(in_folder("0.h5"), &store));
    visited all = {"", HO_OK};
    CHECK_OK(ho_store_visit(store, note_name, &all));
    assert_string_equal(all.names, "g/h/x:1 images:2 ");
    visited some = {"", HO_EUSAGE};
    assert_int_equal(ho_store_visit(store, note_name, &some), HO_EUSAGE);
    assert_string_equal(some.names, "g/h/x:1 ");
    CHECK_SAYS("stopped at g/h/x");
    ho_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_type_round_trips, empty_folder),
        cmocka_unit_test_teardown(half_precision_rounds_as_ieee, empty_folder),
        cmocka_unit_test_teardown(rows_come_and_go_in_parts, empty_folder),
        cmocka_unit_test_teardown(texts_and_numbers, empty_folder),
        cmocka_unit_test_teardown(says_what_does_not_fit, empty_folder),
        cmocka_unit_test_teardown(equal_content_gives_equal_bytes, empty_folder),
        cmocka_unit_test_teardown(visits_in_name_order, empty_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

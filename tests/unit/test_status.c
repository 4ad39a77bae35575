/* The record of failures: text, place, context, cutting, one per thread. */
#include "handsoff/status.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static ho_status failing(int n) {
    HO_FAIL(HO_EIO, "number %d", n);
}

static ho_status relaying(int n) {
    HO_TRY(failing(n));
    return HO_OK;
}

static void records_text_and_place(void **state) {
    (void)state;
    assert_int_equal(relaying(7), HO_EIO);
    assert_string_equal(ho_error(), "number 7");
    assert_non_null(strstr(ho_error_source(), "test_status.c:"));
}

static void puts_context_before(void **state) {
    (void)state;
    failing(3);
    assert_int_equal(ho_fail_context(HO_ESHAPE, "file %s", "a.h5"), HO_ESHAPE);
    assert_string_equal(ho_error(), "file a.h5: number 3");
}

static void takes_its_own_text_as_argument(void **state) {
    (void)state;
    failing(5);
    assert_int_equal(ho_fail(HO_EIO, "x.c", 9, "again: %s", ho_error()), HO_EIO);
    assert_string_equal(ho_error(), "again: number 5");
    assert_string_equal(ho_error_source(), "x.c:9");
    ho_fail_context(HO_EIO, "<%s>", ho_error());
    assert_string_equal(ho_error(), "<again: number 5>: again: number 5");
}

static void marks_what_was_cut(void **state) {
    (void)state;
    char long_text[5000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    ho_fail(HO_EIO, "x.c", 1, "%s", long_text);
    const size_t length = strlen(ho_error());
    assert_in_range(length, 1000, 4998);
    assert_string_equal(ho_error() + length - 4, "x...");
    ho_fail_context(HO_EIO, "context");
    assert_int_equal(strlen(ho_error()), length);
    assert_memory_equal(ho_error(), "context: x", 10);
    assert_string_equal(ho_error() + length - 4, "x...");
}

static void *fail_elsewhere(void *unused) {
    (void)unused;
    const char *before = ho_error();
    const char *result = before[0] == '\0' ? "clean" : "dirty";
    failing(99);
    return (void *)result;
}

static void threads_keep_their_own(void **state) {
    (void)state;
    failing(1);
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_string_equal((const char *)result, "clean");
    assert_string_equal(ho_error(), "number 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_text_and_place),         cmocka_unit_test(puts_context_before),
        cmocka_unit_test(takes_its_own_text_as_argument), cmocka_unit_test(marks_what_was_cut),
        cmocka_unit_test(threads_keep_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

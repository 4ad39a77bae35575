/* The pickle machine: graphs of pickles of every protocol as text, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/io/pickle_read.h"

static ho_status read_memory(const ho_source *source, int64_t offset, int64_t n, void *bytes) {
    memcpy(bytes, (const char *)source->user + offset, (size_t)n);
    return HO_OK;
}

static ho_source memory_source(const char *bytes, size_t n) {
    return (ho_source){"memory", (int64_t)n, read_memory, (void *)(uintptr_t)bytes, 0};
}

typedef struct {
    char text[4096];
    size_t n;
} output;

static void put(output *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(output *out, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    out->n += (size_t)vsnprintf(out->text + out->n, sizeof out->text - out->n, format, arguments);
    va_end(arguments);
    assert_true(out->n < sizeof out->text);
}

static void dump(output *out, const ho_node *node, int depth);

static void dump_row(output *out, const ho_node *node, char open, char close, int depth) {
    put(out, "%c", open);
    for (int64_t i = 0; i < node->n_items; ++i) {
        put(out, i > 0 ? " " : "");
        dump(out, node->item[i], depth);
    }
    put(out, "%c", close);
}

static void dump_call(output *out, const ho_node *node, int depth) {
    put(out, "call ");
    dump(out, node->function, depth);
    dump(out, node->arguments, depth);
    if (node->n_items > 0) {
        dump_row(out, node, '{', '}', depth);
    }
    if (node->state != NULL) {
        put(out, "=");
        dump(out, node->state, depth);
    }
}

static void dump(output *out, const ho_node *node, int depth) {
    if (depth > 6) {
        put(out, "...");
        return;
    }
    switch (node->kind) {
    case HO_NODE_NONE:
        put(out, "none");
        return;
    case HO_NODE_BOOL:
        put(out, node->integer != 0 ? "true" : "false");
        return;
    case HO_NODE_INT:
        put(out, "%lld", (long long)node->integer);
        return;
    case HO_NODE_FLOAT:
        put(out, "%g", node->real);
        return;
    case HO_NODE_TEXT:
        put(out, "'%s'", node->text);
        return;
    case HO_NODE_BYTES:
        put(out, "bytes@%lld+%lld", (long long)node->first, (long long)node->n_bytes);
        return;
    case HO_NODE_GLOBAL:
        put(out, "<%s>", node->text);
        return;
    case HO_NODE_TUPLE:
        dump_row(out, node, '(', ')', depth + 1);
        return;
    case HO_NODE_LIST:
        dump_row(out, node, '[', ']', depth + 1);
        return;
    case HO_NODE_SET:
        dump_row(out, node, '/', '/', depth + 1);
        return;
    case HO_NODE_DICT:
        dump_row(out, node, '{', '}', depth + 1);
        return;
    case HO_NODE_CALL:
        dump_call(out, node, depth + 1);
        return;
    case HO_NODE_PERSISTENT:
        put(out, "persistent");
        dump(out, node->arguments, depth + 1);
        return;
    }
}

static void check(const char *bytes, size_t n, const char *want) {
    const ho_source source = memory_source(bytes, n);
    ho_pickle *pickle = NULL;
    output out = {"", 0};
    if (ho_pickle_read(&source, 0, &pickle) != HO_OK) {
        fail_msg("%s: %s", want, ho_error());
    }
    dump(&out, ho_pickle_root(pickle), 0);
    assert_string_equal(out.text, want);
    assert_int_equal(ho_pickle_end_of(pickle), (int64_t)n);
    ho_pickle_free(pickle);
}
#define CHECK(bytes, want) check(bytes, sizeof bytes - 1, want)

/* pickle.dumps([None, True, False, 1, -2, 300, 70000, -70000, 2**40, 1.5, "a", (1,), {}, {"k": []}], N) */
static void test_values(void **state) {
    (void)state;
    CHECK("(lp0\nNaI01\naI00\naI1\naI-2\naI300\naL1099511627776L\naF1.5\naVa\np1\na(I1\ntp2\na(dp3\na.",
          "[none true false 1 -2 300 1099511627776 1.5 'a' (1) {}]");
    CHECK("\x80\x02]q\x00("
          "N\x88\x89K\x01J\xfe\xff\xff\xffM\x2c\x01J\x70\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01G\x3f\xf8"
          "\x00\x00\x00\x00\x00\x00X\x01\x00\x00\x00"
          "aq\x01K\x01\x85q\x02}q\x03X\x01\x00\x00\x00kq\x04]q\x05se.",
          "[none true false 1 -2 300 70000 1099511627776 1.5 'a' (1) {'k' []}]");
    CHECK("\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8f\x94(K\x01K\x02\x90.", "/1 2/");
    CHECK("\x80\x05\x96\x03\x00\x00\x00\x00\x00\x00\x00"
          "abc\x94.",
          "bytes@11+3");
    CHECK("\x80\x02\x8a\x01\xff.", "-1");
    CHECK("\x80\x02\x8a\x00.", "0");
    CHECK("\x80\x02\x8a\x0a\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a.", "bytes@4+10");
}

/* What a pickle calls is kept beside its arguments and never called. */
static void test_calls(void **state) {
    (void)state;
    CHECK("cos\nsystem\n(S'ls'\ntR.", "call <os system>('ls')");
    CHECK("(S'ls'\nios\nsystem\n.", "call <os system>('ls')");
    CHECK("(cos\nsystem\nS'ls'\no.", "call <os system>('ls')");
    CHECK("\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.", "call <os system>('ls')");
    CHECK("\x80\x02"
          "cc\nD\n)\x81X\x01\x00\x00\x00kK\x01s}(K\x02K\x03ub.",
          "call <c D>(){'k' 1}={2 3}");
    CHECK("\x80\x04\x8c\x01"
          "a\x8c\x01"
          "b\x93)}\x92.",
          "call <a b>()");
    CHECK("\x80\x02(K\x01K\x02tQ.", "persistent(1 2)");
    CHECK("\x80\x02\x82\x07.", "<copyreg extension>");
}

static void test_memo_and_cycles(void **state) {
    (void)state;
    CHECK("\x80\x02]q\x00(h\x00K\x01"
          "e.",
          "[[[[[[[... ...] 1] 1] 1] 1] 1] 1]");
    CHECK("\x80\x04K\x07\x94h\x00\x86.", "(7 7)");
}

static void refuse(const char *bytes, size_t n, const char *want) {
    const ho_source source = memory_source(bytes, n);
    ho_pickle *pickle = NULL;
    assert_int_equal(ho_pickle_read(&source, 0, &pickle), HO_EFORMAT);
    assert_null(pickle);
    assert_non_null(strstr(ho_error(), want));
    assert_non_null(strstr(ho_error(), "memory"));
}
#define REFUSE(bytes, want) refuse(bytes, sizeof bytes - 1, want)

static void test_refusals(void **state) {
    (void)state;
    REFUSE("", "cut off");
    REFUSE("\x80\x02]", "cut off");
    REFUSE("\x80\x06.", "protocol beyond 5");
    REFUSE("\x80\x02.", "empty stack");
    REFUSE("\x80\x02~.", "unknown opcode at byte 3");
    REFUSE("\x80\x02h\x05.", "never set");
    REFUSE("\x80\x02Nr\xff\xff\xff\xff.", "memo beyond");
    REFUSE("\x80\x02u.", "a mark is wanted");
    REFUSE("\x80\x02}(K\x01u.", "key without its value");
    REFUSE("\x80\x02K\x01(K\x01K\x02u.", "no container");
    REFUSE("\x80\x02(K\x01s.", "lacks a part"); /* SETITEM must not reach below the mark */
    REFUSE("\x80\x02K\x01K\x02(\x86.", "lacks a part");
    REFUSE("\x80\x02X\xff\xff\xff\x7f.", "cut off");
    REFUSE("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "63 bits");
    REFUSE("\x80\x04K\x01K\x02\x93.", "no text");
    REFUSE("\x80\x05\x97.", "outside of the file");
}

/* A text beyond the limit is counted and not kept; bytes are never copied. */
static void test_large_text(void **state) {
    (void)state;
    static char bytes[3 + 4 + HO_PICKLE_TEXT + 1 + 1];
    const uint32_t n = HO_PICKLE_TEXT + 1;
    memcpy(bytes, "\x80\x02X", 3);
    memcpy(bytes + 3, &n, sizeof n);
    memset(bytes + 7, 'a', n);
    bytes[7 + n] = '.';
    const ho_source source = memory_source(bytes, sizeof bytes);
    ho_pickle *pickle = NULL;
    assert_int_equal(ho_pickle_read(&source, 0, &pickle), HO_OK);
    assert_string_equal(ho_pickle_root(pickle)->text, "");
    assert_int_equal(ho_pickle_root(pickle)->n_text, n);
    ho_pickle_free(pickle);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),   cmocka_unit_test(test_calls),      cmocka_unit_test(test_memo_and_cycles),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_large_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

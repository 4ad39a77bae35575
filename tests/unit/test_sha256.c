/* SHA-256 against the examples of FIPS 180-4 and lengths around the block boundary. */
#include "src/io/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "handsoff/store.h"

static void known(const char *text, const char *want) {
    ho_sha256 sum;
    char hex[65];
    ho_sha256_start(&sum);
    ho_sha256_add(&sum, text, strlen(text));
    ho_sha256_end(&sum, hex);
    assert_string_equal(hex, want);
}

static void published_examples(void **state) {
    (void)state;
    known("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    known("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    known("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    known("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopq"
          "rstu",
          "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void million_in_uneven_parts(void **state) {
    (void)state;
    char block[977];
    memset(block, 'a', sizeof block);
    ho_sha256 sum;
    char hex[65];
    ho_sha256_start(&sum);
    for (size_t left = 1000000; left > 0;) {
        const size_t part = left < sizeof block ? left : sizeof block;
        ho_sha256_add(&sum, block, part);
        left -= part;
    }
    ho_sha256_end(&sum, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Where the padding changes its number of blocks; the sums are sha256sum's of that many bytes 'b'. */
static void around_a_block(void **state) {
    (void)state;
    static const struct {
        int n;
        const char *want;
    } CASES[] = {
        {1, "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"},
        {55, "eb2c86e932179f4ba13fe8715a26124b77d6bad290b9b4c1cc140cf633300c19"},
        {56, "a5fc6e203a4c2b657d0d153885932414b2ffc6a93f0f8bf8b3183315e5a7212c"},
        {63, "94e419fabac7f930810f9636354042f8c1426d2f834d4ab65c93dc1e69326b13"},
        {64, "a0fab1377f49a759b57f63318262ebe89fabfc990e8e93ceac2984561482b9d4"},
        {65, "74b128f30cf83de43ddf4aafc40c7b50a7443d3c73a89a7cfca17e15e43d51ab"},
        {119, "68297a9eb141ce16bbc0847da1c0c48e2858704feaa13993bde29f87a198a6e1"},
        {120, "392add47fbaa8197a874ebe770a947a26dd6f2becce5f64688cc4d18c9da93bd"},
        {128, "70ae1c5307f5250d5cb9e40742ba9613fcdf9b8d9eb6dd393330443b2d5effbd"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char text[130] = "";
        memset(text, 'b', (size_t)CASES[i].n);
        known(text, CASES[i].want);
    }
}

static void of_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/ho_test_sha256_XXXXXX", hex[65];
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "abc", 3), 3);
    close(file);
    assert_int_equal(ho_file_sha256(path, hex), HO_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    unlink(path);
    assert_int_equal(ho_file_sha256(path, hex), HO_EIO);
    assert_non_null(strstr(ho_error(), path));
    assert_non_null(strstr(ho_error(), "No such file"));
    assert_int_equal(ho_file_sha256("/tmp", hex), HO_EIO);
    assert_non_null(strstr(ho_error(), "directory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples),
        cmocka_unit_test(million_in_uneven_parts),
        cmocka_unit_test(around_a_block),
        cmocka_unit_test(of_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

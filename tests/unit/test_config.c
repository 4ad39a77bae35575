/* Config files: what is read, what each mistake says, and the text that records carry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "handsoff/config.h"
#include "src/io/config_table.h"
#include "src/io/suggest.h"

static char path[] = "/tmp/handsoff_config_XXXXXX";

static int make_file(void **state) {
    (void)state;
    const int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static void write_file(const char *text, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static ho_status load(const char *text, const char *override, ho_config **config) {
    write_file(text, strlen(text));
    return ho_config_load(path, override != NULL, &override, config);
}

/* The text must fail with `status`, and the message must hold each part of `want`, separated by '|'. */
static void expect_failure(const char *text, size_t size, const char *override, ho_status status, const char *want) {
    ho_config *config = NULL;
    write_file(text, size);
    const ho_status got = ho_config_load(path, override != NULL, &override, &config);
    if (got != status || config != NULL) {
        fail_msg("status %d, wanted %d (%s) for:\n%s", got, status, got == HO_OK ? "accepted" : ho_error(), text);
    }
    char parts[512];
    snprintf(parts, sizeof parts, "%s", want);
    for (char *part = strtok(parts, "|"); part != NULL; part = strtok(NULL, "|")) {
        if (strstr(ho_error(), part) == NULL) {
            fail_msg("message '%s' lacks '%s'", ho_error(), part);
        }
    }
}

static void test_values(void **state) {
    (void)state;
    ho_config *config = NULL;
    assert_int_equal(load("name: cars # the run\nseed: 9007199254740991\nlabelled: [16, 50]\n"
                          "gan:\n  lr: 2.5e-3\n  mirror: false\n  weights: '{data}/g.h5'\n"
                          "gan.batch: 8\nhead:\n  hidden:\n    - 64\n    - 16\n",
                          NULL, &config),
                     HO_OK);
    assert_string_equal(ho_config_text(config, "name"), "cars");
    assert_true(ho_config_int(config, "seed") == 9007199254740991);
    assert_true(ho_config_real(config, "gan.lr") == 2.5e-3);
    assert_false(ho_config_bool(config, "gan.mirror"));
    assert_string_equal(ho_config_text(config, "gan.weights"), "{data}/g.h5");
    assert_int_equal(ho_config_int(config, "gan.batch"), 8);
    const int64_t *ints = NULL;
    assert_int_equal(ho_config_ints(config, "labelled", &ints), 2);
    assert_int_equal(ints[0], 16);
    assert_int_equal(ints[1], 50);
    assert_int_equal(ho_config_ints(config, "head.hidden", &ints), 2);
    assert_int_equal(ints[1], 16);
    assert_int_equal(ho_config_ints(config, "head.blocks", &ints), 0);
    assert_string_equal(ho_config_text(config, "filter.rule"), "highest"); /* a default */
    assert_string_equal(ho_config_path(config), path);
    ho_config_free(config);
}

static void test_overrides(void **state) {
    (void)state;
    ho_config *config = NULL;
    const char *const overrides[] = {"gan.lr=0.5", "labelled=[1, 2,3]", "data.test_dir=a=b c", "gan.weights="};
    write_file("gan: {lr: 0.1, weights: x}\n", 27);
    assert_int_equal(ho_config_load(path, 4, overrides, &config), HO_OK);
    assert_true(ho_config_real(config, "gan.lr") == 0.5);
    const int64_t *ints = NULL;
    assert_int_equal(ho_config_ints(config, "labelled", &ints), 3);
    assert_int_equal(ints[2], 3);
    assert_string_equal(ho_config_text(config, "data.test_dir"), "a=b c");
    assert_string_equal(ho_config_text(config, "gan.weights"), "");
    ho_config_free(config);
}

/* One text and parts of the message that it gets. */
typedef struct {
    const char *text, *want;
} mistake;

static void expect_mistakes(size_t n, const mistake *cases) {
    for (size_t i = 0; i < n; ++i) {
        expect_failure(cases[i].text, strlen(cases[i].text), NULL, HO_ECONFIG, cases[i].want);
        if (strstr(ho_error(), path) == NULL) {
            fail_msg("message '%s' does not name the file", ho_error());
        }
    }
}

static void test_mistakes_in_files(void **state) {
    (void)state;
    static const mistake CASES[] = {
        {"", "is empty"},
        {"# only a comment\n", "is empty"},
        {"- a\n- b\n", ":1: expected a map|found a list"},
        {"just words\n", ":1: expected a map|found a value"},
        {"name: a\ngan:\n  btach: 3\n", ":3: unknown key 'gan.btach'|did you mean 'gan.batch'"},
        {"lr: 3\n", ":1: unknown key 'lr'|did you mean 'gan.lr'"},
        {"name: a\nqwertyuiopasdf: 3\n", ":2: unknown key 'qwertyuiopasdf'|help config"},
        {"gann: {}\n", ":1: unknown key 'gann', did you mean 'gan'?"},
        {"gan: 3\n", ":1: gan is a group|found a value"},
        {"gan:\n", ":1: gan is a group"},
        {"gan: [1]\n", ":1: gan is a group|found a list"},
        {"seed: {a: 1}\n", ":1: seed: expected a value, found a map"},
        {"name: a\nseed: 1\nname: b\n", ":3: name is given a second time"},
        {"gan:\n  lr: 0.1\ngan.lr: 0.1\n", ":3: gan.lr is given a second time"},
        {"gan:\n\tlr: 0.1\n", ":2:|not YAML|tab"},
        {"name: [a\n", "not YAML"},
        {"name: a\n  b: c\n", ":2:|not YAML"},
        {"name: a\n---\nname: b\n", "a second YAML document"},
        {"? [a]\n: b\n", "a key must be a word"},
        {"a: &x {b: *x}\n", "unknown key 'a'"},
        {"gan: &x {gan: *x}\n", "unknown key 'gan.gan'"},
    };
    expect_mistakes(sizeof CASES / sizeof CASES[0], CASES);
    expect_failure("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16, NULL, HO_ECONFIG, "not YAML");
    expect_failure("name: \xff\xfe\n", 9, NULL, HO_ECONFIG, "not YAML");
}

static void test_mistakes_in_values(void **state) {
    (void)state;
    static const mistake CASES[] = {
        {"gan:\n  batch: 0\n", ":2: gan.batch: 0 is out of range, allowed is 1 to 4096"},
        {"gan.lr: -0.1\n", ":1: gan.lr: -0.1 is out of range, allowed is 0 to 1"},
        {"gan.lr: 1e999\n", "out of range"},
        {"name: a\ndata:\n  size: 20\n", ":3: data.size: 20 is not one of 8|16|32|64|128|256|512|1024"},
        {"data.size: 4\n", ":1: data.size: 4 is out of range, allowed is 8 to 1024"},
        {"data.size: 2048\n", ":1: data.size: 2048 is out of range, allowed is 8 to 1024"},
        {"seed: 99999999999999999999\n", "out of range|9007199254740991"},
        {"seed: -1\n", "seed: -1 is out of range"},
        {"gan.batch: 12 images\n", ":1: gan.batch: ' images' follows the integer"},
        {"gan.batch: 1.5\n", "gan.batch: '.5' follows the integer"},
        {"gan.lr: 0.1x\n", "gan.lr: 'x' follows the number"},
        {"gan.lr: 0x10\n", "gan.lr: 'x10' follows the number"},
        {"gan.lr: .nan\n", "gan.lr: expected a number, found '.nan'"},
        {"gan.lr: nan\n", "gan.lr: expected a number, found 'nan'"},
        {"gan.lr: inf\n", "gan.lr: expected a number"},
        {"gan.lr:\n", "gan.lr: expected a number, found ''"},
        {"gan.lr: ~\n", "gan.lr: null is no value"},
        {"gan.batch: many\n", "gan.batch: expected an integer, found 'many'"},
        {"gan.batch: '12'\n", "gan.batch: expected an integer, found the quoted text '12'"},
        {"gan.batch: [1]\n", "gan.batch: expected an integer, found a list"},
        {"gan.mirror: yes\n", "gan.mirror: expected true or false, found 'yes'"},
        {"filter.rule: hihgest\n", "filter.rule: 'hihgest' is not one of none|highest|handsoff"},
        {"filter.rule: none|highest\n", "is not one of"},
        {"labelled: [16, x]\n", "labelled: expected integers such as 16,50, found 'x'"},
        {"labelled: [16, [3]]\n", "labelled: item 2 of the list is no integer"},
        {"labelled: [16, 0]\n", "labelled: 0 is out of range, allowed is 1 to 100000"},
        {"labelled: []\n", "labelled: expected at least one integer"},
        {"labelled: 16,\n", "labelled: ',' follows an integer"},
        {"labelled: 16 50\n", "labelled: '50' follows an integer"},
        {"name: \"a\\nb\"\n", "name: control character 10"},
        {"name: \"a\\0b\"\n", "name: a NUL character"},
    };
    expect_mistakes(sizeof CASES / sizeof CASES[0], CASES);
}

static void test_mistakes_in_overrides(void **state) {
    (void)state;
    static const struct {
        const char *override;
        ho_status status;
        const char *want;
    } CASES[] = {
        {"gan.lr", HO_EUSAGE, "argument 'gan.lr': expected key=value"},
        {"=3", HO_EUSAGE, "argument '=3': expected key=value"},
        {"gan.lrr=1", HO_ECONFIG, "argument 'gan.lrr=1': unknown key 'gan.lrr', did you mean 'gan.lr'?"},
        {"gan.lr=", HO_ECONFIG, "argument 'gan.lr=': gan.lr: expected a number"},
        {"gan.lr=0.1 ", HO_ECONFIG, "follows the number"},
        {"gan.lr= 0.1", HO_ECONFIG, "expected a number"},
        {"gan.lr=2", HO_ECONFIG, "gan.lr: 2 is out of range, allowed is 0 to 1"},
        {"gan=2", HO_ECONFIG, "argument 'gan=2': gan is a group of keys|such as gan.weights=..."},
        {"ga=2", HO_ECONFIG, "unknown key 'ga'"},
        {"labelled=[1,2", HO_ECONFIG, "does not end with ']'"},
        {"labelled=1]", HO_ECONFIG, "']' follows an integer"},
        {"labelled=[1]x", HO_ECONFIG, "does not end with ']'"},
        {"labelled=", HO_ECONFIG, "at least one integer"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        expect_failure("name: a\n", 8, CASES[i].override, CASES[i].status, CASES[i].want);
    }
    const char *const twice[] = {"seed=1", "seed=2"};
    ho_config *config = NULL;
    assert_int_equal(ho_config_load(path, 2, twice, &config), HO_ECONFIG);
    assert_string_equal(ho_error(), "argument 'seed=2': seed is given a second time");
}

static void test_files_that_cannot_be_read(void **state) {
    (void)state;
    ho_config *config = NULL;
    assert_int_equal(ho_config_load("/nonexistent/c.yml", 0, NULL, &config), HO_EIO);
    assert_string_equal(ho_error(), "cannot open config file /nonexistent/c.yml: No such file or directory");
    assert_int_equal(ho_config_load("/tmp", 0, NULL, &config), HO_EIO);
    assert_non_null(strstr(ho_error(), "/tmp: Is a directory"));
    assert_int_equal(ho_config_load("/dev/zero", 0, NULL, &config), HO_ECONFIG);
    assert_non_null(strstr(ho_error(), "no config file"));
    assert_null(config);
}

static void test_dump(void **state) {
    (void)state;
    ho_config *config = NULL;
    char *text = NULL;
    assert_int_equal(load("invert: {lr: 1.0e-1, steps: 7}\nlabelled: 16\n", NULL, &config), HO_OK);
    const char *const prefixes[] = {"invert.lr", "seed", "labelled"};
    assert_int_equal(ho_config_dump(config, 3, prefixes, &text), HO_OK);
    assert_string_equal(text,
                        "seed: 0\nlabelled: 16\ninvert.lr: 0.1\ninvert.lr_rampup: 0.05\ninvert.lr_rampdown: 0.25\n");
    free(text);
    assert_int_equal(ho_config_dump(config, 0, NULL, &text), HO_OK);
    ho_config_free(config);

    /* The whole dump is itself a config, and of the same values. */
    ho_config *again = NULL;
    char *second = NULL;
    assert_int_equal(load(text, NULL, &again), HO_OK);
    assert_int_equal(ho_config_dump(again, 0, NULL, &second), HO_OK);
    assert_string_equal(second, text);
    int lines = 0;
    for (const char *at = text; *at != '\0'; ++at) {
        lines += *at == '\n';
    }
    assert_int_equal(lines, HO_N_CONFIG_KEYS);
    free(text);
    free(second);
    ho_config_free(again);
}

/* A number in the dump reads back as the same bits. */
static void test_dump_keeps_numbers(void **state) {
    (void)state;
    static const double NUMBERS[] = {0.1, 1.0 / 3.0, 0.30000000000000004, 5e-324, 1.0, 0.0025};
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; ++i) {
        char override[64];
        ho_config *config = NULL;
        char *text = NULL;
        snprintf(override, sizeof override, "gan.lr=%.17g", NUMBERS[i]);
        assert_int_equal(load("name: a\n", override, &config), HO_OK);
        const char *const prefix = "gan.lr";
        assert_int_equal(ho_config_dump(config, 1, &prefix, &text), HO_OK);
        assert_true(strtod(strchr(text, ':') + 1, NULL) == NUMBERS[i]);
        free(text);
        ho_config_free(config);
    }
}

static void test_help_names_every_key(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ho_config_print_help(out);
    assert_int_equal(fclose(out), 0);
    for (int i = 0; i < HO_N_CONFIG_KEYS; ++i) {
        assert_non_null(strstr(text, HO_CONFIG_KEYS[i].key));
        assert_non_null(strstr(text, HO_CONFIG_KEYS[i].help));
    }
    free(text);
}

static void test_edit_distance(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        int distance;
    } CASES[] = {{"", "", 0},           {"abc", "abc", 0},        {"", "abc", 3},  {"abc", "", 3},
                 {"batch", "btach", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"lr", "lrr", 1},
                 {"abc", "xyz", 3},     {"ca", "abc", 3}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        assert_int_equal(ho_edit_distance(CASES[i].a, CASES[i].b), CASES[i].distance);
        assert_int_equal(ho_edit_distance(CASES[i].b, CASES[i].a), CASES[i].distance);
    }
    static const char *const WORDS[] = {"run", "synth", "invert", "gan.batch"};
    assert_string_equal(ho_nearest("rnu", 4, WORDS), "run");
    assert_string_equal(ho_nearest("batch", 4, WORDS), "gan.batch");
    assert_string_equal(ho_nearest("imvret", 4, WORDS), "invert");
    assert_null(ho_nearest("completely", 4, WORDS));
    assert_null(ho_nearest("x", 4, WORDS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_mistakes_in_files),
        cmocka_unit_test(test_mistakes_in_values),
        cmocka_unit_test(test_mistakes_in_overrides),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_dump_keeps_numbers),
        cmocka_unit_test(test_help_names_every_key),
        cmocka_unit_test(test_edit_distance),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}

/* What is refused before any stage has run: keys that contradict each other, weights that are something else. */
#include <stdio.h>
#include <string.h>

#include "handsoff/stylegan2.h"
#include "opened_run.h"

/* The mistake is told with the place of the key; `want` are parts of the message, separated by '|'. */
static void refuses(const char *text, const char *override, const char *want) {
    ho_config *config = NULL;
    write_text(in_folder("c.yml"), text);
    CHECK_OK(ho_config_load(in_folder("c.yml"), override != NULL, &override, &config));
    assert_int_equal(ho_preflight_config(config), HO_ECONFIG);
    char parts[512];
    snprintf(parts, sizeof parts, "%s", want);
    for (char *part = strtok(parts, "|"); part != NULL; part = strtok(NULL, "|")) {
        CHECK_SAYS(part);
    }
    ho_config_free(config);
}

static void accepts(const char *text, const char *override) {
    ho_config *config = NULL;
    write_text(in_folder("c.yml"), text);
    CHECK_OK(ho_config_load(in_folder("c.yml"), override != NULL, &override, &config));
    CHECK_OK(ho_preflight_config(config));
    ho_config_free(config);
}

static void keys_that_contradict_each_other(void **state) {
    (void)state;
    accepts("name: a\n", NULL);
    refuses("name: a\nlabelled: [4, 7]\ndata: {n_train: 6}\n", NULL,
            "c.yml:2: labelled: 7 images are asked for, data.n_train makes 6");
    refuses("name: a\nlabelled: 7\n", "data.n_train=6", "c.yml:2: labelled: 7");
    refuses("name: a\ndata: {n_train: 6}\n", NULL, "c.yml:2: labelled: 16 images are asked for (the default)");
    accepts("labelled: 7\ndata: {n_train: 6, format: car-parts}\n", NULL);
    refuses("name: a\nhead:\n  hidden: 5\n", NULL, "c.yml:3: head.hidden: found 1 widths; right are two");
    refuses("name: a\n", "head.hidden=1,2,3", "argument 'head.hidden=1,2,3': head.hidden: found 3 widths");
    refuses("data: {size: 32}\nhead: {blocks: [0, 8]}\n", NULL,
            "c.yml:2: head.blocks: 8 as entry 2|0 to 7 at data.size 32");
    accepts("data: {size: 32}\nhead: {blocks: [0, 7]}\n", NULL);
    refuses("head: {blocks: [3, 3]}\n", NULL, "c.yml:1: head.blocks: 3 as entry 2|ascending");
    refuses("gan:\n  batch: 6\n", NULL, "c.yml:2: gan.batch: 6 is no multiple of gan.mbstd_group, 4");
    refuses("gan:\n  mbstd_group: 5\n", NULL, "c.yml:2: gan.batch: 32 is no multiple of gan.mbstd_group, 5");
    accepts("gan: {batch: 3}\n", NULL); /* the group is then the batch */
    accepts("gan: {batch: 6, weights: g.h5}\n", NULL);
    refuses("gan: {channel_base: 32}\n", NULL, "c.yml:1: gan.channel_base: 32 leaves no channel at data.size 64");
}

static void write_generator(const char *path, int64_t size) {
    const ho_stylegan2_shape shape = {size, size, 8, 8, 256, 8, 2};
    ho_generator *generator = NULL;
    ho_store *store = NULL;
    CHECK_OK(ho_generator_create(run_device(), &shape, 0, &generator));
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_generator_write(generator, store));
    commit(store);
    ho_generator_free(generator);
}

/* Opens a run with one override "KEY=FOLDER/NAME". */
static void open_with(const char *name, const char *key, const char *file) {
    char override[256];
    const char *more = override;
    snprintf(override, sizeof override, "%s=%s", key, in_folder(file));
    open_run_of(name, "threads: 1\ndata: {size: 16}\ntransfer.weights: ''\n", 1, &more);
}

static void files_of_another_kind(void **state) {
    (void)state;
    static const struct {
        const char *key, *stage, *file, *want;
        ho_status status;
    } CASES[] = {
        {"gan.weights", "train-gan", "text.h5", "text.h5 is not an HDF5 file", HO_EFORMAT},
        {"gan.weights", "train-gan", "none.h5", "none.h5: No such file", HO_EIO},
        {"gan.weights", "train-gan", "other.h5", "not a generator file: its attribute 'kind' is 'cake'", HO_EFORMAT},
        {"gan.weights", "train-gan", "g32.h5", "g32.h5 makes images of 32x32, not data.size 16", HO_ECONFIG},
        {"gan.init", "train-gan", "g16.h5", "g16.h5 is no checkpoint of train-gan", HO_EFORMAT},
        {"gan.init", "train-gan", "none.h5", "none.h5: No such file", HO_EIO},
        {"perceptual.weights", "invert", "other.h5", "other.h5: not an LPIPS network: it has no attribute 'topology'",
         HO_EFORMAT},
        {"perceptual.weights", "finetune-encoder", "none.h5", "none.h5: No such file", HO_EIO},
        {"transfer.weights", "train-downstream", "g16.h5", "g16.h5: holds no pretrained backbone", HO_EFORMAT},
    };
    open_run_of("a", "threads: 1\n", 0, NULL);
    write_generator(in_folder("g16.h5"), 16);
    write_generator(in_folder("g32.h5"), 32);
    write_text(in_folder("text.h5"), "hello");
    ho_store *store = NULL;
    CHECK_OK(ho_store_create(in_folder("other.h5"), &store));
    CHECK_OK(ho_store_set_text(store, "kind", "cake"));
    commit(store);
    close_run();
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        char begin[160];
        open_with("a", CASES[i].key, CASES[i].file);
        snprintf(begin, sizeof begin, "argument '%s=", CASES[i].key);
        CHECK_FAILS(ho_preflight_files(run, CASES[i].stage, false), CASES[i].status, begin, CASES[i].want);
        CHECK_OK(ho_preflight_files(run, "import-data,generate,report", false)); /* stages that do not read it */
        close_run();
    }
    open_with("a", "gan.weights", "g16.h5");
    CHECK_OK(ho_preflight_files(run, "import-data,train-gan", false));
    close_run();
}

/* The file may be gone when the training that started from it goes on. */
static void a_training_that_began_needs_no_init(void **state) {
    (void)state;
    open_with("b", "gan.init", "none.h5");
    assert_int_equal(ho_preflight_files(run, "train-gan", false), HO_EIO);
    write_text(ho_run_path(run, "checkpoints/train-gan.h5"), "");
    CHECK_OK(ho_preflight_files(run, "train-gan", false));
    assert_int_equal(ho_preflight_files(run, "train-gan", true), HO_EIO); /* before the checkpoint is removed */
    write_text(ho_run_path(run, "checkpoints/train-gan.forced"), "");
    CHECK_OK(ho_preflight_files(run, "train-gan", true));
    close_run();
}

/* They would be taken for out of date and written over. */
static void results_of_a_newer_program(void **state) {
    (void)state;
    static const char *const NAMES[] = {"latents.h5", "checkpoints/train-gan.h5"};
    for (int i = 0; i < 2; ++i) {
        ho_store *store = NULL;
        open_run_of(i == 0 ? "c" : "d", "threads: 1\n", 0, NULL);
        CHECK_OK(ho_preflight_files(run, NULL, false));
        CHECK_OK(ho_store_create(ho_run_path(run, "%s", NAMES[i]), &store));
        CHECK_OK(ho_store_set_number(store, "schema", 99.0));
        commit(store);
        CHECK_FAILS(ho_preflight_files(run, NULL, false), HO_EFORMAT, NAMES[i], "schema 99 is newer");
        close_run();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_contradict_each_other),
        cmocka_unit_test(files_of_another_kind),
        cmocka_unit_test(a_training_that_began_needs_no_init),
        cmocka_unit_test(results_of_a_newer_program),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

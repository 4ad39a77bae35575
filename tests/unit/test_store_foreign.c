/* Files of other programs, and of later versions of this one. */
#include <hdf5.h>
#include <string.h>

#include "handsoff/dataset.h"
#include "handsoff/deeplab.h"
#include "handsoff/encoder.h"
#include "handsoff/gan_trainer.h"
#include "handsoff/label_head.h"
#include "handsoff/perceptual.h"
#include "handsoff/synthetic.h"
#include "opened_run.h"

static const char *write_schema(double schema) {
    const char *path = in_folder("later.h5");
    ho_store *store = NULL;
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_store_set_number(store, "schema", schema));
    commit(store);
    return path;
}

static void the_schema_decides(void **state) {
    (void)state;
    ho_store *store = NULL;
    CHECK_OK(ho_store_open(write_schema(1), &store));
    CHECK_OK(ho_store_check_schema(store));
    ho_store_close(store);
    CHECK_OK(ho_store_open(write_schema(99), &store));
    CHECK_FAILS(ho_store_check_schema(store), HO_EFORMAT,
                "later.h5: schema 99 is newer than this program, which reads up to 1");
    ho_store_close(store);
    CHECK_OK(ho_store_create(in_folder("none.h5"), &store));
    CHECK_OK(ho_store_check_schema(store));
    ho_store_close(store);
}

/* The schema is looked at first: whatever else a later file has or lacks, its age is what the message tells. */
static void loaders_refuse_a_later_schema(void **state) {
    (void)state;
    static const char *const WANT = "schema 99 is newer than this program";
    const char *path = write_schema(99);
    ho_generator *generator = NULL;
    ho_encoder *encoder = NULL;
    ho_label_head *head = NULL;
    ho_deeplab *network = NULL;
    ho_perceptual *net = NULL;
    ho_synthetic_file *synthetic = NULL;
    ho_dataset dataset;
    open_run_of("a", "threads: 1\n", 0, NULL);
    ho_device *device = run_device();
    CHECK_FAILS(ho_generator_load(device, path, &generator), HO_EFORMAT, WANT);
    CHECK_FAILS(ho_encoder_load(device, path, &encoder), HO_EFORMAT, WANT);
    CHECK_FAILS(ho_label_head_load(device, path, &head), HO_EFORMAT, WANT);
    CHECK_FAILS(ho_deeplab_load(device, path, &network), HO_EFORMAT, WANT);
    CHECK_FAILS(ho_backbone_check_file(path, 16, 1), HO_EFORMAT, WANT);
    CHECK_FAILS(ho_perceptual_load(device, path, &net), HO_EFORMAT, WANT);
    CHECK_FAILS(ho_synthetic_open(path, &synthetic), HO_EFORMAT, WANT);
    CHECK_FAILS(ho_dataset_read(path, &dataset), HO_EFORMAT, WANT);
    close_run();
}

/* ---- what is not read ---------------------------------------------------------------------------------------- */

static void make_set(hid_t file, const char *name, hid_t type, int rank) {
    const hsize_t dim[8] = {2, 1, 1, 1, 1, 1, 1, 1};
    const hid_t space = H5Screate_simple(rank, dim, NULL);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void write_foreign(const char *path) {
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t pair = H5Tcreate(H5T_COMPOUND, 8), truth = H5Tenum_create(H5T_NATIVE_INT8);
    const int8_t no = 0, yes = 1;
    H5Tinsert(pair, "a", 0, H5T_NATIVE_INT32);
    H5Tinsert(pair, "b", 4, H5T_NATIVE_FLOAT);
    H5Tenum_insert(truth, "FALSE", &no);
    H5Tenum_insert(truth, "TRUE", &yes);
    make_set(file, "a", H5T_NATIVE_FLOAT, 2);
    make_set(file, "bool", truth, 1);
    make_set(file, "compound", pair, 1);
    H5Gclose(H5Gcreate2(file, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(file, "group/inner", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Lcreate_soft("/nowhere", file, "link", H5P_DEFAULT, H5P_DEFAULT);
    make_set(file, "u16", H5T_NATIVE_UINT16, 1);
    make_set(file, "wide", H5T_NATIVE_FLOAT, 8);
    H5Tclose(truth);
    H5Tclose(pair);
    H5Fclose(file);
}

static char seen[1024];

static ho_status note(void *user, const char *name, const char *what) {
    (void)user;
    const size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%s: %s\n", name, what);
    return HO_OK;
}

static ho_status count_set(void *user, const char *name, const ho_store_info *info) {
    (void)info;
    assert_string_equal(name, "a");
    ++*(int *)user;
    return HO_OK;
}

static void entries_that_are_not_read_are_named(void **state) {
    (void)state;
    ho_store *store = NULL;
    int n_sets = 0;
    write_foreign(in_folder("foreign.h5"));
    CHECK_OK(ho_store_open(in_folder("foreign.h5"), &store));
    CHECK_OK(ho_store_visit(store, count_set, &n_sets));
    assert_int_equal(n_sets, 1);
    seen[0] = '\0';
    CHECK_OK(ho_store_visit_others(store, note, NULL));
    assert_string_equal(seen, "bool: bool (2)\n"
                              "compound: compound (2)\n"
                              "group/inner: empty group\n"
                              "link: link that leads nowhere\n"
                              "u16: 16-bit integer without sign (2)\n"
                              "wide: 32-bit float of 8 dimensions\n");
    ho_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_decides),
        cmocka_unit_test(loaders_refuse_a_later_schema),
        cmocka_unit_test(entries_that_are_not_read_are_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

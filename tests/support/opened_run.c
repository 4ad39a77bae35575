#include "opened_run.h"

#include <stdio.h>
#include <stdlib.h>

ho_run *run;
static ho_config *config;

void open_run_of(const char *name, const char *text, int n, const char *const *more) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s.yml", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "name: %s\nruns_dir: %s/runs\n%s", name, folder, text);
    assert_int_equal(fclose(file), 0);
    CHECK_OK(ho_config_load(path, n, more, &config));
    CHECK_OK(ho_run_open(config, &run));
}

void close_run(void) {
    ho_run_close(run);
    ho_config_free(config);
    run = NULL;
    config = NULL;
}

ho_device *run_device(void) {
    ho_device *opened = NULL;
    CHECK_OK(ho_run_device(run, &opened));
    return opened;
}

bool is_current(const ho_stage *stage) {
    bool current = false;
    const char *why = NULL;
    CHECK_OK(stage->current(run, &current, &why));
    return current;
}

void commit(ho_store *store) {
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
}

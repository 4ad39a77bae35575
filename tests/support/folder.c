#include "folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

char folder[64] = "/tmp/handsoff_test_XXXXXX";

int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

int remove_folder(void **state) {
    (void)state;
    char command[128];
    if (getenv("HANDSOFF_KEEP_TESTS") != NULL) {
        fprintf(stderr, "kept: %s\n", folder);
        return 0;
    }
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int empty_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "find %s -mindepth 1 -delete", folder);
    return system(command);
}

const char *in_folder(const char *name) {
    static char path[16][256];
    static int next;
    next = (next + 1) % 16;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool temporary_exists(const char *path) {
    char name[300];
    snprintf(name, sizeof name, "%s.tmp.%ld", path, (long)getpid());
    return exists(name);
}

void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

const char *read_text(const char *path) {
    static char text[1 << 17];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("no file %s", path);
        return NULL;
    }
    const size_t n = fread(text, 1, sizeof text, file);
    assert_int_equal(fclose(file), 0);
    assert_true(n < sizeof text);
    text[n] = '\0';
    return text;
}

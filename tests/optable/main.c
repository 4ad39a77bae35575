/* optable [--list] [--self-test] [--any-width] [--huge] [--stop] [--samples N] [--json FILE] [NAME...]: runs the table
 * or the named entries; one line each, and the last line counts. --any-width leaves out the kernels that need the block
 * width they were written for; --stop ends an entry at its first case that fails;
 * --huge runs (or lists) the cases beyond 2^31 elements instead (huge.h). Exit status 1 when one failed or none ran. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

const ot_entry *const ot_families[] = {ot_pointwise, ot_linear,  ot_style, ot_modconv, ot_resampling, ot_norm,
                                       ot_loss,      ot_kernels, ot_head,  ot_augment, ot_fused,      NULL};

typedef struct {
    int passed, failed, not_run;
    FILE *json;
} totals;

static void write_json(totals *t, const ot_entry *e, const ot_result *r) {
    if (t->json == NULL) {
        return;
    }
    (void)fprintf(
        t->json,
        "%s\n{\"op\": \"%s\", \"type\": \"%s\", \"target\": \"%s\", \"cases_run\": %d, \"cases_not_run\": %d, "
        "\"reason\": \"%s\", \"passed\": %s",
        t->passed + t->failed + t->not_run > 1 ? "," : "", e->name,
        e->bf16           ? "bf16"
        : e->tensor_cores ? "tf32"
                          : "f32",
        ot_target(), r->cases, e->n_cases - r->cases, r->not_run != NULL ? r->not_run : "",
        r->failed ? "false" : "true");
    if (r->not_run == NULL && r->forward < 1e30 && r->gradient < 1e30) { /* JSON has no infinity */
        (void)fprintf(t->json,
                      ", \"forward\": %.3g, \"forward_budget\": %.3g, \"gradient\": %.3g, \"gradient_budget\": %.3g",
                      r->forward, r->forward_budget, r->gradient, r->gradient_budget);
    }
    (void)fprintf(t->json, "}");
}

static void run_entry(totals *t, const ot_entry *e) {
    ot_result r;
    ot_run(e, &r);
    if (r.not_run != NULL) {
        ++t->not_run;
        printf("skip %s: not run: %s\n", e->name, r.not_run);
    } else if (r.failed) {
        ++t->failed;
        printf("not ok %s: %s\n", e->name, r.message);
    } else {
        ++t->passed;
        printf("ok %s: %d cases, forward %.2g of %.2g, gradient %.2g of %.2g\n", e->name, r.cases, r.forward,
               r.forward_budget, r.gradient, r.gradient_budget);
    }
    (void)fflush(stdout);
    write_json(t, e, &r);
}

static bool named(const ot_entry *e, int n, char **names) {
    bool found = n == 0;
    for (int i = 0; i < n; ++i) {
        found = found || strcmp(names[i], e->name) == 0;
    }
    return found;
}

int main(int argc, char **argv) {
    totals t = {0};
    bool list = false, any_width = false, huge = false;
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; ++at) {
        if (strcmp(argv[at], "--self-test") == 0) {
            return ot_self_test() == 0 ? 0 : 1;
        }
        if (strcmp(argv[at], "--list") == 0) {
            list = true;
        } else if (strcmp(argv[at], "--huge") == 0) {
            huge = true;
        } else if (strcmp(argv[at], "--any-width") == 0) {
            any_width = true;
        } else if (strcmp(argv[at], "--stop") == 0) {
            ot_set_stop();
        } else if (strcmp(argv[at], "--samples") == 0 && at + 1 < argc) {
            ot_set_samples(atoi(argv[++at]));
        } else if (strcmp(argv[at], "--json") == 0 && at + 1 < argc) {
            t.json = fopen(argv[++at], "w");
            if (t.json == NULL) {
                perror(argv[at]);
                return 2;
            }
        } else {
            (void)fprintf(
                stderr,
                "usage: optable [--list] [--self-test] [--any-width] [--huge] [--stop] [--samples N] [--json FILE] "
                "[NAME...]\n");
            return 2;
        }
    }
    if (huge) {
        return ot_huge_main(list, argc - at, argv + at);
    }
    if (t.json != NULL) {
        (void)fprintf(t.json, "[");
    }
    for (const ot_entry *const *family = ot_families; *family != NULL; ++family) {
        for (const ot_entry *e = *family; e->name != NULL; ++e) {
            if (list) {
                printf("%s: %s\n", e->name, e->kernels);
            } else if (!(any_width && e->tensor_cores) && named(e, argc - at, argv + at)) {
                run_entry(&t, e);
            }
        }
    }
    if (t.json != NULL) {
        (void)fprintf(t.json, "\n]\n");
        (void)fclose(t.json);
    }
    ot_close();
    if (list) {
        return 0;
    }
    printf("%d passed, %d failed, %d not run\n", t.passed, t.failed, t.not_run);
    return t.failed == 0 && t.passed > 0 ? 0 : 1;
}

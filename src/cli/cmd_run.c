/* handsoff run CONFIG.yml ...  and  handsoff STAGE CONFIG.yml ... */
#include <stddef.h>

#include "cli.h"
#include "handsoff/plan.h"

/* The plan on stdout; nothing is made. */
static ho_status print_plan(ho_config *config, const char *only, bool force) {
    ho_run *run = NULL;
    ho_status status = ho_run_inspect(config, &run);
    if (status == HO_OK) {
        status = ho_plan_print(run, only, force, stdout);
    }
    ho_run_close(run);
    return status;
}

/* words[0] is the config file, the others are overrides. */
static ho_status run_stages(const char *name, int n_words, char **words, const char *only, bool force, bool plan) {
    if (n_words == 0) {
        ho_command about;
        HO_TRY(ho_command_find(name, &about));
        HO_FAIL(HO_EUSAGE, "%s: the config file is missing; usage: handsoff %s %s", name, name, about.usage);
    }
    ho_config *config = NULL;
    ho_run *run = NULL;
    HO_TRY(ho_run_check_stages(HO_STAGES, only));
    HO_TRY(ho_config_load(words[0], n_words - 1, (const char *const *)words + 1, &config));
    ho_status status = ho_preflight_config(config);
    if (plan && status == HO_OK) {
        status = print_plan(config, only, force);
        ho_config_free(config);
        return status;
    }
    if (status == HO_OK) {
        status = ho_run_open(config, &run);
    }
    if (status == HO_OK) {
        status = ho_preflight_files(run, only, force);
    }
    if (status == HO_OK) {
        ho_run_catch_signals();
        status = ho_run_stages(run, HO_STAGES, only, force);
    }
    ho_run_close(run);
    ho_config_free(config);
    return status;
}

ho_status ho_cmd_run(const char *name, int argc, char **argv) {
    const char *only = NULL;
    bool force = false, plan = false;
    const ho_option options[] = {
        {"--stages", &only, NULL, false}, {"--force", NULL, &force, false}, {"--dry-run", NULL, &plan, false}};
    int n_words = 0;
    HO_TRY(ho_options_parse(name, argc, argv, 3, options, &n_words));
    return run_stages(name, n_words, argv, only, force, plan);
}

ho_status ho_cmd_stage(const char *name, int argc, char **argv) {
    bool force = false;
    const ho_option options[] = {{"--force", NULL, &force, false}};
    int n_words = 0;
    HO_TRY(ho_options_parse(name, argc, argv, 1, options, &n_words));
    return run_stages(name, n_words, argv, name, force, false);
}

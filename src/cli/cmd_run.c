/* handsoff run CONFIG.yml ...  and  handsoff STAGE CONFIG.yml ... */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* The files that stages far down the pipeline read: asked for before hours of work. */
static ho_status need_weights(ho_run *run) {
    static const char *const KEYS[] = {"gan.weights", "perceptual.weights", "transfer.weights"};
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; ++i) {
        const char *name = ho_config_text(ho_run_config(run), KEYS[i]), *path = ho_run_data_path(run, name);
        if (name[0] != '\0' && access(path, R_OK) != 0) {
            HO_FAIL(HO_EIO, "%s: %s: %s", KEYS[i], path, strerror(errno));
        }
    }
    return HO_OK;
}

/* words[0] is the config file, the others are overrides. */
static ho_status run_stages(const char *name, int n_words, char **words, const char *only, bool force) {
    if (n_words == 0) {
        ho_command about;
        HO_TRY(ho_command_find(name, &about));
        HO_FAIL(HO_EUSAGE, "%s: the config file is missing; usage: handsoff %s %s", name, name, about.usage);
    }
    ho_config *config = NULL;
    ho_run *run = NULL;
    HO_TRY(ho_config_load(words[0], n_words - 1, (const char *const *)words + 1, &config));
    ho_status status = ho_run_open(config, &run);
    if (status == HO_OK && only == NULL) {
        status = need_weights(run);
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
    bool force = false;
    const ho_option options[] = {{"--stages", &only, NULL, false}, {"--force", NULL, &force, false}};
    int n_words = 0;
    HO_TRY(ho_options_parse(name, argc, argv, 2, options, &n_words));
    return run_stages(name, n_words, argv, only, force);
}

ho_status ho_cmd_stage(const char *name, int argc, char **argv) {
    bool force = false;
    const ho_option options[] = {{"--force", NULL, &force, false}};
    int n_words = 0;
    HO_TRY(ho_options_parse(name, argc, argv, 1, options, &n_words));
    return run_stages(name, n_words, argv, name, force);
}

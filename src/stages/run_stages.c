/* The loop over the stages: which of them run, and what is noted about it. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "run_internal.h"
#include "src/io/suggest.h"
#include "stages.h"

enum { MAX_STAGES = 64 };

static int count(const ho_stage *const *stages) {
    int n = 0;
    while (n < MAX_STAGES && stages[n] != NULL) {
        ++n;
    }
    return n;
}

/* Marks the stages that "a,b" names; NULL or "" marks all. */
static ho_status select_stages(const ho_stage *const *stages, const char *only, bool chosen[MAX_STAGES]) {
    const int n = count(stages);
    const char *names[MAX_STAGES];
    for (int i = 0; i < n; ++i) {
        names[i] = stages[i]->name;
        chosen[i] = only == NULL || only[0] == '\0';
    }
    for (const char *at = only; at != NULL && only[0] != '\0'; ++at) {
        char name[64];
        const size_t length = strcspn(at, ",");
        if (length == 0) {
            HO_FAIL(HO_EUSAGE, "empty stage name in '%.200s'", only);
        }
        snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), at);
        at += length;
        int i = 0;
        while (i < n && strcmp(names[i], name) != 0) {
            ++i;
        }
        if (i == n) {
            const char *nearest = ho_nearest(name, n, names);
            HO_FAIL(HO_EUSAGE, "unknown stage '%s'%s%s%s", name, nearest != NULL ? ", did you mean '" : "",
                    nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
        }
        chosen[i] = true;
        if (*at == '\0') {
            break;
        }
    }
    return HO_OK;
}

ho_status ho_run_check_stages(const ho_stage *const *stages, const char *only) {
    bool chosen[MAX_STAGES] = {false};
    return select_stages(stages, only, chosen);
}

/* Removes checkpoints/STAGE.h5, STAGE-*, STAGE_*: a forced stage begins at its beginning. */
static ho_status remove_checkpoints(ho_run *run, const char *stage) {
    const char *folder = ho_run_path(run, "checkpoints");
    DIR *listing = opendir(folder);
    const size_t length = strlen(stage);
    for (struct dirent *entry = NULL; listing != NULL && (entry = readdir(listing)) != NULL;) {
        if (strncmp(entry->d_name, stage, length) == 0 && strspn(entry->d_name + length, ".-_") > 0 &&
            unlink(ho_run_path(run, "checkpoints/%s", entry->d_name)) != 0) {
            const int error = errno;
            closedir(listing);
            HO_FAIL(HO_EIO, "cannot remove the old checkpoint in %s: %s", folder, strerror(error));
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
    return HO_OK;
}

/* The mark of a forced stage that is not done: it goes on, whatever its old artefact says. */
static const char *forced_mark(ho_run *run, const char *stage) {
    return ho_run_path(run, "checkpoints/%s.forced", stage);
}

static ho_status begin_forced(ho_run *run, const char *stage) {
    HO_TRY(remove_checkpoints(run, stage));
    const char *mark = forced_mark(run, stage);
    FILE *file = fopen(mark, "w");
    if (file == NULL || fclose(file) != 0) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", mark, strerror(errno));
    }
    return HO_OK;
}

static ho_status execute(ho_run *run, const ho_stage *stage) {
    ho_peak_rss_reset();
    const double start = ho_seconds();
    HO_TRY(stage->execute(run));
    if (run->device != NULL) {
        HO_TRY(ho_device_sync(run->device)); /* tells what failed where nobody could be told, such as in a release */
    }
    ho_progress_end_line(run);
    const double seconds = ho_seconds() - start, peak = ho_peak_rss_mb();
    (void)unlink(forced_mark(run, stage->name));
    ho_run_say(run, "%s: done in %.1f s, peak memory %.0f MB", stage->name, seconds, peak);
    return ho_metrics_stage(run, stage->name, seconds, peak);
}

static ho_status run_stage(ho_run *run, const ho_stage *stage, bool force) {
    bool is_current = false;
    const char *why = NULL;
    run->missing[0] = '\0';
    if (ho_run_interrupted()) {
        HO_FAIL(HO_EINTERRUPT, "stopped before its start");
    }
    HO_TRY(stage->current(run, &is_current, &why));
    if (run->missing[0] != '\0') {
        HO_FAIL(HO_EIO, "%s", run->missing);
    }
    const bool going_on = access(forced_mark(run, stage->name), F_OK) == 0;
    if (is_current && !force && !going_on) {
        ho_run_say(run, "%s: up to date", stage->name);
        return HO_OK;
    }
    ho_run_say(run, "%s: %s", stage->name,
               going_on                        ? "goes on where --force was interrupted"
               : force                         ? "forced"
               : why != NULL && why[0] != '\0' ? why
                                               : "out of date");
    if (force && !going_on) {
        HO_TRY(begin_forced(run, stage->name));
    }
    return execute(run, stage);
}

ho_status ho_run_stages(ho_run *run, const ho_stage *const *stages, const char *only, bool force) {
    bool chosen[MAX_STAGES] = {false};
    HO_TRY(select_stages(stages, only, chosen));
    bool measures = false;
    for (int i = 0; i < count(stages); ++i) {
        measures = measures || (chosen[i] && stages[i] != &HO_STAGE_REPORT);
    }
    if (measures) { /* the report makes what it can without its numbers */
        HO_TRY(ho_metrics_check(run));
    }
    for (int i = 0; i < count(stages); ++i) {
        if (!chosen[i]) {
            continue;
        }
        const ho_status status = run_stage(run, stages[i], force);
        if (status != HO_OK) {
            ho_progress_end_line(run);
            return ho_fail_context(status, "%s", stages[i]->name);
        }
    }
    return HO_OK;
}

/* A run: its config, its directory runs/NAME, its device, its log, and the pipeline's bookkeeping. Stages get a ho_run
 * and nothing else.
 *
 * Each artefact records what it was made from; ho_run_is_current() compares that with what would be used now. Long
 * stages checkpoint to ho_run_path("checkpoints/STAGE.h5") and resume from it; ho_run_interrupted() tells them to do so
 * and stop. */
#ifndef HANDSOFF_RUN_H
#define HANDSOFF_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/config.h"
#include "handsoff/device.h"
#include "handsoff/status.h"
#include "handsoff/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ho_run ho_run;

/* Opens (and creates) runs/NAME, NAME = the config's `name`, under the config's `runs_dir`. Device opened on first use.
 * The folder is locked until ho_run_close: HO_EIO where another process has it open. */
ho_status ho_run_open(ho_config *config, ho_run **run);
/* The same for reading alone: makes no folder, takes no lock, and ho_run_path makes none either. */
ho_status ho_run_inspect(ho_config *config, ho_run **run);
/* Closes its device, lets go of the folder, frees it; the config stays the caller's. NULL is allowed. */
void ho_run_close(ho_run *run);

const ho_config *ho_run_config(const ho_run *run); /* the caller's of ho_run_open */
/* The device, owned by the run: opened by the first call, with the config's `threads` and `gpu`. */
ho_status ho_run_device(ho_run *run, ho_device **device);
uint64_t ho_run_seed(const ho_run *run); /* the config's `seed` */

/* Path of a file in the run's directory (printf format), its folders created. Valid until the 16th next call. */
const char *ho_run_path(ho_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Resolves a data file: "{data}/x" is looked up in $HANDSOFF_DATA (default "data"), other paths are taken as they are;
 * a relative one that does not exist is looked for below the folder above the program's too (bin/handsoff, data/). */
const char *ho_run_data_path(ho_run *run, const char *path);

/* The run's directory, "runs/NAME". */
const char *ho_run_dir(const ho_run *run);
/* HO_EIO with "PATH is missing: run STAGE first" when a file of the run that a stage reads does not exist. */
ho_status ho_run_need(ho_run *run, const char *path);

/* Writes the record of an artefact into its store: schema, kind, program version, seed, the resolved config keys that
 * the stage depends on, and name + SHA-256 of each input file. */
ho_status ho_run_record(ho_run *run, ho_store *store, const char *stage, const char *kind, int n_prefixes,
                        const char *const *config_prefixes, int n_inputs, const char *const *inputs);
/* True when `artefact` exists, is whole, and its record equals what ho_run_record would write now; else *why says it
 * (owned by the run, valid until the next call). The version of a checkpoint (kind "... checkpoint") and of the data
 * set does not count. */
bool ho_run_is_current(ho_run *run, const char *artefact, const char *stage, int n_prefixes,
                       const char *const *config_prefixes, int n_inputs, const char *const *inputs, const char **why);

/* Progress for people (one rewritten line on a terminal, a line now and then elsewhere), and records for programs: one
 * JSON object a line in runs/NAME/logs/STAGE.jsonl. fields: "loss", 1.5, "lr", 0.1, NULL - names and doubles,
 * NULL-ended. */
void ho_run_progress(ho_run *run, const char *stage, int64_t done, int64_t total, const char *unit, const char *format,
                     ...) __attribute__((format(printf, 6, 7)));
/* Appends one record to STAGE.jsonl; a value that is not finite becomes null. */
void ho_run_log(ho_run *run, const char *stage, ...);
/* Drops the records of STAGE.jsonl whose `field` is `from` or more (and those that were cut short), before a stage
 * starts (from 0) or resumes: the log then reads as if the stage had run once and never stopped. */
ho_status ho_run_log_restart(ho_run *run, const char *stage, const char *field, double from);
/* Moves what a stage made earlier out of its way: those of the n names, relative to the run's folder, that exist, in
 * this order into a new folder runs/NAME/old/STAGE-N, N = 1, 2, ... *folder is that folder (as ho_run_path). What is
 * last tells a later call that there was something to move: name the checkpoint last. HO_EIO when a file cannot be
 * moved. */
ho_status ho_run_set_aside(ho_run *run, const char *stage, int n, const char *const *names, const char **folder);
/* A line for people, on stderr. */
void ho_run_say(ho_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Numbers for metrics.json, whose layout src/stages/metrics.c tells; a row of the same names is replaced. The last run
 * of a stage, under /stages: */
ho_status ho_metrics_stage(ho_run *run, const char *stage, double seconds, double peak_rss_mb);
/* Mean errors of the inverted images around a step, under /inversion: */
ho_status ho_metrics_inversion(ho_run *run, const char *step, const char *when, double lpips, double mse,
                               double latent_mse); /* when: "before" or "after" */
typedef struct {
    const char *method, *task; /* handsoff | labels_only | transfer;  segmentation */
    int labelled, n_seeds, n_classes;
    const uint64_t *seeds;
    double miou_mean, miou_std, miou_present_mean;
    const char *const *class_names;
    const double *class_iou; /* mean over seeds */
} ho_result;
/* One row of the results, under /results. HO_EFORMAT when metrics.json is no such file. */
ho_status ho_metrics_result(ho_run *run, const ho_result *result);
/* Removes the results of a task: before the rows of this config are put in, so that none of another config stays. */
ho_status ho_metrics_clear_results(ho_run *run, const char *task);
/* The results of a task as the file has them now, as one line of JSON that is the same for the same results; malloc'd.
 */
ho_status ho_metrics_results_text(ho_run *run, const char *task, char **text);

/* True after SIGINT, SIGTERM, SIGUSR1 or SIGHUP: write the checkpoint and return HO_EINTERRUPT. */
bool ho_run_interrupted(void);
/* Makes these signals set that flag; one that follows by a second or more ends the process at once. SIGHUP stays
 * ignored where it is. For the program, not for stages. */
void ho_run_catch_signals(void);
/* Peak resident set of the process since its start or the last reset, in MB (2^20 bytes). */
double ho_peak_rss_mb(void);
void ho_peak_rss_reset(void); /* does nothing where there is no /proc */
double ho_seconds(void);      /* monotonic */

/* One stage of the pipeline. `current` decides whether `run` must run; both may be called in any order. */
typedef struct {
    const char *name, *help;
    ho_status (*current)(ho_run *run, bool *is_current, const char **why);
    ho_status (*execute)(ho_run *run);
} ho_stage;
extern const ho_stage *const HO_STAGES[]; /* in pipeline order, ended by NULL (src/stages/stages.c) */

/* Runs those stages of the list (ended by NULL) that `only` names ("a,b"; NULL or "" = all) and that are missing or out
 * of date; `force` runs them in any case, from their beginning. Says why each one runs, writes seconds and peak memory
 * into metrics.json. A stage whose input file is missing fails and names the stage that makes it; a name in `only` that
 * the list does not have is HO_EUSAGE. A forced stage that was interrupted goes on when the same command is given
 * again. */
ho_status ho_run_stages(ho_run *run, const ho_stage *const *stages, const char *only, bool force);

/* HO_EUSAGE unless every name in `only` is that of a stage. */
ho_status ho_run_check_stages(const ho_stage *const *stages, const char *only);

/* What is known to fail before any work is done (src/stages/preflight.c). Keys that contradict each other: HO_ECONFIG,
 * with the place of the key. */
ho_status ho_preflight_config(const ho_config *config);
/* Files of weights that the stages of `only` (as for ho_run_stages, as `force`) will read: HO_EIO or HO_EFORMAT where
 * one is missing or is something else, HO_ECONFIG where it does not fit the config; the message names key and file.
 * HO_EFORMAT also where a newer program wrote a result of this run. */
ho_status ho_preflight_files(ho_run *run, const char *only, bool force);

#ifdef __cplusplus
}
#endif
#endif

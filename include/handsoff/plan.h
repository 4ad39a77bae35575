/* What a run would do, and what machine it needs, before anything is done (`handsoff run CONFIG --dry-run`). Memory is
 * not a formula: the steps of each stage are taken on a device that computes nothing and counts (dry.h), with networks
 * of the config's shapes; only what the stages keep on the host is summed up. */
#ifndef HANDSOFF_PLAN_H
#define HANDSOFF_PLAN_H

#include <stdio.h>

#include "handsoff/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of one stage. Bytes; seconds. */
typedef struct {
    double host_bytes;     /* peak resident memory of the process on the cpu target             */
    double gpu_host_bytes; /* the same with the cuda target                                     */
    double gpu_bytes;      /* peak memory of the GPU                                            */
    double disk_bytes;     /* what it leaves in the run's folder, compressed files counted whole */
    double flops;          /* of convolutions (as direct sums) and products                     */
    double seconds;        /* on the machine of HO_PLAN_MACHINE, scaled to the config's threads */
    double gpu_seconds;    /* at HO_PLAN_GPU_FLOPS                                              */
} ho_plan_need;

/* Where `seconds` come from, for people. */
extern const char *const HO_PLAN_MACHINE;
extern const double HO_PLAN_GPU_FLOPS;

/* Figures of a stage, whether it is up to date or not. `run` is one of ho_run_inspect. HO_EUSAGE for an unknown name.
 */
ho_status ho_plan_stage(ho_run *run, const char *stage, ho_plan_need *need);

/* Prints the plan for the stages of `only` (as for ho_run_stages, as `force`), ending with lines for Slurm. Writes
 * nothing else. HO_EIO when inputs are missing: each is printed with where to get it; HO_ECONFIG or HO_EFORMAT where
 * one that is there does not fit. */
ho_status ho_plan_print(ho_run *run, const char *only, bool force, FILE *out);

#ifdef __cplusplus
}
#endif
#endif

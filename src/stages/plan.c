/* Figures of one stage: a rehearsal on devices that count, and what the process holds besides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plan_parts.h"
#include "run_internal.h"

const char *const HO_PLAN_MACHINE = "two cores with AVX-512 (experiments/bench/peer_20261122.jsonl, "
                                    "experiments/toy_faces/metrics.json, experiments/car_parts_64/metrics.json)";
const double HO_PLAN_GPU_FLOPS = 5e12;

/* Each stage with its speed (GFLOP/s of the rehearsal's count) on HO_PLAN_MACHINE. */
static const struct {
    const char *name;
    ho_plan_rehearsal rehearse;
    double gflops;
} STAGES[] = {
    {"import-data", ho_plan_import, 1.0},      {"train-gan", ho_plan_gan, 190.0},
    {"train-encoder", ho_plan_encoder, 100.0}, {"finetune-encoder", ho_plan_finetune, 135.0},
    {"invert", ho_plan_invert, 150.0},         {"train-head", ho_plan_head, 55.0},
    {"generate", ho_plan_generate, 60.0},      {"train-downstream", ho_plan_downstream, 100.0},
    {"evaluate", ho_plan_evaluate, 80.0},      {"report", ho_plan_report, 1.0},
};
enum { N_STAGES = sizeof STAGES / sizeof STAGES[0], MACHINE_THREADS = 2 };

/* Resident before a stage begins: program and libraries. Where it computes: code that oneDNN makes, stacks of threads,
 * the heap's slack. Measured (experiments/plan). */
static const double PROGRAM_BYTES = 21e6, COMPUTING_BYTES = 18e6;
/* CUDA's libraries on the host; context, cuBLAS and cuDNN on the GPU: assumed, as no log of a GPU is there yet. */
static const double CUDA_HOST_BYTES = 1.5e9, CUDA_GPU_BYTES = 0.7e9;

static ho_status generator_shape(ho_run *run, ho_stylegan2_shape *shape) {
    const ho_config *config = ho_run_config(run);
    const char *weights = ho_config_text(config, "gan.weights");
    const char *path = *weights != '\0' ? ho_run_data_path(run, weights) : ho_run_path(run, "generator.h5");
    ho_gan_options o;
    ho_gan_options_of(config, 0, &o);
    if (access(path, R_OK) != 0 || ho_generator_file_shape(path, shape) != HO_OK || shape->height != o.shape.height ||
        shape->width != o.shape.width) {
        *shape = o.shape;
    }
    return HO_OK;
}

/* Runs the rehearsal on a device that answers for `target`. */
static ho_status rehearse(ho_run *run, int stage, ho_dry_target target, ho_plan_sums *sums, ho_dry_count *count) {
    const ho_config *config = ho_run_config(run);
    ho_plan_case c = {.run = run, .config = config};
    *sums = (ho_plan_sums){0.0, 0.0, 0.0, 0.0};
    HO_TRY(ho_plan_data_of(run, &c.data));
    HO_TRY(generator_shape(run, &c.shape));
    HO_TRY(ho_device_open_dry(target, (int)ho_config_int(config, "threads"), &c.device));
    const bool exact = strcmp(ho_config_text(config, "precision"), "fp32") == 0;
    ho_status status = ho_device_set_precision(c.device, exact ? HO_PRECISION_FP32 : HO_PRECISION_TF32,
                                               strcmp(ho_config_text(config, "modconv"), "fused") == 0);
    run->device = c.device;
    status = status == HO_OK ? STAGES[stage].rehearse(&c, sums) : status;
    run->device = NULL;
    *count = ho_device_dry_count(c.device);
    ho_device_close(c.device);
    return status;
}

ho_status ho_plan_stage(ho_run *run, const char *stage, ho_plan_need *need) {
    const int64_t threads = ho_config_int(ho_run_config(run), "threads");
    ho_plan_sums sums;
    ho_dry_count cpu, gpu;
    int i = 0;
    while (i < N_STAGES && strcmp(STAGES[i].name, stage) != 0) {
        ++i;
    }
    if (i == N_STAGES) {
        HO_FAIL(HO_EUSAGE, "unknown stage '%.80s'", stage);
    }
    HO_REQUIRE(run->inspecting, "a plan is made of a run that is only looked at");
    HO_TRY(rehearse(run, i, HO_DRY_CUDA, &sums, &gpu));
    HO_TRY(rehearse(run, i, HO_DRY_CPU, &sums, &cpu));
    const double scale = threads > 0 ? (double)MACHINE_THREADS / (double)threads : 1.0;
    const bool computes = gpu.peak_bytes > 0.0;
    *need = (ho_plan_need){
        .host_bytes = PROGRAM_BYTES + (sums.flops > 0.0 ? COMPUTING_BYTES : 0.0) + cpu.touched_bytes + sums.arrays,
        .gpu_host_bytes = PROGRAM_BYTES + sums.arrays + (computes ? CUDA_HOST_BYTES : 0.0),
        .gpu_bytes = computes ? gpu.peak_bytes + CUDA_GPU_BYTES : 0.0,
        .disk_bytes = sums.disk,
        .flops = sums.flops,
        .seconds = scale * (sums.flops / (1e9 * STAGES[i].gflops) + sums.busy),
        .gpu_seconds = sums.flops / HO_PLAN_GPU_FLOPS + scale * sums.busy,
    };
    return HO_OK;
}

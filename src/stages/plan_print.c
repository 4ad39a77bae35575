/* The plan as text: what each stage would do and why, what is missing, figures, lines for Slurm. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan_parts.h"
#include "run_internal.h"
#include "src/io/config_table.h"
#include "stages.h"

enum { MAX_STAGES = 32, COLUMN = 12 };

/* What each stage reads of others. */
static const struct {
    const char *stage, *from[4];
} READS[] = {
    {"train-gan", {"import-data"}},
    {"train-encoder", {"train-gan"}},
    {"finetune-encoder", {"train-encoder", "train-gan"}},
    {"invert", {"import-data", "train-gan", "finetune-encoder"}},
    {"train-head", {"import-data", "train-gan", "invert"}},
    {"generate", {"train-gan", "train-head"}},
    {"train-downstream", {"import-data", "generate"}},
    {"evaluate", {"import-data", "train-downstream"}},
    {"report", {"evaluate", "generate", "invert", "train-gan"}},
};

typedef struct {
    ho_run *run;
    const char *only;
    bool force;
    FILE *out;
    bool chosen[MAX_STAGES], runs[MAX_STAGES];
    int n_missing;
} plan;

static bool names(const char *only, const char *stage) {
    const size_t length = strlen(stage);
    for (const char *at = only; at != NULL && *at != '\0'; at += *at == ',') {
        const size_t n = strcspn(at, ",");
        if (n == length && strncmp(at, stage, n) == 0) {
            return true;
        }
        at += n;
    }
    return only == NULL || *only == '\0';
}

/* ---- states ---------------------------------------------------------------------------------------------- */

/* A stage that runs and whose result `stage` reads; NULL where there is none. */
static const char *runs_before(const plan *p, const char *stage) {
    const bool given = *ho_config_text(ho_run_config(p->run), "gan.weights") != '\0' && strcmp(stage, "train-gan") == 0;
    for (size_t i = 0; i < sizeof READS / sizeof READS[0]; ++i) {
        for (int j = 0; j < 4 && strcmp(READS[i].stage, stage) == 0 && READS[i].from[j] != NULL && !given; ++j) {
            for (int k = 0; HO_STAGES[k] != NULL; ++k) {
                if (p->runs[k] && strcmp(HO_STAGES[k]->name, READS[i].from[j]) == 0) {
                    return READS[i].from[j];
                }
            }
        }
    }
    return NULL;
}

static ho_status print_state(plan *p, int i) {
    const ho_stage *stage = HO_STAGES[i];
    const char *before = runs_before(p, stage->name), *why = NULL;
    bool is_current = false;
    p->run->missing[0] = '\0';
    if (before != NULL && !p->force) {
        fprintf(p->out, "%-17s to run: after %s\n", stage->name, before);
        p->runs[i] = true;
        return HO_OK;
    }
    const ho_status status = stage->current(p->run, &is_current, &why);
    p->runs[i] = status != HO_OK || p->force || !is_current;
    const bool own = strstr(p->run->missing, ": run ") != NULL; /* a result of another stage */
    fprintf(p->out, "%-17s %s%s\n", stage->name, p->runs[i] ? "to run: " : "up to date",
            !p->runs[i]                   ? ""
            : status != HO_OK             ? ho_error()
            : p->force && (own || !why)   ? "forced"
            : p->run->missing[0] != '\0'  ? p->run->missing
            : p->force                    ? "forced"
            : why != NULL && *why != '\0' ? why
                                          : "out of date");
    if (own && before == NULL) {
        ++p->n_missing;
    }
    return HO_OK;
}

/* ---- figures --------------------------------------------------------------------------------------------- */

static const char *bytes_text(double bytes, char text[32]) {
    const char *const UNITS[] = {"KB", "MB", "GB", "TB"};
    double value = bytes / 1024.0;
    int unit = 0;
    while (value >= 1000.0 && unit < 3) {
        value /= 1024.0;
        ++unit;
    }
    (void)snprintf(text, 32, bytes <= 0.0 ? "-" : value < 10.0 ? "%.1f %s" : "%.0f %s", value, UNITS[unit]);
    return text;
}

static const char *time_text(double seconds, char text[32]) {
    if (seconds < 120.0) {
        (void)snprintf(text, 32, "%.0f s", fmax(1.0, seconds));
    } else if (seconds < 7200.0) {
        (void)snprintf(text, 32, "%.0f min", seconds / 60.0);
    } else if (seconds < 172800.0) {
        (void)snprintf(text, 32, "%.0f h", seconds / 3600.0);
    } else {
        (void)snprintf(text, 32, "%.0f days", seconds / 86400.0);
    }
    return text;
}

static void print_row(FILE *out, const char *name, const ho_plan_need *n) {
    char text[6][32];
    fprintf(out, "%-17s %*s %*s %*s %*s %*s %*s\n", name, COLUMN, bytes_text(n->host_bytes, text[0]), COLUMN,
            time_text(n->seconds, text[1]), COLUMN, bytes_text(n->gpu_host_bytes, text[2]), COLUMN,
            bytes_text(n->gpu_bytes, text[3]), COLUMN, time_text(n->gpu_seconds, text[4]), COLUMN,
            bytes_text(n->disk_bytes, text[5]));
}

static ho_status print_figures(const plan *p, ho_plan_need *whole) {
    *whole = (ho_plan_need){0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    fprintf(p->out, "\n%-17s %*s %*s %*s %*s %*s %*s\n", "", COLUMN, "cpu: memory", COLUMN, "time", COLUMN, "GPU: host",
            COLUMN, "GPU memory", COLUMN, "time", COLUMN, "disk");
    for (int i = 0; HO_STAGES[i] != NULL; ++i) {
        ho_plan_need need;
        if (!p->chosen[i] || !p->runs[i]) {
            continue;
        }
        HO_TRY(ho_plan_stage(p->run, HO_STAGES[i]->name, &need));
        print_row(p->out, HO_STAGES[i]->name, &need);
        whole->host_bytes = fmax(whole->host_bytes, need.host_bytes);
        whole->gpu_host_bytes = fmax(whole->gpu_host_bytes, need.gpu_host_bytes);
        whole->gpu_bytes = fmax(whole->gpu_bytes, need.gpu_bytes);
        whole->disk_bytes += need.disk_bytes;
        whole->seconds += need.seconds;
        whole->gpu_seconds += need.gpu_seconds;
    }
    print_row(p->out, "together", whole);
    return HO_OK;
}

/* ---- Slurm ----------------------------------------------------------------------------------------------- */

/* The keys that the command line gave, as it gave them: "argument 'KEY=VALUE'" is where they stand. */
static void print_overrides(const plan *p) {
    static const char MARK[] = "argument '";
    for (int i = 0; i < HO_N_CONFIG_KEYS; ++i) {
        const char *where = ho_config_where(ho_run_config(p->run), HO_CONFIG_KEYS[i].key);
        if (strncmp(where, MARK, sizeof MARK - 1) == 0) {
            where += sizeof MARK - 1;
            fprintf(p->out, " %.*s", (int)strlen(where) - 1, where);
        }
    }
}

/* Half as much time again and 15 per cent more memory than predicted: in words, and as a command. */
static void slurm_line(const plan *p, bool gpu, const ho_plan_need *whole) {
    const ho_config *config = ho_run_config(p->run);
    const double bytes = 1.15 * (gpu ? whole->gpu_host_bytes : whole->host_bytes);
    const double seconds = 1.5 * (gpu ? whole->gpu_seconds : whole->seconds) + 300.0;
    const int64_t asked = ho_config_int(config, "threads"), threads = asked > 0 ? asked : gpu ? 8 : 2;
    const int64_t minutes = (int64_t)ceil(seconds / 60.0), megabytes = (int64_t)ceil(bytes / 1048576.0);
    const int64_t rounded = (megabytes + 49) / 50 * 50, gigabytes = (megabytes + 1023) / 1024;
    const bool some = p->only != NULL && *p->only != '\0', small = megabytes < 1000;
    char text[3][32];
    fprintf(p->out, "ask for: %lld %s memory, %s%s%lld cores, %s, %s disk\n", (long long)(small ? rounded : gigabytes),
            small ? "MB" : "GB", gpu ? bytes_text(whole->gpu_bytes * 1.1, text[0]) : "", gpu ? " GPU, " : "",
            (long long)threads, time_text(seconds, text[1]), bytes_text(whole->disk_bytes, text[2]));
    fprintf(p->out, "sbatch %s--cpus-per-task=%lld --mem=%lld%c", gpu ? "--gres=gpu:1 " : "", (long long)threads,
            (long long)(small ? rounded : gigabytes), small ? 'M' : 'G');
    fprintf(p->out, " --time=%lld-%02lld:%02lld:00 --wrap='handsoff run %s", (long long)(minutes / 1440),
            (long long)(minutes / 60 % 24), (long long)(minutes % 60), ho_config_path(config));
    print_overrides(p);
    fprintf(p->out, "%s%s%s'\n", some ? " --stages " : "", some ? p->only : "", p->force ? " --force" : "");
}

static void print_slurm(const plan *p, const ho_plan_need *whole) {
    fprintf(p->out,
            "\nTime on the cpu: from %s; on a GPU: assumed %.0f TFLOP/s, not measured, nor are the %s of CUDA's own.\n"
            "Memory: the stages' own requests, counted without computing. train-head may stop earlier. Disk: before "
            "compression.\n",
            HO_PLAN_MACHINE, HO_PLAN_GPU_FLOPS * 1e-12, "0.7 GB (GPU) and 1.5 GB (host)");
    const bool gpu_last = whole->gpu_bytes > 0.0 && whole->seconds > 43200.0;
    for (int pass = 0; pass < 2; ++pass) {
        const bool gpu = (pass == 1) == gpu_last;
        if (gpu && whole->gpu_bytes > 0.0) {
            slurm_line(p, true, whole);
        } else if (!gpu) {
            slurm_line(p, false, whole);
        }
    }
}

/* ---- the plan -------------------------------------------------------------------------------------------- */

ho_status ho_plan_print(ho_run *run, const char *only, bool force, FILE *out) {
    plan p = {.run = run, .only = only, .force = force, .out = out};
    ho_plan_need whole;
    bool any = false;
    int n = 0;
    fprintf(out, "Plan of %s, from %s. Nothing is done now.\n\n", ho_run_dir(run), ho_config_path(ho_run_config(run)));
    for (int i = 0; HO_STAGES[i] != NULL; ++i) {
        p.chosen[i] = names(only, HO_STAGES[i]->name);
        if (p.chosen[i]) {
            HO_TRY(print_state(&p, i));
            any = any || p.runs[i];
        }
    }
    ho_plan_missing(run, p.runs, force, out, &n);
    p.n_missing += n;
    if (p.n_missing == 0) {
        HO_TRY(ho_preflight_files(run, only, force));
    }
    if (any) {
        HO_TRY(print_figures(&p, &whole));
        print_slurm(&p, &whole);
    }
    if (p.n_missing > 0) {
        HO_FAIL(HO_EIO, "%d input%s of this run %s missing, as told above", p.n_missing, p.n_missing == 1 ? "" : "s",
                p.n_missing == 1 ? "is" : "are");
    }
    return HO_OK;
}

/* Curves from logs/NAME.jsonl. Logs of one stage (train-head_16.jsonl, train-head_50.jsonl) share a picture,
 * curves_STAGE.png: a plot each for losses, distances and so on, one line for each field and log. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/plot.h"
#include "report_parts.h"

enum { MOST_SERIES = 96, MOST_A_PLOT = 8, WIDTH = 900, HEIGHT = 460 };

/* Log names begin with the stage; the longest that fits is taken. */
static const char *const STAGE_NAMES[] = {"train-gan",  "train-encoder", "finetune-encoder", "invert",
                                          "train-head", "generate",      "train-downstream", "evaluate"};
/* What can be counted along the x axis, the first that a record has. */
static const char *const X_FIELDS[] = {"kimg", "step", "epoch"};
/* Numbers that tell records of different lines apart. */
static const char *const KEY_FIELDS[] = {"labelled", "seed", "first"};
static const char *const KEY_TEXTS[] = {"labelled", "seed", "from image"};
/* Costs and settings. */
static const char *const OTHER_FIELDS[] = {"lr", "sec_per_kimg", "step_mb", "peak_rss_mb", "seconds", "images_per_s"};

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

/* Fields that need axes of their own; all others are losses. */
static const struct {
    const char *part, *title;
} KINDS[] = {{"loss", "loss"},
             {"swd", "sliced Wasserstein distance to the training images"},
             {"r1", "R1 penalty"},
             {"r_t", "sign of D(real), and augmentation probability p"},
             {"latent", "mean squared latent error"},
             {"lpips", "LPIPS"},
             {"mse", "mean squared error"},
             {"iou", "intersection over union"},
             {"accuracy", "accuracy"}};

typedef struct {
    char label[96];
    int kind, n, room;
    double *x, *y;
} curve;

typedef struct {
    const char *x_label;
    int n;
    curve series[MOST_SERIES];
} curves;

static bool in_list(const char *name, int n, const char *const *list) {
    for (int i = 0; i < n; ++i) {
        if (strcmp(name, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int kind_of(const char *field) {
    if (strcmp(field, "p") == 0) {
        return kind_of("r_t");
    }
    for (int k = 0; k < COUNT(KINDS); ++k) {
        if (strstr(field, KINDS[k].part) != NULL) {
            return k;
        }
    }
    return 0;
}

static ho_status add_point(curves *all, const char *label, const char *field, double x, double y) {
    int s = 0;
    while (s < all->n && strcmp(all->series[s].label, label) != 0) {
        ++s;
    }
    if (s == MOST_SERIES) {
        return HO_OK; /* more lines than anyone can read */
    }
    curve *at = &all->series[s];
    if (s == all->n) {
        memset(at, 0, sizeof *at);
        (void)snprintf(at->label, sizeof at->label, "%s", label);
        at->kind = kind_of(field);
        ++all->n;
    }
    if (at->n == at->room) {
        const int room = at->room * 2 + 64;
        double *xs = realloc(at->x, sizeof *xs * (size_t)room);
        at->x = xs != NULL ? xs : at->x;
        double *ys = realloc(at->y, sizeof *ys * (size_t)room);
        at->y = ys != NULL ? ys : at->y;
        if (xs == NULL || ys == NULL) {
            HO_FAIL(HO_EMEMORY, "report: no memory for %d points of %s", room, label);
        }
        at->room = room;
    }
    at->x[at->n] = x;
    at->y[at->n++] = y;
    return HO_OK;
}

/* `which`: what the log's name says beyond the stage, "16" or "handsoff 16 0". */
static ho_status add_record(curves *all, json_t *record, const char *which, double line) {
    const char *field = NULL, *x_field = NULL;
    char keys[64];
    json_t *value = NULL;
    (void)snprintf(keys, sizeof keys, "%s", which);
    for (int i = 0; i < COUNT(X_FIELDS) && x_field == NULL; ++i) {
        x_field = json_is_number(json_object_get(record, X_FIELDS[i])) ? X_FIELDS[i] : NULL;
    }
    for (int i = 0; i < COUNT(KEY_FIELDS); ++i) {
        const json_t *key = json_object_get(record, KEY_FIELDS[i]);
        if (json_is_number(key)) {
            const size_t used = strlen(keys);
            (void)snprintf(keys + used, sizeof keys - used, "%s%s %g", used > 0 ? " " : "", KEY_TEXTS[i],
                           json_number_value(key));
        }
    }
    all->x_label = x_field == NULL ? "record" : strcmp(x_field, "kimg") == 0 ? "thousands of images shown" : x_field;
    const double x = x_field != NULL ? json_number_value(json_object_get(record, x_field)) : line;
    json_object_foreach(record, field, value) {
        if (!json_is_number(value) || in_list(field, COUNT(X_FIELDS), X_FIELDS) ||
            in_list(field, COUNT(KEY_FIELDS), KEY_FIELDS) || in_list(field, COUNT(OTHER_FIELDS), OTHER_FIELDS)) {
            continue;
        }
        char label[96];
        (void)snprintf(label, sizeof label, "%.40s%s%.50s", field, keys[0] != '\0' ? ", " : "", keys);
        HO_TRY(add_point(all, label, field, x, json_number_value(value)));
    }
    return HO_OK;
}

/* A line that was cut short (the program was killed) is passed over. */
static ho_status read_log(const char *path, const char *which, curves *all) {
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "cannot read %s", path);
    }
    char *text = NULL;
    size_t size = 0;
    ho_status status = HO_OK;
    for (double line = 1.0; status == HO_OK && getline(&text, &size, file) > 0; line += 1.0) {
        json_t *record = json_loads(text, 0, NULL);
        if (json_is_object(record)) {
            status = add_record(all, record, which, line);
        }
        json_decref(record);
    }
    free(text);
    fclose(file);
    return status;
}

/* Values of one sign that span more than a factor of 20 are shown on a logarithmic axis. */
static bool wants_log(int n, const ho_plot_series *series) {
    double low = INFINITY, high = -INFINITY;
    for (int s = 0; s < n; ++s) {
        for (int i = 0; i < series[s].n; ++i) {
            low = fmin(low, series[s].y[i]);
            high = fmax(high, series[s].y[i]);
        }
    }
    return low > 0.0 && high > 20.0 * low;
}

/* Appends a plot below the picture. */
static ho_status append_plot(const ho_plot *plot, ho_image *picture) {
    ho_image drawn, taller;
    HO_TRY(ho_plot_draw(plot, &drawn));
    const ho_status status = ho_image_new(WIDTH, picture->height + plot->height, 3, &taller);
    if (status == HO_OK) {
        if (picture->pixels != NULL) {
            ho_image_paste(&taller, 0, 0, picture);
        }
        ho_image_paste(&taller, 0, picture->height, &drawn);
        ho_image_free(picture);
        *picture = taller;
    }
    ho_image_free(&drawn);
    return status;
}

static ho_status draw_curves(const curves *all, const char *stage, ho_image *picture) {
    *picture = (ho_image){0, 0, 3, NULL};
    for (int k = 0; k < COUNT(KINDS); ++k) {
        ho_plot_series series[MOST_SERIES];
        char title[160];
        int n = 0;
        for (int s = 0; s < all->n; ++s) {
            const curve *at = &all->series[s];
            if (at->kind == k) {
                series[n++] = (ho_plot_series){at->label, at->n, at->x, at->y};
            }
        }
        (void)snprintf(title, sizeof title, "%s: %s", stage, KINDS[k].title);
        /* Many lines are spread over several plots of about equal numbers. */
        const int plots = (n + MOST_A_PLOT - 1) / MOST_A_PLOT, each = plots > 0 ? (n + plots - 1) / plots : 1;
        for (int first = 0; first < n; first += each) {
            const int some = n - first < each ? n - first : each;
            const ho_plot plot = {title, all->x_label, wants_log(n, series), some, series + first, WIDTH, HEIGHT};
            HO_TRY(append_plot(&plot, picture));
        }
    }
    return HO_OK;
}

static const char *stage_of(const char *log) {
    for (int i = 0; i < COUNT(STAGE_NAMES); ++i) {
        if (strncmp(log, STAGE_NAMES[i], strlen(STAGE_NAMES[i])) == 0) {
            return STAGE_NAMES[i];
        }
    }
    return "other";
}

/* "train-head_16.jsonl" of stage train-head: "16". */
static void which_of(const char *log, const char *stage, char *which, size_t size) {
    const size_t begin = strcmp(stage, "other") == 0 ? 0 : strlen(stage), length = strlen(log) - strlen(".jsonl");
    const char *from = log + begin + (begin < length && strchr("_-.", log[begin]) != NULL);
    (void)snprintf(which, size, "%.*s", begin < length ? (int)(log + length - from) : 0, from);
    for (char *c = which; *c != '\0'; ++c) {
        *c = *c == '_' ? ' ' : *c;
    }
}

static ho_status stage_curves(ho_report *report, const char *stage, int n, char **logs, curves *all) {
    char file[80], title[160];
    int n_logs = 0;
    (void)snprintf(file, sizeof file, "curves_%s.png", stage);
    (void)snprintf(title, sizeof title, "%s: what its log shows", stage);
    for (int i = 0; i < n; ++i) {
        if (strcmp(stage_of(logs[i]), stage) == 0) {
            char which[64];
            which_of(logs[i], stage, which, sizeof which);
            HO_TRY(read_log(ho_run_path(report->run, "logs/%s", logs[i]), which, all));
            ++n_logs;
        }
    }
    if (all->n == 0) {
        if (n_logs > 0) {
            ho_report_leave_out(report, file, "the log holds no numbers");
        }
        return HO_OK;
    }
    ho_image picture;
    const ho_status status = draw_curves(all, stage, &picture);
    if (status != HO_OK) {
        ho_image_free(&picture);
        return status;
    }
    return ho_report_add(report, file, title, &picture);
}

ho_status ho_report_curves(ho_report *report) {
    int n = 0;
    char **logs = NULL;
    HO_TRY(ho_report_files(report->run, "logs", "", ".jsonl", &n, &logs));
    ho_status status = HO_OK;
    curves *all = malloc(sizeof *all);
    if (all == NULL) {
        free((void *)logs);
        HO_FAIL(HO_EMEMORY, "report: no memory for curves");
    }
    for (int i = 0; i <= COUNT(STAGE_NAMES) && status == HO_OK; ++i) {
        *all = (curves){.n = 0};
        status = stage_curves(report, i < COUNT(STAGE_NAMES) ? STAGE_NAMES[i] : "other", n, logs, all);
        for (int s = 0; s < all->n; ++s) {
            free(all->series[s].x);
            free(all->series[s].y);
        }
    }
    if (n == 0) {
        ho_report_leave_out(report, "curves", "there are no logs in this run");
    }
    free(all);
    free((void *)logs);
    return status;
}

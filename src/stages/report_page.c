/* The numbers for people: the table that a run ends with, and report/index.html, which needs nothing but the pictures
 * beside it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report_parts.h"

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* A number with `digits` decimals; "-" for null. */
static const char *number_of(const json_t *value, int digits, char text[32]) {
    if (json_is_number(value)) {
        (void)snprintf(text, 32, "%.*f", digits, json_number_value(value));
    } else {
        (void)snprintf(text, 32, "-");
    }
    return text;
}

/* One seed has no spread. */
static const char *mean_and_spread(const json_t *result, char text[80]) {
    char mean[32], spread[32];
    if (json_array_size(json_object_get(result, "seeds")) == 1) {
        return number_of(json_object_get(result, "miou_mean"), 4, text);
    }
    (void)snprintf(text, 80, "%s +- %s", number_of(json_object_get(result, "miou_mean"), 4, mean),
                   number_of(json_object_get(result, "miou_std"), 4, spread));
    return text;
}

void ho_report_say_results(ho_report *report) {
    const json_t *results = json_object_get(report->metrics, "results"), *result = NULL;
    size_t i = 0;
    if (report->metrics == NULL) {
        return; /* told already */
    }
    if (json_array_size(results) == 0) {
        ho_run_say(report->run, "report: no results yet: run evaluate first");
        return;
    }
    ho_run_say(report->run, "\n%-14s %-14s %8s %6s   %-17s %s", "method", "task", "labelled", "seeds", "mIOU (all)",
               "mIOU (classes that occur)");
    json_array_foreach(results, i, result) {
        char spread[80], present[32];
        ho_run_say(report->run, "%-14s %-14s %8lld %6zu   %-17s %s", text_of(result, "method"), text_of(result, "task"),
                   (long long)json_integer_value(json_object_get(result, "labelled")),
                   json_array_size(json_object_get(result, "seeds")), mean_and_spread(result, spread),
                   number_of(json_object_get(result, "miou_present_mean"), 4, present));
    }
    ho_run_say(report->run, "%s", "");
}

/* ---- page */

static void put_text(FILE *out, const char *text) {
    for (; *text != '\0'; ++text) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

static void put_cell(FILE *out, const char *tag, const char *text) {
    fprintf(out, "<%s>", tag);
    put_text(out, text);
    fprintf(out, "</%s>", tag);
}

static void put_row(FILE *out, const char *tag, int n, const char *const *cells) {
    fputs("<tr>", out);
    for (int i = 0; i < n; ++i) {
        put_cell(out, tag, cells[i]);
    }
    fputs("</tr>\n", out);
}

static void put_results(const ho_report *report, FILE *out) {
    json_t *results = json_object_get(report->metrics, "results"), *result = NULL, *iou = NULL;
    json_t *classes = json_object_get(json_array_get(results, 0), "per_class");
    const char *name = NULL;
    size_t i = 0;
    fputs("<h2>Results on the held-out test images</h2>\n", out);
    if (json_array_size(results) == 0) {
        fputs(report->metrics == NULL ? "<p>metrics.json cannot be read.</p>\n"
                                      : "<p>None yet: run evaluate first.</p>\n",
              out);
        return;
    }
    fputs("<p>Intersection over union: mean and standard deviation over the seeds; then the mean over the classes that "
          "occur; then each class, mean over the seeds.</p>\n<div class=\"wide\"><table>\n<tr>",
          out);
    const char *const HEADS[] = {"method", "task", "labelled", "seeds", "mIOU", "mIOU, classes that occur"};
    for (size_t h = 0; h < sizeof HEADS / sizeof HEADS[0]; ++h) {
        put_cell(out, "th", HEADS[h]);
    }
    json_object_foreach(classes, name, iou) {
        put_cell(out, "th", name);
    }
    fputs("</tr>\n", out);
    json_array_foreach(results, i, result) {
        char labelled[32], seeds[32], spread[80], value[32];
        (void)snprintf(labelled, sizeof labelled, "%lld",
                       (long long)json_integer_value(json_object_get(result, "labelled")));
        (void)snprintf(seeds, sizeof seeds, "%zu", json_array_size(json_object_get(result, "seeds")));
        fputs("<tr>", out);
        put_cell(out, "td", text_of(result, "method"));
        put_cell(out, "td", text_of(result, "task"));
        put_cell(out, "td", labelled);
        put_cell(out, "td", seeds);
        put_cell(out, "td", mean_and_spread(result, spread));
        put_cell(out, "td", number_of(json_object_get(result, "miou_present_mean"), 4, value));
        json_object_foreach(classes, name, iou) {
            const json_t *of_class = json_object_get(json_object_get(result, "per_class"), name);
            put_cell(out, "td", number_of(of_class, 3, value));
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

static void put_inversion(const ho_report *report, FILE *out) {
    json_t *inversion = json_object_get(report->metrics, "inversion"), *step = NULL;
    const char *name = NULL;
    if (json_object_size(inversion) == 0) {
        return;
    }
    fputs("<h2>Inversion</h2>\n<table>\n", out);
    put_row(out, "th", 5, (const char *const[]){"step", "", "LPIPS", "MSE", "latent MSE"});
    json_object_foreach(inversion, name, step) {
        static const char *const WHEN[] = {"before", "after"};
        for (int i = 0; i < 2; ++i) {
            const json_t *at = json_object_get(step, WHEN[i]);
            char lpips[32], mse[32], latent[32];
            if (at != NULL) {
                put_row(out, "td", 5,
                        (const char *const[]){name, WHEN[i], number_of(json_object_get(at, "lpips"), 4, lpips),
                                              number_of(json_object_get(at, "mse"), 5, mse),
                                              number_of(json_object_get(at, "latent_mse"), 5, latent)});
            }
        }
    }
    fputs("</table>\n", out);
}

static void put_stages(const ho_report *report, FILE *out) {
    const json_t *stages = json_object_get(report->metrics, "stages"), *stage = NULL;
    size_t i = 0;
    double total = 0.0;
    if (json_array_size(stages) == 0) {
        return;
    }
    fputs("<h2>Stages</h2>\n<p>Each as it last ran.</p>\n<table>\n", out);
    put_row(out, "th", 3, (const char *const[]){"stage", "seconds", "peak memory (MB)"});
    json_array_foreach(stages, i, stage) {
        char seconds[32], peak[32];
        if (strcmp(text_of(stage, "name"), "report") == 0) {
            continue; /* an earlier report */
        }
        total += json_number_value(json_object_get(stage, "seconds"));
        put_row(out, "td", 3,
                (const char *const[]){text_of(stage, "name"), number_of(json_object_get(stage, "seconds"), 1, seconds),
                                      number_of(json_object_get(stage, "peak_rss_mb"), 0, peak)});
    }
    char sum[32];
    (void)snprintf(sum, sizeof sum, "%.1f", total);
    put_row(out, "td", 3, (const char *const[]){"all", sum, ""});
    fputs("</table>\n", out);
}

static void put_pictures(const ho_report *report, FILE *out) {
    for (int i = 0; i < report->n_pictures; ++i) {
        put_cell(out, "h2", report->picture[i].title);
        fputs("\n<p><a href=\"", out);
        put_text(out, report->picture[i].file);
        fputs("\"><img src=\"", out);
        put_text(out, report->picture[i].file);
        fputs("\" alt=\"", out);
        put_text(out, report->picture[i].title);
        fputs("\"></a></p>\n", out);
    }
    if (report->n_missing > 0) {
        fputs("<h2>Left out</h2>\n<ul>\n", out);
        for (int i = 0; i < report->n_missing; ++i) {
            put_cell(out, "li", report->missing[i]);
            fputs("\n", out);
        }
        fputs("</ul>\n", out);
    }
}

static const char HEAD[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<style>\n"
    "body { font-family: sans-serif; max-width: 1640px; margin: 2em auto; padding: 0 1em; color: #191919; }\n"
    "table { border-collapse: collapse; } .wide { overflow-x: auto; }\n"
    "th, td { border: 1px solid #ccc; padding: 4px 10px; text-align: right; white-space: nowrap; }\n"
    "th:first-child, td:first-child { text-align: left; } img { max-width: 100%; }\n</style>\n<title>";

ho_status ho_report_page(ho_report *report) {
    const char *path = ho_run_path(report->run, "report/index.html");
    const char *part = ho_run_path(report->run, "report/index.html.part");
    const char *name = ho_config_text(ho_run_config(report->run), "name");
    FILE *out = fopen(part, "w");
    if (out == NULL) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", part, strerror(errno));
    }
    fputs(HEAD, out);
    put_text(out, name);
    fputs("</title>\n</head>\n<body>\n<h1>Run ", out);
    put_text(out, name);
    fprintf(out,
            "</h1>\n<p>Made by handsoff %s. Every number is in <a href=\"../metrics.json\">metrics.json</a>.</p>\n",
            HO_VERSION);
    put_results(report, out);
    put_inversion(report, out);
    put_stages(report, out);
    put_pictures(report, out);
    fputs("</body>\n</html>\n", out);
    const bool bad = fflush(out) != 0 || ferror(out) != 0;
    const int error = errno;
    if (fclose(out) != 0 || bad || rename(part, path) != 0) {
        (void)unlink(part);
        HO_FAIL(HO_EIO, "cannot write %s: %s", path, strerror(bad ? error : errno));
    }
    return HO_OK;
}

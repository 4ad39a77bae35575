/* The parts of the report stage: contact sheets, the pictures, the curves, the page. */
#ifndef HANDSOFF_STAGES_REPORT_PARTS_H
#define HANDSOFF_STAGES_REPORT_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "handsoff/dataset.h"
#include "handsoff/image.h"
#include "handsoff/run.h"

enum { HO_REPORT_PICTURES = 64, HO_REPORT_WIDTH = 1600 };

/* What the stage has done so far. */
typedef struct {
    ho_run *run;
    ho_dataset dataset; /* n_classes 0: cannot be read */
    json_t *metrics;    /* an empty object without metrics.json, NULL: cannot be read */
    int n_damaged;
    char damaged[512]; /* the first of them and why */
    int n_pictures, n_missing;
    struct {
        char file[80], title[160];
    } picture[HO_REPORT_PICTURES];
    char missing[HO_REPORT_PICTURES][320];
} ho_report;

/* Writes a picture as report/FILE and lists it; takes the image's pixels. */
ho_status ho_report_add(ho_report *report, const char *file, const char *title, ho_image *image);
/* Notes, and says, that a picture is left out and why. */
void ho_report_leave_out(ho_report *report, const char *file, const char *why);
/* The same, where the cause is a file that cannot be read: the stage makes the rest and fails. */
void ho_report_damaged(ho_report *report, const char *file, const char *why);
/* True when the file of the run is there; else `file` is left out, with the stage that makes it. */
bool ho_report_has(ho_report *report, const char *file, const char *path);
/* True when dataset.h5 could be read; else `file` is left out. */
bool ho_report_has_dataset(ho_report *report, const char *file);

/* Files of runs/NAME/FOLDER whose names begin and end so, in name order, as one malloc'd block; *n may be 0. */
ho_status ho_report_files(ho_run *run, const char *folder, const char *begin, const char *end, int *n, char ***names);

/* ---- contact sheets (report_sheet.c) */

enum { HO_SHEET_PANELS = 5, HO_SHEET_LINES = 2, HO_SHEET_LEGEND = 260, HO_SHEET_PANEL = 128 };

/* Panels of one height and width side by side, with a line under each, and lines under all of them. */
typedef struct {
    ho_image panel[HO_SHEET_PANELS]; /* RGB, owned */
    char under[HO_SHEET_PANELS][16]; /* "" in all items: no room is kept */
    char line[HO_SHEET_LINES][64];
    bool marked; /* framed in red */
} ho_sheet_item;

typedef struct {
    char title[160], note[400];
    int n_panels, n_lines;                /* of every item */
    const char *heading[HO_SHEET_PANELS]; /* a line break parts it in two lines */
    int n_items;
    ho_sheet_item *items; /* owned */
    int n_legend;
    const char *legend[HO_SHEET_LEGEND];
    uint8_t legend_colour[HO_SHEET_LEGEND][3];
    char ramp[64]; /* "": none; else the text behind a bar in the colours of ho_sheet_ramp */
} ho_sheet;

/* Room for n items with panels of height x width pixels. */
ho_status ho_sheet_new(int n_items, int n_panels, int height, int width, ho_sheet *sheet);
void ho_sheet_free(ho_sheet *sheet);
/* The page: images enlarged by a whole factor to HO_SHEET_PANEL pixels or more (reduced only where a row would exceed
 * the page), items in as many columns as HO_REPORT_WIDTH holds. */
ho_status ho_sheet_draw(const ho_sheet *sheet, ho_image *page);
/* Dark blue (0) over red to pale yellow (1). */
void ho_sheet_ramp(double value, uint8_t colour[3]);
/* The data set's classes as the legend, and "ignored" where `ignored`. */
void ho_sheet_classes(ho_sheet *sheet, const ho_dataset *dataset, bool ignored);
/* Class colours; with an image, 70 % colour and 30 % image. label (n) classes, 255 = ignored. */
void ho_sheet_colours(const ho_dataset *dataset, int64_t n, const uint8_t *label, const uint8_t *image, uint8_t *rgb);

/* What a picture ends with: with status HO_OK the sheet is drawn and added, else `file` is left out as damaged, with
 * the text of the last failure. Frees the sheet. Fails only when the picture cannot be made (memory) or written. */
ho_status ho_report_finish_sheet(ho_report *report, const char *file, ho_status status, ho_sheet *sheet);

/* ---- pictures; each says what it leaves out (report_pictures.c, report_predictions.c, report_curves.c) */

ho_status ho_report_reconstructions(ho_report *report);
ho_status ho_report_synthetic(ho_report *report, int64_t count);
ho_status ho_report_predictions(ho_report *report, int64_t count);
ho_status ho_report_curves(ho_report *report);
ho_status ho_report_gan_samples(ho_report *report);

/* ---- numbers and page (report_page.c) */

/* The results as a table for people, through ho_run_say. */
void ho_report_say_results(ho_report *report);
/* report/index.html */
ho_status ho_report_page(ho_report *report);

#endif

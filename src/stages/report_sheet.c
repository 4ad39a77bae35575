/* Contact sheets. From top to bottom: title, note, legend, then the items in columns; over each column of items the
 * headings of its panels. All sizes follow from a layout, so that no text lies on another. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_parts.h"

enum {
    SCALE = 2,
    CELL_WIDTH = 6 * SCALE,
    CELL_HEIGHT = 10 * SCALE,
    MARGIN = 20,
    GAP = 4,       /* between panels */
    ITEM_GAP = 28, /* between items  */
    LEGEND_GAP = 12,
    LEAST_WIDTH = 900,
    BAR = 160 /* length of the ramp */
};

static const uint8_t PAPER[3] = {250, 250, 250}, INK[3] = {25, 25, 25}, EDGE[3] = {190, 190, 190},
                     RED[3] = {214, 30, 30}, IGNORED[3] = {200, 200, 200};

ho_status ho_sheet_new(int n_items, int n_panels, int height, int width, ho_sheet *sheet) {
    memset(sheet, 0, sizeof *sheet);
    HO_REQUIRE(n_items >= 1 && n_panels >= 1 && n_panels <= HO_SHEET_PANELS, "a sheet of %d items with %d panels",
               n_items, n_panels);
    sheet->items = calloc((size_t)n_items, sizeof *sheet->items);
    if (sheet->items == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a sheet of %d items", n_items);
    }
    sheet->n_items = n_items;
    sheet->n_panels = n_panels;
    for (int i = 0; i < n_items; ++i) {
        for (int p = 0; p < n_panels; ++p) {
            const ho_status status = ho_image_new(width, height, 3, &sheet->items[i].panel[p]);
            if (status != HO_OK) {
                ho_sheet_free(sheet);
                return status;
            }
        }
    }
    return HO_OK;
}

void ho_sheet_free(ho_sheet *sheet) {
    for (int i = 0; i < sheet->n_items; ++i) {
        for (int p = 0; p < sheet->n_panels; ++p) {
            ho_image_free(&sheet->items[i].panel[p]);
        }
    }
    free(sheet->items);
    memset(sheet, 0, sizeof *sheet);
}

/* ---- colours */

void ho_sheet_ramp(double value, uint8_t colour[3]) {
    static const double STOPS[5][3] = {{10, 10, 50}, {90, 20, 120}, {200, 60, 80}, {250, 150, 50}, {255, 250, 200}};
    const double t = 4.0 * (isfinite(value) ? fmin(fmax(value, 0.0), 1.0) : 0.0);
    const int k = t >= 4.0 ? 3 : (int)t;
    for (int c = 0; c < 3; ++c) {
        colour[c] = (uint8_t)lround(STOPS[k][c] + (t - k) * (STOPS[k + 1][c] - STOPS[k][c]));
    }
}

void ho_sheet_classes(ho_sheet *sheet, const ho_dataset *dataset, bool ignored) {
    for (int k = 0; k < dataset->n_classes && k < 255; ++k) {
        sheet->legend[k] = dataset->class_names[k];
        memcpy(sheet->legend_colour[k], dataset->palette[k], 3);
        sheet->n_legend = k + 1;
    }
    if (ignored) {
        sheet->legend[sheet->n_legend] = "ignored";
        memcpy(sheet->legend_colour[sheet->n_legend++], IGNORED, 3);
    }
}

void ho_sheet_colours(const ho_dataset *dataset, int64_t n, const uint8_t *label, const uint8_t *image, uint8_t *rgb) {
    for (int64_t p = 0; p < n; ++p) {
        const uint8_t *colour = label[p] < dataset->n_classes ? dataset->palette[label[p]] : IGNORED;
        for (int c = 0; c < 3; ++c) {
            rgb[3 * p + c] = image == NULL ? colour[c] : (uint8_t)((7 * colour[c] + 3 * image[3 * p + c] + 5) / 10);
        }
    }
}

/* ---- text */

static int text_width(const char *text) {
    return (int)strlen(text) * CELL_WIDTH - SCALE;
}

/* Text in `width` pixels, the rest of a longer one cut off. */
static void cut_text(ho_image *page, int x, int y, int width, const char *text) {
    char cut[HO_REPORT_WIDTH / CELL_WIDTH + 2];
    const int room = (width + SCALE) / CELL_WIDTH;
    (void)snprintf(cut, sizeof cut, "%.*s", room < 0 ? 0 : room, text);
    ho_image_text(page, x, y, SCALE, INK, cut);
}

/* Text broken at spaces. Returns where it ends; with page NULL nothing is drawn. */
static int wrapped_text(ho_image *page, int x, int y, int width, const char *text) {
    const size_t room = (size_t)((width + SCALE) / CELL_WIDTH);
    while (*text != '\0') {
        size_t length = strlen(text);
        if (length > room) {
            for (length = room; length > 0 && text[length] != ' '; --length) {
            }
            length = length == 0 ? room : length;
        }
        if (page != NULL) {
            char line[HO_REPORT_WIDTH / CELL_WIDTH + 2];
            (void)snprintf(line, sizeof line, "%.*s", (int)length, text);
            ho_image_text(page, x, y, SCALE, INK, line);
        }
        y += CELL_HEIGHT + 2;
        text += length;
        text += strspn(text, " ");
    }
    return y;
}

/* Swatches and names, then the ramp. Returns where they end; with page NULL nothing is drawn. */
static int draw_legend(const ho_sheet *sheet, int page_width, ho_image *page, int y) {
    const int side = CELL_HEIGHT - 4;
    int x = MARGIN;
    for (int k = 0; k < sheet->n_legend; ++k) {
        const int width = side + LEGEND_GAP + text_width(sheet->legend[k]);
        if (x > MARGIN && x + width > page_width - MARGIN) {
            x = MARGIN;
            y += CELL_HEIGHT + 8;
        }
        if (page != NULL) {
            ho_image_fill(page, x - 1, y - 2, side + 2, side + 2, INK);
            ho_image_fill(page, x, y - 1, side, side, sheet->legend_colour[k]);
            cut_text(page, x + side + LEGEND_GAP, y, page_width - MARGIN - x - side - LEGEND_GAP, sheet->legend[k]);
        }
        x += width + ITEM_GAP;
    }
    y += sheet->n_legend > 0 ? CELL_HEIGHT + 8 : 0;
    if (sheet->ramp[0] != '\0') {
        for (int i = 0; page != NULL && i < BAR; ++i) {
            uint8_t colour[3];
            ho_sheet_ramp((double)i / (BAR - 1), colour);
            ho_image_fill(page, MARGIN + i, y - 1, 1, side, colour);
        }
        if (page != NULL) {
            cut_text(page, MARGIN + BAR + LEGEND_GAP, y, page_width - 2 * MARGIN - BAR - LEGEND_GAP, sheet->ramp);
        }
        y += CELL_HEIGHT + 8;
    }
    return y;
}

/* ---- page */

typedef struct {
    int panel_width, panel_height, item_width, item_height, columns, rows, width, height;
    int heading_lines, heading_top, items_top;
    bool under;
} layout;

static layout find_layout(const ho_sheet *sheet) {
    const ho_image *first = &sheet->items[0].panel[0];
    const int smaller = first->width < first->height ? first->width : first->height, P = sheet->n_panels;
    const int factor = (HO_SHEET_PANEL + smaller - 1) / smaller;
    const int widest = (HO_REPORT_WIDTH - 2 * MARGIN - (P - 1) * GAP) / P;
    layout l = {.panel_width = factor * first->width, .panel_height = factor * first->height};
    if (l.panel_width > widest) {
        l.panel_height = (int)((double)l.panel_height * widest / l.panel_width);
        l.panel_height = l.panel_height < 1 ? 1 : l.panel_height;
        l.panel_width = widest;
    }
    for (int i = 0; i < sheet->n_items; ++i) {
        for (int p = 0; p < P; ++p) {
            l.under = l.under || sheet->items[i].under[p][0] != '\0';
        }
    }
    for (int p = 0; p < P; ++p) {
        const int lines = sheet->heading[p] == NULL ? 0 : strchr(sheet->heading[p], '\n') != NULL ? 2 : 1;
        l.heading_lines = lines > l.heading_lines ? lines : l.heading_lines;
    }
    l.item_width = P * l.panel_width + (P - 1) * GAP;
    l.item_height = l.panel_height + (l.under + sheet->n_lines) * (CELL_HEIGHT + 2) + 6;
    l.columns = (HO_REPORT_WIDTH - 2 * MARGIN + ITEM_GAP) / (l.item_width + ITEM_GAP);
    l.columns = l.columns > sheet->n_items ? sheet->n_items : l.columns;
    l.rows = (sheet->n_items + l.columns - 1) / l.columns;
    l.width = 2 * MARGIN + l.columns * (l.item_width + ITEM_GAP) - ITEM_GAP;
    l.width = l.width < LEAST_WIDTH ? LEAST_WIDTH : l.width;
    int y = wrapped_text(NULL, MARGIN, MARGIN, l.width - 2 * MARGIN, sheet->title);
    y = wrapped_text(NULL, MARGIN, y, l.width - 2 * MARGIN, sheet->note) + 8;
    l.heading_top = draw_legend(sheet, l.width, NULL, y) + 8;
    l.items_top = l.heading_top + l.heading_lines * (CELL_HEIGHT + 2) + 4;
    l.height = l.items_top + l.rows * (l.item_height + 12) + MARGIN - 12;
    return l;
}

/* Headings stand on the panels: one line leaves the upper of two free. */
static void draw_headings(const ho_sheet *sheet, const layout *l, ho_image *page) {
    for (int i = 0; i < l->columns * sheet->n_panels; ++i) {
        const char *text = sheet->heading[i % sheet->n_panels];
        const int x =
            MARGIN + i / sheet->n_panels * (l->item_width + ITEM_GAP) + i % sheet->n_panels * (l->panel_width + GAP);
        if (text == NULL) {
            continue;
        }
        const char *second = strchr(text, '\n');
        char upper[64] = "";
        if (second != NULL) {
            (void)snprintf(upper, sizeof upper, "%.*s", (int)(second - text), text);
        }
        const int bottom = l->heading_top + (l->heading_lines - 1) * (CELL_HEIGHT + 2);
        cut_text(page, x, bottom - CELL_HEIGHT - 2, l->panel_width, upper);
        cut_text(page, x, bottom, l->panel_width, second != NULL ? second + 1 : text);
    }
}

/* Nearest pixel when enlarged, antialiased when reduced. */
static ho_status draw_panel(const ho_image *panel, const layout *l, int x, int y, ho_image *page) {
    if (l->panel_width < panel->width) {
        ho_image reduced;
        HO_TRY(ho_image_resize(panel, l->panel_width, l->panel_height, &reduced));
        ho_image_paste(page, x, y, &reduced);
        ho_image_free(&reduced);
        return HO_OK;
    }
    for (int row = 0; row < l->panel_height; ++row) {
        const uint8_t *from = panel->pixels + (size_t)(row * panel->height / l->panel_height) * panel->width * 3;
        uint8_t *to = page->pixels + ((size_t)(y + row) * page->width + x) * 3;
        for (int column = 0; column < l->panel_width; ++column) {
            memcpy(to + (size_t)column * 3, from + (size_t)(column * panel->width / l->panel_width) * 3, 3);
        }
    }
    return HO_OK;
}

static ho_status draw_item(const ho_sheet *sheet, const ho_sheet_item *item, const layout *l, int x, int y,
                           ho_image *page) {
    if (item->marked) {
        ho_image_fill(page, x - 6, y - 6, l->item_width + 12, l->panel_height + 12, RED);
        ho_image_fill(page, x - 1, y - 1, l->item_width + 2, l->panel_height + 2, PAPER);
    }
    for (int p = 0; p < sheet->n_panels; ++p) {
        const int left = x + p * (l->panel_width + GAP);
        ho_image_fill(page, left - 1, y - 1, l->panel_width + 2, l->panel_height + 2,
                      EDGE); /* seen round white labels */
        HO_TRY(draw_panel(&item->panel[p], l, left, y, page));
        cut_text(page, left, y + l->panel_height + 8, l->panel_width, item->under[p]);
    }
    for (int i = 0; i < sheet->n_lines; ++i) {
        cut_text(page, x, y + l->panel_height + 8 + (l->under + i) * (CELL_HEIGHT + 2), l->item_width, item->line[i]);
    }
    return HO_OK;
}

ho_status ho_sheet_draw(const ho_sheet *sheet, ho_image *page) {
    const layout l = find_layout(sheet);
    HO_TRY(ho_image_new(l.width, l.height, 3, page));
    ho_image_fill(page, 0, 0, l.width, l.height, PAPER);
    const int below = wrapped_text(page, MARGIN, MARGIN, l.width - 2 * MARGIN, sheet->title);
    const int legend = wrapped_text(page, MARGIN, below, l.width - 2 * MARGIN, sheet->note) + 8;
    (void)draw_legend(sheet, l.width, page, legend);
    draw_headings(sheet, &l, page);
    for (int i = 0; i < sheet->n_items; ++i) {
        const int x = MARGIN + i % l.columns * (l.item_width + ITEM_GAP);
        const int y = l.items_top + i / l.columns * (l.item_height + 12);
        const ho_status status = draw_item(sheet, &sheet->items[i], &l, x, y, page);
        if (status != HO_OK) {
            ho_image_free(page);
            return status;
        }
    }
    return HO_OK;
}

ho_status ho_report_finish_sheet(ho_report *report, const char *file, ho_status status, ho_sheet *sheet) {
    ho_image page;
    if (status == HO_OK) {
        status = ho_sheet_draw(sheet, &page);
        status = status == HO_OK ? ho_report_add(report, file, sheet->title, &page) : status;
    } else if (status != HO_EMEMORY) {
        ho_report_damaged(report, file, ho_error());
        status = HO_OK;
    }
    ho_sheet_free(sheet);
    return status;
}

/* Line plots as pictures: axes with round tick values, a legend, one line a series. */
#ifndef HANDSOFF_PLOT_H
#define HANDSOFF_PLOT_H

#include <stdbool.h>

#include "handsoff/image.h"
#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Points (x, y), joined in this order. A point that is not finite, or not above 0 on a logarithmic axis, leaves a gap.
 */
typedef struct {
    const char *label;
    int n;
    const double *x, *y;
} ho_plot_series;

typedef struct {
    const char *title, *x_label;
    bool log_y;
    int n_series;
    const ho_plot_series *series;
    int width, height; /* pixels; 320 x 200 at least */
} ho_plot;

/* Draws the plot into a new image. Without a single point to draw, the axes span 0 to 1 and the picture says so.
 * Errors: HO_ESHAPE (size), HO_EMEMORY. */
ho_status ho_plot_draw(const ho_plot *plot, ho_image *image);

/* Round values inside [low, high], ascending: multiples of 1, 2 or 5 times a power of ten, some 3 to 8 of them; with
 * log_scale powers of ten, and 2 and 5 times these where there are few. Returns their number; 0 unless low < high, both
 * finite, and above 0 with log_scale. */
enum { HO_PLOT_TICKS = 16 };
int ho_plot_ticks(double low, double high, bool log_scale, double ticks[HO_PLOT_TICKS]);
/* The text of ticks[i]: as many digits as tell it from its neighbours, no more. */
void ho_plot_tick_text(int n, const double *ticks, int i, char text[24]);

/* The colour of series number `i`: eight that colour-blind readers can tell apart, then again from the first. */
const uint8_t *ho_plot_colour(int i);

#ifdef __cplusplus
}
#endif
#endif

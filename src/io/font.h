/* The built-in bitmap font: ASCII 32..126. */
#ifndef HANDSOFF_FONT_H
#define HANDSOFF_FONT_H

#include <stdbool.h>

/* A cell holds a glyph of 5 x 9 pixels below one empty row and left of one empty column. */
enum { HO_FONT_WIDTH = 6, HO_FONT_HEIGHT = 10 };

/* Whether the pixel at (x, y) of the character's cell is set. Characters outside the font are drawn as '?'. */
bool ho_font_pixel(char character, int x, int y);

#endif

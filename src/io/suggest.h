/* The nearest known word to a mistyped one. */
#ifndef HANDSOFF_SUGGEST_H
#define HANDSOFF_SUGGEST_H

/* Edits (insert, delete, replace a character, swap two neighbours) that turn a into b; words over 63 characters count
 * as infinitely far. */
int ho_edit_distance(const char *a, const char *b);

/* The candidate with the fewest edits, the first of equals; NULL when none is within a third of the word's length (2 at
 * least). A word without a dot also matches a dotted candidate's last part: "lr" finds "gan.lr". */
const char *ho_nearest(const char *word, int n, const char *const *candidates);

#endif

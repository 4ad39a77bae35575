/* The pickle machine's state and its parts: memory on one account, bytes of the source, the stack with its marks, the
 * memo. Used by pickle_read.c alone. Every function that fails has recorded where in the file. */
#ifndef HANDSOFF_IO_PICKLE_MACHINE_H
#define HANDSOFF_IO_PICKLE_MACHINE_H

#include "pickle_read.h"

enum { PICKLE_WINDOW = 1 << 14, PICKLE_LINE = 4096 };

typedef struct ho_pickle_block ho_pickle_block;
typedef struct {
    ho_node **at;
    int64_t n, room;
} ho_pickle_stack;

struct ho_pickle {
    ho_source source;
    int64_t at; /* the next byte */
    uint8_t window[PICKLE_WINDOW];
    int64_t window_first, window_n;
    ho_pickle_block *blocks;
    int64_t memory; /* bytes on the account */
    ho_pickle_stack values, memo, persistent;
    int64_t *mark; /* heights of the stack */
    int64_t n_marks, marks_room;
    ho_node *root;
};

/* "FILE: not a sound pickle: WHAT at byte N". */
ho_status ho_pickle_broken(const ho_pickle *p, const char *what);

/* n zeroed bytes that live as long as the pickle. */
ho_status ho_pickle_take(ho_pickle *p, size_t n, void **memory);
ho_status ho_pickle_new_node(ho_pickle *p, ho_node_kind kind, ho_node **node);

ho_status ho_pickle_next_byte(ho_pickle *p, uint8_t *byte);
ho_status ho_pickle_next_bytes(ho_pickle *p, int n, uint8_t *bytes);
/* An unsigned number of n <= 8 bytes, the lowest first; beyond int64_t it is no size of anything. */
ho_status ho_pickle_next_number(ho_pickle *p, int n, int64_t *value);
/* Steps over n bytes, which must be there. */
ho_status ho_pickle_skip(ho_pickle *p, int64_t n);
/* Characters up to the end of the line, NUL-terminated. */
ho_status ho_pickle_next_line(ho_pickle *p, char line[PICKLE_LINE]);

ho_status ho_pickle_push(ho_pickle *p, ho_node *node);
ho_status ho_pickle_push_new(ho_pickle *p, ho_node_kind kind, ho_node **node);
/* Values above the last mark: they alone can be taken. */
int64_t ho_pickle_depth(const ho_pickle *p);
ho_status ho_pickle_pop(ho_pickle *p, ho_node **node);
ho_status ho_pickle_top(ho_pickle *p, ho_node **node);
ho_status ho_pickle_push_mark(ho_pickle *p);
/* Removes the last mark; the values from `first` on lay above it. */
ho_status ho_pickle_pop_mark(ho_pickle *p, int64_t *first);
/* A container of the n topmost values, or of those above the last mark. */
ho_status ho_pickle_gather(ho_pickle *p, ho_node_kind kind, int64_t n);
ho_status ho_pickle_gather_marked(ho_pickle *p, ho_node_kind kind);
/* Moves the values above the last mark, or the n topmost, into the container below them. */
ho_status ho_pickle_extend_marked(ho_pickle *p, bool pairs);
ho_status ho_pickle_extend_by(ho_pickle *p, int64_t n, bool pairs);

/* Lists a node for ho_pickle_persistent. */
ho_status ho_pickle_note_persistent(ho_pickle *p, ho_node *node);

/* Keeps the topmost value under a number, and pushes it again. */
ho_status ho_pickle_remember(ho_pickle *p, int64_t i);
ho_status ho_pickle_recall(ho_pickle *p, int64_t i);

#endif

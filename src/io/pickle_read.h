/* Reading of Python pickles, protocols 0 to 5, without Python: what a pickle would build becomes a graph of nodes, and
 * nothing in it is ever executed. A name of a function or class is a GLOBAL node, its call a CALL node with the
 * arguments beside it; whoever reads the graph knows what the few that it understands mean. */
#ifndef HANDSOFF_IO_PICKLE_READ_H
#define HANDSOFF_IO_PICKLE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source.h"

typedef enum {
    HO_NODE_NONE,
    HO_NODE_BOOL,       /* integer */
    HO_NODE_INT,        /* integer; LONG beyond 64 bits is BYTES */
    HO_NODE_FLOAT,      /* real */
    HO_NODE_TEXT,       /* text, n_text; beyond HO_PICKLE_TEXT bytes it is only counted and "" */
    HO_NODE_BYTES,      /* first, n_bytes: where they stand in the source */
    HO_NODE_TUPLE,      /* item */
    HO_NODE_LIST,       /* item */
    HO_NODE_SET,        /* item */
    HO_NODE_DICT,       /* item: key, value, key, value ... */
    HO_NODE_GLOBAL,     /* text: "module name" */
    HO_NODE_CALL,       /* function(arguments); state: what BUILD gave it; item: what was appended or set (as DICT) */
    HO_NODE_PERSISTENT, /* arguments: the persistent id */
} ho_node_kind;

typedef struct ho_node ho_node;
struct ho_node {
    ho_node_kind kind;
    int64_t integer;
    double real;
    const char *text;
    int64_t n_text;
    int64_t first, n_bytes;
    ho_node **item;
    int64_t n_items, room;
    ho_node *function, *arguments, *state;
};

enum { HO_PICKLE_TEXT = 65536, HO_PICKLE_MEMORY = 256 << 20 /* bytes that a graph may take */ };

typedef struct ho_pickle ho_pickle;
/* Reads the pickle that begins at byte `first` of the source. The graph may hold cycles and share nodes. HO_EFORMAT
 * names the byte at which the source is no pickle. */
ho_status ho_pickle_read(const ho_source *source, int64_t first, ho_pickle **pickle);
void ho_pickle_free(ho_pickle *pickle); /* with all its nodes; NULL is allowed */
const ho_node *ho_pickle_root(const ho_pickle *pickle);
int64_t ho_pickle_end_of(const ho_pickle *pickle); /* the byte after it */

/* Number i of its PERSISTENT nodes, in the order of the file; NULL behind the last one. */
const ho_node *ho_pickle_persistent(const ho_pickle *pickle, int64_t i);

/* Value of a text key of a DICT or a CALL with items; NULL when there is none. */
const ho_node *ho_node_get(const ho_node *node, const char *key);
bool ho_node_is(const ho_node *node, ho_node_kind kind);         /* false for NULL */
bool ho_node_is_global(const ho_node *node, const char *name);   /* GLOBAL of "module name" */
bool ho_node_is_call(const ho_node *node, const char *name);     /* CALL of that GLOBAL */
bool ho_node_is_text(const ho_node *node, const char *text);     /* exactly this text */
const ho_node *ho_node_argument(const ho_node *node, int64_t i); /* of a CALL or the id of a PERSISTENT, or NULL */
bool ho_node_integer(const ho_node *node, int64_t *value);       /* INT or BOOL */

#endif

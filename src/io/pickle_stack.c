/* The pickle machine's memory, bytes, stack and memo. All memory comes from one account with a limit; numbers in the
 * file never size an allocation by themselves. */
#include <stdlib.h>
#include <string.h>

#include "pickle_machine.h"

enum { BLOCK = 1 << 16, MEMO_MOST = 1 << 24 };

struct ho_pickle_block {
    ho_pickle_block *next;
    size_t used, size;
};

ho_status ho_pickle_broken(const ho_pickle *p, const char *what) {
    HO_FAIL(HO_EFORMAT, "%s: not a sound pickle: %s at byte %lld", p->source.name, what,
            (long long)(p->source.first + p->at));
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static ho_status charge(ho_pickle *p, int64_t bytes) {
    if (bytes < 0 || bytes > HO_PICKLE_MEMORY - p->memory) {
        HO_FAIL(HO_EFORMAT, "%s: its pickle would take more than %d MiB by byte %lld: this is no weights file",
                p->source.name, HO_PICKLE_MEMORY >> 20, (long long)(p->source.first + p->at));
    }
    p->memory += bytes;
    return HO_OK;
}

ho_status ho_pickle_take(ho_pickle *p, size_t n, void **memory) {
    n = (n + 15) / 16 * 16;
    if (p->blocks == NULL || p->blocks->size - p->blocks->used < n) {
        const size_t size = n > BLOCK ? n : BLOCK;
        HO_TRY(charge(p, (int64_t)(size + sizeof(ho_pickle_block))));
        ho_pickle_block *made = malloc(sizeof *made + 16 + size);
        if (made == NULL) {
            HO_FAIL(HO_EMEMORY, "%s: no memory to read its pickle", p->source.name);
        }
        *made = (ho_pickle_block){p->blocks, 0, size};
        p->blocks = made;
    }
    *memory = (char *)p->blocks + (sizeof(ho_pickle_block) + 15) / 16 * 16 + p->blocks->used;
    p->blocks->used += n;
    memset(*memory, 0, n);
    return HO_OK;
}

/* Makes room for at least one more element. */
static ho_status grow(ho_pickle *p, void **array, int64_t n, int64_t *room, int64_t element) {
    if (n < *room) {
        return HO_OK;
    }
    const int64_t more = *room < 8 ? 8 : 2 * *room;
    HO_TRY(charge(p, (more - *room) * element));
    void *larger = realloc(*array, (size_t)(more * element));
    if (larger == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to read its pickle", p->source.name);
    }
    *array = larger;
    *room = more;
    return HO_OK;
}

ho_status ho_pickle_new_node(ho_pickle *p, ho_node_kind kind, ho_node **node) {
    void *memory = NULL;
    HO_TRY(ho_pickle_take(p, sizeof **node, &memory));
    *node = memory;
    (*node)->kind = kind;
    (*node)->text = "";
    return HO_OK;
}

/* Children live in the arena: a list that grows leaves its shorter copies behind, at most as much again. */
static ho_status append(ho_pickle *p, ho_node *node, ho_node *child) {
    if (node->n_items == node->room) {
        const int64_t more = node->room < 4 ? 4 : 2 * node->room;
        void *memory = NULL;
        const ho_status status = ho_pickle_take(p, (size_t)more * sizeof(ho_node *), &memory);
        if (status != HO_OK || memory == NULL) {
            return status;
        }
        if (node->n_items > 0) {
            memcpy(memory, node->item, (size_t)node->n_items * sizeof(ho_node *));
        }
        node->item = memory;
        node->room = more;
    }
    node->item[node->n_items++] = child;
    return HO_OK;
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

ho_status ho_pickle_next_byte(ho_pickle *p, uint8_t *byte) {
    if (p->at < p->window_first || p->at >= p->window_first + p->window_n) {
        const int64_t left = p->source.size - p->at;
        if (left <= 0) {
            HO_FAIL(HO_EFORMAT, "%s: ends at byte %lld within a pickle: the file is cut off", p->source.name,
                    (long long)(p->source.first + p->source.size));
        }
        p->window_first = p->at;
        p->window_n = left < PICKLE_WINDOW ? left : PICKLE_WINDOW;
        HO_TRY(ho_source_read(&p->source, p->at, p->window_n, p->window));
    }
    *byte = p->window[p->at++ - p->window_first];
    return HO_OK;
}

ho_status ho_pickle_next_bytes(ho_pickle *p, int n, uint8_t *bytes) {
    for (int i = 0; i < n; ++i) {
        HO_TRY(ho_pickle_next_byte(p, &bytes[i]));
    }
    return HO_OK;
}

/* An unsigned number of n bytes, the lowest first; beyond int64_t it is no size of anything. */
ho_status ho_pickle_next_number(ho_pickle *p, int n, int64_t *value) {
    uint8_t bytes[8];
    HO_TRY(ho_pickle_next_bytes(p, n, bytes));
    const uint64_t number = ho_little(bytes, n);
    if (number > INT64_MAX) {
        return ho_pickle_broken(p, "a size beyond 63 bits");
    }
    *value = (int64_t)number;
    return HO_OK;
}

/* Steps over n bytes, which must be there. */
ho_status ho_pickle_skip(ho_pickle *p, int64_t n) {
    if (n < 0 || n > p->source.size - p->at) {
        HO_FAIL(HO_EFORMAT, "%s: ends at byte %lld within %lld bytes that begin at byte %lld: the file is cut off",
                p->source.name, (long long)(p->source.first + p->source.size), (long long)n,
                (long long)(p->source.first + p->at));
    }
    p->at += n;
    return HO_OK;
}

/* Characters up to the end of the line, NUL-terminated. */
ho_status ho_pickle_next_line(ho_pickle *p, char line[PICKLE_LINE]) {
    for (int n = 0; n < PICKLE_LINE; ++n) {
        uint8_t byte = 0;
        HO_TRY(ho_pickle_next_byte(p, &byte));
        if (byte == '\n') {
            line[n] = '\0';
            return HO_OK;
        }
        line[n] = (char)byte;
    }
    return ho_pickle_broken(p, "a line of more than 4095 characters");
}

/* ---- the stack --------------------------------------------------------------------------------------------------- */

ho_status ho_pickle_push(ho_pickle *p, ho_node *node) {
    HO_TRY(grow(p, (void **)&p->values.at, p->values.n, &p->values.room, sizeof(ho_node *)));
    p->values.at[p->values.n++] = node;
    return HO_OK;
}

ho_status ho_pickle_push_new(ho_pickle *p, ho_node_kind kind, ho_node **node) {
    HO_TRY(ho_pickle_new_node(p, kind, node));
    return ho_pickle_push(p, *node);
}

/* Values above the last mark: they alone can be taken. */
int64_t ho_pickle_depth(const ho_pickle *p) {
    return p->values.n - (p->n_marks > 0 ? p->mark[p->n_marks - 1] : 0);
}

ho_status ho_pickle_pop(ho_pickle *p, ho_node **node) {
    if (ho_pickle_depth(p) < 1) {
        return ho_pickle_broken(p, "a value is taken from an empty stack");
    }
    *node = p->values.at[--p->values.n];
    return HO_OK;
}

ho_status ho_pickle_top(ho_pickle *p, ho_node **node) {
    if (ho_pickle_depth(p) < 1) {
        return ho_pickle_broken(p, "a value is wanted on an empty stack");
    }
    *node = p->values.at[p->values.n - 1];
    return HO_OK;
}

ho_status ho_pickle_push_mark(ho_pickle *p) {
    HO_TRY(grow(p, (void **)&p->mark, p->n_marks, &p->marks_room, sizeof *p->mark));
    p->mark[p->n_marks++] = p->values.n;
    return HO_OK;
}

/* Removes the last mark; the values from `first` on lay above it. */
ho_status ho_pickle_pop_mark(ho_pickle *p, int64_t *first) {
    if (p->n_marks == 0) {
        return ho_pickle_broken(p, "a mark is wanted and there is none");
    }
    *first = p->mark[--p->n_marks];
    return HO_OK;
}

/* A container of the n topmost values. */
ho_status ho_pickle_gather(ho_pickle *p, ho_node_kind kind, int64_t n) {
    ho_node *node = NULL;
    if (ho_pickle_depth(p) < n || (kind == HO_NODE_DICT && n % 2 != 0)) {
        return ho_pickle_broken(p, "a container lacks a part");
    }
    HO_TRY(ho_pickle_new_node(p, kind, &node));
    for (int64_t i = p->values.n - n; i < p->values.n; ++i) {
        HO_TRY(append(p, node, p->values.at[i]));
    }
    p->values.n -= n;
    return ho_pickle_push(p, node);
}

ho_status ho_pickle_gather_marked(ho_pickle *p, ho_node_kind kind) {
    int64_t first = 0;
    HO_TRY(ho_pickle_pop_mark(p, &first));
    return ho_pickle_gather(p, kind, p->values.n - first);
}

/* Moves the values from `first` on into the container below them. */
static ho_status extend(ho_pickle *p, int64_t first, bool pairs) {
    const int64_t n = p->values.n - first;
    if (first < 1 || (p->n_marks > 0 && p->mark[p->n_marks - 1] > first - 1) || (pairs && n % 2 != 0)) {
        return ho_pickle_broken(p, "items without a container, or a key without its value");
    }
    ho_node *node = p->values.at[first - 1];
    const bool fits = node->kind == HO_NODE_CALL || node->kind == HO_NODE_PERSISTENT ||
                      (pairs ? node->kind == HO_NODE_DICT : node->kind == HO_NODE_LIST || node->kind == HO_NODE_SET);
    if (!fits) {
        return ho_pickle_broken(p, "items are put into what is no container of them");
    }
    for (int64_t i = first; i < p->values.n; ++i) {
        HO_TRY(append(p, node, p->values.at[i]));
    }
    p->values.n = first;
    return HO_OK;
}

ho_status ho_pickle_extend_marked(ho_pickle *p, bool pairs) {
    int64_t first = 0;
    HO_TRY(ho_pickle_pop_mark(p, &first));
    return extend(p, first, pairs);
}

ho_status ho_pickle_extend_by(ho_pickle *p, int64_t n, bool pairs) {
    return ho_pickle_depth(p) < n + 1 ? ho_pickle_broken(p, "a container lacks a part")
                                      : extend(p, p->values.n - n, pairs);
}

ho_status ho_pickle_note_persistent(ho_pickle *p, ho_node *node) {
    HO_TRY(grow(p, (void **)&p->persistent.at, p->persistent.n, &p->persistent.room, sizeof(ho_node *)));
    p->persistent.at[p->persistent.n++] = node;
    return HO_OK;
}

/* ---- memo -------------------------------------------------------------------------------------------------------- */

ho_status ho_pickle_remember(ho_pickle *p, int64_t i) {
    ho_node *node = NULL;
    HO_TRY(ho_pickle_top(p, &node));
    if (i < 0 || i >= MEMO_MOST) {
        return ho_pickle_broken(p, "a memo beyond 16777215");
    }
    while (p->memo.room <= i) {
        const int64_t old = p->memo.room;
        HO_TRY(grow(p, (void **)&p->memo.at, old, &p->memo.room, sizeof(ho_node *)));
        memset(p->memo.at + old, 0, (size_t)(p->memo.room - old) * sizeof(ho_node *));
    }
    p->memo.at[i] = node;
    p->memo.n = i + 1 > p->memo.n ? i + 1 : p->memo.n;
    return HO_OK;
}

ho_status ho_pickle_recall(ho_pickle *p, int64_t i) {
    if (i < 0 || i >= p->memo.n || p->memo.at[i] == NULL) {
        return ho_pickle_broken(p, "a memo that was never set");
    }
    return ho_pickle_push(p, p->memo.at[i]);
}

void ho_pickle_free(ho_pickle *pickle) {
    if (pickle == NULL) {
        return;
    }
    while (pickle->blocks != NULL) {
        ho_pickle_block *next = pickle->blocks->next;
        free(pickle->blocks);
        pickle->blocks = next;
    }
    free(pickle->persistent.at);
    free(pickle);
}

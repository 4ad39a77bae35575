/* The pickle machine: opcodes and their arguments as Python's pickletools lists them. A pickle is a program for a
 * stack: literals push, containers gather what lies above the last mark, the memo keeps nodes for later. */
#include "pickle_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pickle_machine.h"

/* ---- literals ---------------------------------------------------------------------------------------------------- */

static ho_status push_integer(ho_pickle *p, ho_node_kind kind, int64_t value) {
    ho_node *node = NULL;
    HO_TRY(ho_pickle_push_new(p, kind, &node));
    node->integer = value;
    return HO_OK;
}

static ho_status copy_text(ho_pickle *p, const char *text, int64_t n, ho_node *node) {
    void *memory = NULL;
    HO_TRY(ho_pickle_take(p, (size_t)n + 1, &memory));
    memcpy(memory, text, (size_t)n);
    ho_printable(memory);
    node->text = memory;
    node->n_text = n;
    return HO_OK;
}

/* A text of n bytes that stands at p->at. */
static ho_status push_text(ho_pickle *p, int64_t n) {
    ho_node *node = NULL;
    void *memory = NULL;
    HO_TRY(ho_pickle_push_new(p, HO_NODE_TEXT, &node));
    node->first = p->at;
    node->n_text = n;
    HO_TRY(ho_pickle_skip(p, n));
    if (n > HO_PICKLE_TEXT) {
        return HO_OK;
    }
    HO_TRY(ho_pickle_take(p, (size_t)n + 1, &memory));
    HO_TRY(ho_source_read(&p->source, node->first, n, memory));
    ho_printable(memory);
    node->text = memory;
    return HO_OK;
}

static ho_status push_bytes(ho_pickle *p, int64_t n) {
    ho_node *node = NULL;
    HO_TRY(ho_pickle_push_new(p, HO_NODE_BYTES, &node));
    node->first = p->at;
    node->n_bytes = n;
    return ho_pickle_skip(p, n);
}

/* A two's complement number of n bytes, the lowest first. */
static ho_status push_long(ho_pickle *p, int64_t n) {
    uint8_t bytes[8];
    if (n > 8) {
        return push_bytes(p, n);
    }
    HO_TRY(ho_pickle_next_bytes(p, (int)n, bytes));
    memset(bytes + n, n > 0 && (bytes[n - 1] & 0x80) != 0 ? 0xff : 0, (size_t)(8 - n));
    return push_integer(p, HO_NODE_INT, (int64_t)ho_little(bytes, 8));
}

static ho_status push_float(ho_pickle *p, double value) {
    ho_node *node = NULL;
    HO_TRY(ho_pickle_push_new(p, HO_NODE_FLOAT, &node));
    node->real = value;
    return HO_OK;
}

static ho_status push_binfloat(ho_pickle *p) {
    uint8_t bytes[8];
    double value;
    HO_TRY(ho_pickle_next_bytes(p, 8, bytes));
    uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) {
        bits = bits << 8 | bytes[i];
    }
    memcpy(&value, &bits, sizeof value);
    return push_float(p, value);
}

/* Protocol 0: the value as a line of text. Escapes within texts stay as they are. */
static ho_status push_line(ho_pickle *p, uint8_t opcode) {
    char line[PICKLE_LINE];
    ho_node *node = NULL;
    HO_TRY(ho_pickle_next_line(p, line));
    if (opcode == 'F') {
        return push_float(p, strtod(line, NULL));
    }
    if (opcode == 'I' || opcode == 'L') {
        const bool truth = opcode == 'I' && (strcmp(line, "00") == 0 || strcmp(line, "01") == 0);
        return push_integer(p, truth ? HO_NODE_BOOL : HO_NODE_INT, strtoll(line, NULL, 10));
    }
    size_t n = strlen(line);
    const bool quoted = opcode == 'S' && n >= 2 && (line[0] == '\'' || line[0] == '"') && line[n - 1] == line[0];
    HO_TRY(ho_pickle_push_new(p, HO_NODE_TEXT, &node));
    return copy_text(p, line + (quoted ? 1 : 0), (int64_t)(quoted ? n - 2 : n), node);
}

/* ---- globals and calls: recorded, never executed ----------------------------------------------------------------- */

static ho_status push_global(ho_pickle *p, const char *module, const char *name) {
    ho_node *node = NULL;
    char both[2 * PICKLE_LINE];
    const int n = snprintf(both, sizeof both, "%s %s", module, name);
    if (n < 0 || n >= (int)sizeof both) {
        return ho_pickle_broken(p, "a name of more than 8190 characters");
    }
    HO_TRY(ho_pickle_push_new(p, HO_NODE_GLOBAL, &node));
    return copy_text(p, both, n, node);
}

static ho_status push_global_lines(ho_pickle *p) {
    char module[PICKLE_LINE], name[PICKLE_LINE];
    HO_TRY(ho_pickle_next_line(p, module));
    HO_TRY(ho_pickle_next_line(p, name));
    return push_global(p, module, name);
}

static ho_status push_stack_global(ho_pickle *p) {
    ho_node *name = NULL, *module = NULL;
    HO_TRY(ho_pickle_pop(p, &name));
    HO_TRY(ho_pickle_pop(p, &module));
    if (name->kind != HO_NODE_TEXT || module->kind != HO_NODE_TEXT) {
        return ho_pickle_broken(p, "a global whose name is no text");
    }
    return push_global(p, module->text, name->text);
}

/* copyreg's extensions: a global under a number. */
static ho_status push_extension(ho_pickle *p, int n) {
    int64_t number = 0;
    HO_TRY(ho_pickle_next_number(p, n, &number));
    return push_global(p, "copyreg", "extension");
}

static ho_status push_call(ho_pickle *p, ho_node *function, ho_node *arguments) {
    ho_node *node = NULL;
    HO_TRY(ho_pickle_push_new(p, HO_NODE_CALL, &node));
    node->function = function;
    node->arguments = arguments;
    return HO_OK;
}

static ho_status call(ho_pickle *p, bool keywords) {
    ho_node *function = NULL, *arguments = NULL;
    if (keywords) {
        HO_TRY(ho_pickle_pop(p, &arguments)); /* a dict that nobody asks for */
    }
    HO_TRY(ho_pickle_pop(p, &arguments));
    HO_TRY(ho_pickle_pop(p, &function));
    return push_call(p, function, arguments);
}

/* INST and OBJ of protocols 0 and 1: the arguments lie above a mark; OBJ has its class there, too. */
static ho_status call_marked(ho_pickle *p, bool class_on_stack) {
    ho_node *arguments = NULL, *function = NULL;
    if (!class_on_stack) {
        HO_TRY(push_global_lines(p));
        HO_TRY(ho_pickle_pop(p, &function));
    }
    HO_TRY(ho_pickle_gather_marked(p, HO_NODE_TUPLE));
    HO_TRY(ho_pickle_pop(p, &arguments));
    if (class_on_stack) {
        if (arguments->n_items < 1) {
            return ho_pickle_broken(p, "an object without a class");
        }
        function = arguments->item[0];
        ++arguments->item;
        --arguments->n_items;
        --arguments->room;
    }
    return push_call(p, function, arguments);
}

static ho_status build(ho_pickle *p) {
    ho_node *state = NULL, *object = NULL;
    HO_TRY(ho_pickle_pop(p, &state));
    HO_TRY(ho_pickle_top(p, &object));
    object->state = state;
    return HO_OK;
}

static ho_status push_persistent(ho_pickle *p, bool as_line) {
    ho_node *id = NULL, *node;
    if (as_line) {
        HO_TRY(push_line(p, 'V'));
    }
    HO_TRY(ho_pickle_pop(p, &id));
    HO_TRY(ho_pickle_push_new(p, HO_NODE_PERSISTENT, &node));
    node->arguments = id;
    return ho_pickle_note_persistent(p, node);
}

/* POP takes a mark where one is on top. */
static ho_status drop(ho_pickle *p) {
    ho_node *node = NULL;
    if (ho_pickle_depth(p) == 0 && p->n_marks > 0) {
        --p->n_marks;
        return HO_OK;
    }
    return ho_pickle_pop(p, &node);
}

static ho_status drop_marked(ho_pickle *p) {
    return ho_pickle_pop_mark(p, &p->values.n);
}

/* ---- opcodes ----------------------------------------------------------------------------------------------------- */

/* Opcodes with a number of so many bytes behind them. */
static ho_status step_sized(ho_pickle *p, uint8_t opcode) {
    static const char OPCODES[] = "KMJUTXCBhqjr\x8a\x8b\x8c\x8d\x8e\x95\x96\x80";
    static const char SIZES[] = {1, 2, 4, 1, 4, 4, 1, 4, 1, 1, 4, 4, 1, 4, 1, 8, 8, 8, 8, 1};
    int64_t n = 0;
    const char *found = opcode == 0 ? NULL : strchr(OPCODES, (char)opcode);
    if (found == NULL) {
        return ho_pickle_broken(p, "an unknown opcode");
    }
    HO_TRY(ho_pickle_next_number(p, SIZES[found - OPCODES], &n));
    switch (opcode) {
    case 'K':
    case 'M':
        return push_integer(p, HO_NODE_INT, n);
    case 'J':
        return push_integer(p, HO_NODE_INT, (int32_t)(uint32_t)n);
    case 'X':
    case 0x8c:
    case 0x8d:
    case 'U': /* Python 2's str: a text in most pickles */
    case 'T':
        return push_text(p, n);
    case 'C':
    case 'B':
    case 0x8e:
    case 0x96:
        return push_bytes(p, n);
    case 'h':
    case 'j':
        return ho_pickle_recall(p, n);
    case 'q':
    case 'r':
        return ho_pickle_remember(p, n);
    case 0x8a:
    case 0x8b:
        return push_long(p, n);
    case 0x80:
        return n > 5 ? ho_pickle_broken(p, "a protocol beyond 5") : HO_OK;
    default: /* 0x95, FRAME: the size of what follows, of no use here */
        return HO_OK;
    }
}

static ho_status step(ho_pickle *p, uint8_t opcode) {
    ho_node *node = NULL;
    char line[PICKLE_LINE];
    switch (opcode) { /* clang-format off */
    case '(': return ho_pickle_push_mark(p);
    case '0': return drop(p);
    case '1': return drop_marked(p);
    case '2': HO_TRY(ho_pickle_top(p, &node)); return ho_pickle_push(p, node);
    case 'N': return ho_pickle_push_new(p, HO_NODE_NONE, &node);
    case 0x88: return push_integer(p, HO_NODE_BOOL, 1);
    case 0x89: return push_integer(p, HO_NODE_BOOL, 0);
    case 'I': case 'L': case 'F': case 'S': case 'V': return push_line(p, opcode);
    case 'G': return push_binfloat(p);
    case ')': return ho_pickle_gather(p, HO_NODE_TUPLE, 0);
    case 0x85: return ho_pickle_gather(p, HO_NODE_TUPLE, 1);
    case 0x86: return ho_pickle_gather(p, HO_NODE_TUPLE, 2);
    case 0x87: return ho_pickle_gather(p, HO_NODE_TUPLE, 3);
    case 't': return ho_pickle_gather_marked(p, HO_NODE_TUPLE);
    case ']': return ho_pickle_gather(p, HO_NODE_LIST, 0);
    case 'l': return ho_pickle_gather_marked(p, HO_NODE_LIST);
    case '}': return ho_pickle_gather(p, HO_NODE_DICT, 0);
    case 'd': return ho_pickle_gather_marked(p, HO_NODE_DICT);
    case 0x8f: return ho_pickle_gather(p, HO_NODE_SET, 0);
    case 0x91: return ho_pickle_gather_marked(p, HO_NODE_SET);
    case 'a': return ho_pickle_extend_by(p, 1, false);
    case 's': return ho_pickle_extend_by(p, 2, true);
    case 'e': case 0x90: return ho_pickle_extend_marked(p, false);
    case 'u': return ho_pickle_extend_marked(p, true);
    case 'g': HO_TRY(ho_pickle_next_line(p, line)); return ho_pickle_recall(p, strtoll(line, NULL, 10));
    case 'p': HO_TRY(ho_pickle_next_line(p, line)); return ho_pickle_remember(p, strtoll(line, NULL, 10));
    case 0x94: return ho_pickle_remember(p, p->memo.n);
    case 'c': return push_global_lines(p);
    case 0x93: return push_stack_global(p);
    case 0x82: return push_extension(p, 1);
    case 0x83: return push_extension(p, 2);
    case 0x84: return push_extension(p, 4);
    case 'R': case 0x81: return call(p, false);
    case 0x92: return call(p, true);
    case 'i': return call_marked(p, false);
    case 'o': return call_marked(p, true);
    case 'b': return build(p);
    case 'P': return push_persistent(p, true);
    case 'Q': return push_persistent(p, false);
    case 0x97: case 0x98: return ho_pickle_broken(p, "a buffer that is kept outside of the file");
    default: return step_sized(p, opcode);
    } /* clang-format on */
}

static ho_status run(ho_pickle *p) {
    for (;;) {
        uint8_t opcode = 0;
        HO_TRY(ho_pickle_next_byte(p, &opcode));
        if (opcode == '.') {
            return ho_pickle_pop(p, &p->root);
        }
        HO_TRY(step(p, opcode));
    }
}

ho_status ho_pickle_read(const ho_source *source, int64_t first, ho_pickle **pickle) {
    *pickle = NULL;
    ho_pickle *p = calloc(1, sizeof *p);
    if (p == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to read its pickle", source->name);
    }
    p->source = *source;
    p->at = first;
    const ho_status status = run(p);
    free(p->values.at);
    free(p->memo.at);
    free(p->mark);
    p->values.at = p->memo.at = NULL;
    p->mark = NULL;
    if (status != HO_OK) {
        ho_pickle_free(p);
        return status;
    }
    *pickle = p;
    return HO_OK;
}

const ho_node *ho_pickle_root(const ho_pickle *pickle) {
    return pickle->root;
}

int64_t ho_pickle_end_of(const ho_pickle *pickle) {
    return pickle->at;
}

const ho_node *ho_pickle_persistent(const ho_pickle *pickle, int64_t i) {
    return i >= 0 && i < pickle->persistent.n ? pickle->persistent.at[i] : NULL;
}

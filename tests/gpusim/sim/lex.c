/* Tokens of PTX text, numbers, interned words. */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

void gs_parse_fatal(const gs_parser *p, const char *what, ...) {
    char message[1024];
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(message, sizeof message, what, arguments);
    va_end(arguments);
    const char *file = "";
    if (p->function != NULL && p->source_file >= 0 && p->source_file < p->module->n_files &&
        p->module->file[p->source_file] != NULL) {
        file = p->module->file[p->source_file];
    }
    const char *end = p->token.begin;
    int length = 0;
    while (end != NULL && end[length] != 0 && end[length] != '\n' && length < 60) {
        length++;
    }
    gs_fatal("%s, PTX line %d%s%s%.0d, function %s: %s; at '%.*s'", p->module->name, p->token.line,
             file[0] != 0 ? ", " : "", file, p->source_line, p->function != NULL ? p->function->name : "none", message,
             length, end != NULL ? end : "");
}

void *gs_grow(void *array, int *room, int wanted, size_t size) {
    if (wanted <= *room) {
        return array;
    }
    const int larger = wanted < 16 ? 16 : wanted + wanted / 2;
    char *moved = realloc(array, (size_t)larger * size);
    if (moved == NULL) {
        gs_fatal("out of memory for %d elements of %zu bytes of a PTX module", larger, size);
    }
    memset(moved + (size_t)*room * size, 0, (size_t)(larger - *room) * size);
    *room = larger;
    return moved;
}

/* ---- interned words --------------------------------------------------------------------------------------- */

static const char **words;
static int n_words, words_room; /* a power of two */

static const char **word_slot(const char *begin, int length) {
    uint32_t hash = 2166136261U;
    for (int i = 0; i < length; i++) {
        hash = (hash ^ (uint8_t)begin[i]) * 16777619U;
    }
    for (uint32_t i = hash;; i++) {
        const char **slot = &words[i & (uint32_t)(words_room - 1)];
        if (*slot == NULL || (strncmp(*slot, begin, (size_t)length) == 0 && (*slot)[length] == 0)) {
            return slot;
        }
    }
}

const char *gs_intern(const char *begin, int length) {
    if (2 * n_words >= words_room) {
        const char **old = words;
        const int old_room = words_room;
        words_room = old_room == 0 ? 1024 : 2 * old_room;
        words = calloc((size_t)words_room, sizeof *words);
        if (words == NULL) {
            gs_fatal("out of memory for the words of a PTX module");
        }
        for (int i = 0; i < old_room; i++) {
            if (old[i] != NULL) {
                *word_slot(old[i], (int)strlen(old[i])) = old[i];
            }
        }
        free(old);
    }
    const char **slot = word_slot(begin, length);
    if (*slot == NULL) {
        char *word = malloc((size_t)length + 1);
        if (word == NULL) {
            gs_fatal("out of memory for the words of a PTX module");
        }
        memcpy(word, begin, (size_t)length);
        word[length] = 0;
        *slot = word;
        n_words++;
    }
    return *slot;
}

/* ---- tokens ------------------------------------------------------------------------------------------------ */

static bool word_begin(int c) {
    return isalpha(c) || c == '_' || c == '$' || c == '%' || c == '.';
}

static void skip_blanks(gs_parser *p) {
    for (;;) {
        const char c = *p->cursor;
        if (c == '\n') {
            p->line++;
            p->cursor++;
        } else if (c != 0 && isspace((unsigned char)c)) {
            p->cursor++;
        } else if (c == '/' && p->cursor[1] == '/') {
            while (*p->cursor != 0 && *p->cursor != '\n') {
                p->cursor++;
            }
        } else if (c == '/' && p->cursor[1] == '*') {
            while (*p->cursor != 0 && !(p->cursor[0] == '*' && p->cursor[1] == '/')) {
                p->line += *p->cursor++ == '\n';
            }
            p->cursor += *p->cursor != 0 ? 2 : 0;
        } else {
            return;
        }
    }
}

void gs_next(gs_parser *p) {
    skip_blanks(p);
    const char *s = p->cursor;
    gs_token *t = &p->token;
    t->begin = s;
    t->line = p->line;
    if (*s == 0) {
        t->kind = GS_TOKEN_END;
    } else if (word_begin((unsigned char)*s)) {
        t->kind = GS_TOKEN_WORD;
        s++;
        const bool directive = s[-1] == '.'; /* ".reg.b32" are two */
        while ((word_begin((unsigned char)*s) && !(directive && *s == '.')) || isdigit((unsigned char)*s) ||
               (s[0] == ':' && s[1] == ':')) {
            s += *s == ':' ? 2 : 1;
        }
    } else if (isdigit((unsigned char)*s)) {
        t->kind = GS_TOKEN_NUMBER;
        bool decimal = true;
        while (isalnum((unsigned char)*s) || *s == '.' ||
               (decimal && (*s == '-' || *s == '+') && tolower(s[-1]) == 'e')) {
            decimal = decimal && (isdigit((unsigned char)*s) || *s == '.' || *s == 'e' || *s == 'E' || *s == '-');
            s++;
        }
    } else if (*s == '"') {
        t->kind = GS_TOKEN_STRING;
        s++;
        while (*s != 0 && *s != '"') {
            s++;
        }
        s += *s == '"';
    } else {
        t->kind = GS_TOKEN_PUNCT;
        s++;
    }
    t->length = (int)(s - t->begin);
    p->cursor = s;
}

bool gs_at(const gs_parser *p, const char *text) {
    return (p->token.kind == GS_TOKEN_WORD || p->token.kind == GS_TOKEN_PUNCT) &&
           (size_t)p->token.length == strlen(text) && strncmp(p->token.begin, text, (size_t)p->token.length) == 0;
}

bool gs_accept(gs_parser *p, const char *text) {
    if (!gs_at(p, text)) {
        return false;
    }
    gs_next(p);
    return true;
}

void gs_expect(gs_parser *p, const char *text) {
    if (!gs_accept(p, text)) {
        gs_parse_fatal(p, "'%s' expected", text);
    }
}

const char *gs_take_word(gs_parser *p, const char *what) {
    if (p->token.kind != GS_TOKEN_WORD) {
        gs_parse_fatal(p, "%s expected", what);
    }
    const char *word = gs_intern(p->token.begin, p->token.length);
    gs_next(p);
    return word;
}

/* ---- numbers ------------------------------------------------------------------------------------------------ */

static uint64_t float_bits(double value, gs_type type) {
    if (type == GS_F64) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        return bits;
    }
    const float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    return bits;
}

uint64_t gs_take_number(gs_parser *p, gs_type type) {
    const bool minus = gs_accept(p, "-");
    char text[64];
    if (p->token.kind != GS_TOKEN_NUMBER || p->token.length >= (int)sizeof text) {
        gs_parse_fatal(p, "a number expected");
    }
    memcpy(text, p->token.begin, (size_t)p->token.length);
    text[p->token.length] = 0;
    const bool floating = type == GS_F32 || type == GS_F64;
    char *end = text;
    uint64_t bits;
    if (text[0] == '0' && strchr("fFdD", text[1]) != NULL && text[1] != 0) {
        const bool single = tolower(text[1]) == 'f';
        bits = strtoull(text + 2, &end, 16);
        if (minus || (end - text) != (single ? 10 : 18) || (single && type == GS_F64) || (!single && type == GS_F32)) {
            gs_parse_fatal(p, "a floating-point number that does not fit here");
        }
    } else if (strchr(text, '.') != NULL || floating) {
        if (!floating) {
            gs_parse_fatal(p, "a decimal fraction for a type that has none");
        }
        const double value = strtod(text, &end);
        bits = float_bits(minus ? -value : value, type);
    } else {
        const bool binary = text[0] == '0' && tolower(text[1]) == 'b';
        bits = binary ? strtoull(text + 2, &end, 2) : strtoull(text, &end, 0);
        end += *end == 'U';
        bits = minus ? (uint64_t)0 - bits : bits;
        const int size = gs_type_size(type);
        if (size == 1 || size == 2) {
            bits &= (UINT64_C(1) << (8 * size)) - 1; /* registers below 32 bits have zeros above */
        }
    }
    if (*end != 0) {
        gs_parse_fatal(p, "not a number");
    }
    gs_next(p);
    return bits;
}

int64_t gs_take_integer(gs_parser *p) {
    return (int64_t)gs_take_number(p, GS_S64);
}

/* ---- types ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int size;
} types[] = {[GS_NO_TYPE] = {"", 0},  [GS_PRED] = {"pred", 0},     [GS_B8] = {"b8", 1},     [GS_B16] = {"b16", 2},
             [GS_B32] = {"b32", 4},   [GS_B64] = {"b64", 8},       [GS_U8] = {"u8", 1},     [GS_U16] = {"u16", 2},
             [GS_U32] = {"u32", 4},   [GS_U64] = {"u64", 8},       [GS_S8] = {"s8", 1},     [GS_S16] = {"s16", 2},
             [GS_S32] = {"s32", 4},   [GS_S64] = {"s64", 8},       [GS_F16] = {"f16", 2},   [GS_F16X2] = {"f16x2", 4},
             [GS_BF16] = {"bf16", 2}, [GS_BF16X2] = {"bf16x2", 4}, [GS_TF32] = {"tf32", 4}, [GS_F32] = {"f32", 4},
             [GS_F64] = {"f64", 8}};

int gs_type_size(gs_type type) {
    return types[type].size;
}

gs_type gs_type_named(const char *begin, int length) {
    for (int i = 1; i < (int)(sizeof types / sizeof types[0]); i++) {
        if (strncmp(types[i].name, begin, (size_t)length) == 0 && types[i].name[length] == 0) {
            return (gs_type)i;
        }
    }
    return GS_NO_TYPE;
}

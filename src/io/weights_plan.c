#include "weights_plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ho_weight_shape_text(char text[160], int rank, const int64_t *dim) {
    size_t n = (size_t)snprintf(text, 160, "(");
    for (int i = 0; i < rank && n < 140; ++i) {
        n += (size_t)snprintf(text + n, 160 - n, "%s%lld", i > 0 ? ", " : "", (long long)dim[i]);
    }
    (void)snprintf(text + n, 160 - n, ")");
    return text;
}

void ho_notes_add(ho_notes *notes, const char *format, ...) {
    va_list arguments;
    if (notes->n >= notes->size) {
        return;
    }
    va_start(arguments, format);
    const int n = vsnprintf(notes->text + notes->n, notes->size - notes->n, format, arguments);
    va_end(arguments);
    notes->n += n > 0 ? (size_t)n : 0;
}

/* "state_dict.encoder" of "state_dict.encoder.body.0.weight": two parts where the first is but a wrapping. */
static size_t group_length(const char *name) {
    const char *dot = strchr(name, '.');
    if (dot == NULL) {
        return strlen(name);
    }
    const bool wrapped = strncmp(name, "state_dict.", 11) == 0 || strncmp(name, "model_state_dict.", 17) == 0;
    const char *second = wrapped ? strchr(dot + 1, '.') : NULL;
    return (size_t)((second != NULL ? second : dot) - name);
}

void ho_notes_left(ho_notes *notes, const ho_weights *weights, const bool *used) {
    enum { MOST = 16 };
    const char *group[MOST];
    size_t length[MOST];
    int64_t count[MOST] = {0};
    int n = 0;
    for (int64_t i = 0; i < weights->n; ++i) {
        const char *name = weights->tensor[i].name;
        const size_t size = group_length(name);
        int g = 0;
        while (g < n && (length[g] != size || memcmp(group[g], name, size) != 0)) {
            ++g;
        }
        if (used[i] || g == MOST) {
            continue;
        }
        if (g == n) {
            group[n] = name;
            length[n++] = size;
        }
        ++count[g];
    }
    for (int g = 0; g < n; ++g) {
        ho_notes_add(notes, "not taken: %.*s (%lld %s)\n", (int)length[g], group[g], (long long)count[g],
                     count[g] == 1 ? "tensor" : "tensors");
    }
}

bool ho_find_anchor(const ho_weights *weights, const char *anchor, char prefix[HO_WEIGHT_NAME]) {
    const size_t m = strlen(anchor);
    for (int64_t i = 0; i < weights->n; ++i) {
        const char *name = weights->tensor[i].name;
        const size_t n = strlen(name);
        if (n >= m && strcmp(name + n - m, anchor) == 0 && (n == m || name[n - m - 1] == '.') &&
            n - m < HO_WEIGHT_NAME) {
            memcpy(prefix, name, n - m);
            prefix[n - m] = '\0';
            return true;
        }
    }
    return false;
}

/* ---- plans ------------------------------------------------------------------------------------------------------- */

ho_status ho_plan_start(ho_weights *weights, const char *prefix, ho_plan *plan) {
    memset(plan, 0, sizeof *plan);
    plan->weights = weights;
    (void)snprintf(plan->prefix, sizeof plan->prefix, "%s", prefix);
    plan->used = calloc((size_t)weights->n + 1, sizeof *plan->used);
    if (plan->used == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to look at its tensors", weights->path);
    }
    return HO_OK;
}

void ho_plan_free(ho_plan *plan) {
    free(plan->move);
    free(plan->used);
}

const ho_weight *ho_plan_find(const ho_plan *plan, const char *format, ...) {
    char name[2 * HO_WEIGHT_NAME];
    va_list arguments;
    const int n = snprintf(name, sizeof name, "%s", plan->prefix);
    va_start(arguments, format);
    (void)vsnprintf(name + n, sizeof name - (size_t)n, format, arguments);
    va_end(arguments);
    return ho_weights_find(plan->weights, name);
}

void ho_plan_use(ho_plan *plan, const ho_weight *weight) {
    plan->used[weight - plan->weights->tensor] = true;
}

/* Adds to a list in a message, of which the first few are named. */
static void note(char list[HO_PLAN_WRONG], int *n, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void note(char list[HO_PLAN_WRONG], int *n, const char *format, ...) {
    va_list arguments;
    const size_t used = strlen(list);
    if ((*n)++ >= HO_PLAN_FIRST) {
        return;
    }
    const size_t joined = used + (size_t)snprintf(list + used, HO_PLAN_WRONG - used, "%s", used > 0 ? ", " : "");
    va_start(arguments, format);
    (void)vsnprintf(list + joined, HO_PLAN_WRONG - joined, format, arguments);
    va_end(arguments);
}

/* Equal but for sizes of 1. */
static bool same_shape(int rank, const int64_t *dim, int other_rank, const int64_t *other) {
    int j = 0;
    for (int i = 0; i < rank; ++i) {
        if (dim[i] == 1) {
            continue;
        }
        while (j < other_rank && other[j] == 1) {
            ++j;
        }
        if (j == other_rank || other[j++] != dim[i]) {
            return false;
        }
    }
    while (j < other_rank && other[j] == 1) {
        ++j;
    }
    return j == other_rank;
}

ho_status ho_plan_move(ho_plan *plan, const char *from, const char *to, int rank, const int64_t *dim) {
    char expected[160], found[160];
    const ho_weight *weight = ho_plan_find(plan, "%s", from);
    ho_weight_shape_text(expected, rank, dim);
    if (weight == NULL) {
        note(plan->missing, &plan->n_missing, "'%s%s' %s", plan->prefix, from, expected);
        return HO_OK;
    }
    ho_plan_use(plan, weight);
    if (!same_shape(weight->rank, weight->dim, rank, dim)) {
        note(plan->different, &plan->n_different, "'%s' is %s, expected %s", weight->name,
             ho_weight_shape_text(found, weight->rank, weight->dim), expected);
        return HO_OK;
    }
    if (plan->n == plan->room) {
        const int64_t room = plan->room < 64 ? 64 : 2 * plan->room;
        ho_move *larger = realloc(plan->move, (size_t)room * sizeof *larger);
        if (larger == NULL) {
            HO_FAIL(HO_EMEMORY, "%s: no memory to look at its tensors", plan->weights->path);
        }
        plan->move = larger;
        plan->room = room;
    }
    ho_move *move = &plan->move[plan->n++];
    memset(move, 0, sizeof *move);
    move->from = weight - plan->weights->tensor;
    move->rank = rank;
    memcpy(move->dim, dim, (size_t)rank * sizeof *dim);
    (void)snprintf(move->to, sizeof move->to, "%s", to);
    return HO_OK;
}

static bool below(const ho_plan *plan, const ho_weight *weight) {
    return strncmp(weight->name, plan->prefix, strlen(plan->prefix)) == 0;
}

void ho_plan_ignore(ho_plan *plan, const char *ending) {
    const size_t m = strlen(ending);
    for (int64_t i = 0; i < plan->weights->n; ++i) {
        const ho_weight *t = &plan->weights->tensor[i];
        const size_t n = strlen(t->name);
        if (below(plan, t) && n >= m && strcmp(t->name + n - m, ending) == 0) {
            plan->used[i] = true;
        }
    }
}

void ho_plan_ignore_below(ho_plan *plan, const char *beginning) {
    for (int64_t i = 0; i < plan->weights->n; ++i) {
        const ho_weight *t = &plan->weights->tensor[i];
        if (below(plan, t) && strncmp(t->name + strlen(plan->prefix), beginning, strlen(beginning)) == 0) {
            plan->used[i] = true;
        }
    }
}

ho_status ho_plan_check(ho_plan *plan, const char *what) {
    for (int64_t i = 0; i < plan->weights->n; ++i) {
        const ho_weight *t = &plan->weights->tensor[i];
        if (!plan->used[i] && plan->prefix[0] != '\0' && below(plan, t)) {
            note(plan->extra, &plan->n_extra, "'%.200s'", t->name);
        }
    }
    if (plan->n_missing + plan->n_different + plan->n_extra > 0) {
        HO_FAIL(HO_EFORMAT, "%s: is no %s:%s%s%s%s%s%s%s%s%s (%d missing, %d of another shape, %d too many)",
                plan->weights->path, what, plan->n_different > 0 ? " " : "", plan->different,
                plan->n_different > 0 ? ";" : "", plan->n_missing > 0 ? " missing " : "", plan->missing,
                plan->n_missing > 0 ? ";" : "", plan->n_extra > 0 ? " unknown " : "", plan->extra,
                plan->n_extra > 0 ? ";" : "", plan->n_missing, plan->n_different, plan->n_extra);
    }
    return HO_OK;
}

ho_status ho_plan_values(ho_weights *weights, const ho_weight *weight, float **values) {
    const int64_t count = ho_weight_count(weight);
    *values = malloc((size_t)(count + 1) * sizeof **values);
    if (*values == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for '%s' of %lld elements", weights->path, weight->name, (long long)count);
    }
    ho_status status = ho_weights_read(weights, weight, *values);
    for (int64_t i = 0; status == HO_OK && i < count; ++i) {
        if (!isfinite((*values)[i])) {
            status = ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                             "%s: '%s' holds %g as element %lld: the training that wrote it diverged, or it is damaged",
                             weights->path, weight->name, (double)(*values)[i], (long long)i);
        }
    }
    if (status != HO_OK) {
        free(*values);
        *values = NULL;
    }
    return status;
}

ho_status ho_plan_write(const ho_plan *plan, ho_store *store, const char *group) {
    char name[256];
    for (int64_t i = 0; i < plan->n; ++i) {
        const ho_move *move = &plan->move[i];
        float *values = NULL;
        HO_TRY(ho_plan_values(plan->weights, &plan->weights->tensor[move->from], &values));
        (void)snprintf(name, sizeof name, "%s%s", group, move->to);
        const ho_status status = ho_store_write(store, name, HO_F32, move->rank, move->dim, values);
        free(values);
        HO_TRY(status);
    }
    return HO_OK;
}

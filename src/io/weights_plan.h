/* A plan: which tensor of a weight file becomes which data set. It is made and checked as a whole before anything is
 * written, so that a file of another network leaves nothing behind. */
#ifndef HANDSOFF_IO_WEIGHTS_PLAN_H
#define HANDSOFF_IO_WEIGHTS_PLAN_H

#include <stdarg.h>

#include "handsoff/store.h"
#include "weights_internal.h"

enum { HO_PLAN_WRONG = 2048, HO_PLAN_FIRST = 4 /* tensors that a message names */ };

typedef struct {
    int64_t from; /* number of the tensor */
    char to[128];
    int rank;
    int64_t dim[HO_STORE_RANK];
} ho_move;

typedef struct {
    ho_weights *weights;
    char prefix[HO_WEIGHT_NAME]; /* of the network's names */
    ho_move *move;
    int64_t n, room;
    bool *used; /* by tensor: moved, or known and of no use */
    int n_missing, n_different, n_extra;
    char missing[HO_PLAN_WRONG], different[HO_PLAN_WRONG], extra[HO_PLAN_WRONG];
} ho_plan;

ho_status ho_plan_start(ho_weights *weights, const char *prefix, ho_plan *plan);
void ho_plan_free(ho_plan *plan);
/* The tensor "prefix name" (printf format) or NULL. */
const ho_weight *ho_plan_find(const ho_plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "prefix from" becomes `to`, whose shape must be that of the tensor but for sizes of 1. What is missing or differs is
 * noted, and ho_plan_check fails. */
ho_status ho_plan_move(ho_plan *plan, const char *from, const char *to, int rank, const int64_t *dim);
/* Tensors below the prefix whose names end so are known and of no use. */
void ho_plan_ignore(ho_plan *plan, const char *ending);
/* Tensors below the prefix whose names go on so. */
void ho_plan_ignore_below(ho_plan *plan, const char *beginning);
/* Marks one tensor. */
void ho_plan_use(ho_plan *plan, const ho_weight *weight);
/* HO_EFORMAT unless every tensor was there, and none below the prefix is left; `what` names the network. */
ho_status ho_plan_check(ho_plan *plan, const char *what);
/* Reads and writes every tensor as f32, under `group` and its name. A value that is not finite is HO_EFORMAT. */
ho_status ho_plan_write(const ho_plan *plan, ho_store *store, const char *group);
/* All values of a tensor, malloc'd; HO_EFORMAT where one is not finite. */
ho_status ho_plan_values(ho_weights *weights, const ho_weight *weight, float **values);

/* "(3, 64, 1, 1)". */
const char *ho_weight_shape_text(char text[160], int rank, const int64_t *dim);

/* A text that is built line by line, cut to its size. */
typedef struct {
    char *text;
    size_t size, n;
} ho_notes;
void ho_notes_add(ho_notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says which tensors no plan has used: by the first part of their names. */
void ho_notes_left(ho_notes *notes, const ho_weights *weights, const bool *used);

/* The kinds. Each finds out whether the file holds one: then *prefix is what its names begin with. */
typedef struct {
    ho_weights *weights;
    const ho_import_options *options;
    ho_store *store;
    ho_notes *notes;
    const char *kind;
    char prefix[HO_WEIGHT_NAME];
} ho_import;
/* The first tensor whose name ends in `anchor`, behind nothing or a dot; what stands before is the prefix. */
bool ho_find_anchor(const ho_weights *weights, const char *anchor, char prefix[HO_WEIGHT_NAME]);

bool ho_fits_stylegan2_ada(const ho_weights *weights, char *prefix);
bool ho_fits_rosinality(const ho_weights *weights, char *prefix);
bool ho_fits_restyle(const ho_weights *weights, char *prefix);
ho_status ho_import_stylegan2(ho_import *import);
bool ho_fits_vgg16(const ho_weights *weights, char *prefix);
bool ho_fits_alexnet(const ho_weights *weights, char *prefix);
bool ho_fits_squeezenet(const ho_weights *weights, char *prefix);
bool ho_fits_squeezenet_caffe(const ho_weights *weights, char *prefix);
bool ho_fits_lpips(const ho_weights *weights, char *prefix);
ho_status ho_import_features(ho_import *import);
bool ho_fits_resnet50(const ho_weights *weights, char *prefix);
bool ho_fits_resnet101(const ho_weights *weights, char *prefix);
bool ho_fits_deeplab50(const ho_weights *weights, char *prefix);
bool ho_fits_deeplab101(const ho_weights *weights, char *prefix);
ho_status ho_import_resnet(ho_import *import);
bool ho_fits_classifier(const ho_weights *weights, char *prefix);
ho_status ho_import_classifier(ho_import *import);

#endif

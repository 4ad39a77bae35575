/* How well predicted classes agree with the truth, as austinxu87/handsoff measures it (test_deeplab.py): intersections
 * and unions are summed over all images, IoU_k = I_k / (U_k + 1e-8). */
#ifndef HANDSOFF_SEGMENTATION_METRICS_H
#define HANDSOFF_SEGMENTATION_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pixels of each (true class, predicted class): count[t * K + p]. */
typedef struct {
    int K;
    int64_t *count;
} ho_confusion;

ho_status ho_confusion_create(int K, ho_confusion *confusion); /* zeros; K 1 .. 255 */
void ho_confusion_free(ho_confusion *confusion);
/* n pixels more. Pixels of true class 255 are ignored, whatever was predicted. HO_EFORMAT for other classes of K or
 * more, in either array; nothing is counted then. */
ho_status ho_confusion_add(ho_confusion *confusion, const uint8_t *truth, const uint8_t *predicted, int64_t n);

typedef struct {
    double miou;         /* mean over ALL classes: one that neither occurs nor is predicted counts as 0 */
    double miou_present; /* mean over the classes that occur in the truth; 0 when none does             */
    int n_present;
} ho_iou;
/* iou (K): of each class; present (K): does it occur in the truth. Either may be NULL. */
ho_iou ho_confusion_iou(const ho_confusion *confusion, double *iou, bool *present);

#ifdef __cplusplus
}
#endif
#endif

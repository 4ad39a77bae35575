/* Confusion matrix and intersection over union. */
#include "handsoff/segmentation_metrics.h"

#include <stdlib.h>

enum { IGNORED = 255 };

ho_status ho_confusion_create(int K, ho_confusion *confusion) {
    HO_REQUIRE(K >= 1 && K <= IGNORED, "confusion matrix: %d classes; right are 1 to %d", K, IGNORED);
    confusion->K = K;
    confusion->count = calloc((size_t)K * (size_t)K, sizeof *confusion->count);
    if (confusion->count == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the confusion matrix of %d classes", K);
    }
    return HO_OK;
}

void ho_confusion_free(ho_confusion *confusion) {
    free(confusion->count);
    confusion->count = NULL;
}

ho_status ho_confusion_add(ho_confusion *confusion, const uint8_t *truth, const uint8_t *predicted, int64_t n) {
    const int K = confusion->K;
    for (int64_t i = 0; i < n; ++i) {
        if (truth[i] != IGNORED && (truth[i] >= K || predicted[i] >= K)) {
            HO_FAIL(HO_EFORMAT, "pixel %lld: true class %d, predicted %d; right are classes below %d (truth: or 255)",
                    (long long)i, truth[i], predicted[i], K);
        }
    }
    for (int64_t i = 0; i < n; ++i) {
        if (truth[i] != IGNORED) {
            ++confusion->count[truth[i] * K + predicted[i]];
        }
    }
    return HO_OK;
}

ho_iou ho_confusion_iou(const ho_confusion *confusion, double *iou, bool *present) {
    const int K = confusion->K;
    ho_iou result = {0.0, 0.0, 0};
    for (int k = 0; k < K; ++k) {
        int64_t in_truth = 0, in_prediction = 0;
        for (int j = 0; j < K; ++j) {
            in_truth += confusion->count[k * K + j];
            in_prediction += confusion->count[j * K + k];
        }
        const int64_t both = confusion->count[k * K + k];
        const double value = (double)both / ((double)(in_truth + in_prediction - both) + 1e-8);
        result.miou += value / K;
        result.miou_present += in_truth > 0 ? value : 0.0;
        result.n_present += in_truth > 0;
        if (iou != NULL) {
            iou[k] = value;
        }
        if (present != NULL) {
            present[k] = in_truth > 0;
        }
    }
    result.miou_present /= result.n_present > 0 ? result.n_present : 1;
    return result;
}

/* The score of a labelled image: the mean of its most uncertain pixels. */
#include <stdint.h>
#include <string.h>

#include "handsoff/label_head.h"

/* Non-negative floats are ordered as their bits. The k-th largest value is found from a histogram of the upper 16 bits
 * and one of the lower 16 bits within the bin found. */
double ho_top_mean(const float *values, int64_t n, int64_t k) {
    static _Thread_local int64_t count[65536];
    uint32_t prefix = 0;
    int64_t above = 0; /* values beyond the bin */
    for (int half = 0; half < 2; ++half) {
        memset(count, 0, sizeof count);
        for (int64_t i = 0; i < n; ++i) {
            uint32_t bits = 0;
            memcpy(&bits, &values[i], sizeof bits);
            if (half == 0) {
                ++count[bits >> 16];
            } else if (bits >> 16 == prefix >> 16) {
                ++count[bits & 0xffffU];
            }
        }
        uint32_t bin = 65535;
        while (above + count[bin] < k && bin > 0) {
            above += count[bin--];
        }
        prefix |= half == 0 ? bin << 16 : bin;
    }
    float kth = 0;
    memcpy(&kth, &prefix, sizeof kth);
    double sum = (double)(k - above) * kth;
    for (int64_t i = 0; i < n; ++i) {
        sum += values[i] > kth ? values[i] : 0.0;
    }
    return sum / (double)k;
}

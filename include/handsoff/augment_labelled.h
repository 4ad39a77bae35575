/* Random changes of a labelled image that leave its labelling true: mirror, turn, scale, shift, brightness, contrast,
 * saturation. For classes that do not tell left from right. */
#ifndef HANDSOFF_AUGMENT_LABELLED_H
#define HANDSOFF_AUGMENT_LABELLED_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    bool mirror;       /* left and right exchanged in half of the images                                   */
    double turn;       /* most degrees, either way                                                         */
    double scale;      /* most magnification; as much reduction; 1: none. Uniform in the logarithm        */
    double shift;      /* most shift as a fraction of the image's sides                                    */
    double brightness; /* most added, of the full range                                                    */
    double contrast;   /* most gain about the image's mean; as much loss; 1: none. Uniform in the logarithm */
    double saturation; /* most gain of the distance to grey; as much loss; 1: none                         */
} ho_labelled_augmentation;

/* What every method of the comparison uses. */
#define HO_LABELLED_AUGMENTATION ((ho_labelled_augmentation){true, 12.0, 1.25, 0.1, 0.15, 1.3, 1.4})

/* One draw of all of them: a function of (seed, stream, index). */
typedef struct {
    bool mirror;
    double turn, scale, shift_x, shift_y, brightness, contrast, saturation;
} ho_labelled_change;
ho_labelled_change ho_draw_labelled_change(const ho_labelled_augmentation *options, uint64_t seed, uint64_t stream,
                                           uint64_t index);

/* image (H,W,3), label (H,W) -> to_image, to_label of the same sizes, other memory. Pixel centre p of the result shows
 * the source at R(-turn) (p - centre - shift) / scale + centre, mirrored after that; colours bilinear, labels of the
 * nearest pixel centre. What lies outside the source is its reflection about the border, in image and label alike.
 * Colours afterwards: contrast, saturation, brightness, clamped, rounded. */
typedef struct {
    int height, width;
    const uint8_t *image, *label;
    uint8_t *to_image, *to_label;
} ho_labelled_image;
void ho_change_labelled(const ho_labelled_image *job, const ho_labelled_change *change);

#ifdef __cplusplus
}
#endif
#endif

/* The encoder: image -> W+ as an offset from a start latent; a residual network with one head per style row. With
 * ReStyle iterations (Alaluf et al. 2021) the input is the image beside the current reconstruction, and each pass adds
 * a correction.
 *
 * It is this program's own network, which train-encoder makes (src/nn/encoder_plain.c), or one of those that pSp
 * (Richardson et al. 2021), e4e (Tov et al. 2021) and ReStyle were published with, which import-weights brings
 * (src/nn/encoder_published.c). */
#ifndef HANDSOFF_ENCODER_H
#define HANDSOFF_ENCODER_H

#include "handsoff/params.h"
#include "handsoff/stylegan2.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    HO_ENCODER_PLAIN,    /* our own */
    HO_ENCODER_IRSE50,   /* ArcFace's ResNet-50 with squeeze and excitation */
    HO_ENCODER_RESNET34, /* torchvision's ResNet-34 */
} ho_encoder_body;
typedef struct {
    int64_t height, width; /* of its input; published ones see larger images through ho_encoder_fit */
    int64_t L, D;          /* rows and width of W+ */
    int64_t channels;      /* of the first stage; doubled per stage up to max_channels */
    int64_t max_channels;
    int64_t blocks;     /* residual blocks a stage; of a published body 1 */
    int64_t iterations; /* 1: plain; > 1: ReStyle, six input channels */
    ho_encoder_body body;
    bool deltas;  /* e4e: row i > 0 is what head 0 says plus what head i says; otherwise each head says its row */
    bool pyramid; /* rows from 3 and from 7 on are read off finer maps (pSp and e4e before ReStyle); IR-SE50 only */
} ho_encoder_shape;

typedef struct ho_encoder ho_encoder;
/* A new encoder with weights drawn from the seed. HO_ESHAPE for a shape that cannot be. */
ho_status ho_encoder_create(ho_device *device, const ho_encoder_shape *shape, uint64_t seed, ho_encoder **encoder);
/* From a store written by ho_encoder_write, or from one that import-weights made of a checkpoint with generator and
 * encoder; the shape comes from its attributes. HO_EFORMAT names what is missing or differs. */
ho_status ho_encoder_load(ho_device *device, const char *path, ho_encoder **encoder);
/* Writes tensors and shape attributes. */
ho_status ho_encoder_write(ho_encoder *encoder, ho_store *store);
/* The shape alone of such a file; HO_EFORMAT where it has no encoder. */
ho_status ho_encoder_file_shape(const char *path, ho_encoder_shape *shape);
void ho_encoder_free(ho_encoder *encoder);                              /* NULL is allowed */
ho_params *ho_encoder_params(ho_encoder *encoder);                      /* owned by the encoder */
const ho_encoder_shape *ho_encoder_shape_of(const ho_encoder *encoder); /* owned by the encoder */
/* The unit of the heads: corrections are this many times what the heads answer. 1 until it is set; kept in the file as
 * the buffer latent_scale. Right is the root mean square of w - w_avg over latents of the generator. Published
 * encoders have none: always 1. */
double ho_encoder_latent_scale(const ho_encoder *encoder);
/* Sets it, in the buffer, too. */
ho_status ho_encoder_set_latent_scale(ho_encoder *encoder, double scale);
/* The parameters of an encoder of this shape that ho_store_write_params has written under `prefix`. */
ho_status ho_encoder_read_params(ho_encoder *encoder, ho_store *store, const char *prefix);

/* HO_ESHAPE unless the encoder's latents are the generator's and it can see its images. */
ho_status ho_encoder_suits(const ho_encoder_shape *shape, const ho_stylegan2_shape *generator);
/* An image (N,H,W,3) as the encoder's input: the means over k x k pixels where its width is k times the input's, of the
 * rows in the middle where it is higher than that (cars: a wide image in a square). */
ho_status ho_encoder_fit(ho_context *context, const ho_encoder *encoder, ho_tensor *image, ho_tensor **input);
/* One pass: image and current (N,H,W,3 each, of sizes that ho_encoder_fit takes; current only when iterations > 1),
 * start (N,L,D) -> w_plus = start + correction. */
ho_status ho_encoder_pass(ho_context *context, ho_encoder *encoder, ho_tensor *image, ho_tensor *current,
                          ho_tensor *start, bool training, ho_tensor **w_plus);
/* Where passes begin: N times the encoder's average latent, or w_avg in every row where it has none of its own
 * (encoder NULL: neither has), start (N,L,D); and, unless NULL, the generator's image of it. */
ho_status ho_encoder_start(ho_context *context, const ho_encoder *encoder, ho_generator *generator, int64_t N,
                           ho_tensor **start, ho_tensor **image);
/* All iterations, without recording: image (of a size that ho_encoder_fit takes) -> w_plus. */
ho_status ho_encoder_invert(ho_context *context, ho_encoder *encoder, ho_generator *generator, ho_tensor *image,
                            ho_tensor **w_plus);

#ifdef __cplusplus
}
#endif
#endif

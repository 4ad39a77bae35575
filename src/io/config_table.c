/* Every config key: its type, range, default and meaning. See config_table.h. */
#include "config_table.h"

#include <stddef.h>

#define INT(key, low, high, value, help)                                                                               \
    { key, HO_KEY_INT, low, high, value, NULL, help }
#define ONE_OF(key, low, high, value, choices, help)                                                                   \
    { key, HO_KEY_INT, low, high, value, choices, help }
#define REAL(key, low, high, value, help)                                                                              \
    { key, HO_KEY_REAL, low, high, value, NULL, help }
#define BOOL(key, value, help)                                                                                         \
    { key, HO_KEY_BOOL, 0, 1, value, NULL, help }
#define TEXT(key, value, help)                                                                                         \
    { key, HO_KEY_TEXT, 0, 0, value, NULL, help }
#define CHOICE(key, value, choices, help)                                                                              \
    { key, HO_KEY_TEXT, 0, 0, value, choices, help }
#define INTS(key, low, high, value, help)                                                                              \
    { key, HO_KEY_INTS, low, high, value, NULL, help }

const ho_config_key HO_CONFIG_KEYS[] = {
    TEXT("name", "run", "the run's directory is RUNS_DIR/NAME"),
    INT("seed", 0, 9007199254740991, "0", "every random draw is a function of it"),
    TEXT("runs_dir", "runs", "where run directories are made"),
    INT("threads", 0, 1024, "0", "host threads of the cpu target; 0: all cores"),
    INT("gpu", 0, 1023, "0", "which GPU the cuda target uses"),
    CHOICE(
        "precision", "tf32", "fp32|tf32|bf16",
        "cuda: operands of convolutions and products are float, rounded to TF32, or to bf16 (fused convolutions; TF32 "
        "elsewhere); sums are float. Without effect on cpu"),
    CHOICE(
        "modconv", "fused", "library|fused",
        "cuda: 3x3 convolutions with style, noise and activation as one kernel, or cuDNN between kernels (always with "
        "fp32). Without effect on cpu"),
    BOOL("graphs", "true", "cuda: a training step is one launch (CUDA graphs); the result is the same without"),
    INTS("labelled", 1, 100000, "16", "how many labelled images to use; a list repeats head to evaluation for each"),

    CHOICE("data.format", "toy_faces",
           "toy_faces|folder|handsoff|datasetgan|car-parts|celebamask-hq|deepfashion-multimodal|cityscapes|camvid|"
           "clothing-co-parsing|fasseg|helen|nyu-depth-v2|seven-scenes|face-keypoints",
           "what import-data reads; 'handsoff help import-data' says what each is"),
    TEXT("data.dir", "",
         "the data set's folder, parts as published, in place of train_dir and test_dir; {data} stands for "
         "$HANDSOFF_DATA"),
    TEXT("data.split", "", "file that says which images train and which test: lines of NAME [train|test|unlabelled]"),
    INT("data.limit", 0, 1000000000, "0", "most images of each part; 0: all"),
    TEXT("data.train_dir", "", "labelled training images; {data} stands for $HANDSOFF_DATA"),
    TEXT("data.test_dir", "", "labelled test images"),
    TEXT("data.unlabelled_dir", "", "further images for train-gan, a folder of PNG or JPEG files"),
    ONE_OF("data.size", 8, 1024, "64", "8|16|32|64|128|256|512|1024", "images are brought to this many pixels squared"),
    CHOICE("data.aspect", "squash", "squash|crop|pad", "how labelled photos that are not square become so"),
    CHOICE("data.unlabelled_aspect", "pad", "squash|crop|pad", "the same for the unlabelled photos"),
    CHOICE("resize.rule", "sound", "sound|handsoff",
           "photos are resized by an antialiased triangle filter, or by Pillow's bicubic as the original does"),
    TEXT("data.merge", "", "YAML table that merges source classes, such as data/merges/car_parts_10.yml"),
    INT("data.n_train", 1, 10000000, "64", "toy_faces: labelled images drawn"),
    INT("data.n_test", 1, 10000000, "200", "toy_faces: test images drawn"),
    INT("data.n_unlabelled", 0, 10000000, "0", "toy_faces: unlabelled images drawn for train-gan"),

    TEXT("gan.weights", "", "a trained generator to use instead of training one"),
    TEXT("gan.init", "",
         "checkpoint of another training, of any image size, to start from: tensors that fit are taken"),
    INT("gan.z_dim", 1, 4096, "512", "width of z"),
    INT("gan.w_dim", 1, 4096, "512", "width of w"),
    INT("gan.channel_base", 1, 1048576, "16384", "channels(r) = min(channel_base / r, channel_max)"),
    INT("gan.channel_max", 1, 4096, "512", "see channel_base"),
    INT("gan.mapping_layers", 1, 32, "8", "dense layers from z to w"),
    INT("gan.batch", 1, 4096, "32", "images per iteration"),
    REAL("gan.kimg", 0, 1e9, "25000", "training length in thousands of real images shown"),
    REAL("gan.lr", 0, 1, "0.0025", "Adam step size, generator and discriminator"),
    REAL("gan.beta1", 0, 0.999999, "0", "Adam"),
    REAL("gan.beta2", 0, 0.999999, "0.99", "Adam"),
    REAL("gan.r1_gamma", 0, 1e6, "0.0256", "weight of the R1 penalty"),
    INT("gan.r1_interval", 1, 1000000, "16", "iterations between R1 steps (lazy regularisation)"),
    REAL("gan.mixing", 0, 1, "0.9", "probability of style mixing"),
    REAL("gan.ema_kimg", 0, 1e9, "10", "half-life of the averaged generator"),
    REAL("gan.ema_rampup", 0, 1e9, "0.05", "half-life is at most this fraction of the images seen; 0: no ramp"),
    BOOL("gan.mirror", "true", "flip training images at random"),
    CHOICE("gan.augment", "ada", "none|fixed|ada", "discriminator augmentation, geometry and colour"),
    REAL("gan.augment_p", 0, 1, "0", "its probability: initial for ada, constant for fixed"),
    REAL("gan.ada_target", -1, 1, "0.6", "wanted mean sign of D(real)"),
    REAL("gan.ada_kimg", 0.001, 1e9, "500", "thousands of images in which p can move by 1"),
    INT("gan.mbstd_group", 1, 4096, "4", "group of the minibatch standard deviation"),
    REAL("gan.snapshot_kimg", 0.001, 1e9, "10",
         "checkpoint, distance and samples/fakesKKKKKK.png (after K thousand images) every so often; below 1: "
         "fakesKKKKKK_RRR.png"),

    TEXT("perceptual.weights", "data/pretext/vgg_narrow.h5", "LPIPS network"),

    TEXT("encoder.weights", "",
         "a trained encoder to use instead of training one: encoder.h5 of a run, or what import-weights makes of a "
         "checkpoint of ReStyle, pSp or e4e"),
    INT("encoder.channels", 1, 4096, "32", "width of the first stage"),
    INT("encoder.max_channels", 1, 4096, "256", "width of the last stages"),
    INT("encoder.blocks", 1, 64, "2", "residual blocks a stage"),
    INT("encoder.iterations", 1, 64, "1", "ReStyle passes; 1: plain"),
    INT("encoder.steps", 0, 100000000, "2000", "training steps on generated pairs"),
    INT("encoder.batch", 1, 4096, "16", "pairs a step"),
    REAL("encoder.lr", 0, 1, "0.001", "Adam step size, decayed by a cosine"),
    REAL("encoder.truncation", 0, 2, "1", "psi of the latents it learns from"),
    REAL("encoder.mixing", 0, 1, "0.5", "probability that a pair's latent is mixed from two w"),
    INT("encoder.held_out", 1, 100000, "64", "generated pairs kept for the printed errors"),
    INT("finetune.cap", 0, 100000000, "500", "LPIPS fine-tuning steps; 0 switches it off"),
    INT("finetune.batch", 1, 4096, "8", "pairs a step"),
    REAL("finetune.lr", 0, 1, "0.0002", "Adam step size"),
    REAL("finetune.lpips", 0, 1e6, "1", "weight of LPIPS between true and predicted image"),
    REAL("finetune.mse", 0, 1e6, "0", "weight of the mean squared pixel error, images in [0, 1]"),
    REAL("finetune.latent", 0, 1e6, "0", "weight of the mean squared latent error"),

    CHOICE("invert.start", "encoder", "encoder|mean", "where refinement starts"),
    INT("invert.steps", 0, 1000000, "500", "refinement steps"),
    INT("invert.batch", 1, 4096, "16", "images refined together"),
    REAL("invert.lr", 0, 10, "0.1", "Adam step size at its plateau"),
    REAL("invert.lr_rampup", 0, 1, "0.05", "fraction of the steps with rising step size"),
    REAL("invert.lr_rampdown", 0, 1, "0.25", "fraction of the steps with falling step size"),
    REAL("invert.lpips", 0, 1e6, "10", "weight of LPIPS"),
    REAL("invert.mse", 0, 1e6, "1", "weight of the mean squared pixel error, images in [0, 1]"),
    REAL("invert.latent", 0, 1e6, "1", "weight of the mean squared distance to the start latent"),

    INT("head.members", 1, 1000, "10", "networks in the ensemble"),
    INTS("head.hidden", 1, 65536, "128,32", "widths of the two hidden layers"),
    INTS("head.blocks", 0, 64, "", "which style blocks to use; empty: all"),
    REAL("head.lr", 0, 1, "0.001", "Adam step size"),
    INT("head.batch", 2, 1048576, "64", "pixels a step and member"),
    INT("head.max_steps", 1, 1000000000, "20000", "most steps"),
    REAL("head.held_out", 0, 0.9, "0.1", "fraction of the labelled pixels kept for the stopping rule"),
    INT("head.check_every", 1, 1000000, "200", "steps between looks at the held-out pixels"),
    INT("head.patience", 1, 1000000, "10", "looks without a better held-out loss before stopping"),
    INT("head.min_pixels", 0, 1000000, "30", "a class with fewer pixels in an image becomes background there"),
    REAL("head.cache_gb", 0.001, 100000, "2", "memory for cached features"),

    INT("generate.n", 1, 1000000000, "1000", "images"),
    INT("generate.batch", 1, 4096, "16", "images at a time; with another number bytes of an image may differ by 1"),
    INT("generate.shard", 1, 1000000, "1000", "images a file"),
    REAL("generate.truncation", 0, 2, "0.7", "psi"),
    BOOL("generate.png", "false", "also write the PNG folder that HandsOff writes"),
    CHOICE("filter.rule", "highest", "none|highest|handsoff", "which images the uncertainty removes"),
    REAL("filter.fraction", 0, 0.99, "0.1", "fraction of the images removed"),

    INT("downstream.channels", 1, 1024, "16", "width of DeepLabV3's first stage"),
    INT("downstream.blocks", 1, 8, "1", "residual blocks a stage of its backbone"),
    INT("downstream.steps", 1, 100000000, "1500", "training steps, every method"),
    INT("downstream.batch", 2, 4096, "8", "images a step"),
    REAL("downstream.lr", 0, 1, "0.003", "Adam step size, decayed by a cosine"),
    INTS("downstream.seeds", 0, 1000000000, "0,1,2", "one training per seed and method"),
    TEXT("transfer.weights", "data/pretext/backbone.h5",
         "pretrained backbone of the transfer-learning baseline; empty: none"),
};
const int HO_N_CONFIG_KEYS = (int)(sizeof HO_CONFIG_KEYS / sizeof HO_CONFIG_KEYS[0]);

/* The table of commands. The pipeline's stages are commands, too. */
#include <stddef.h>
#include <string.h>

#include "cli.h"
#include "src/io/suggest.h"

static const ho_command RUN = {
    "run",
    "CONFIG.yml [key=value ...] [--stages a,b] [--force] [--dry-run]",
    "run every stage that is missing or out of date",
    "  key=value     overrides a key of the config ('handsoff help config' lists the keys)\n"
    "  --stages a,b  only these stages, in the pipeline's order\n"
    "  --force       run them in any case, from their beginning\n"
    "  --dry-run     print the plan and do nothing: which stages would run and why, inputs that are\n"
    "                missing and where to get them, memory of host and GPU, disk and time of each\n"
    "                stage, and a line for Slurm; exit status 1 when inputs are missing\n"
    "Artefacts, logs and metrics.json are in runs/NAME. After an interruption (Ctrl-C, "
    "SIGTERM, SIGUSR1, SIGHUP; exit status 75) the same command goes on; a second Ctrl-C\n"
    "ends it at once.\n",
    ho_cmd_run,
    true};

static const char STAGE_USAGE[] = "CONFIG.yml [key=value ...] [--force]";
static const char STAGE_DETAIL[] =
    "Runs when its result is missing or out of date.\n"
    "  key=value     overrides a key of the config ('handsoff help config' lists the keys)\n"
    "  --force       run it in any case, from its beginning\n";

static const char IMPORT_DATA_USAGE[] =
    "CONFIG.yml [key=value ...] [--force] | --format NAME DIR OUT.h5 [--size 512] [--merge FILE.yml] [--split FILE] "
    "[--limit N] [--aspect squash|crop|pad] [--resize sound|handsoff]";
static const char IMPORT_DATA_DETAIL[] =
    "With a config: runs when its result is missing or out of date (data.format, data.dir and so on).\n"
    "With --format: reads a published data set in its authors' layout.\n"
    "  --size        pixels along a side of what is written (default 512)\n"
    "  --merge       YAML table that merges the classes (data/merges/); without it: the set's own classes\n"
    "  --split       file that says which images are used: lines of NAME [train|test|unlabelled], or HandsOff's JSON\n"
    "  --limit       at most so many images of each part, the first ones\n"
    "  --aspect      squash (default), crop to the middle, or pad; labels, depth and key points follow\n"
    "  --resize      sound (default): triangle filter, antialiased; handsoff: bicubic as Pillow's, which the original "
    "uses.\n"
    "                Labels and depth take the nearest pixel in both\n"
    "OUT.h5 takes 3 bytes a pixel, 4 with labels, 8 with depth: 30,000 labelled images of 512 take 31 GB. Reading "
    "takes\n"
    "about as long as decoding the photos. A killed import is gone on with by the same command (OUT.h5.part).\n";

static const char IMPORT_WEIGHTS_DETAIL[] =
    "  FILE          .pt or .pth (both forms of torch.save), NVIDIA's .pkl, .npz, .safetensors. Nothing in it is run.\n"
    "                Pixel classifiers: one file a member, all before OUT.h5\n"
    "  --list        print names, shapes and types, and the kind; write nothing\n"
    "  --kind        insist on what the file is instead of looking at its names:\n"
    "                stylegan2-ada         NVIDIA's StyleGAN2 (also StyleGAN-Human)     -> generator, discriminator\n"
    "                rosinality            rosinality/stylegan2-pytorch                 -> generator, discriminator\n"
    "                restyle               ReStyle, pSp, e4e                            -> generator, encoder\n"
    "                restyle-psp, restyle-e4e   the same where the file does not say whose heads the encoder has\n"
    "                restyle-generator     the same without the encoder                 -> generator\n"
    "                vgg16, alexnet, squeezenet1_1   torchvision's                      -> LPIPS network\n"
    "                squeezenet1_1-caffe   Caffe's names and colours                    -> LPIPS network\n"
    "                lpips                 the whole state of the package lpips         -> LPIPS network\n"
    "                resnet50, resnet101, deeplabv3_resnet50, deeplabv3_resnet101   torchvision's names are kept\n"
    "                classifier            pixel classifiers of HandsOff, EditGAN, DatasetGAN -> label head\n"
    "  --lpips       LPIPS's linear layers (v0.0 or v0.1) for vgg16, alexnet or squeezenet1_1\n"
    "  --generator   the generator.h5 that a classifier belongs to; without it: told by its number of channels\n"
    "  --size        of a classifier's labels, height x width (default 512x512)\n"
    "A generator is used with gan.weights=OUT.h5; where its discriminator came along, gan.init=OUT.h5 trains on.\n"
    "An encoder that came along is used with encoder.weights=OUT.h5.\n";

static const ho_command TOOLS[] = {
    {"synth", "--weights G.h5 --seeds 0-3,7 [--trunc 0.7] [--noise const|none] --out DIR",
     "write generated images as PNG",
     "  --weights     a generator (generator.h5)\n"
     "  --seeds       numbers and ranges, 0 to 4294967295: z is drawn as the official StyleGAN2 draws it\n"
     "  --trunc       truncation psi, -10 to 10 (default 1: none)\n"
     "  --noise       const: the generator's fixed noise (default); none: no noise\n"
     "  --out         folder for seed0000.png, seed0001.png ...\n",
     ho_cmd_synth, true},
    {"lpips", "--weights NET.h5 A.png B.png", "print the LPIPS distance of two images",
     "  --weights     the LPIPS network\n", ho_cmd_lpips, true},
    {"import-weights", "FILE OUT.h5 [--kind NAME] [--lpips FILE] [--generator G.h5] [--size HxW] | --list FILE",
     "take over a network of PyTorch or NumPy", IMPORT_WEIGHTS_DETAIL, ho_cmd_import_weights, false},
    {"export-weights", "IN.h5 OUT.pt", "write a generator for PyTorch",
     "  IN.h5         a generator (generator.h5)\n"
     "  OUT.pt        {\"g_ema\": ..., \"latent_avg\": ...} in the naming of rosinality/stylegan2-pytorch; torch.load "
     "reads it\n",
     ho_cmd_export_weights, false},
    {"export-data", "IN.h5 DIR --format NAME", "write a labelled set in a layout that other programs read",
     "  IN.h5         a data set (dataset.h5), or a generated set (synthetic_N.h5: the samples that the filter kept)\n"
     "  DIR           a folder that is not there yet, or empty. It gets its name when all is written: a stopped "
     "export\n"
     "                leaves none\n",
     ho_cmd_export_data, false},
    {"info", "FILE.h5 | --device", "print what a file is, made from what and by what, names and shapes",
     "  --device      print instead the processors and GPUs that can compute here\n", ho_cmd_info, false},
    {"help", "[COMMAND | config]", "print the commands, one command, or all config keys", NULL, ho_cmd_help, false},
    {"version", "", "print the version (also --version)", NULL, ho_cmd_version, false},
};

bool ho_command_at(int i, ho_command *command) {
    int n_stages = 0;
    while (HO_STAGES[n_stages] != NULL) {
        ++n_stages;
    }
    const int n_tools = (int)(sizeof TOOLS / sizeof TOOLS[0]);
    if (i < 0 || i > n_stages + n_tools) {
        return false;
    }
    if (i == 0) {
        *command = RUN;
    } else if (i <= n_stages) {
        const ho_stage *stage = HO_STAGES[i - 1];
        *command = (ho_command){stage->name, STAGE_USAGE, stage->help, STAGE_DETAIL, ho_cmd_stage, true};
        if (strcmp(stage->name, "import-data") == 0) {
            command->usage = IMPORT_DATA_USAGE;
            command->detail = IMPORT_DATA_DETAIL;
            command->run = ho_cmd_import_data;
        }
    } else {
        *command = TOOLS[i - 1 - n_stages];
    }
    return true;
}

ho_status ho_command_find(const char *name, ho_command *command) {
    const char *names[64];
    int n = 0;
    while (n < 64 && ho_command_at(n, command)) {
        if (strcmp(command->name, name) == 0) {
            return HO_OK;
        }
        names[n++] = command->name;
    }
    const char *nearest = ho_nearest(name, n, names);
    if (nearest != NULL) {
        HO_FAIL(HO_EUSAGE, "unknown command '%.80s', did you mean '%s'?", name, nearest);
    }
    HO_FAIL(HO_EUSAGE, "unknown command '%.80s'; 'handsoff help' lists the commands", name);
}

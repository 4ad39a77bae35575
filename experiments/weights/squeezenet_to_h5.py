#!/usr/bin/env python3
"""SqueezeNet 1.1 features trained with Caffe (rcmalli/keras-squeezenet, MIT) as a weights file of `handsoff`:

    python3 squeezenet_to_h5.py squeezenet1.1_features_oihw.npz squeezenet1_1.h5

The input of that network is B, G, R in 0..255 less 104, 117, 123; with x in [-1, 1] and 127.5 (x + 1) in 0..255 this is
(x - shift) / scale with scale = 1 / 127.5 and shift = mean / 127.5 - 1. Pools round up. Unit weights: the linear layers
published with LPIPS belong to torchvision's SqueezeNet, not to this one."""
import sys

import h5py
import numpy as np

MEAN_RGB = np.array([123.0, 117.0, 104.0])
# Caffe's fire number -> index within torchvision's features
FEATURE = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
PART = {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}


def torchvision_name(name):
    layer, kind = name.rsplit(".", 1)
    if layer == "conv1":
        return f"features.0.{kind}"
    fire, part = layer.split("/")
    return f"features.{FEATURE[int(fire[len('fire'):])]}.{PART[part]}.{kind}"


def main():
    source, target = sys.argv[1:]
    with np.load(source) as tensors, h5py.File(target, "w") as f:
        f.attrs["topology"] = "squeezenet1_1"
        f.attrs["bgr"], f.attrs["pool_ceil"] = 1.0, 1.0
        f.attrs["origin"] = "github.com/rcmalli/keras-squeezenet pull request 8, MIT License"
        f.create_dataset("shift", data=MEAN_RGB / 127.5 - 1.0, dtype="f4")
        f.create_dataset("scale", data=np.full(3, 1.0 / 127.5), dtype="f4")
        for name in tensors:
            f.create_dataset(torchvision_name(name), data=tensors[name], dtype="f4")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Small weight files of every container and kind: what fuzz_weights begins from. Usage: weights_seeds.py FOLDER"""

import collections
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden"))

import numpy as np
import torch

import weights_files as wf

C = dict(height=8, width=8, z_dim=2, w_dim=2, channel_base=16, channel_max=2, mapping_layers=1)
FIRES = [(1, 1)] * 8


def main(folder):
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    p, d = wf.generator(C, 1), wf.discriminator(C, 2)
    ros = dict(g_ema=wf.ros_generator(p, C), d=wf.ros_discriminator(d, C), latent_avg=p["mapping.w_avg"])
    few = dict(a=torch.ones(2, 3).half(), b=torch.arange(6).reshape(2, 3).t(), c=[torch.tensor(1.0).bfloat16(), None, 2.5])
    for name, save in (("zip", wf.save_zip), ("legacy", wf.save_legacy), ("deflated", wf.save_deflated)):
        save(f"ros_{name}.pt", ros)
        save(f"few_{name}.pt", few)
        save(f"module_{name}.pt", torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)))
    wf.SOURCE = "import os\n"
    for protocol in (2, 3, 4, 5):
        wf.nvidia(f"nvidia_{protocol}.pkl", dict(G_ema=p, D=d), protocol)
    wf.safetensors("g.safetensors", p)
    np.savez("g.npz", **{k: v.numpy() for k, v in p.items()})
    np.savez_compressed("few.npz", a=np.ones((2, 3), ">f8"), b=np.asfortranarray(np.ones((2, 3), "f2")), c=np.array(True))
    np.save("a.npy", np.arange(6.0).reshape(2, 3))
    np.save("latents.npy", {"a.png": [np.ones((2, 3), "f4"), np.float64(2)]})
    wf.save_legacy("vgg.pth", wf.vgg16((1, 1, 1, 1, 1)))
    wf.save_zip("alexnet.pth", wf.alexnet((1, 1, 1, 1, 1)))
    wf.save_zip("squeezenet.pth", wf.squeezenet(1, FIRES))
    wf.save_legacy("resnet50.pth", wf.resnet(6, 1))
    wf.save_legacy("classifier.pth", wf.classifier(4608, 1, 1, 2, 1))
    wf.save_zip("restyle.pt", dict(state_dict=collections.OrderedDict(("decoder." + k, v) for k, v in ros["g_ema"].items())))


if __name__ == "__main__":
    main(sys.argv[1])

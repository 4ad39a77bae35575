#!/usr/bin/env python3
"""import-weights on files that are hostile, cut off, damaged or something else: each must end in one message, run nothing
and leave nothing behind.

Usage: check_weights_hostile.py [PATH/TO/handsoff]; prints 'ok' or 'not ok' and the name for each case."""

import collections
import os
import pickle
import resource
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import h5py
import numpy as np
import torch

import weights_files as wf
from weights_cases import *


class Evil:
    def __reduce__(self):
        return os.system, (f"touch {work}/evil; kill -9 $PPID",)


@case("a hostile pickle: nothing is run")
def evil():
    for save in (wf.save_zip, wf.save_legacy, wf.save_deflated):
        save("evil.pt", dict(first=Evil(), g_ema=wf.ros_generator(p, C), latent_avg=p["mapping.w_avg"], last=[Evil()]))
        same(load("evil.pt")[0], p)
        save("evil.pt", Evil())
        bad("holds no tensor", "evil.pt")
    for protocol in range(2, 6):
        with open("evil.pkl", "wb") as f:
            pickle.dump(dict(G_ema=Evil(), x=np.ones(3), y=torch.ones(2)), f, protocol=protocol)
        bad("fit no known network" if protocol > 2 else "handsoff", "evil.pkl")
    for text in (b"cos\nsystem\n(S'touch evil'\ntR.", b"(S'touch evil'\nios\nsystem\n.", b"\x80\x02cos\nsystem\nX\x0a\x00\x00\x00touch evil\x85R."):
        with open("evil.pkl", "wb") as f:
            f.write(text if text[0] == 0x80 else b"\x80\x00" + text)
        bad("handsoff", "evil.pkl")
    assert not os.path.exists("evil")


@case("pickles that would fill memory or never end")
def bombs():
    bombs = [b"\x80\x02" + b"(" * 40_000_000 + b".", b"\x80\x02r\xff\xff\xff\xff.", b"\x80\x02Nr\xff\xff\xff\x7f.",
             b"\x80\x04B\xff\xff\xff\x7f.", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
             b"\x80\x02]q\x00" + b"h\x00a" * 5 + b".", b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
             b"\x80\x02]q\x00" + b"".join(b"]q%c(h%ch%ch%ce" % (i + 1, i, i, i) for i in range(60)) + b"."]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    for i, bomb in enumerate(bombs):
        with open("bomb.pkl", "wb") as f:
            f.write(bomb)
        bad("bomb.pkl", "bomb.pkl")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < max(before, 700 * 1024)


@case("cut off anywhere: one message, nothing left")
def truncated():
    wf.save_zip("whole.zip.pt", dict(g_ema=wf.ros_generator(p, C)))
    wf.save_legacy("whole.legacy.pt", dict(g_ema=wf.ros_generator(p, C)))
    wf.nvidia("whole.pkl", dict(G_ema=p), 4)
    wf.safetensors("whole.safetensors", p)
    np.savez("whole.npz", **{k: v.numpy() for k, v in p.items()})
    for whole in sorted(f for f in os.listdir(".") if f.startswith("whole.")):
        with open(whole, "rb") as f:
            data = f.read()
        for share in (0.001, 0.1, 0.5, 0.9, 0.99, 0.999):
            with open("cut.pt", "wb") as f:
                f.write(data[:int(len(data) * share)])
            bad("cut.pt", "cut.pt")


@case("damaged sizes, strides and offsets lie outside of the file")
def outside():
    tensor = wf.Stored(wf.Storage("0", 4), (4,))
    for shape in ((5,), (1 << 40,), (1 << 62, 4), (-4,)):
        tensor.shape = shape
        obj = dict(g_ema={"input.input": tensor})
        with open("o.pt", "wb") as f:
            for value in (0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True)):
                pickle.dump(value, f, protocol=2)
            pickler = wf.StoragePickler(f, protocol=2)
            pickler.legacy = True
            pickler.dump(obj)
            pickle.dump(["0"], f, protocol=2)
            f.write(b"\4" + bytes(7) + bytes(16))
        bad("outside of its 16 bytes", "o.pt")


@case("another network, another kind, tensors missing, too many, of another shape, not finite")
def others():
    whole = wf.ros_generator(p, C)
    wf.save_zip("g.pt", dict(g_ema=whole))
    bad("is no vgg16", "g.pt", "--kind", "vgg16")
    bad("it looks like rosinality", "g.pt", "--kind", "vgg16")
    bad("did you mean 'rosinality'", "g.pt", "--kind", "rosinalty", status=2)
    less = {k: v for k, v in whole.items() if k not in ("convs.1.activate.bias", "to_rgbs.0.bias")}
    wf.save_zip("g.pt", dict(g_ema=less))
    err = bad("missing 'g_ema.convs.1.activate.bias' (12)", "g.pt")
    assert "g_ema.to_rgbs.0.bias" in err and "2 missing" in err
    wf.save_zip("g.pt", dict(g_ema=dict(whole, surplus=torch.ones(3))))
    bad("unknown 'g_ema.surplus'", "g.pt")
    wf.save_zip("g.pt", dict(g_ema=dict(whole, **{"style.2.bias": torch.ones(3)})))
    bad("'g_ema.style.2.bias' is (3), expected (10)", "g.pt")
    broken = torch.ones(10)
    broken[4] = float("nan")
    wf.save_zip("g.pt", dict(g_ema=dict(whole, **{"style.2.bias": broken})))
    bad("element 4", "g.pt")
    wf.save_zip("g.pt", dict(g_ema=dict(whole, **{"convs.0.conv.blur.kernel": torch.ones(4, 4)})))
    bad("the filter", "g.pt")
    wf.save_zip("g.pt", dict(wf.vgg16((4, 5, 6, 7, 8)), **{"features.30.weight": torch.ones(4, 4, 3, 3)}))
    bad("fit no known network", "g.pt")
    wf.nvidia("g.pkl", dict(G_ema=dict(p, **{"mapping.embed.weight": torch.ones(3, 3)})), 4)
    bad("class labels", "g.pkl")
    lins = collections.OrderedDict((f"lin{i}.model.1.weight", torch.ones(1, 4, 1, 1)) for i in range(5))
    wf.save_legacy("lin.pth", lins)
    bad("--lpips", "lin.pth")
    wf.save_zip("vgg.pth", wf.vgg16((4, 5, 6, 7, 8)))
    bad("expected (5)", "vgg.pth", "--lpips", "lin.pth")
    bad("is no file but a folder", ".")
    bad("cannot open", "none.pt")
    with open("tf.pkl", "wb") as f:
        f.write(b"\x80\x03cdnnlib.tflib.network\nNetwork\n)\x81}X\x07\x00\x00\x00versionK\x04sb\x85.")
    bad("TensorFlow", "tf.pkl")
    with open("text.pt", "w") as f:
        f.write("<html>Quota exceeded</html>")
    bad("is no weight file", "text.pt")
    wf.save_zip("g.pt", dict(g_ema=whole))
    good("import-weights", "g.pt", "g.h5")
    bad("is an HDF5 file", "g.h5")


@case("a full disk: one message, nothing left")
def full():
    wf.save_zip("full.pth", REAL["alexnet"]())

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    bad("never.h5", "full.pth", limit=limit)
    c = dict(height=64, width=64, z_dim=8, w_dim=8, channel_base=4096, channel_max=64, mapping_layers=1)
    wf.save_zip("g.pt", dict(g_ema=wf.ros_generator(wf.generator(c, 1), c)))
    good("import-weights", "g.pt", "g.h5")
    status, _, err = command("export-weights", "g.h5", "never.pt", limit=limit)
    assert status == 1 and "never.pt: cannot write" in err and err.count("\n") == 1, err
    assert not [f for f in os.listdir(".") if "never" in f]


@case("export of what is no generator, and of one that lacks a tensor")
def no_export():
    wf.save_zip("f.pth", NETWORKS["vgg16"])
    good("import-weights", "f.pth", "f.h5")
    status, _, err = command("export-weights", "f.h5", "never.pt")
    assert status == 1 and "is no generator" in err, err
    wf.nvidia("n.pkl", dict(G_ema=p), 4)
    good("import-weights", "n.pkl", "g.h5")
    with h5py.File("g.h5", "a") as f:
        del f["synthesis.b8.conv0.bias"]
    status, _, err = command("export-weights", "g.h5", "never.pt")
    assert status == 1 and "synthesis.b8.conv0.bias" in err and err.count("\n") == 1, err
    assert not [f for f in os.listdir(".") if "never" in f]


@case("files to read are never written over; names with control characters cannot forge a message")
def names():
    for i in range(2):
        wf.save_legacy(f"model_{i}.pth", wf.classifier(4608, 2, 2, 3, i))
    with open("model_1.pth", "rb") as f:
        before = f.read()
    status, _, err = command("import-weights", "model_0.pth", "model_1.pth")
    assert status == 2 and "ends in .h5" in err, err
    with open("model_1.pth", "rb") as f:
        assert f.read() == before
    evil = "a\nhandsoff: all is well\x1b[2J"
    for save in (wf.save_zip, wf.save_legacy):
        save("evil.pt", {evil: torch.ones(3)})
        bad("a?handsoff: all is well?[2J", "evil.pt")
    wf.safetensors("evil.safetensors", {evil: torch.ones(3)})
    bad("a?handsoff", "evil.safetensors")
    np.savez("evil.npz", **{evil: np.ones(3)})
    bad("fit no known network", "evil.npz")


shutil.rmtree(work)
sys.exit(1 if failed else 0)

"""What check_weights.py and check_weights_hostile.py share: running the program, cases, networks with random weights."""

import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import torch

import weights_files as wf

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../bin/handsoff"))
DATA = os.path.abspath(os.environ.get("HANDSOFF_TEST_DATA", os.path.join(HERE, "../../../shared/data")))
C = dict(height=16, width=16, z_dim=12, w_dim=10, channel_base=96, channel_max=14, mapping_layers=3)
failed = []


def case(name):
    def run(function):
        try:
            why = function()
            print(f"skip {name}: {why}" if why else f"ok {name}", flush=True)
        except Exception as error:
            failed.append(name)
            print(f"not ok {name}: {type(error).__name__}: {error}", flush=True)
        return function
    return run


def command(*words, limit=None):
    """Exit status, stdout, stderr, peak memory in MiB."""
    child = subprocess.Popen([PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=limit)
    out, err = child.communicate()
    return child.returncode, out, err


def good(*words):
    status, out, err = command(*words)
    assert status == 0, f"{words}: status {status}: {err}"
    return out


def bad(want, *words, status=1, out="never.h5", limit=None):
    got, text, err = command("import-weights", *words, out, limit=limit)
    assert got == status, f"{words}: status {got}, wanted {status}: {err}{text}"
    lines = err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("handsoff: "), f"{words}: not one message: {err}"
    assert want in err, f"{words}: no '{want}' in: {err}"
    left = [f for f in os.listdir(".") if f.startswith("never") or f.endswith(".part") or "never" in f]
    assert not left, f"{words}: left behind: {left}"
    return err


def load(path, *options):
    good("import-weights", path, "out.h5", *options)
    tensors = {}
    with h5py.File("out.h5", "r") as f:
        f.visititems(lambda name, item: tensors.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
        return tensors, dict(f.attrs)


def same(got, want, prefix=""):
    """Every tensor of `want` is in the file, bit for bit (but for sizes of 1)."""
    for name, value in want.items():
        assert prefix + name in got, f"{prefix + name} is missing"
        a, b = np.asarray(got[prefix + name]), value.detach().float().numpy()
        assert a.size == b.size and np.array_equal(a.ravel(), b.ravel()), f"{prefix + name} differs"


p, d, raw = wf.generator(C, 1), wf.discriminator(C, 2), wf.generator(C, 3)
network = lambda q: {k: v for k, v in q.items() if k != "mapping.w_avg"}
work = tempfile.mkdtemp(prefix="handsoff_weights_")
os.chdir(work)


def ros_object():
    return dict(g=wf.ros_generator(raw, C), d=wf.ros_discriminator(d, C), g_ema=wf.ros_generator(p, C),
                latent_avg=p["mapping.w_avg"], ada_aug_p=0.5, g_optim=dict(state={0: dict(step=3, exp_avg=torch.ones(5))}))


FIRES = [(2, 3), (2, 3), (3, 4), (3, 4), (4, 5), (4, 5), (5, 6), (5, 6)]
NETWORKS = {"vgg16": wf.vgg16((4, 5, 6, 7, 8)), "alexnet": wf.alexnet((4, 5, 6, 7, 8)), "squeezenet1_1": wf.squeezenet(6, FIRES)}
REAL = {"vgg16": lambda: wf.vgg16((64, 128, 256, 512, 512)), "alexnet": lambda: wf.alexnet((64, 192, 384, 256, 256)),
        "squeezenet1_1": lambda: wf.squeezenet(64, [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)])}

"""What the check_data*.py share: running the program, cases, and a second implementation, in numpy and Pillow, of what an
imported image must look like."""

import os
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../bin/handsoff"))
DATA = os.path.abspath(os.environ.get("HANDSOFF_TEST_DATA", os.path.join(HERE, "../../../shared/data")))
MERGES = os.path.join(HERE, "../../data/merges")
failed = []
work = tempfile.mkdtemp(prefix="handsoff_data_")
os.chdir(work)


def case(name, needs=None):
    """Runs the function at once; `needs` is a folder of DATA without which it is skipped."""
    def run(function):
        try:
            if needs is not None and not os.path.isdir(os.path.join(DATA, needs)):
                why = f"no {os.path.join(DATA, needs)}"
            else:
                why = function()
            print(f"skip {name}: {why}" if why else f"ok {name}", flush=True)
        except Exception as error:
            failed.append(name)
            print(f"not ok {name}: {type(error).__name__}: {error}", flush=True)
        return function
    return run


def finish():
    shutil.rmtree(work)
    sys.exit(1 if failed else 0)


def command(*words, **options):
    child = subprocess.run([PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    return child.returncode, child.stdout, child.stderr


def load(form, folder, *options, size=64, out="out.h5"):
    """Imports and reads all of dataset.h5 as a dict; text comes as lists of str."""
    status, text, err = command("import-data", "--format", form, folder, out, "--size", size, *options)
    assert status == 0, f"{form} {folder}: status {status}: {err}"
    got = {"said": text}
    with h5py.File(out, "r") as f:
        def take(name, item):
            if isinstance(item, h5py.Dataset):
                value = item[()]
                got[name] = [t.decode() for t in value] if value.dtype == object else value
        f.visititems(take)
        got["attributes"] = {k: (v.decode() if isinstance(v, bytes) else v) for k, v in f.attrs.items()}
    return got


def refused(want, form, folder, *options, status=1, out="never.h5", size=32, **how):
    """The import fails with that exit status and one message that holds all of `want`; nothing is left behind."""
    got, text, err = command("import-data", "--format", form, folder, out, "--size", size, *options, **how)
    left = [f for f in os.listdir(os.path.dirname(out) or ".") if "never" in f]
    for name in left: # so that the next case is not blamed
        os.remove(name)
    assert got == status, f"status {got}, wanted {status}: {err}{text}"
    lines = err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("handsoff: "), f"not one message: {err}"
    for part in [want] if isinstance(want, str) else want:
        assert part in err, f"no '{part}' in: {err}"
    assert not left, f"left behind: {left}"
    return err


# ---- the second implementation --------------------------------------------------------------------------------------------


def window(width, height, aspect):
    least, most = min(width, height), max(width, height)
    w, h = {"squash": (width, height), "crop": (least, least), "pad": (most, most)}[aspect]
    trunc = lambda a: int(a / 2)
    return trunc(width - w), trunc(height - h), w, h


def cut(a, aspect, outside=None):
    """The part that becomes the square; beyond the border `outside`, or the border's own pixels."""
    x0, y0, w, h = window(a.shape[1], a.shape[0], aspect)
    ys, xs = np.arange(y0, y0 + h), np.arange(x0, x0 + w)
    part = a[np.clip(ys, 0, a.shape[0] - 1)][:, np.clip(xs, 0, a.shape[1] - 1)].copy()
    if outside is not None:
        part[(ys < 0) | (ys >= a.shape[0])] = outside
        part[:, (xs < 0) | (xs >= a.shape[1])] = outside
    return part


def nearest(a, size, aspect="squash", outside=255, corner=False):
    """Every pixel of the square takes the one under its centre, or under its corner as OpenCV's INTER_NEAREST does."""
    a = cut(a, aspect, outside)
    at = lambda n: np.minimum(((np.arange(size) + (0.0 if corner else 0.5)) * n / size).astype(int), n - 1)
    return a[at(a.shape[0])][:, at(a.shape[1])]


def photo(path, size, aspect="squash", filter=Image.BILINEAR):
    a = cut(np.asarray(Image.open(path).convert("RGB")), aspect)
    return np.asarray(Image.fromarray(a).resize((size, size), filter))


def points(xyv, width, height, size, aspect="squash"):
    x0, y0, w, h = window(width, height, aspect)
    out = np.array(xyv, float)
    out[:, 0] = (out[:, 0] - x0) * size / w
    out[:, 1] = (out[:, 1] - y0) * size / h
    inside = (out[:, 0] >= 0) & (out[:, 1] >= 0) & (out[:, 0] < size) & (out[:, 1] < size)
    out[:, 2] *= inside
    return out


def close(got, path, size, aspect="squash", filter=Image.BILINEAR):
    """To the bit, but for JPEG, whose decoders may round differently by one."""
    want = photo(path, size, aspect, filter).astype(int)
    worst = np.abs(got.astype(int) - want).max()
    assert worst <= (0 if open(path, "rb").read(2) == b"\x89P" else 1), f"{path}: pixels differ by up to {worst}"
    assert want.std() > 1, f"{path} is flat: nothing was compared"


def equal(got, want, what):
    want = np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, wanted {want.shape}"
    assert np.array_equal(got, want), f"{what}: {np.sum(got != want)} of {want.size} values differ"


def shares(labels, table, tolerance):
    """Percentages of the pixels per class against those that a README states."""
    counts = np.bincount(labels.ravel(), minlength=256) * 100.0 / labels.size
    for value, percent in table.items():
        assert abs(counts[value] - percent) <= tolerance, f"class {value}: {counts[value]:.3f} %, the README has {percent} %"


def some(n, k=7):
    return sorted({round(i * (n - 1) / max(1, k - 1)) for i in range(min(n, k))})

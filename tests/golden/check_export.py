#!/usr/bin/env python3
"""export-data, read back by programs that are not ours (pycocotools, pickle, NumPy, Pillow), and by import-data: the same
pixels, labels and key points, bit for bit.

Usage: check_export.py [PATH/TO/handsoff]; prints 'ok', 'not ok' or 'skip' and the name for each case."""

import atexit
import contextlib
import glob
import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../bin/handsoff"))
# Debian has no pycocotools: `make deps` gets them from PyPI into the build folder.
sys.path.append(os.path.abspath(os.path.join(HERE, "../..", os.environ.get("BUILD", "build"), "python")))
try:
    from pycocotools.coco import COCO
    from pycocotools import mask as coco_mask
except ImportError:
    COCO = None
NAMES = ["background", 'wheel "left"', "back\\slash", "dach: é", "- hood", "unused"]
POINTS = ["nose", "left: eye", "tail"]
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


def good(*words):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: status {done.returncode}: {done.stderr}"
    return done.stdout


def bad(want, *words, status=1):
    """Fails with one line that says `want`, and leaves nothing."""
    before = sorted(os.listdir("."))
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == status, f"{words}: status {done.returncode}, wanted {status}: {done.stderr}"
    assert len(lines) == 1 and want in lines[0], f"{words}: no '{want}' in: {done.stderr}"
    assert sorted(os.listdir(".")) == before, f"{words}: left behind: {set(os.listdir('.')) - set(before)}"


def blobs(rng, n, height, width, classes, ignored=True):
    """Label maps of rectangles, stripes and single pixels."""
    maps = np.zeros((n, height, width), "u1")
    for m in maps:
        for _ in range(6):
            y, x = rng.randint(height), rng.randint(width)
            m[y:y + rng.randint(1, height), x:x + rng.randint(1, width)] = rng.randint(classes)
        m[rng.randint(height, size=9), rng.randint(width, size=9)] = rng.randint(classes, size=9)
        if ignored:
            m[rng.randint(height), :5] = 255
    return maps


def write_set(path, height=24, width=24, n=(5, 3, 2), labels=True, points=True, classes=NAMES, seed=1):
    rng = np.random.RandomState(seed)
    text = h5py.string_dtype()
    with h5py.File(path, "w") as f:
        for part, count in zip(("train", "test", "unlabelled"), n):
            if count == 0:
                continue
            f[f"{part}/image"] = rng.randint(0, 256, (count, height, width, 3), dtype=np.uint8)
            f.create_dataset(f"{part}/name", data=[f"a/b {i}.jpg" for i in range(count)], dtype=text)
            if part != "unlabelled" and labels:
                f[f"{part}/label"] = blobs(rng, count, height, width, len(classes) - 1)  # the last class is in no image
            if part != "unlabelled" and points:
                p = rng.rand(count, len(POINTS), 3).astype("f4") * [width, height, 1]
                p[:, 1, 2] = 0
                p[..., 2] = p[..., 2] > 0.2
                p[0] *= [1, 1, 0]  # an image without any
                f[f"{part}/keypoint"] = p.astype("f4")
        if labels:
            f.create_dataset("class_name", data=classes, dtype=text)
            f["palette"] = rng.randint(0, 256, (len(classes), 3), dtype=np.uint8)
        if points:
            f.create_dataset("keypoint_name", data=POINTS, dtype=text)
        f.attrs["schema"] = 1.0


def write_generated(path, n=11, size=16, shard=4, z_dim=5, classes=NAMES, seed=2):
    """A generated set as `generate` writes it."""
    rng = np.random.RandomState(seed)
    text = h5py.string_dtype()
    stem = path[:-3]
    os.makedirs(stem, exist_ok=True)
    scores = rng.rand(n).astype("f4")
    kept = np.sort(np.argsort(scores)[:n - 3]).astype("i8")
    data = dict(image=rng.randint(0, 256, (n, size, size, 3), dtype=np.uint8), label=blobs(rng, n, size, size, len(classes), False),
                uncertainty=rng.rand(n, size, size).astype("f2"), latent=rng.randn(n, z_dim).astype("f4"), index=np.arange(n))
    names = []
    for s in range((n + shard - 1) // shard):
        names.append(f"{os.path.basename(stem)}/shard-{s:05}.h5")
        with h5py.File(os.path.join(os.path.dirname(path) or ".", names[-1]), "w") as f:
            for key, value in data.items():
                f[key] = value[s * shard:(s + 1) * shard]
            f["score"] = scores[s * shard:(s + 1) * shard]
    with h5py.File(path, "w") as f:
        f.create_dataset("shard", data=names, dtype=text)
        f.create_dataset("class_name", data=classes, dtype=text)
        f["score"], f["kept"] = scores, kept
        for key, value in dict(samples=n, kept=len(kept), height=size, width=size, classes=len(classes), z_dim=z_dim, shard_size=shard,
                               schema=1).items():
            f.attrs[key] = float(value)
    return dict(data, kept=kept, score=scores)


def read(path):
    with h5py.File(path) as f:
        got = {}
        f.visititems(lambda name, item: got.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
        return got


def pixels(path, mode):
    with Image.open(path) as image:
        assert image.mode == mode, f"{path}: mode {image.mode}"
        return np.asarray(image)


def same(a, b, what):
    assert a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}"
    assert np.array_equal(a, b), f"{what}: {np.count_nonzero(a != b)} values differ"


def export(source, folder, form):
    shutil.rmtree(folder, ignore_errors=True)
    return good("export-data", source, folder, "--format", form)


def round_trip(folder, form, want, parts, size):
    """import-data gives the same images, labels, names and colours of the classes."""
    good("import-data", "--format", form, folder, "again.h5", "--size", size, "--merge", f"{folder}/classes.yml")
    got = read("again.h5")
    for part in parts:
        same(got[f"{part}/image"], want[f"{part}/image"], f"{part}/image")
        if f"{part}/label" in want:
            same(got[f"{part}/label"], want[f"{part}/label"], f"{part}/label")
    assert list(got["class_name"]) == list(want["class_name"]), got["class_name"]
    same(got["palette"], want["palette"], "palette")
    assert not set(k.split("/")[0] for k in got if k.endswith("/image")) - set(parts)


work = tempfile.mkdtemp(prefix="handsoff_export_")
atexit.register(shutil.rmtree, work, ignore_errors=True)
os.chdir(work)
write_set("set.h5")
write_set("wide.h5", 19, 37, (6, 2, 0), seed=3)
write_set("streets.h5", 21, 21, (3, 2, 0), classes=["road", "sky", "unused"], seed=4)
write_set("points.h5", n=(4, 0, 0), labels=False, seed=5)


# ---- formats -------------------------------------------------------------------------------------------------------------


@case("folder: Pillow reads every pixel; import-data gives the same set")
def _():
    want = read("set.h5")
    assert "5 labelled, 3 test and 2 unlabelled" in export("set.h5", "out", "folder")
    for part in ("train", "test", "unlabelled"):
        lines = open(f"out/{part}/names.txt").read().split("\n")
        for i, image in enumerate(want[f"{part}/image"]):
            same(pixels(f"out/{part}/images/{i:06}.png", "RGB"), image, "image")
            assert lines[i] == f"{i:06}.png\ta/b {i}.jpg", lines[i]
            if part != "unlabelled":
                same(pixels(f"out/{part}/masks/{i:06}.png", "L"), want[f"{part}/label"][i], "mask")
        assert len(glob.glob(f"out/{part}/images/*")) == len(want[f"{part}/image"])
    round_trip("out", "folder", want, ("train", "test", "unlabelled"), 24)


@case("cityscapes: labelIds are the classes, color their colours; import-data gives the same set")
def _():
    want = read("set.h5")
    export("set.h5", "out", "cityscapes")
    for part, split in (("train", "train"), ("test", "val"), ("unlabelled", "test")):
        files = sorted(glob.glob(f"out/leftImg8bit/{split}/*/*.png"))
        assert len(files) == len(want[f"{part}/image"])
        for i, path in enumerate(files):
            city, sequence, frame, kind = os.path.basename(path).split("_")
            assert (os.path.basename(os.path.dirname(path)), sequence, frame, kind) == (city, "000000", f"{i:06}", "leftImg8bit.png")
            same(pixels(path, "RGB"), want[f"{part}/image"][i], "image")
            if part == "unlabelled":
                assert not os.path.exists("out/gtFine/test")
                continue
            label = want[f"{part}/label"][i]
            fine = path.replace("leftImg8bit.png", "gtFine_{}.png").replace("leftImg8bit", "gtFine")
            same(pixels(fine.format("labelIds"), "L"), label, "labelIds")
            colours = np.zeros((256, 3), "u1")
            colours[:len(NAMES)] = want["palette"]
            same(pixels(fine.format("color"), "RGB"), colours[label], "color")
    round_trip("out", "cityscapes", want, ("train", "test"), 24)


@case("handsoff: images, masks and the pickle's list as Python reads them; import-data gives the same set")
def _():
    want = read("set.h5")
    assert "left out, for want of labels: 0 train, 0 test and 2 unlabelled" in export("set.h5", "out", "handsoff")
    for part in ("train", "test"):
        n = len(want[f"{part}/image"])
        with open(f"out/{part}/{n}_0.pickle", "rb") as f:
            listed = pickle.load(f)
        assert len(listed) == n
        for i, entry in enumerate(listed):
            assert entry == dict(image_name=f"out/{part}/image_{i}.png", image_label_name=f"out/{part}/label_{i}.png", uncertrainty_score=0.0)
            same(pixels(entry["image_name"], "RGB"), want[f"{part}/image"][i], "image")
            same(pixels(entry["image_label_name"], "L"), want[f"{part}/label"][i], "label")
            mask = np.load(f"out/{part}/image_mask{i}.npy")
            assert mask.dtype == np.uint8
            same(mask, want[f"{part}/label"][i], "mask")
    round_trip("out", "handsoff", want, ("train", "test"), 24)


def decode_runs(text, height, width):
    """COCO's compressed run lengths, after the published description: a decoder of its own."""
    runs, at = [], 0
    while at < len(text):
        value = shift = 0
        while True:
            c = ord(text[at]) - 48
            value |= (c & 31) << shift
            shift += 5
            at += 1
            if not c & 32:
                break
        if c & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    flat = np.concatenate([np.full(n, i % 2, bool) for i, n in enumerate(runs)])
    return flat.reshape(width, height).T


def check_instances(folder, part, want, names):
    """Labels that the annotations make, pixels that none covers being 0."""
    document = json.load(open(f"{folder}/annotations/instances_{part}.json"))
    first = 0 if names[0] != "background" else 1
    assert [(c["id"], c["name"]) for c in document["categories"]] == list(enumerate(names))[first:]
    assert len({a["id"] for a in document["annotations"]}) == len(document["annotations"])
    made = np.zeros_like(want[f"{part}/label"])
    for i, image in enumerate(document["images"]):
        assert (image["id"], image["height"], image["width"]) == (i + 1, *made.shape[1:])
        same(pixels(f"{folder}/{part}/{image['file_name']}", "RGB"), want[f"{part}/image"][i], "image")
    for a in document["annotations"]:
        region = decode_runs(a["segmentation"]["counts"], *a["segmentation"]["size"])
        ys, xs = np.nonzero(region)
        assert a["area"] == len(ys) and a["iscrowd"] == 0
        assert a["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1], a["bbox"]
        assert not made[a["image_id"] - 1][region].any(), "regions overlap"
        made[a["image_id"] - 1][region] = a["category_id"]
    label = want[f"{part}/label"]
    same(made, np.where(label == 255, 0, label), "regions")


@case("coco: run lengths, areas, boxes and categories by a decoder of the test's own")
def _():
    for source, names in (("set.h5", NAMES), ("wide.h5", NAMES), ("streets.h5", ["road", "sky", "unused"])):
        want = read(source)
        export(source, "out", "coco")
        for part in ("train", "test"):
            check_instances("out", part, want, names)
        if source == "set.h5":
            info = json.load(open("out/annotations/image_info_unlabelled.json"))
            assert len(info["images"]) == 2 and "annotations" not in info


@case("coco: pycocotools reads regions and key points, and would write the same run lengths")
def _():
    if COCO is None:
        return "pycocotools are not installed"
    want = read("wide.h5")
    export("wide.h5", "out", "coco")
    with contextlib.redirect_stdout(open(os.devnull, "w")):
        regions, points = COCO("out/annotations/instances_train.json"), COCO("out/annotations/keypoints_train.json")
    for i, label in enumerate(want["train/label"]):
        made = np.zeros_like(label)
        for a in regions.loadAnns(regions.getAnnIds(imgIds=i + 1)):
            region = regions.annToMask(a) > 0
            made[region] = a["category_id"]
            other = coco_mask.encode(np.asfortranarray(region.astype("u1")))
            assert other["counts"].decode() == a["segmentation"]["counts"], "other run lengths"
            assert coco_mask.area(other) == a["area"] and list(coco_mask.toBbox(other)) == a["bbox"]
        same(made, np.where(label == 255, 0, label), "regions")
    (category,) = points.loadCats(points.getCatIds())
    assert category["keypoints"] == POINTS
    for i, p in enumerate(want["train/keypoint"]):
        found = points.loadAnns(points.getAnnIds(imgIds=i + 1))
        seen = p[:, 2] > 0
        assert len(found) == int(seen.any())
        for a in found:
            got = np.array(a["keypoints"]).reshape(-1, 3)
            same(got[:, 2], np.where(seen, 2.0, 0.0), "visibility")
            assert np.abs(got[seen, :2] + 0.5 - p[seen, :2]).max() < 1e-5 and not got[~seen].any()
            assert a["num_keypoints"] == seen.sum()


@case("coco: import-data gives the same set; what no region covers is class 0")
def _():
    want = read("set.h5")
    export("set.h5", "out", "coco")
    for part in ("train", "test"):
        want[f"{part}/label"] = np.where(want[f"{part}/label"] == 255, 0, want[f"{part}/label"])
    round_trip("out", "coco", want, ("train", "test", "unlabelled"), 24)
    # Without the table the names are the categories'. Plain numbers and a polygon do, too.
    path = "out/annotations/instances_train.json"
    document = json.load(open(path))
    for a in document["annotations"]:
        region = decode_runs(a["segmentation"]["counts"], 24, 24).T.ravel()
        edges = np.concatenate([[0], 1 + np.flatnonzero(region[1:] != region[:-1]), [region.size]])
        a["segmentation"]["counts"] = ([0] if region[0] else []) + np.diff(edges).tolist()
    json.dump(document, open(path, "w"))
    good("import-data", "--format", "coco", "out", "again.h5", "--size", 24)
    got = read("again.h5")
    assert [n.decode() for n in got["class_name"]] == NAMES
    same(got["train/label"], want["train/label"], "labels")
    document["annotations"] = [dict(id=1, image_id=2, category_id=3, area=6, segmentation=[[2, 3, 5, 3, 5, 5, 2, 5]])]
    json.dump(document, open(path, "w"))
    good("import-data", "--format", "coco", "out", "again.h5", "--size", 24)
    label = np.zeros((5, 24, 24), "u1")
    label[1, 3:5, 2:5] = 3
    same(read("again.h5")["train/label"], label, "polygon")
    for counts, says in (([5], "cover 5 of 576"), ("0", "cover 0 of"), ([577], "cover 0 of"), ([-1], "cover 0 of"), (7, "run lengths for"), ("~~", "cover 0 of")):
        document["annotations"][0]["segmentation"] = dict(size=[24, 24], counts=counts)
        json.dump(document, open(path, "w"))
        bad(says, "import-data", "--format", "coco", "out", "never.h5", "--size", 24)


@case("coco: key points of a set without labels")
def _():
    assert "4 labelled" in export("points.h5", "out", "coco")
    assert sorted(os.listdir("out/annotations")) == ["keypoints_train.json"]
    assert len(json.load(open("out/annotations/keypoints_train.json"))["annotations"]) == 3


# ---- generated sets ------------------------------------------------------------------------------------------------------


@case("a generated set: the kept samples in every format, all of them with latents and scores as handsoff")
def _():
    g = write_generated("synthetic_4.h5")
    kept = dict({"train/image": g["image"][g["kept"]], "train/label": g["label"][g["kept"]]}, class_name=[n.encode() for n in NAMES])
    assert "8 labelled" in export("synthetic_4.h5", "out", "folder")
    for i, sample in enumerate(g["kept"]):
        same(pixels(f"out/train/images/{i:06}.png", "RGB"), kept["train/image"][i], "image")
        same(pixels(f"out/train/masks/{i:06}.png", "L"), kept["train/label"][i], "mask")
        assert open("out/train/names.txt").read().split("\n")[i] == f"{i:06}.png\tsample {sample}"
    export("synthetic_4.h5", "out", "coco")
    check_instances("out", "train", kept, NAMES)
    assert "11 labelled" in export("synthetic_4.h5", "out", "handsoff")
    with open("out/11_0.pickle", "rb") as f:
        listed = pickle.load(f)
    for i, entry in enumerate(listed):
        same(pixels(entry["image_name"], "RGB"), g["image"][i], "image")
        same(pixels(entry["image_label_name"], "L"), g["label"][i], "label")
        same(np.load(entry["js_name"]), g["uncertainty"][i].astype("f4"), "uncertainty")
        same(entry["latent"], g["latent"][i:i + 1].astype("f8"), "latent")
        assert entry["uncertrainty_score"] == g["score"][i] and entry["image_name"] == f"out/{i}.png"
    whole = {"train/image": g["image"], "train/label": g["label"], "class_name": kept["class_name"]}
    good("import-data", "--format", "handsoff", "out", "again.h5", "--size", 16, "--merge", "out/classes.yml")
    for key in ("train/image", "train/label"):
        same(read("again.h5")[key], whole[key], key)


# ---- what can go wrong ---------------------------------------------------------------------------------------------------


@case("bad input: one line that says what is wrong, and nothing left behind")
def _():
    os.makedirs("full", exist_ok=True)
    open("full/mine.txt", "w").write("mine")
    write_set("bare.h5", n=(2, 0, 0), labels=False, points=False)
    write_set("beyond.h5", n=(2, 0, 0), points=False)
    with h5py.File("beyond.h5", "r+") as f:
        f["train/label"][1, 2, 3] = 77
    write_set("skewed.h5", n=(2, 0, 0), points=False)
    with h5py.File("skewed.h5", "r+") as f:
        del f["train/label"]
        f["train/label"] = np.zeros((1, 24, 24), "u1")
    for form in ("handsoff", "cityscapes", "coco", "folder"):
        bad("no labels", "export-data", "bare.h5", "new", "--format", form)
        bad("is not empty", "export-data", "set.h5", "full", "--format", form, status=2)
        bad("train image 1, x 3, y 2 has class 77; the 6 classes", "export-data", "beyond.h5", "new", "--format", form)
    assert open("full/mine.txt").read() == "mine"
    bad("no labels", "export-data", "points.h5", "new", "--format", "folder")
    bad("does not fit", "export-data", "skewed.h5", "new", "--format", "coco")
    bad("did you mean cityscapes", "export-data", "set.h5", "new", "--format", "cityscape", status=2)
    bad("--format is missing", "export-data", "set.h5", "new", status=2)
    bad("found 1 words", "export-data", "set.h5", "--format", "coco", status=2)
    bad("cannot open none.h5", "export-data", "none.h5", "new", "--format", "coco")
    bad("a file or link", "export-data", "set.h5", "points.h5", "--format", "coco", status=2)
    bad("not an HDF5 file", "export-data", "full/mine.txt", "new", "--format", "coco")
    bad("neither a data set", "export-data", "synthetic_4/shard-00000.h5", "new", "--format", "coco")
    bad("cannot make the folder", "export-data", "set.h5", "no/where/new", "--format", "coco")
    os.makedirs("empty", exist_ok=True)
    good("export-data", "set.h5", "empty/", "--format", "folder")
    assert os.path.exists("empty/classes.yml")


@case("a stopped export leaves nothing, a killed one nothing that looks whole; the next one clears it away")
def _():
    write_set("large.h5", 128, 128, (200, 0, 0), points=False)
    for number, status in ((signal.SIGTERM, 75), (signal.SIGKILL, -signal.SIGKILL)):
        child = subprocess.Popen([PROGRAM, "export-data", "large.h5", "big", "--format", "cityscapes"], stderr=subprocess.PIPE)
        until = time.time() + 20
        while not glob.glob("big.tmp.*/leftImg8bit/train/handsoff/*.png") and time.time() < until:
            time.sleep(0.002)
        child.send_signal(number)
        child.communicate()
        assert child.returncode == status, child.returncode
        assert not os.path.exists("big")
        assert bool(glob.glob("big.tmp.*")) == (number == signal.SIGKILL), glob.glob("big.tmp.*")
    good("export-data", "large.h5", "big", "--format", "cityscapes")
    assert len(glob.glob("big/leftImg8bit/train/handsoff/*.png")) == 200 and not glob.glob("big.tmp.*")
    shutil.rmtree("big")


@case("a full disk is an error, and nothing is left")
def _():
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for form in ("coco", "folder", "handsoff", "cityscapes"):
        done = subprocess.run([PROGRAM, "export-data", "large.h5", "never", "--format", form], capture_output=True, text=True, preexec_fn=limit)
        assert done.returncode == 1 and "cannot write" in done.stderr and "too large" in done.stderr, done.stderr
        assert not glob.glob("never*"), glob.glob("never*")


@case("memory does not grow with the set: 40 and 400 images of 128 pixels take the same")
def _():
    peaks = []
    for n in (40, 400):
        write_set("large.h5", 128, 128, (n, 0, 0), points=False)
        child = subprocess.Popen([PROGRAM, "export-data", "large.h5", f"big{n}", "--format", "coco"], stdout=subprocess.DEVNULL)
        peak = 0
        while child.poll() is None:  # not wait4's figure, which counts this process, too
            with contextlib.suppress(OSError):
                peak = max([peak] + [int(l.split()[1]) for l in open(f"/proc/{child.pid}/status") if l.startswith("VmHWM")])
            time.sleep(0.01)
        peaks.append(peak / 1024)
        shutil.rmtree(f"big{n}")
    assert 10 < peaks[0] and peaks[1] < peaks[0] + 8, f"{peaks[0]:.0f} and {peaks[1]:.0f} MiB, the set is 2.5 and 25 MiB"


sys.exit(1 if failed else 0)

#!/usr/bin/env python3
"""import-data --format against the real sets in HANDSOFF_TEST_DATA: the counts that their READMEs state, and pixels, labels,
key points and depth of some images against a second reader.

Usage: check_data.py [PATH/TO/handsoff]; prints 'ok', 'not ok' or 'skip' and the name for each case."""

import csv
import json
import zlib

from data_cases import *

at = lambda *words: os.path.join(DATA, *words)


def grey(path):
    image = Image.open(path)
    assert image.mode in ("L", "P"), f"{path} has mode {image.mode}"
    return np.asarray(image)


def check(got, part, n, folder, label, size, aspect="squash", image=None, k=7, ignore=None):
    """n images; k of them in pixels and labels. label(name) gives the class map, image(name) the photo's path."""
    names, images = got[f"{part}/name"], got[f"{part}/image"]
    assert len(names) == n and images.shape == (n, size, size, 3), f"{part}: {len(names)} names, images {images.shape}"
    assert len(set(names)) == n, f"{part}: names repeat"
    for i in some(n, k):
        close(images[i], image(names[i]) if image else os.path.join(folder, names[i]), size, aspect)
        if label is not None:
            want = nearest(label(names[i]), size, aspect)
            want = np.where(want == ignore, 255, want) if ignore is not None else want
            equal(got[f"{part}/label"][i], want, f"label of {names[i]}")
    return names


@case("camvid: 120 + 60 images, shares of the classes", "camvid")
def camvid():
    got = load("camvid", at("camvid"), size=240)
    label = lambda name: grey(at("camvid", os.path.dirname(name) + "annot", os.path.basename(name)))
    check(got, "train", 120, at("camvid"), label, 240, ignore=11)
    check(got, "test", 60, at("camvid"), label, 240, ignore=11)
    train = [16.8, 23.0, 1.0, 32.0, 4.4, 9.8, 1.1, 1.2, 5.8, 0.7, 0.3]
    test = [9.1, 25.8, 0.6, 29.1, 8.7, 16.3, 0.9, 3.1, 1.8, 0.7, 2.2]
    shares(got["train/label"], {**dict(enumerate(train)), 255: 4.0}, 0.06)
    shares(got["test/label"], {**dict(enumerate(test)), 255: 1.7}, 0.06)
    assert got["class_name"] == "sky building pole road pavement tree sign fence car pedestrian bicyclist".split()
    listed = [os.path.basename(line.split()[0]) for line in open(at("camvid", "CamVid/train.txt")) if line.strip()]
    here = {os.path.basename(n) for n in got["train/name"]}
    assert here <= set(listed), "an image that train.txt does not list"
    got = load("camvid", at("camvid", "original"), size=360)
    shape = {"train": 0, "test": 0}
    assert all(len(got[f"{p}/name"]) == 1 for p in shape), "the untouched pairs"


def centre_fill(label, polygon, value):
    """Even-odd rule at pixel centres."""
    p = np.asarray(polygon, float).reshape(-1, 2)
    h, w = label.shape
    y = np.arange(h)[:, None] + 0.5
    x = np.arange(w)[None, :] + 0.5
    inside = np.zeros((h, w), bool)
    for (xa, ya), (xb, yb) in zip(p, np.roll(p, -1, 0)):
        rows = ((ya <= y) != (yb <= y))[:, 0]
        if rows.any():
            edge = xa + (y[rows] - ya) * (xb - xa) / (yb - ya)
            inside[rows] ^= x > edge
    label[inside] = value


def painted(coco, record, size):
    """The label of one image of Car-Parts, the largest area first."""
    def area(a):
        ps = [np.asarray(p, float).reshape(-1, 2) for p in a["segmentation"]]
        return sum(abs((p[:, 0] * np.roll(p[:, 1], -1) - np.roll(p[:, 0], -1) * p[:, 1]).sum()) / 2 for p in ps)
    label = np.zeros((size, size), np.uint8)
    scale = np.array([size / record["width"], size / record["height"]])
    mine = [a for a in coco["annotations"] if a["image_id"] == record["id"]]
    for a in sorted(mine, key=lambda a: (-area(a), a["id"])):
        for polygon in a["segmentation"]:
            centre_fill(label, np.asarray(polygon, float).reshape(-1, 2) * scale, a["category_id"] - 1)
    return label


@case("car-parts: 400 + 50 images, 18 parts, labels painted by area", "car-parts")
def car_parts():
    got = load("car-parts", at("car-parts"), size=512)
    for part, folder, n in (("train", "trainingset", 400), ("test", "testset", 50)):
        coco = json.load(open(at("car-parts", folder, "annotations.json")))
        by_name = {r["file_name"]: r for r in coco["images"]}
        find = lambda name: at("car-parts", folder, "JPEGImages", os.path.basename(name))
        check(got, part, n, None, None, 512, image=find)
        for i in some(n, 5):
            name = os.path.basename(got[f"{part}/name"][i])
            different = np.mean(got[f"{part}/label"][i] != painted(coco, by_name[name], 512))
            assert different < 2e-4, f"{name}: {different:.2e} of the pixels differ" # centres that lie on an edge
    assert got["class_name"][0] == "_background_" and got["class_name"][18] == "wheel" and len(got["class_name"]) == 19
    table = [2.60, 1.14, 1.27, 0.31, 1.13, 0.31, 9.50, 3.10, 1.71, 0.57, 1.34, 0.47, 3.55, 0.19, 0.19, 1.37, 1.84, 2.74]
    counts = np.bincount(got["train/label"].ravel(), minlength=19) * 100.0 / got["train/label"].size
    for k, percent in enumerate(table, 1): # Pillow's polygons have their edge pixels in, about 2 %, small parts more
        assert percent * 0.75 - 0.01 < counts[k] < percent * 1.01 + 0.005, f"class {k}: {counts[k]:.3f} %, README {percent} %"
    mirror = int(np.sum(got["train/label"] == 14))
    assert 150000 < mirror < 198000, f"{mirror} pixels of left mirrors: doors cover them?"
    merged = load("car-parts", at("car-parts"), "--limit", 60, "--merge", os.path.join(MERGES, "car_parts_10.yml"), size=512)
    table = np.array([0, 1, 2, 3, 4, 3, 4, 1, 5, 3, 4, 3, 4, 6, 7, 7, 8, 8, 9], np.uint8)
    equal(merged["train/label"], table[got["train/label"][:60]], "the ten merged classes")


@case("cityscapes: 4 frames of 2048 x 1024, shares, sixteen-bit files left alone", "cityscapes")
def cityscapes():
    got = load("cityscapes", at("cityscapes"), size=1024)
    label = lambda name: grey(at("cityscapes", name.replace("leftImg8bit", "gtFine").replace("gtFine.png", "gtFine_labelIds.png")))
    check(got, "train", 4, at("cityscapes"), label, 1024)
    shares(got["train/label"], {7: 39.1, 21: 19.7, 11: 18.8, 8: 4.2, 1: 3.9, 26: 3.5, 23: 3.0, 22: 2.4, 3: 1.5, 17: 1.1}, 0.06)
    assert len(got["class_name"]) == 34 and got["class_name"][33] == "bicycle" and "train/depth" not in got
    padded = load("cityscapes", at("cityscapes"), "--aspect", "pad", size=256)
    check(padded, "train", 4, at("cityscapes"), label, 256, "pad", k=2)
    check(load("cityscapes", at("cityscapes"), "--aspect", "crop", size=256), "train", 4, at("cityscapes"), label, 256, "crop", k=2)


def mat5(path):
    """One uint8 matrix of a compressed MATLAB 5 file."""
    raw = open(path, "rb").read()
    data = zlib.decompress(raw[136:136 + int.from_bytes(raw[132:136], "little")])
    u32 = lambda i: int.from_bytes(data[i:i + 4], "little")
    h, w, at_name = u32(32), u32(36), 40
    small = u32(at_name) >> 16
    at_data = at_name + 8 if small else at_name + 8 + (u32(at_name + 4) + 7) // 8 * 8
    return np.frombuffer(data, np.uint8, h * w, at_data + 8).reshape(w, h).T


@case("clothing-co-parsing: 250 labelled, 4 with tags, shares of the garments", "clothing-co-parsing")
def clothing():
    got = load("clothing-co-parsing", at("clothing-co-parsing"), size=550)
    label = lambda name: mat5(at("clothing-co-parsing/annotations/pixel-level", os.path.splitext(os.path.basename(name))[0] + ".mat"))
    find = lambda name: at("clothing-co-parsing/photos", os.path.basename(name))
    check(got, "train", 250, None, label, 550, image=find)
    check(got, "unlabelled", 4, None, None, 550, image=find)
    shares(got["train/label"], {0: 76.9, 41: 3.1, 14: 3.1, 31: 2.4, 13: 2.3, 19: 1.3, 25: 1.1, 46: 1.0, 39: 0.9, 2: 0.9, 42: 0.9, 5: 0.8, 38: 0.6, 4: 0.6}, 0.08)
    seen = set(np.unique(got["train/label"]))
    assert len(seen) == 52 and max(seen) <= 58, f"{len(seen)} of the 59 classes occur, the README has 52"
    assert got["class_name"][1] == "accessories" and got["class_name"][58] == "wedges" and len(got["class_name"]) == 59


@case("face-keypoints: 3,318 + 270 faces, 68 points in every one", "face-keypoints")
def face_keypoints():
    got = load("face-keypoints", at("face-keypoints"), size=96)
    for part, folder, n in (("train", "training", 3318), ("test", "test", 270)):
        rows = {r[0]: np.array(r[1:], float).reshape(68, 2) for r in list(csv.reader(open(at(f"face-keypoints/data/{folder}_frames_keypoints.csv"))))[1:]}
        assert len(rows) == n
        names = check(got, part, n, None, None, 96, image=lambda name: at("face-keypoints/data", folder, os.path.basename(name)))
        for i, name in enumerate(names):
            if i in some(n, 40) or "Eliza_Dushku_21" in name:
                width, height = Image.open(at("face-keypoints/data", folder, os.path.basename(name))).size
                want = points(np.c_[rows[os.path.basename(name)], np.ones(68)], width, height, 96)
                assert np.abs(got[f"{part}/keypoint"][i] - want).max() < 1e-3, f"points of {name}"
    outside = np.any(got["train/keypoint"][:, :, 2] == 0, axis=1).sum()
    assert 4 <= outside <= 8, f"{outside} training faces with points outside; the README has 6 (2 of them in original/)"
    assert len(got["keypoint_name"]) == 68 and "train/label" not in got and "class_name" not in got
    got = load("face-keypoints", at("face-keypoints/original"), size=96)
    assert len(got["train/name"]) == 18, "RGBA PNG files called .jpg"


def reds(path):
    a = np.asarray(Image.open(path).convert("RGB")).astype(int)
    colours = np.array([(255, 0, 0), (255, 255, 0), (127, 0, 0), (0, 0, 255), (0, 255, 255), (0, 255, 0)])
    return np.argmin(((a[:, :, None] - colours) ** 2).sum(-1), -1).astype(np.uint8)


@case("fasseg: V2 20 + 20, V3 in folders of poses, BMP files; colours to the nearest class", "fasseg")
def fasseg():
    v2, v3 = load("fasseg", at("fasseg/V2"), size=256), load("fasseg", at("fasseg/V3"), size=256)
    label = lambda name: reds(at("fasseg/V2", name.replace("_RGB", "_Labels")))
    check(v2, "train", 20, at("fasseg/V2"), label, 256, k=3)
    check(v2, "test", 20, at("fasseg/V2"), label, 256, k=3)
    check(v3, "train", 20, at("fasseg/V3"), lambda name: reds(at("fasseg/V3", name.replace("_RGB", "_labels"))), 256, k=3)
    all_of = np.concatenate([v2["train/label"], v2["test/label"], v3["train/label"]])
    shares(all_of, {0: 16.5, 1: 47.2, 2: 31.5, 3: 1.0, 4: 2.5, 5: 1.3}, 0.6) # the README weighs by pixels of each size
    assert v2["class_name"] == ["background", "skin", "hair", "eyes", "nose", "mouth"]
    n = 0
    for version in ("V2", "V3"):
        if os.path.isdir(at("fasseg/original", version)):
            got = load("fasseg", at("fasseg/original", version), size=128)
            for part in ("train", "test"):
                for i, name in enumerate(got.get(f"{part}/name", [])):
                    close(got[f"{part}/image"][i], at("fasseg/original", version, name), 128)
                    other = name.replace("_RGB", "_Labels" if version == "V2" else "_labels")
                    equal(got[f"{part}/label"][i], nearest(reds(at("fasseg/original", version, other)), 128), name)
                    n += 1
    assert n == 2, f"{n} untouched pairs"


@case("helen: 12 faces, 11 classes", "helen-aligned")
def helen():
    got = load("helen", at("helen-aligned"), size=256)
    check(got, "train", 12, at("helen-aligned"), lambda name: grey(at("helen-aligned", name.replace("_img", "_label"))), 256, k=12)
    small = got["train/label"]
    assert {0, 1, 10} <= set(np.unique(small)) and small.max() == 10 and len(got["class_name"]) == 11
    assert sum(np.any(l == 8) for l in small) == 7, "the inner mouth shows in 7 of the 12 faces"
    whole = np.zeros(11) # the README weighs by pixels, and some faces have four times as many
    for name in got["train/name"]:
        whole += np.bincount(grey(at("helen-aligned", name.replace("_img", "_label"))).ravel(), minlength=11)
    for k, percent in enumerate([46.4, 23.6, 0.4, 0.4, 0.2, 0.2, 1.6, 0.4, 0.2, 0.7, 25.8]):
        assert abs(whole[k] * 100 / whole.sum() - percent) <= 0.051, f"the test's own reader: class {k}"


@case("nyu-depth-v2: 40 frames of 640 x 480 and 1,000 small ones; depth in metres", "nyu-depth-v2")
def nyu():
    for folder, n, size in (("data", 40, 240), ("small-160x120", 1000, 120)):
        root = at("nyu-depth-v2", folder)
        got = load("nyu-depth-v2", root, size=size)
        names = check(got, "train", n, root, lambda name: grey(os.path.join(root, "nyu_labels40", os.path.basename(name)[:-4] + ".png")), size, ignore=39)
        for i in some(n):
            depth = nearest(grey(os.path.join(root, "nyu_depths", os.path.basename(names[i])[:-4] + ".png")), size, outside=0)
            assert np.abs(got["train/depth"][i] - depth * (10 / 255)).max() < 1e-5, names[i]
        assert got["train/depth"].min() >= 18 * 10 / 255 - 1e-5 and got["train/depth"].max() <= 10.0 + 1e-5
        assert set(np.unique(got["train/label"])) <= {*range(39), 255} and len(got["class_name"]) == 39
    split = os.path.join(root, "train.txt")
    some_of = load("nyu-depth-v2", root, "--split", split, size=16)
    wanted = {line.strip() for line in open(split)} & {os.path.splitext(os.path.basename(n))[0] for n in names}
    assert {os.path.splitext(os.path.basename(n))[0] for n in some_of["train/name"]} == wanted, "the split file"


@case("seven-scenes: 6 frames, depth of 16 bits with holes", "seven-scenes")
def seven_scenes():
    got = load("seven-scenes", at("seven-scenes/data"), size=480)
    names = check(got, "train", 6, at("seven-scenes/data"), None, 480)
    for i, name in enumerate(names):
        want = nearest(np.asarray(Image.open(at("seven-scenes/data", name.replace("color.jpg", "depth.png")))).astype(float), 480, outside=0)
        assert np.abs(got["train/depth"][i] - want / 1000).max() < 1e-5, name
        assert 0.08 < np.mean(got["train/depth"][i] == 0) < 0.23 and got["train/depth"][i].max() < 3.6


@case("stanford-cars: 3,000 photos without labels, padded to squares", "stanford-cars")
def stanford():
    got = load("folder", at("stanford-cars/cars_train"), "--aspect", "pad", size=64)
    check(got, "unlabelled", 3000, at("stanford-cars/cars_train"), None, 64, "pad")
    assert "class_name" not in got and "train/image" not in got


finish()

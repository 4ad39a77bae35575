#!/usr/bin/env python3
"""import-data --format on small folders written here in the layouts of sets that cannot be shipped, and its options: merge,
split, limit, aspect, resize rule. Everything is compared with what was written.

Usage: check_data_layouts.py [PATH/TO/handsoff]; prints 'ok', 'not ok' or 'skip' and the name for each case."""

import json

from data_cases import *

rng = np.random.RandomState(5)


def picture(path, width, height, smooth=4):
    """A random photo, written as its ending says; smooth so that JPEG keeps it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    small = rng.randint(0, 256, (max(2, height // smooth), max(2, width // smooth), 3), np.uint8)
    Image.fromarray(small).resize((width, height), Image.BICUBIC).save(path, quality=92)
    return path


def label(path, width, height, values):
    """A label map of blocks."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    small = rng.choice(np.array(values, np.int64), (-(-height // 4), -(-width // 4)))
    a = np.kron(small, np.ones((4, 4), np.int64))[:height, :width]
    if path.endswith(".png"):
        Image.fromarray(a.astype(np.uint8)).save(path)
    return a


def folder_set(root, n, width=40, height=40, values=range(5), below=""):
    maps = []
    for i in range(n):
        picture(f"{root}/{below}images/p{i}.png", width, height)
        maps.append(label(f"{root}/{below}masks/p{i}.png", width, height, values))
    return maps


@case("celebamask-hq: masks of parts, later ones on top; test images by the mapping file; two names of the folder")
def celeba():
    parts = "skin nose eye_g l_eye r_eye l_brow r_brow l_ear r_ear mouth u_lip l_lip hair hat ear_r neck_l neck cloth".split()
    for masks in ("CelebAMask-HQ-mask-anno", "CelebAMaskHQ-mask-anno"):
        shutil.rmtree("celeba", ignore_errors=True)
        want = {}
        for number in (0, 7, 1999, 2000, 29999):
            picture(f"celeba/CelebA-HQ-img/{number}.jpg", 64, 64)
            os.makedirs(f"celeba/{masks}/{number // 2000}", exist_ok=True)
            whole = np.zeros((32, 32), np.uint8)
            for k, part in enumerate(parts, 1):
                if k == 1 or rng.rand() < 0.7:
                    y, x = rng.randint(0, 20, 2)
                    mask = np.zeros((32, 32), np.uint8)
                    mask[y:y + 12, x:x + 12] = 255
                    whole[mask > 0] = k
                    image = Image.fromarray(mask) if number == 7 else Image.fromarray(np.dstack([mask] * 3))
                    image.save(f"celeba/{masks}/{number // 2000}/{number:05d}_{part}.png")
            want[f"{number}.jpg"] = whole
        with open("celeba/CelebA-HQ-to-CelebA-mapping.txt", "w") as f:
            f.write("idx  orig_idx orig_file\n" + "".join(f"{i}    {o}  {o:06d}.jpg\n" for i, o in
                    ((0, 119613), (7, 182637), (1999, 182638), (2000, 162771), (29999, 202599))))
        got = load("celebamask-hq", "celeba", size=64)
        assert got["train/name"] == ["0.jpg", "7.jpg", "2000.jpg"] and got["test/name"] == ["1999.jpg", "29999.jpg"]
        for part in ("train", "test"):
            for i, name in enumerate(got[f"{part}/name"]):
                equal(got[f"{part}/label"][i], nearest(want[name], 64), name)
                close(got[f"{part}/image"][i], f"celeba/CelebA-HQ-img/{name}", 64)
    assert got["class_name"][17] == "neck" and len(got["class_name"]) == 19
    table = np.array([0, 1, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6, 6, 7, 0, 0, 0, 0, 0], np.uint8)
    merged = load("celebamask-hq", "celeba", "--merge", f"{MERGES}/faces_8.yml", size=64)
    equal(merged["train/label"], table[got["train/label"]], "merged to 8")
    assert merged["class_name"] == ["background", "skin", "nose", "eye", "brow", "ear", "mouth", "hair"]


@case("deepfashion-multimodal: parsing, 21 key points, visibility from the other file and in another order")
def deepfashion():
    names = [f"MEN-Denim-id_0000008{i}-01_7_additional" for i in range(4)] + ["WOMEN-Tees-id_1-02_1_front"]
    where, seen, maps = {}, {}, {}
    for n in names:
        picture(f"df/images/{n}.jpg", 30, 44)
        maps[n] = label(f"df/segm/{n}_segm.png", 30, 44, range(24))
        where[n], seen[n] = rng.randint(0, 30, (21, 2)), rng.randint(0, 3, 21)
        where[n][seen[n] == 2] = -1
    picture("df/images/no_parsing.jpg", 30, 44)
    os.makedirs("df/keypoints")
    with open("df/keypoints/keypoints_loc.txt", "w") as f:
        f.writelines(f"{n}.jpg " + " ".join(map(str, where[n].ravel())) + "\n" for n in names)
    with open("df/keypoints/keypoints_vis.txt", "w") as f:
        f.writelines(f"{n}.jpg " + " ".join(map(str, seen[n])) + "\n" for n in reversed(names))
    for aspect in ("pad", "crop", "squash"):
        got = load("deepfashion-multimodal", "df", "--aspect", aspect, size=48)
        assert got["train/name"] == [n + ".jpg" for n in sorted(names)]
        for i, n in enumerate(sorted(names)):
            equal(got["train/label"][i], nearest(maps[n], 48, aspect), n)
            close(got["train/image"][i], f"df/images/{n}.jpg", 48, aspect)
            want = points(np.c_[where[n], seen[n] == 0], 30, 44, 48, aspect)
            assert np.abs(got["train/keypoint"][i] - want).max() < 1e-4, f"{aspect}: points of {n}"
        assert np.any(got["train/keypoint"][:, :, 2] == 1) and len(got["keypoint_name"]) == 21
    assert got["class_name"][23] == "tie" and len(got["class_name"]) == 24


@case("nyu-depth-v2: the published HDF5 file of MATLAB 7.3")
def nyu():
    os.makedirs("nyu")
    images, depths = rng.randint(0, 256, (3, 3, 20, 12), np.uint8), rng.rand(3, 20, 12).astype(np.float32) * 9 + 0.7
    with h5py.File("nyu/nyu_depth_v2_labeled.mat", "w", userblock_size=512) as f:
        f["images"], f["depths"] = images, depths
        f["labels"] = rng.randint(0, 895, (3, 20, 12)).astype(np.uint16)
    got = load("nyu-depth-v2", "nyu", size=12)
    for i in range(3):
        a = images[i].transpose(2, 1, 0)
        equal(got["train/image"][i], np.asarray(Image.fromarray(a).resize((12, 12), Image.BILINEAR)), f"frame {i}")
        equal(got["train/depth"][i], nearest(depths[i].T, 12), f"depth {i}")
    assert "train/label" not in got and "class_name" not in got


@case("cityscapes: train and val, disparity and camera become metres, holes stay 0")
def cityscapes():
    want = {}
    for split, city, n in (("train", "aachen", 2), ("train", "zurich", 1), ("val", "lindau", 2)):
        for i in range(n):
            stem = f"{city}/{city}_{i:06d}_000019"
            picture(f"city/leftImg8bit/{split}/{stem}_leftImg8bit.png", 64, 32)
            a = label(f"city/gtFine/{split}/{stem}_gtFine_labelIds.png", 64, 32, range(34))
            Image.fromarray((a * 1000).astype(np.uint16)).save(f"city/gtFine/{split}/{stem}_gtFine_instanceIds.png")
            p = rng.randint(0, 3, (32, 64)) * rng.randint(1, 30000, (32, 64))
            for kind in ("disparity", "camera"):
                os.makedirs(f"city/{kind}/{split}/{city}", exist_ok=True)
            Image.fromarray(p.astype(np.uint16)).save(f"city/disparity/{split}/{stem}_disparity.png")
            fx = 2200.0 + 10 * i
            json.dump({"extrinsic": {"baseline": 0.209313, "pitch": 0.038}, "intrinsic": {"fx": fx, "fy": 2225.5}},
                      open(f"city/camera/{split}/{stem}_camera.json", "w"))
            with np.errstate(divide="ignore", invalid="ignore"):
                z = np.where(p > 1, 0.209313 * fx / ((p - 1) / 256.0), 0.0)
            want[f"leftImg8bit/{split}/{stem}_leftImg8bit.png"] = (a, z)
    got = load("cityscapes", "city", size=32)
    assert len(got["train/name"]) == 3 and len(got["test/name"]) == 2
    for part in ("train", "test"):
        for i, name in enumerate(got[f"{part}/name"]):
            a, z = want[name]
            equal(got[f"{part}/label"][i], nearest(a, 32), name)
            assert np.allclose(got[f"{part}/depth"][i], nearest(z, 32), rtol=1e-6), f"depth of {name}"
            close(got[f"{part}/image"][i], f"city/{name}", 32)
    merged = load("cityscapes", "city", "--merge", f"{MERGES}/cityscapes_8.yml", size=32)
    table = np.array([0] * 7 + [1] + [0] * 3 + [2] * 6 + [3] * 4 + [4] * 2 + [5] + [6] * 2 + [7] * 8, np.uint8)
    equal(merged["train/label"], table[got["train/label"]], "merged to 8")
    os.remove("city/camera/train/zurich/zurich_000000_000019_camera.json")
    refused("camera file", "cityscapes", "city")


@case("handsoff: image_N and image_maskN.npy, (H, W), (H, W, 1), (1, H, W), Fortran order, five element types, N in order")
def handsoff():
    forms = [lambda a: a.astype(np.uint8), lambda a: a.astype(np.int64)[..., None], lambda a: np.asfortranarray(a.astype(np.int32)),
             lambda a: a.astype(np.float32)[None], lambda a: a.astype(np.int16), lambda a: np.asfortranarray(a.astype(np.float64)[..., None])]
    maps = {}
    for i in range(12):
        picture(f"ho/image_{i}.{'jpg' if i % 2 else 'png'}", 24, 20)
        maps[i] = label("ho/x", 24, 20, range(8))
        np.save(f"ho/image_mask{i}.npy", forms[i % 6](maps[i]))
    got = load("handsoff", "ho", size=16)
    assert [n.split(".")[0] for n in got["train/name"]] == [f"image_{i}" for i in range(12)], got["train/name"]
    for i in range(12):
        equal(got["train/label"][i], nearest(maps[i], 16), f"image {i}")
    assert got["class_name"] == [f"class {k}" for k in range(8)]
    picture("ho2/train/image_0.png", 24, 20)
    np.save("ho2/train/image_mask0.npy", label("ho2/x", 24, 20, [0, 3]))
    picture("ho2/test/29949.jpg", 24, 20)
    np.save("ho2/test/image_mask29949.npy", label("ho2/x", 24, 20, [0, 4]))
    got = load("handsoff", "ho2", size=16)
    assert got["train/name"] == ["train/image_0.png"] and got["test/name"] == ["test/29949.jpg"] and len(got["class_name"]) == 5


@case("handsoff: latents.npy in both orders of its axes comes along, by the numbers of the images")
def latents():
    for n in (3, 5, 10): # a gap in the numbers: row i belongs to image i
        picture(f"lat/image_{n}.png", 16, 16)
        np.save(f"lat/image_mask{n}.npy", label("lat/x", 16, 16, [0, 1]))
    w = rng.randn(12, 6, 8).astype(np.float32)
    for a in (w, w.astype(np.float64), np.asfortranarray(w)):
        np.save("lat/latents.npy", a)
        equal(load("handsoff", "lat", size=16)["train/latent"], w[[3, 5, 10]], "(N, rows, width)")
    shutil.rmtree("lat")
    for n in range(4):
        picture(f"lat/image_{n}.png", 16, 16)
        np.save(f"lat/image_mask{n}.npy", label("lat/x", 16, 16, [0, 1]))
    np.save("lat/latents.npy", w[:4].transpose(1, 0, 2))
    equal(load("handsoff", "lat", size=16)["train/latent"], w[:4], "(rows, N, width)")
    np.save("lat/latents.npy", w[:3])
    refused(["latents.npy", "(3, 6, 8)", "4"], "handsoff", "lat")


@case("datasetgan: training_data/NAME_processed and testing_data/NAME_n_class")
def datasetgan():
    for i in range(3):
        picture(f"dg/training_data/car_20_processed/image_{i}.jpg", 32, 32)
        np.save(f"dg/training_data/car_20_processed/image_mask{i}.npy", label("dg/x", 32, 32, range(20)))
        picture(f"dg/testing_data/car_20_class/image_{i}.png", 32, 32)
        np.save(f"dg/testing_data/car_20_class/image_mask{i}.npy", label("dg/x", 32, 32, range(20)))
    got = load("datasetgan", "dg", size=16)
    assert got["train/label"].shape == (3, 16, 16) and got["test/label"].shape == (3, 16, 16) and len(got["class_name"]) == 20
    merged = load("datasetgan", "dg", "--merge", f"{MERGES}/datasetgan_car_20_to_12.yml", size=16)
    table = np.ones(20, np.uint8)
    for source, to in ((0, 0), (4, 2), (10, 3), (11, 4), (14, 5), (15, 6), (18, 7), (19, 8), (5, 9), (8, 10), (17, 11)):
        table[source] = to
    equal(merged["train/label"], table[got["train/label"]], "merged to 12")


@case("car-parts: version 1 counts from 0; the merge table has both")
def car_parts():
    for version in (1, 2):
        picture(f"cp{version}/JPEGImages/a.png", 40, 40)
        first = version - 1
        box = [[4, 4, 20, 4, 20, 20, 4, 20]]
        json.dump({"images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 40}],
                   "categories": [{"id": first + k, "name": f"part {k}"} for k in range(19)],
                   "annotations": [{"id": 1, "image_id": 1, "category_id": first + 18, "segmentation": box, "iscrowd": False}]},
                  open(f"cp{version}/annotations.json", "w"))
    one, two = load("car-parts", "cp1", size=40), load("car-parts", "cp2", size=40)
    equal(one["train/label"], two["train/label"], "both versions")
    assert one["train/label"][0, 10, 10] == 18 and one["train/label"][0, 30, 30] == 0 and one["class_name"][18] == "part 18"
    for root in ("cp1", "cp2"):
        got = load("car-parts", root, "--merge", f"{MERGES}/car_parts_10.yml", size=40)
        assert set(np.unique(got["train/label"])) == {0, 9} and got["class_name"][9] == "wheel", root


@case("folder: train and test, photos alone, palette masks; --limit, --split, --aspect, --resize")
def folders():
    maps = folder_set("f", 6, 40, 30, range(4), "train/")
    folder_set("f", 3, 40, 30, range(6), "test/")
    palette = Image.fromarray(maps[2].astype(np.uint8), "P")
    palette.putpalette([7, 9, 11] * 256)
    palette.save("f/train/masks/p2.png")
    got = load("folder", "f", size=20)
    assert got["train/image"].shape[0] == 6 and got["test/image"].shape[0] == 3 and len(got["class_name"]) == 6
    for i in range(6):
        equal(got["train/label"][i], nearest(maps[i], 20), f"mask {i}")
    assert load("folder", "f/train/images", size=20)["unlabelled/image"].shape[0] == 6
    few = load("folder", "f", "--limit", 2, size=20)
    equal(few["train/image"], got["train/image"][:2], "--limit"), equal(few["test/label"], got["test/label"][:2], "--limit")
    with open("split.txt", "w") as f:
        f.write("# chosen\ntrain/images/p4.png test\ntrain/images/p1.png\ntrain/images/p0.png unlabelled\nnot_there.png\n")
    chosen = load("folder", "f", "--split", "split.txt", size=20)
    assert chosen["train/name"] == ["train/images/p1.png"] and chosen["test/name"] == ["train/images/p4.png"]
    assert chosen["unlabelled/name"] == ["train/images/p0.png"] and "1 names in it are none" in chosen["said"], chosen["said"]
    json.dump({"train": {"p5": 0, "p3": 1}, "test": ["p1"]}, open("split.json", "w"))
    os.rename("f/test", "f_test")
    chosen = load("folder", "f", "--split", "split.json", size=20)
    assert [os.path.basename(n) for n in chosen["train/name"]] == ["p3.png", "p5.png"] and len(chosen["test/name"]) == 1
    for aspect in ("squash", "crop", "pad"):
        got = load("folder", "f", "--aspect", aspect, "--resize", "handsoff", size=24)
        for i in range(6):
            close(got["train/image"][i], f"f/train/images/p{i}.png", 24, aspect, Image.BICUBIC)
            equal(got["train/label"][i], nearest(maps[i], 24, aspect, corner=True), f"{aspect}: mask {i} as OpenCV")
    assert got["attributes"]["kind"] == "dataset" and got["attributes"]["format"] == "folder"
    assert sorted(got["attributes"]) == ["format", "kind", "schema"] and "checkpoint" not in got


finish()

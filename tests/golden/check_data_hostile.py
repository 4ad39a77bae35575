#!/usr/bin/env python3
"""import-data --format with wrong folders, missing and damaged files, odd images, full disks and killed processes: one message
that says what, where and what would be right, the exit status, and never a half-written file under its name.

Usage: check_data_hostile.py [PATH/TO/handsoff]; prints 'ok', 'not ok' or 'skip' and the name for each case."""

import json
import re
import resource
import signal
import time

from data_cases import *

rng = np.random.RandomState(9)
colours = lambda w=24, h=24: Image.fromarray(rng.randint(0, 256, (h, w, 3), np.uint8))
classes = lambda w=24, h=24, k=4: Image.fromarray(rng.randint(0, k, (h, w)).astype(np.uint8))
FORMATS = ("folder handsoff datasetgan car-parts celebamask-hq deepfashion-multimodal cityscapes camvid clothing-co-parsing fasseg "
           "helen nyu-depth-v2 seven-scenes face-keypoints").split()


def put(image, path, **how):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    image.save(path, **how)


def pairs(root, n=6, image=colours, label=classes):
    shutil.rmtree(root, ignore_errors=True)
    for i in range(n):
        put(image(), f"{root}/images/p{i}.png")
        put(label(), f"{root}/masks/p{i}.png")


@case("usage: unknown format, option, size, aspect; a missing word; status 2")
def usage():
    pairs("f")
    refused(["unknown format 'folde'", "did you mean folder"], "folde", "f", status=2)
    refused("--size", "folder", "f", size=5000, status=2)
    refused(["--aspect", "squash"], "folder", "f", "--aspect", "round", status=2)
    refused(["--resize", "sound"], "folder", "f", "--resize", "fast", status=2)
    refused("--limit", "folder", "f", "--limit", "0", status=2)
    refused("--colour", "folder", "f", "--colour", "red", status=2)
    refused(".h5", "folder", "f", out="out.png", status=2)
    status, _, err = command("import-data", "--format", "folder", "f")
    assert status == 2 and "OUT.h5" in err and len(err.strip().splitlines()) == 1, err
    assert command("help", "import-data")[1].count("\n  ") >= len(FORMATS)


@case("wrong folder: every format says what it expects and what is there; a folder that does not exist, a file")
def wrong_folder():
    os.makedirs("other")
    for name in ("readme.txt", "notes.txt"):
        open(f"other/{name}", "w").write("nothing of use")
    for form in FORMATS:
        err = refused("other", form, "other")
        assert re.search(r"expected|annotations\.json", err), err
        refused("no such folder" if form != "car-parts" else "nowhere", form, "nowhere")
    os.makedirs("empty")
    for form in FORMATS:
        refused("empty", form, "empty")
    refused("readme.txt", "folder", "other/readme.txt")


@case("half of the files missing: how many, the first of them, where they should be")
def missing():
    pairs("m", 10)
    for i in range(5):
        os.remove(f"m/masks/p{2 * i}.png")
    refused(["5 of the 10 images", "p0.png", "masks"], "folder", "m")
    pairs("m", 10)
    for i in range(5):
        os.remove(f"m/images/p{2 * i}.png")
    refused(["5 of the 10 labels", "images"], "folder", "m")
    for i in range(6):
        put(colours(), f"h/image_{i}.png")
        if i % 2:
            np.save(f"h/image_mask{i}.npy", np.zeros((24, 24), np.uint8))
    refused(["6 images", "3 masks"], "handsoff", "h")
    for i in range(6):
        put(colours(), f"c/CelebA-HQ-img/{i}.jpg")
        if i % 2:
            put(classes(k=2), f"c/CelebAMask-HQ-mask-anno/0/{i:05d}_skin.png")
    os.makedirs("c/CelebAMask-HQ-mask-anno/0", exist_ok=True)
    refused(["3 of the 6", "00000_"], "celebamask-hq", "c")
    for i in range(6):
        put(classes(), f"d/segm/x{i}_segm.png")
        os.makedirs("d/images", exist_ok=True)
        if i % 2:
            put(colours(), f"d/images/x{i}.jpg")
    refused(["3 of the 6", "x0"], "deepfashion-multimodal", "d")
    for i in range(4):
        put(colours(), f"s/frame-{i:06d}.color.jpg")
    refused(["depth", "frame-000000"], "seven-scenes", "s")
    os.makedirs("k/training")
    with open("k/training_frames_keypoints.csv", "w") as f:
        f.write("," + ",".join(map(str, range(136))) + "\n")
        f.writelines(f"a{i}.jpg," + ",".join(["5.0"] * 136) + "\n" for i in range(4))
    put(colours(), "k/training/a1.jpg")
    refused(["3 of the 4", "a0.jpg"], "face-keypoints", "k")
    os.makedirs("cp/JPEGImages")
    json.dump({"images": [{"id": 1, "file_name": "gone.jpg"}], "categories": [{"id": 1, "name": "a"}], "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9]]}]}, open("cp/annotations.json", "w"))
    refused("gone.jpg", "car-parts", "cp")


@case("label values outside the table: the file, the value, the pixel")
def values():
    pairs("v", 4)
    bad = np.zeros((24, 24), np.uint8)
    bad[5, 7] = 77
    put(Image.fromarray(bad), "v/masks/p2.png")
    merge = "classes:\n  - {name: a, colour: [1, 2, 3], ids: [0, 1]}\n  - {name: b, colour: [1, 2, 3], ids: [2, 3]}\n"
    open("four.yml", "w").write(merge)
    refused(["p2.png", "value 77", "x 7, y 5", "four.yml", "highest is 3"], "folder", "v", "--merge", "four.yml")
    shutil.rmtree("cv", ignore_errors=True)
    put(colours(), "cv/train/a.png"), put(Image.fromarray(bad), "cv/trainannot/a.png")
    refused(["a.png", "value 77", "highest is 11"], "camvid", "cv")
    put(colours(), "hv/image_0.png")
    for wrong, want in ((np.full((24, 24), 300), "300"), (np.full((24, 24), 1.5), "1.5"), (np.full((24, 24), -7), "-7")):
        np.save("hv/image_mask0.npy", wrong)
        refused(["image_mask0.npy", want], "handsoff", "hv")
    for text, want in (("classes: 3\n", "classes:"), ("classes:\n  - {name: a}\n", ":"), ("a: [\n", "not YAML"),
                       ("classes:\n  - {name: a, colour: [1, 2, 3], ids: [0]}\n  - {name: b, colour: [1, 2, 3], ids: [0]}\n", "listed twice")):
        open("bad.yml", "w").write(text)
        refused(["bad.yml", want], "folder", "v", "--merge", "bad.yml")
    refused(["none.yml", "cannot be opened"], "folder", "v", "--merge", "none.yml")
    open("none.txt", "w").write("q1\nq2\n")
    refused(["none.txt", "2 names"], "folder", "v", "--split", "none.txt")
    open("broken.json", "w").write('{"train": [')
    refused("broken.json:1", "folder", "v", "--split", "broken.json")
    open("word.txt", "w").write("p1.png trian\n")
    refused(["word.txt:1", "trian", "unlabelled"], "folder", "v", "--split", "word.txt")


@case("mask and image of different size: both files, both sizes")
def sizes():
    pairs("z", 3)
    put(classes(20, 24), "z/masks/p1.png")
    refused(["p1.png is 20 x 24", "24 x 24", "of one size"], "folder", "z")
    put(colours(32, 32), "zc/CelebA-HQ-img/0.jpg")
    put(classes(16, 20, 2), "zc/CelebAMask-HQ-mask-anno/0/00000_skin.png")
    refused(["16 x 20", "32 x 32", "same aspect"], "celebamask-hq", "zc")
    put(classes(16, 16, 2), "zc/CelebAMask-HQ-mask-anno/0/00000_hair.png")
    refused(["00000_hair.png", "16 x 20"], "celebamask-hq", "zc")


@case("photos in CMYK, 16 bits, grey, palette, with alpha, progressive: read as what they show")
def odd_photos():
    shutil.rmtree("o", ignore_errors=True)
    plain = Image.fromarray(np.kron(rng.randint(0, 256, (6, 6, 3), np.uint8), np.ones((4, 4, 1), np.uint8)))
    grey = plain.convert("L")
    put(plain.convert("CMYK"), "o/cmyk.jpg", quality=98)
    put(plain, "o/progressive.jpg", quality=95, progressive=True)
    put(grey, "o/grey.png"), put(grey, "o/grey.jpg", quality=95)
    put(plain.quantize(30), "o/palette.png")
    put(plain.convert("RGBA"), "o/alpha.png")
    put(plain, "o/bitmap.bmp")
    put(Image.fromarray((np.asarray(grey).astype(np.uint16) * 257)), "o/sixteen.png")
    got = load("folder", "o", size=24)
    assert len(got["unlabelled/name"]) == 8
    for i, name in enumerate(got["unlabelled/name"]):
        want = np.asarray(grey.convert("RGB") if name == "sixteen.png" else Image.open(f"o/{name}").convert("RGB")).astype(int)
        worst = np.abs(got["unlabelled/image"][i].astype(int) - want).max()
        assert worst <= {"cmyk.jpg": 2, "progressive.jpg": 1, "grey.jpg": 1}.get(name, 0), f"{name}: pixels differ by {worst}"


@case("labels in 16 bits, RGB, one bit, JPEG: refused with what a label is")
def odd_labels():
    for image, name, want in ((Image.fromarray(np.ones((24, 24), np.uint16)), "p1.png", "16 bits"), (colours(), "p1.png", "3 channels"),
                              (classes(k=2).point(lambda v: v * 255).convert("1"), "p1.png", "1 bits")):
        pairs("l", 3)
        put(image, f"l/masks/{name}")
        refused([f"masks/{name}", want, "8-bit grey or palette"], "folder", "l")
    pairs("l", 3)
    classes().save("l/masks/p1.png", "JPEG")
    refused(["masks/p1.png", "JPEG changes"], "folder", "l")


@case("damaged files: cut, empty, text, a folder in place of a file")
def damaged():
    pairs("b", 3)
    whole = open("b/images/p1.png", "rb").read()
    for content, want in ((whole[:len(whole) // 2], "complete"), (b"", "empty"), (b"hello, this is text", "neither a PNG nor")):
        open("b/images/p1.png", "wb").write(content)
        refused(["images/p1.png", want], "folder", "b")
    os.remove("b/images/p1.png")
    os.makedirs("b/images/p1.png")
    refused("images/p1.png", "folder", "b")
    put(colours(), "bj/a.jpg", quality=90)
    jpeg = open("bj/a.jpg", "rb").read()
    open("bj/a.jpg", "wb").write(jpeg[:len(jpeg) // 2])
    refused(["a.jpg", "complete"], "folder", "bj")
    put(colours(), "bn/image_0.png")
    np.save("bn/image_mask0.npy", np.zeros((24, 24), np.uint8))
    npy = open("bn/image_mask0.npy", "rb").read()
    for content, want in ((npy[:200], "cut off"), (npy[:9], "not a NumPy array"), (b"x" * 99, "not a NumPy array")):
        open("bn/image_mask0.npy", "wb").write(content)
        refused(["image_mask0.npy", want], "handsoff", "bn")
    np.save("bn/image_mask0.npy", np.zeros((24, 24), ">i4"))
    refused(["image_mask0.npy", ">i4"], "handsoff", "bn")
    np.save("bn/image_mask0.npy", {"a": 1})
    refused("image_mask0.npy", "handsoff", "bn")
    put(colours(), "bc/photos/0001.jpg")
    os.makedirs("bc/annotations/pixel-level")
    open("bc/annotations/pixel-level/0001.mat", "wb").write(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"\x0f\0\0\0\xff\xff\xff\x7f")
    refused("0001.mat", "clothing-co-parsing", "bc")
    os.makedirs("bm")
    open("bm/nyu_depth_v2_labeled.mat", "wb").write(b"\0" * 100)
    refused(["nyu_depth_v2_labeled.mat", "HDF5"], "nyu-depth-v2", "bm")


@case("disk: full from the start, full in between, no right to write, a folder at the name")
def disk():
    pairs("n", 40)
    free = os.statvfs(".").f_bavail * os.statvfs(".").f_frsize
    limit = lambda n: (lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (n, n))))
    refused(["never.h5", "File too large"], "folder", "n", size=256, preexec_fn=limit(4 << 20))
    os.makedirs("big")
    for i in range(2600):
        os.link("n/images/p0.png", f"big/{i:05d}.png")
    if free < 2600 * 3 * 4096 * 4096: # 131 GB
        refused(["never.h5", "GB free"], "folder", "big", size=4096)
    os.makedirs("never_folder.h5")
    status, _, err = command("import-data", "--format", "folder", "n", "never_folder.h5", "--size", 16)
    assert status == 1 and "it is a folder" in err, err
    os.rmdir("never_folder.h5")
    status, _, err = command("import-data", "--format", "folder", "n", "nowhere_at_all/x.h5", "--size", 16)
    assert status == 1 and "nowhere_at_all/x.h5" in err and "No such file" in err, err


def start(out, *options):
    return subprocess.Popen([PROGRAM, "import-data", "--format", "folder", "r", out, "--size", "512", *options],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@case("SIGKILL at any time: the same command goes on, and the file is the same to the bit; SIGINT: status 75")
def killed():
    for i in range(10):
        put(colours(64, 64), f"r/base{i}.jpg", quality=90)
        for j in range(1, 25):
            os.link(f"r/base{i}.jpg", f"r/more{i}_{j}.jpg")
    status, _, err = command("import-data", "--format", "folder", "r", "whole.h5", "--size", 512)
    assert status == 0, err
    whole = open("whole.h5", "rb").read()
    went_on, before = 0, 0
    taken = lambda: os.stat("again.h5.part").st_blocks * 512 if os.path.exists("again.h5.part") else 0
    for attempt in range(8):
        child = start("again.h5")
        while child.poll() is None and taken() < before + (45 << 20): # a quarter of the file more
            time.sleep(0.002)
        before = taken()
        if child.poll() is None:
            child.kill()
        err = child.communicate()[1]
        went_on += "goes on behind image" in err
        if child.returncode == 0:
            break
        assert not os.path.exists("again.h5"), "a half-written file under its name"
        assert child.returncode == -signal.SIGKILL, f"status {child.returncode}: {err}"
    else:
        status, _, err = command("import-data", "--format", "folder", "r", "again.h5", "--size", 512)
        assert status == 0, err
        went_on += "goes on behind image" in err
    assert went_on >= 1, "no attempt went on where another was killed"
    assert open("again.h5", "rb").read() == whole, "the file differs from one written in one go"
    assert not os.path.exists("again.h5.part")
    child = start("stopped.h5")
    while child.poll() is None and not (os.path.exists("stopped.h5.part") and os.stat("stopped.h5.part").st_blocks > 1 << 12):
        time.sleep(0.002)
    child.send_signal(signal.SIGINT)
    err = child.communicate()[1]
    assert child.returncode == 75 and "the same command goes on" in err, f"{child.returncode}: {err}"
    other = load("folder", "r", "--limit", 3, size=16, out="stopped.h5") # another request begins anew
    assert other["unlabelled/image"].shape == (3, 16, 16, 3) and not os.path.exists("stopped.h5.part")


@case("two processes on one file: the second is told so")
def two():
    child = start("both.h5")
    while child.poll() is None and not (os.path.exists("both.h5.part") and os.stat("both.h5.part").st_blocks > 1000):
        time.sleep(0.001)
    child.send_signal(signal.SIGSTOP)
    time.sleep(0.02)
    status, _, err = command("import-data", "--format", "folder", "r", "both.h5", "--size", 512)
    child.send_signal(signal.SIGCONT)
    child.communicate()
    assert status == 1 and "another process is writing it" in err, f"{status}: {err}"
    assert child.returncode == 0


finish()

#!/usr/bin/env python3
"""Small files of every format and variant that the readers of data sets take: what the fuzz targets begin from.
Usage: seeds.py FOLDER; makes FOLDER/png, jpeg, bmp, json, csv, mat, npy, yaml, hdf5, hdf5_bytes."""

import io
import json
import os
import struct
import sys
import zlib

import h5py
import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
RNG = np.random.RandomState(1)


def put(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_by_hand(kind, depth, interlaced, extra=b""):
    """9 x 5 pixels of any colour type; one row a filter."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]

    def rows(w, h):
        return b"".join(bytes([y % 5]) + RNG.bytes((w * channels * depth + 7) // 8) for y in range(h)) if w and h else b""

    adam7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    data = b"".join(rows((9 - x + dx - 1) // dx, (5 - y + dy - 1) // dy) for x, y, dx, dy in adam7) if interlaced else rows(9, 5)
    palette = chunk(b"PLTE", RNG.bytes(3 << min(depth, 8))) if kind == 3 else b""
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 5, depth, kind, 0, 0, interlaced)) + palette + extra +
            chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


def png(to):
    for kind, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            for interlaced in (0, 1):
                put(to, f"{kind}_{depth}_{interlaced}.png", png_by_hand(kind, depth, interlaced))
    extras = chunk(b"tRNS", b"\0\1") + chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tEXt", b"a\0b") + chunk(b"sRGB", b"\0")
    put(to, "extras.png", png_by_hand(0, 8, 0, extras))


def jpeg(to):
    rgb = Image.fromarray(RNG.randint(0, 255, (19, 23, 3), dtype=np.uint8))
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            put(to, f"{mode}_{int(progressive)}.jpg", encoded(rgb.convert(mode), format="JPEG", quality=60, progressive=progressive))
    for sampling in (0, 1, 2):
        put(to, f"sampling_{sampling}.jpg", encoded(rgb, format="JPEG", quality=90, subsampling=sampling))
    plain = encoded(Image.new("L", (16, 16), 90), format="JPEG", optimize=True)
    put(to, "restart.jpg", plain[:2] + b"\xff\xdd\0\4\0\1" + plain[2:])
    put(to, "exif.jpg", plain[:2] + b"\xff\xe1\0\10Exif\0\0" + plain[2:])


def bmp(to):
    rgb = RNG.randint(0, 255, (5, 7, 3), dtype=np.uint8)
    flat = encoded(Image.fromarray(rgb), format="BMP")
    put(to, "24.bmp", flat)
    put(to, "top_down.bmp", flat[:22] + struct.pack("<i", -5) + flat[26:])
    put(to, "32.bmp", b"BM" + struct.pack("<IIIIiiHHIIIIII", 0, 0, 54, 40, 3, 2, 1, 32, 0, 24, 0, 0, 0, 0) + RNG.bytes(24))
    put(to, "masks.bmp", b"BM" + struct.pack("<IIIIiiHHIIIIII", 0, 0, 66, 40, 3, 2, 1, 32, 3, 24, 0, 0, 0, 0) +
        struct.pack("<III", 0xff0000, 0xff00, 0xff) + RNG.bytes(24))
    put(to, "palette.bmp", encoded(Image.fromarray(rgb[..., 0]), format="BMP"))


def jsons(to):
    shape = [1, 1, 9, 1.5, 7, 8]
    for first in (0, 1):
        put(to, f"parts_{first}.json", json.dumps(dict(
            images=[dict(id=4, file_name="a.jpg", path="JPEGImages/a.jpg", width=2, height=2)],
            categories=[dict(id=first + i, name=n) for i, n in enumerate(("_background_", "wheel", "hood"))],
            annotations=[dict(id=i, image_id=4, category_id=first + 1 + i, segmentation=[shape, shape[::-1]], area=3.5,
                              bbox=[1, 1, 8, 7], iscrowd=False) for i in range(2)])))
    for name, counts in (("text", "121"), ("numbers", [1, 2, 1])):
        put(to, f"coco_{name}.json", json.dumps(dict(
            images=[dict(id=1, file_name="a.jpg", width=2, height=2)], categories=[dict(id=1, name="wheel")],
            annotations=[dict(id=1, image_id=1, category_id=1, segmentation=dict(size=[2, 2], counts=counts), area=2)])))
    put(to, "camera.json", json.dumps(dict(extrinsic=dict(baseline=0.209313, pitch=0.03), intrinsic=dict(fx=2262.52, fy=2265.3, u0=1096.9))))
    put(to, "split.json", json.dumps(dict(train={"0": "12", "1.png": 3}, test=["2", 5, "a/0.png"], unlabelled=[])))


def csv(to):
    row = ",".join(f"{i * 0.5}" for i in range(136))
    put(to, "faces.csv", "," + ",".join(map(str, range(136))) + f"\na.jpg,{row}\nb.jpg,{row}\n")
    put(to, "faces_crlf.csv", f"x\r\na.jpg,{row}\r\n")
    put(to, "loc.txt", "a.jpg " + " ".join(["-1"] * 40 + ["3.5e1", "7"]) + "\n")
    put(to, "vis.txt", "a.jpg " + " ".join("012" * 7) + "\nb.jpg " + " ".join("2" * 21) + "\n")
    put(to, "mapping.txt", "idx orig_idx orig_file\n0 119613 119613.jpg\n1 182700 182700.jpg\n")
    put(to, "split.txt", "# names\na.jpg train\ntraining/b.jpg test\n0 unlabelled\n1\n")


def mat(to):
    def element(kind, data):
        return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)

    def matrix(values, kind, code):
        return element(14, element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", *values.shape)) +
                       struct.pack("<HH4s", 1, 1, b"a") + element(code, values.T.tobytes()))

    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    maps = RNG.randint(0, 59, (5, 7)).astype(np.uint8)
    put(to, "plain.mat", head + matrix(maps, 9, 2))
    put(to, "double.mat", head + matrix(maps.astype("<f8"), 6, 9))
    squeezed = zlib.compress(matrix(maps, 9, 2))
    put(to, "compressed.mat", head + struct.pack("<II", 15, len(squeezed)) + squeezed)


def npy(to):
    for kind in ("u1", "i1", "u2", "i2", "i4", "u4", "i8", "u8", "f4", "f8", "?", ">i4", "f2"):
        for shape in ((3, 4), (3, 4, 1), (1, 3, 4), (2, 3, 2, 2)):
            for order in ("C", "F") if kind in ("u1", "f8") else ("C",):
                out = io.BytesIO()
                np.save(out, np.asarray(np.arange(np.prod(shape)).reshape(shape) % 5, kind, order=order))
                put(to, f"{kind.strip('>?')}_{len(shape)}_{shape[0]}_{order}_{'b' if '>' in kind else 'l'}.npy", out.getvalue())
    for version in ((2, 0), (3, 0)):
        out = io.BytesIO()
        np.lib.format.write_array(out, np.ones((2, 2), "u1"), version)
        put(to, f"version_{version[0]}.npy", out.getvalue())


def yaml(to):
    put(to, "config.yml", "name: a\nseed: 3\ndata:\n  size: 64\n  format: toy-faces\nhead: {hidden: [256, 32]}\nlabelled: [16, 50]\n")
    put(to, "alias.yml", "a: &x [1, 2]\nb: *x\nc: |\n  text\nd: 'e'\n? f\n: g\n")
    put(to, "merge.yml", "classes:\n  - {name: background, colour: [255, 255, 255], ids: [0, 1]}\n"
        "  - name: wheel\n    colour: [0, 1, 2]\n    v2: [19]\n    v1: [18]\nignore: [255]\n")


def hdf5_bytes(to):
    os.makedirs(to, exist_ok=True)
    text = h5py.string_dtype()
    for version in ("earliest", "latest"):
        with h5py.File(f"{to}/dataset_{version}.h5", "w", libver=version) as f:
            for part in ("train", "test"):
                f[f"{part}/image"] = np.ones((2, 4, 4, 3), "u1")
                f[f"{part}/label"] = np.ones((2, 4, 4), "u1")
                f[f"{part}/keypoint"] = np.ones((2, 1, 3), "f4")
            f.create_dataset("class_name", data=["a", "b"], dtype=text)
            f["palette"] = np.zeros((2, 3), "u1")
            f.create_dataset("keypoint_name", data=["nose"], dtype=text)
            f.attrs["schema"], f.attrs["kind"], f.attrs["list"] = 1.0, "dataset", np.arange(3)
        with h5py.File(f"{to}/odd_{version}.h5", "w", libver=version) as f:
            f.create_dataset("images", data=np.ones((1, 3, 4, 4), "u1"), chunks=(1, 3, 2, 2), compression="gzip", shuffle=True)
            f.create_dataset("depths", data=np.ones((1, 4, 4), "f4"), chunks=(1, 4, 4), fletcher32=True)
            f["w"] = np.ones((3, 2), "f2")
            f["truth"] = np.array([True])
            f["link"], f["far"] = h5py.SoftLink("/w"), h5py.ExternalLink("x.h5", "/w")
            f.create_dataset("fixed", data=np.array([b"abc", b"d"]))


def hdf5(to):
    """Programs for fuzz_hdf5.c: step, name, type, shape, sides, layout, filled, values."""
    names = {n: i for i, n in enumerate(
        "train/image train/label train/keypoint train/depth train/name test/image test/label class_name palette keypoint_name images "
        "depths shard score kept schema kind samples height width classes z_dim shard_size image label uncertainty latent index "
        "unlabelled unlabelled/image train conv.weight".split())}
    u8, i64, f32, f64, half, text = 0, 7, 10, 12, 18, 24

    def item(name, kind, *dim, layout=0, attribute=False, values=b"\1"):
        return bytes([0 if attribute else 2, names[name], kind, len(dim), *dim, layout, 0]) + values

    number = lambda name, value: item(name, f64, attribute=True, values=b"\0" + struct.pack("<d", value))
    strings = lambda name, n: item(name, text, n, values=b"abcdef\0" * 8)
    classes = strings("class_name", 2) + item("palette", u8, 2, 3)
    put(to, "dataset", b"\0" + classes + strings("keypoint_name", 1) + item("train/image", u8, 2, 4, 4, 3) + item("train/label", u8, 2, 4, 4) +
        item("train/keypoint", f32, 2, 1, 3) + strings("train/name", 2))
    put(to, "squeezed", b"\1" + item("train/image", u8, 2, 4, 4, 3, layout=5) + item("images", u8, 1, 3, 4, 4, layout=1) +
        item("depths", f32, 1, 4, 4, layout=2) + item("conv.weight", half, 2, 3))
    index = item("index", i64, 1, values=b"\0" + b"\0" * 8)
    put(to, "synthetic", b"\0" + b"".join(number(n, 1) for n in ("samples", "height", "width", "classes", "z_dim", "shard_size")) +
        number("kept", 0) + item("score", f32, 1) + item("kept", i64, 0) + strings("class_name", 1) + index)
    put(to, "types", b"\0" + b"".join(item(n, k, 2, attribute=k % 2 == 0) for n, k in zip(names, range(32))))
    put(to, "links", b"\0" + b"".join(bytes([7, i, (i * 5) % 32, i]) for i in range(12)))


def main(to):
    for make, name in ((png, "png"), (jpeg, "jpeg"), (bmp, "bmp"), (jsons, "json"), (csv, "csv"), (mat, "mat"), (npy, "npy"), (yaml, "yaml"),
                       (hdf5, "hdf5"), (hdf5_bytes, "hdf5_bytes")):
        make(os.path.join(to, name))


if __name__ == "__main__":
    main(sys.argv[1])

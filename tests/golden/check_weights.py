#!/usr/bin/env python3
"""import-weights and export-weights against PyTorch: checkpoints in every container are written with it and must come out
with the same numbers; imported networks must compute what a PyTorch implementation computes.

Usage: check_weights.py [PATH/TO/handsoff]; prints 'ok', 'not ok' or 'skip' and the name for each case."""

import collections
import json
import os
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import h5py
import numpy as np
import torch
from PIL import Image

import stylegan2_golden as sg2
import weights_files as wf
from weights_cases import *


def check_image(path, p, c):
    """handsoff's picture of seed 3 against PyTorch's, to one step of 255."""
    good("synth", "--weights", path, "--seeds", "3", "--out", "pictures")
    got = np.asarray(Image.open("pictures/seed0003.png")).astype(int)
    z = torch.from_numpy(np.random.RandomState(3).randn(1, c["z_dim"]))
    p = {k: v.double() for k, v in p.items()}
    w = sg2.mapping(p, c, z)
    image, _ = sg2.synthesis(p, c, w[:, None, :].expand(-1, 2 * int(np.log2(c["height"])) - 2, -1))
    want = np.trunc(np.clip(127.5 * image[0].numpy() + 128, 0, 255)).transpose(1, 2, 0).astype(int)
    assert got.shape == want.shape and np.abs(got - want).max() <= 1, f"pixels differ by {np.abs(got - want).max()}"
    assert want.std() > 5, "the picture is flat: nothing was compared"


def lpips_in_torch(kind, network, lins, a, b):
    """LPIPS v0.1 of two pictures (1, 3, H, W) in [-1, 1], after lpips/lpips.py."""
    import torch.nn.functional as F
    n = {k: v.double() for k, v in network.items()}
    shift, scale = (torch.tensor(v).double().reshape(1, 3, 1, 1) for v in ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)))
    cv = lambda x, i, **o: F.relu(F.conv2d(x, n[f"features.{i}.weight"], n[f"features.{i}.bias"], **o))

    def fire(x, i):
        s = cv(x, f"{i}.squeeze")
        return torch.cat([cv(s, f"{i}.expand1x1"), cv(s, f"{i}.expand3x3", padding=1)], 1)

    def taps(x):
        out, x = [], (x - shift) / scale
        if kind == "vgg16":
            for stage in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)):
                x = F.max_pool2d(x, 2) if out else x
                for i in stage:
                    x = cv(x, i, padding=1)
                out.append(x)
        elif kind == "alexnet":
            for i, o, pool in ((0, dict(stride=4, padding=2), 0), (3, dict(padding=2), 1), (6, dict(padding=1), 1), (8, dict(padding=1), 0), (10, dict(padding=1), 0)):
                x = cv(F.max_pool2d(x, 3, 2) if pool else x, i, **o)
                out.append(x)
        else:
            pool = lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = cv(x, 0, stride=2); out.append(x)
            x = fire(fire(pool(x), 3), 4); out.append(x)
            x = fire(fire(pool(x), 6), 7); out.append(x)
            x = fire(pool(x), 9); out.append(x)
            for i in (10, 11, 12):
                x = fire(x, i); out.append(x)
        return out

    total = 0.0
    for i, (u, v) in enumerate(zip(taps(a), taps(b))):
        u, v = (t / (t.norm(dim=1, keepdim=True) + 1e-10) for t in (u, v))
        total += float(((u - v) ** 2 * lins[i].double().reshape(1, -1, 1, 1)).sum(1).mean())
    return total


# ---- StyleGAN2 ------------------------------------------------------------------------------------------------------------


for name, save in (("zip", wf.save_zip), ("older form", wf.save_legacy), ("deflated zip", wf.save_deflated)):
    @case(f"rosinality, {name}: generator, average, discriminator, picture")
    def ros():
        save("ros.pt", ros_object())
        got, attributes = load("ros.pt")
        same(got, p)
        same(got, p, "generator_ema/")
        same(got, network(raw), "generator/")
        same(got, d, "discriminator/")
        assert attributes["kind"] in (b"generator", "generator") and attributes["channel_base"] == C["channel_base"]
        check_image("out.h5", p, C)


@case("rosinality: what was not taken is said")
def left():
    wf.save_zip("ros.pt", ros_object())
    assert "not taken: g_optim (1 tensor)" in good("import-weights", "ros.pt", "out.h5")


for protocol in (3, 4, 5): # 2 has no bytes type
    @case(f"NVIDIA .pkl, protocol {protocol}: G, G_ema, D, picture")
    def nvidia():
        wf.nvidia("n.pkl", collections.OrderedDict(G=raw, D=d, G_ema=p), protocol)
        got, _ = load("n.pkl")
        same(got, p)
        same(got, raw, "generator/")
        same(got, p, "generator_ema/")
        same(got, d, "discriminator/")
        check_image("out.h5", p, C)


@case("rectangular, as StyleGAN-Human")
def human():
    c = dict(C, height=32, width=16)
    q = wf.generator(c, 5)
    wf.nvidia("h.pkl", dict(G_ema=q), 4)
    got, attributes = load("h.pkl")
    same(got, q)
    assert attributes["height"] == 32 and attributes["width"] == 16
    check_image("out.h5", q, c)


@case("no noise planes and no average: drawn and estimated, the same twice")
def bare():
    tensors = {k: v for k, v in wf.ros_generator(p, C).items() if not k.startswith("noises.")}
    wf.save_legacy("bare.pt", dict(g_ema=tensors))
    text = good("import-weights", "bare.pt", "out.h5")
    assert "no noise planes" in text and "no average latent" in text, text
    got, _ = load("bare.pt")
    again, _ = load("bare.pt")
    assert all(np.array_equal(got[k], again[k]) for k in got)
    same(got, {k: v for k, v in network(p).items() if "noise_const" not in k})
    noise = np.concatenate([v.ravel() for k, v in got.items() if "noise_const" in k])
    assert abs(noise.mean()) < 0.15 and abs(noise.std() - 1) < 0.1
    g = torch.Generator().manual_seed(0)
    w = sg2.mapping({k: v.double() for k, v in p.items()}, C, torch.randn(20000, C["z_dim"], generator=g, dtype=torch.float64))
    error = np.abs(got["mapping.w_avg"] - w.mean(0).numpy()) / (w.std(0).numpy() / 100)
    assert error.max() < 5, f"the mean of w is {error.max()} standard errors off"


@case("ReStyle: the decoder, an average in rows; the encoder is left where it is not wanted")
def restyle(): # check_restyle.py has the encoders
    state = collections.OrderedDict(("decoder." + k, v) for k, v in wf.ros_generator(p, C).items())
    wf.save_zip("restyle.pt", dict(state_dict=state, latent_avg=p["mapping.w_avg"].repeat(6, 1), opts=dict(a=1)))
    assert "the file has no encoder" in good("import-weights", "restyle.pt", "out.h5")
    state["encoder.input_layer.0.weight"] = torch.zeros(64, 6, 3, 3)
    wf.save_zip("restyle.pt", dict(state_dict=state, latent_avg=p["mapping.w_avg"].repeat(6, 1), opts=dict(a=1)))
    text = good("import-weights", "restyle.pt", "out.h5", "--kind", "restyle-generator")
    assert "state_dict.encoder (1 tensor)" in text, text
    got, _ = load("restyle.pt", "--kind", "restyle-generator")
    same(got, {k: v for k, v in p.items() if k != "mapping.w_avg"})
    assert np.allclose(got["mapping.w_avg"], p["mapping.w_avg"], atol=1e-6)


@case("types and strides: f16, bf16, f64, integers, transposed, shared, stepped, big-endian arrays")
def types():
    q = wf.ros_generator(p, C)
    want = collections.OrderedDict(p)
    q["style.1.weight"] = q["style.1.weight"].half()
    want["mapping.fc0.weight"] = q["style.1.weight"].float()
    q["style.2.weight"] = q["style.2.weight"].bfloat16()
    want["mapping.fc1.weight"] = q["style.2.weight"].float()
    q["style.3.weight"] = q["style.3.weight"].double().t().contiguous().t()
    both = torch.randn(40)
    q["style.1.bias"], q["style.2.bias"] = both[3:13], both[13:33:2]
    want["mapping.fc0.bias"], want["mapping.fc1.bias"] = both[3:13].clone(), both[13:33:2].clone()
    q["style.3.bias"] = torch.arange(10)
    want["mapping.fc2.bias"] = torch.arange(10).float()
    q["conv1.conv.modulation.bias"] = torch.ones(1).expand(14)
    want["synthesis.b4.conv1.affine.bias"] = torch.ones(14)
    for save in (wf.save_zip, wf.save_legacy, wf.save_deflated):
        save("types.pt", dict(g_ema=q, latent_avg=p["mapping.w_avg"]))
        got, _ = load("types.pt")
        same(got, want)
    wf.save_big_endian("types.pt", dict(g_ema=wf.ros_generator(p, C), latent_avg=p["mapping.w_avg"]))
    same(load("types.pt")[0], p)
    np.savez("types.npz", **{k: v.numpy().astype(">f4") if i % 2 else np.asfortranarray(v.numpy()) for i, (k, v) in enumerate(p.items())})
    same(load("types.npz")[0], p)
    np.savez_compressed("types.npz", **{k: v.numpy() for k, v in p.items()})
    same(load("types.npz")[0], p)
    wf.safetensors("types.safetensors", collections.OrderedDict((k, v.half() if i % 3 else v) for i, (k, v) in enumerate(p.items())))
    same(load("types.safetensors")[0], {k: v.half() if i % 3 else v for i, (k, v) in enumerate(p.items())})


@case("10 GB: the older form, an archive, in bounded memory")
def large():
    elements = 2_700_000_000
    for write in (wf.write_huge_legacy, wf.write_huge_zip):
        write("huge.pt", wf.ros_generator(p, C), elements)
        assert os.stat("huge.pt").st_size > 10e9 and os.stat("huge.pt").st_blocks * 512 < 50e6, "not sparse"
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        got, _ = load("huge.pt")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        same(got, network(p))
        assert peak < max(before, 300 * 1024), f"{peak // 1024} MiB"
        os.remove("huge.pt")


@case("export: torch.load reads it, bit for bit; and back")
def export():
    wf.nvidia("n.pkl", dict(G_ema=p), 4)
    load("n.pkl")
    good("export-weights", "out.h5", "exported.pt")
    loaded = torch.load("exported.pt")
    want = wf.ros_generator(p, C)
    assert set(loaded) == {"g_ema", "latent_avg"} and set(loaded["g_ema"]) == set(want), set(loaded["g_ema"]) ^ set(want)
    for name, value in want.items():
        assert loaded["g_ema"][name].shape == value.shape and torch.equal(loaded["g_ema"][name], value), name
    assert torch.equal(loaded["latent_avg"], p["mapping.w_avg"])
    same(load("exported.pt")[0], p)


# ---- feature networks, ResNets, heads -------------------------------------------------------------------------------------

for kind, tensors in NETWORKS.items():
    @case(f"torchvision {kind}, with the package lpips's state, distances")
    def features():
        wf.save_zip("f.pth", tensors)
        got, attributes = load("f.pth")
        same(got, {k: v for k, v in tensors.items() if k.startswith("features.")})
        assert attributes["topology"] in (kind, kind.encode())
        slices = {"vgg16": {0: 1, 2: 1, 5: 2, 7: 2, 10: 3, 12: 3, 14: 3, 17: 4, 19: 4, 21: 4, 24: 5, 26: 5, 28: 5},
                  "alexnet": {0: 1, 3: 2, 6: 3, 8: 4, 10: 5},
                  "squeezenet1_1": {0: 1, 3: 2, 4: 2, 6: 3, 7: 3, 9: 4, 10: 5, 11: 6, 12: 7}}[kind]
        widths = [6, 6, 8, 10, 10, 12, 12] if kind == "squeezenet1_1" else [4, 5, 6, 7, 8]
        state = wf.lpips_state(tensors, slices, widths)
        wf.save_legacy("l.pth", state)
        got, _ = load("l.pth")
        same(got, {k: v for k, v in tensors.items() if k.startswith("features.")})
        lins = [state[f"lin{i}.model.1.weight"] for i in range(len(widths))]
        same(got, {f"lin{i}": v for i, v in enumerate(lins)})
        rng = np.random.RandomState(0)
        pictures = [rng.randint(0, 256, (67, 70, 3)).astype(np.uint8) for _ in range(2)]
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(f"{i}.png")
        a, b = (torch.from_numpy(x.astype(np.float64)).permute(2, 0, 1)[None] / 127.5 - 1 for x in pictures)
        got = float(good("lpips", "--weights", "out.h5", "0.png", "1.png"))
        want = lpips_in_torch(kind, tensors, lins, a, b)
        assert abs(got - want) < 2e-5 * want + 2e-6 and want > 0.01, f"distance {got}, PyTorch has {want}"


@case("LPIPS's published linear layers with networks of full width")
def published():
    folder = os.path.join(DATA, "weights/lpips")
    if not os.path.isdir(folder):
        return f"no {folder}"
    with open(os.path.join(folder, "expected.json")) as f:
        expected = json.load(f)
    for kind, short in (("vgg16", "vgg"), ("alexnet", "alex"), ("squeezenet1_1", "squeeze")):
        wf.save_zip("full.pth", REAL[kind]())
        for version in ("v0.0", "v0.1"):
            path = os.path.join(folder, version, short + ".pth")
            text = good("import-weights", "full.pth", "out.h5", "--lpips", path)
            assert f"LPIPS {version}" in text, text
            got, _ = load("full.pth", "--lpips", path)
            for name, about in expected[f"{version}/{short}.pth"].items():
                values = got[name.split(".")[0]].astype(np.float64)
                assert values.shape == (about["shape"][1],)
                assert np.allclose([values.min(), values.max(), values.sum()], [about["min"], about["max"], about["sum"]], rtol=2e-6)
                assert np.allclose(values[:4], about["first"], rtol=1e-6)
            assert (got["scale"] == 1).all() == (version == "v0.0")


@case("SqueezeNet with Caffe's names: as experiments/weights/squeezenet_to_h5.py has it")
def caffe():
    path = os.path.join(DATA, "weights/squeezenet1.1-features/squeezenet1.1_features_oihw.npz")
    if not os.path.exists(path):
        return f"no {path}"
    got, attributes = load(path)
    script = os.path.join(HERE, "../../experiments/weights/squeezenet_to_h5.py")
    subprocess.run([sys.executable, script, path, "script.h5"], check=True)
    with h5py.File("script.h5", "r") as f:
        names = []
        f.visititems(lambda n, item: names.append(n) if isinstance(item, h5py.Dataset) else None)
        assert sorted(names) == sorted(got) and all(np.allclose(f[n][()], got[n], rtol=1e-6) for n in names)
        assert all(f.attrs[k] == attributes[k] for k in ("bgr", "pool_ceil"))


for kind, third in (("50", 6), ("101", 23)):
    @case(f"ResNet-{kind} and DeepLabV3 on it")
    def resnets():
        tensors = wf.resnet(third, 2)
        tensors["fc.weight"], tensors["fc.bias"] = torch.zeros(5, 64), torch.zeros(5)
        wf.save_legacy("r.pth", tensors)
        got, attributes = load("r.pth")
        keep = {k: v for k, v in tensors.items() if not k.startswith("fc.") and not k.endswith("tracked")}
        same(got, {"backbone." + k: v for k, v in keep.items()})
        tensors = wf.deeplab(third, 2, 8)
        wf.save_zip("d.pth", dict(model_state_dict=tensors))
        got, attributes = load("d.pth")
        same(got, {k: v for k, v in tensors.items() if not k.startswith("aux") and not k.endswith("tracked")})
        assert attributes["classes"] == 8 and attributes["network"] in (f"deeplabv3_resnet{kind}", f"deeplabv3_resnet{kind}".encode())


@case("pixel classifiers: members in one head")
def heads():
    wf.nvidia("n.pkl", dict(G_ema=p), 4)
    good("import-weights", "n.pkl", "g.h5")
    channels = sum(2 * sg2.channels(C, r) for r in sg2.resolutions(C))
    members = [wf.classifier(channels, 7, 5, 4, seed) for seed in range(3)]
    for i, m in enumerate(members):
        wf.save_legacy(f"model_{i}.pth", m)
    good("import-weights", "model_0.pth", "model_1.pth", "model_2.pth", "head.h5", "--generator", "g.h5", "--size", "12x16")
    with h5py.File("head.h5", "r") as f:
        for name in ("layers.0.weight", "layers.2.running_var", "layers.3.bias", "layers.6.weight"):
            want = torch.cat([m["model_state_dict"]["module." + name] for m in members])
            assert np.array_equal(f[name][()], want.numpy()), name
        assert f.attrs["members"] == 3 and f.attrs["height"] == 12 and f["blocks/channels"][()].sum() == channels
    bad("--generator", "model_0.pth")
    wf.save_zip("model_1.pth", wf.classifier(channels, 6, 5, 4, 1))
    bad("is (6, ", "model_0.pth", "model_1.pth", "--generator", "g.h5")
    wf.save_zip("full.pth", wf.classifier(6080, 4, 3, 19, 1))
    good("import-weights", "full.pth", "head.h5")


@case("gan.init: a training begins from an imported checkpoint")
def init():
    wf.save_zip("ros.pt", ros_object())
    good("import-weights", "ros.pt", "init.h5")
    with open("init.yml", "w") as f:
        f.write("name: init\nseed: 3\nlabelled: 4\ndata: {format: toy_faces, size: 16, n_train: 4, n_test: 4}\n"
                "gan: {kimg: 0, z_dim: 12, w_dim: 10, channel_base: 96, channel_max: 14, mapping_layers: 3, batch: 4, init: init.h5}\n")
    status, out, err = command("run", "init.yml", "--stages", "import-data,train-gan")
    assert status == 0 and "68 of 68 tensors fit" in out + err, out + err


@case("--list: container, kind, types, shapes; nothing is written")
def listing():
    wf.save_legacy("list.pt", dict(g_ema=wf.ros_generator(p, C), half=torch.ones(2, 3).half(), count=torch.tensor(3)))
    before = set(os.listdir("."))
    out = good("import-weights", "--list", "list.pt")
    assert "kind rosinality" in out and "float16    (2, 3)  half" in out and "int64      ()  count" in out, out
    assert set(os.listdir(".")) == before
    latents = {"a.png": [np.ones((6, 10), np.float32), np.zeros((6, 10), np.float32)]}
    np.save("latents.npy", latents)
    assert "float32    (6, 10)  a.png.1" in good("import-weights", "--list", "latents.npy")


shutil.rmtree(work)
sys.exit(1 if failed else 0)

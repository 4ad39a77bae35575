#!/usr/bin/env python3
"""Encoders of pSp, e4e and ReStyle against PyTorch: checkpoints with random weights in the naming of the published code
are imported, and the program's inversion of pictures must give the latents and reconstructions that networks written
here with torch.nn.functional give. Widths are a quarter of the published ones; --full takes those.

Usage: check_restyle.py [PATH/TO/handsoff] [--full]; prints 'ok', 'not ok' or 'skip' and the name for each case."""

import argparse
import collections
import os
import shutil
import sys

FULL = "--full" in sys.argv
sys.argv = [word for word in sys.argv if word != "--full"]
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import stylegan2_golden as sg2
import weights_files as wf
from weights_cases import DATA, HERE, bad, case, command, failed, good, load, same, work

torch.set_num_threads(2)
UNITS = {"irse50": (3, 4, 14, 3), "resnet34": (3, 4, 6, 3)}
C, D = (64, 512) if FULL else (16, 24)


# ---- checkpoints ----------------------------------------------------------------------------------------------------------


class Tensors(collections.OrderedDict):
    """Random tensors by name."""

    def __init__(self, seed):
        super().__init__()
        self.g = torch.Generator().manual_seed(seed)

    def normal(self, name, shape, std, mean=0.0):
        self[name] = torch.randn(shape, generator=self.g) * std + mean

    def conv(self, name, O, I, k, bias=False):
        self.normal(name + ".weight", (O, I, k, k), 1.0 / (k * k * I) ** 0.5)
        if bias:
            self.normal(name + ".bias", (O,), 0.1)

    def norm(self, name, n):
        self.normal(name + ".weight", (n,), 0.1, 1.0)
        self.normal(name + ".bias", (n,), 0.1)
        self.normal(name + ".running_mean", (n,), 0.2)
        self[name + ".running_var"] = torch.rand(n, generator=self.g) + 0.5
        self[name + ".num_batches_tracked"] = torch.tensor(7)


def encoder(body, n_styles, inputs, pyramid=False, seed=1):
    """Tensors as models/encoders of the published code name them."""
    t = Tensors(seed)
    if body == "irse50":
        t.conv("input_layer.0", C, inputs, 3)
        t.norm("input_layer.1", C)
        t.normal("input_layer.2.weight", (C,), 0.1, 0.1)
    else:
        t.conv("conv1", C, inputs, 7)
        t.norm("bn1", C)
        t.normal("relu.weight", (C,), 0.1, 0.1)
    I, unit = C, 0
    for stage, units in enumerate(UNITS[body]):
        for _ in range(units):
            O, at = C << stage, f"body.{unit}."
            if body == "irse50":
                t.norm(at + "res_layer.0", I)
                t.conv(at + "res_layer.1", O, I, 3)
                t.normal(at + "res_layer.2.weight", (O,), 0.1, 0.1)
                t.conv(at + "res_layer.3", O, O, 3)
                t.norm(at + "res_layer.4", O)
                t.conv(at + "res_layer.5.fc1", O // 16, O, 1)
                t.conv(at + "res_layer.5.fc2", O, O // 16, 1)
                down = ("shortcut_layer.0", "shortcut_layer.1")
            else:
                t.conv(at + "conv1", O, I, 3)
                t.norm(at + "bn1", O)
                t.conv(at + "conv2", O, O, 3)
                t.norm(at + "bn2", O)
                down = ("downsample.0", "downsample.1")
            if I != O:
                t.conv(at + down[0], O, I, 1)
                t.norm(at + down[1], O)
            I, unit = O, unit + 1
    for k in range(n_styles):
        for j in range(4 + (0 if not pyramid or k < 3 else 1 if k < 7 else 2)):
            t.conv(f"styles.{k}.convs.{2 * j}", D, I if j == 0 else D, 3, bias=True)
        t.normal(f"styles.{k}.linear.weight", (D, D), 1.0)
        t.normal(f"styles.{k}.linear.bias", (D,), 0.1)
    if pyramid:
        t.conv("latlayer1", 8 * C, 4 * C, 1, bias=True)
        t.conv("latlayer2", 8 * C, 2 * C, 1, bias=True)
    return t


def checkpoint(decoder, c, encoder_tensors, opts, average):
    state = collections.OrderedDict(("encoder." + k, v) for k, v in encoder_tensors.items())
    state.update(("decoder." + k, v) for k, v in wf.ros_generator(decoder, c).items())
    return dict(state_dict=state, latent_avg=average, opts=opts)


# ---- the referee ----------------------------------------------------------------------------------------------------------


def norm(t, name, x):
    return F.batch_norm(x, t[name + ".running_mean"], t[name + ".running_var"], t[name + ".weight"], t[name + ".bias"], False, 0.1, 1e-5)


def irse_unit(t, at, x, stride):
    r = norm(t, at + "res_layer.0", x)
    r = F.prelu(F.conv2d(r, t[at + "res_layer.1.weight"], padding=1), t[at + "res_layer.2.weight"])
    r = norm(t, at + "res_layer.4", F.conv2d(r, t[at + "res_layer.3.weight"], stride=stride, padding=1))
    s = F.relu(F.conv2d(F.adaptive_avg_pool2d(r, 1), t[at + "res_layer.5.fc1.weight"]))
    r = r * torch.sigmoid(F.conv2d(s, t[at + "res_layer.5.fc2.weight"]))
    if at + "shortcut_layer.0.weight" in t:
        return r + norm(t, at + "shortcut_layer.1", F.conv2d(x, t[at + "shortcut_layer.0.weight"], stride=stride))
    return r + F.max_pool2d(x, 1, stride)


def basic_block(t, at, x, stride):
    y = F.relu(norm(t, at + "bn1", F.conv2d(x, t[at + "conv1.weight"], stride=stride, padding=1)))
    y = norm(t, at + "bn2", F.conv2d(y, t[at + "conv2.weight"], padding=1))
    if at + "downsample.0.weight" in t:
        x = norm(t, at + "downsample.1", F.conv2d(x, t[at + "downsample.0.weight"], stride=stride))
    return F.relu(y + x)


def head(t, k, x):
    j = 0
    while f"styles.{k}.convs.{j}.weight" in t:
        x = F.leaky_relu(F.conv2d(x, t[f"styles.{k}.convs.{j}.weight"], t[f"styles.{k}.convs.{j}.bias"], 2, 1))
        j += 2
    return F.linear(x.reshape(-1, D), t[f"styles.{k}.linear.weight"] / D**0.5, t[f"styles.{k}.linear.bias"])


def encode(t, body, e4e, n_styles, x):
    taps = {}
    if body == "irse50":
        x = F.prelu(norm(t, "input_layer.1", F.conv2d(x, t["input_layer.0.weight"], padding=1)), t["input_layer.2.weight"])
    else:
        x = F.prelu(norm(t, "bn1", F.conv2d(x, t["conv1.weight"], stride=2, padding=3)), t["relu.weight"])
    unit = 0
    for stage, units in enumerate(UNITS[body]):
        for k in range(units):
            stride = 2 if k == 0 and (body == "irse50" or stage > 0) else 1
            x = (irse_unit if body == "irse50" else basic_block)(t, f"body.{unit}.", x, stride)
            taps[unit] = x
            unit += 1
    levels = [x, x, x]
    if "latlayer1.weight" in t:
        for k, tap in ((1, 20), (2, 6)):
            side = F.conv2d(taps[tap], t[f"latlayer{k}.weight"], t[f"latlayer{k}.bias"])
            levels[k] = F.interpolate(levels[k - 1], side.shape[2:], mode="bilinear", align_corners=True) + side
    rows = [head(t, k, levels[0 if k < 3 else 1 if k < 7 else 2]) for k in range(n_styles)]
    return torch.stack([rows[0]] + [rows[0] + r if e4e else r for r in rows[1:]], 1)


def invert(p, c, t, body, e4e, cars, passes, average, images):
    """Latents and images after all passes; images (N, 3, H, W) of the encoder's size."""
    size = (192, 256) if cars else (256, 256)
    n_styles = average.shape[0]

    def seen(y):
        y = y[:, :, 64:448] if cars else y
        return F.adaptive_avg_pool2d(y, size)

    latent = average[None].expand(images.shape[0], -1, -1)
    y = seen(sg2.synthesis(p, c, average[None])[0]).expand(images.shape[0], -1, -1, -1)
    for _ in range(passes):
        x = torch.cat([images, y], 1) if passes > 1 else images
        latent = latent + encode(t, body, e4e, n_styles, x)
        image = sg2.synthesis(p, c, latent)[0]
        y = seen(image)
    return latent, image


# ---- cases ----------------------------------------------------------------------------------------------------------------


def picture(size, seed):
    """Something smooth with edges."""
    g = np.random.RandomState(seed)
    coarse = Image.fromarray(g.randint(0, 256, (9, 9, 3)).astype(np.uint8)).resize((size, size), Image.BICUBIC)
    out = np.asarray(coarse).copy()
    out[size // 4 : size // 2, size // 3 : size // 2] = g.randint(0, 256, 3)
    return out


def run(name, size, n, extra=()):
    """The program's latents and reconstructions of n pictures, which it reads as PNG."""
    os.makedirs(f"{name}/images"), os.makedirs(f"{name}/masks")
    pictures = [picture(size, seed) for seed in range(n)]
    for i, p in enumerate(pictures):
        Image.fromarray(p).save(f"{name}/images/{i}.png")
        Image.fromarray((p[:, :, 0] > 128).astype(np.uint8)).save(f"{name}/masks/{i}.png")
    with open(f"{name}.yml", "w") as f:
        f.write(f"name: {name}\nseed: 3\nlabelled: {n}\ndata: {{format: folder, dir: {name}, size: {size}}}\ngan: {{weights: out.h5}}\n"
                f"encoder: {{weights: out.h5, held_out: 1}}\nfinetune: {{cap: 0}}\ninvert: {{steps: 0}}\n"
                f"perceptual: {{weights: {HERE}/../../data/pretext/vgg_narrow.h5}}\n")
    status, out, err = command("run", f"{name}.yml", "--stages", "import-data,train-gan,train-encoder,finetune-encoder,invert", *extra)
    assert status == 0, out + err
    with h5py.File(f"runs/{name}/latents.h5", "r") as f:
        return [pictures[i] for i in f["index"][()]], f["w_init"][()], f["reconstruction_init"][()], f["w_plus"][()]


def compare(name, body, e4e, opts, inputs=6, pyramid=False, size=256, passes=5, save=wf.save_zip, words=(), n=1):
    c = dict(height=size, width=size, z_dim=D, w_dim=D, channel_base=32768 if FULL else 1024, channel_max=512 if FULL else 12, mapping_layers=2)
    n_styles, cars = 2 * int(np.log2(size)) - 2, "cars" in opts.get("dataset_type", "")
    decoder, t = wf.generator(c, 5), encoder(body, n_styles, inputs, pyramid)
    average = decoder["mapping.w_avg"][None].repeat(n_styles, 1)
    save(f"{name}.pt", checkpoint(decoder, c, t, argparse.Namespace(**opts) if save is wf.save_legacy else opts,
                                  average if inputs == 6 else decoder["mapping.w_avg"]))
    report = good("import-weights", f"{name}.pt", "out.h5", *words)
    os.remove(f"{name}.pt")
    assert ("IR-SE50" if body == "irse50" else "ResNet-34") in report and "not taken" not in report, report
    about = good("info", "out.h5")
    assert "encoder_network" in about and body in about and "encoder_iterations" in about, about
    pictures, w_init, made, w_plus = run(name, size, n)
    assert np.array_equal(w_init, w_plus), "no steps were asked for"
    crop = (lambda x: x[64:448]) if cars else (lambda x: x)
    shrunk = [Image.fromarray(crop(x)).resize((256, 192 if cars else 256), Image.BILINEAR) for x in pictures]
    images = torch.stack([torch.from_numpy(np.asarray(x).astype(np.float64) / 127.5 - 1).permute(2, 0, 1) for x in shrunk])
    f64 = lambda tensors: {k: v.double() for k, v in tensors.items()}
    with torch.no_grad():
        latent, image = invert(f64(decoder), c, f64(t), body, e4e, cars, passes, average.double(), images)
    moved, error = float((latent - average).abs().max()), float(np.abs(latent.numpy() - w_init).max())
    assert moved > 0.3, "the encoder says nothing"
    assert error < 1e-3 * float(latent.abs().max()), f"latents differ by {error}, largest {float(latent.abs().max())}"
    want = np.trunc(np.clip(127.5 * image.permute(0, 2, 3, 1).numpy() + 128, 0, 255)).astype(int)
    off = np.abs(want - made.astype(int))
    assert off.max() <= 2 and (off > 0).mean() < 0.02 and want.std() > 5, f"pixels differ by {off.max()}, {(off > 0).mean():.3f} of them"
    print(f"# {name}: latents move {moved:.2f}, differ by {error:.1e}; {(off > 0).mean():.1e} of the pixels differ, by {off.max()}")
    shutil.rmtree(f"runs/{name}"), shutil.rmtree(name)


@case("ReStyle, pSp: IR-SE50, five passes")
def faces():
    compare("faces", "irse50", False, dict(encoder_type="BackboneEncoder", dataset_type="ffhq_encode", input_nc=6, n_iters_per_batch=5, device=None), n=2)


@case("ReStyle, e4e: ResNet-34, cars: a wide input from 512 pixels, two passes, the older form with a Namespace")
def cars():
    compare("cars", "resnet34", True, dict(encoder_type="ResNetProgressiveBackboneEncoder", dataset_type="cars_encode", n_iters_per_batch=2),
            size=512, passes=2, save=wf.save_legacy)


@case("ReStyle, pSp: ResNet-34, without a number of passes")
def churches():
    compare("churches", "resnet34", False, dict(encoder_type="ResNetBackboneEncoder"))


@case("ReStyle, e4e: IR-SE50, two passes, without its type, --kind restyle-e4e")
def insisted():
    compare("insisted", "irse50", True, dict(n_iters_per_batch=2), passes=2, words=("--kind", "restyle-e4e"))


@case("pSp: IR-SE50 with a pyramid, one pass, an image larger than the input")
def psp():
    compare("psp", "irse50", False, dict(encoder_type="GradualStyleEncoder", start_from_latent_avg=True), 3, True, size=512, passes=1)


@case("e4e: IR-SE50 with a pyramid, one pass")
def e4e():
    compare("e4e", "irse50", True, dict(encoder_type="Encoder4Editing"), 3, True, passes=1)


@case("what does not fit is said in one message")
def wrong():
    c = dict(height=256, width=256, z_dim=D, w_dim=D, channel_base=1024, channel_max=12, mapping_layers=2)
    decoder, t = wf.generator(c, 5), encoder("resnet34", 14, 6)
    opts = dict(encoder_type="ResNetBackboneEncoder")

    def attempt(want, tensors, options=opts, average=decoder["mapping.w_avg"], words=()):
        wf.save_zip("wrong.pt", checkpoint(decoder, c, tensors, options, average))
        return bad(want, *words, "wrong.pt")

    without = lambda name: collections.OrderedDict((k, v) for k, v in t.items() if not k.startswith(name))
    changed = lambda name, v: collections.OrderedDict(t, **{name: v})
    attempt("does not say which heads", t, {})
    attempt("its encoder is a 'BackboneEncoderUsingLastLayerIntoW'", t, dict(encoder_type="BackboneEncoderUsingLastLayerIntoW"))
    attempt("missing 'state_dict.encoder.styles.13.convs.0.weight' (24, 128, 3, 3)".replace("24", str(D)).replace("128", str(8 * C)), without("styles.13"))
    attempt("missing 'state_dict.encoder.body.4.bn2.running_var'", without("body.4.bn2.running_var"))
    attempt("'state_dict.encoder.body.3.downsample.0.weight' is (1, 1, 1, 1), expected", changed("body.3.downsample.0.weight", torch.ones(1, 1, 1, 1)))
    attempt("unknown 'state_dict.encoder.styles.14.linear.bias'", changed("styles.14.linear.bias", torch.ones(D)))
    attempt("'latent_avg' has the shape (5, ", t, average=torch.zeros(5, D))
    attempt("holds nan", changed("relu.weight", torch.full((C,), float("nan"))))
    attempt("expected 'state_dict.encoder.input_layer.0.weight'", without("conv1"))
    text = attempt("--kind restyle-generator", changed("conv1.weight", torch.zeros(C, 4, 7, 7)))
    got, attributes = load("wrong.pt", "--kind", "restyle-generator")
    same(got, {k: v for k, v in decoder.items() if k != "mapping.w_avg"})
    assert "encoder_network" not in attributes and not [k for k in got if k.startswith("encoder/")]
    with open("wrong.yml", "w") as f:
        f.write("name: wrong\nlabelled: 2\ndata: {size: 256, n_train: 2, n_test: 2}\nencoder: {weights: out.h5}\n")
    status, out, err = command("run", "wrong.yml", "--stages", "import-data,train-encoder")
    assert status == 1 and "no encoder stands beside the generator" in err and len(err.strip().splitlines()) == 1, err
    wf.save_zip("right.pt", checkpoint(decoder, c, t, opts, decoder["mapping.w_avg"]))
    good("import-weights", "right.pt", "out.h5")
    status, out, err = command("run", "wrong.yml", "data.size=128", "--stages", "import-data,train-encoder")
    assert status == 1 and "encoder for images of 256x256" in err and "the generator makes 128x128" in err, err


shutil.rmtree(work)
sys.exit(1 if failed else 0)

"""Checkpoints as the field writes them, from networks with random weights of small width. Names and shapes follow the
original code bases; no class or file of theirs is used."""

import collections
import io
import math
import os
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import torch

import stylegan2_golden as sg2

FIR = torch.tensor([1.0, 3.0, 3.0, 1.0])
FIR = torch.outer(FIR, FIR) / 64.0


def random_like(rows, seed):
    """{name: float32 tensor} for stylegan2_golden's lists."""
    g = torch.Generator().manual_seed(seed)
    out = collections.OrderedDict()
    for name, shape, amplitude, offset in rows:
        out[name] = torch.randn(shape, generator=g) * (amplitude / 1.75) + offset
    return out


def generator(c, seed):
    p = random_like(sg2.generator_list(c), seed)
    p["mapping.w_avg"] = torch.randn(c["w_dim"], generator=torch.Generator().manual_seed(seed + 1))
    return p


def discriminator(c, seed):
    return random_like(sg2.discriminator_list(c), seed)


# ---- rosinality -----------------------------------------------------------------------------------------------------------


def ros_generator(p, c):
    """stylegan2-ada's tensors in rosinality's naming and shapes, with its FIR buffers."""
    out = collections.OrderedDict()
    for i in range(c["mapping_layers"]):
        out[f"style.{i + 1}.weight"] = p[f"mapping.fc{i}.weight"]
        out[f"style.{i + 1}.bias"] = p[f"mapping.fc{i}.bias"]
    out["input.input"] = p["synthesis.b4.const"][None]
    noise = 0
    for k, r in enumerate(sg2.resolutions(c)):
        convs = ["conv1"] if k == 0 else ["conv0", "conv1"]
        for j, conv in enumerate(convs):
            ours = f"synthesis.b{r}.{conv}."
            theirs = "conv1." if k == 0 else f"convs.{2 * k - 2 + j}."
            out[theirs + "conv.weight"] = p[ours + "weight"][None]
            if conv == "conv0":
                out[theirs + "conv.blur.kernel"] = FIR * 4
            out[theirs + "conv.modulation.weight"] = p[ours + "affine.weight"]
            out[theirs + "conv.modulation.bias"] = p[ours + "affine.bias"]
            out[theirs + "noise.weight"] = p[ours + "noise_strength"]
            out[theirs + "activate.bias"] = p[ours + "bias"]
            out[f"noises.noise_{noise}"] = p[ours + "noise_const"][None, None]
            noise += 1
        ours = f"synthesis.b{r}.torgb."
        theirs = "to_rgb1." if k == 0 else f"to_rgbs.{k - 1}."
        if k > 0:
            out[theirs + "upsample.kernel"] = FIR * 4
        out[theirs + "bias"] = p[ours + "bias"].reshape(1, 3, 1, 1)
        out[theirs + "conv.weight"] = p[ours + "weight"][None]
        out[theirs + "conv.modulation.weight"] = p[ours + "affine.weight"]
        out[theirs + "conv.modulation.bias"] = p[ours + "affine.bias"]
    return out


def ros_discriminator(p, c):
    R = c["height"]
    out = collections.OrderedDict()
    out["convs.0.0.weight"], out["convs.0.1.bias"] = p[f"b{R}.fromrgb.weight"], p[f"b{R}.fromrgb.bias"]
    i, r = 1, R
    while r > 4:
        out[f"convs.{i}.conv1.0.weight"], out[f"convs.{i}.conv1.1.bias"] = p[f"b{r}.conv0.weight"], p[f"b{r}.conv0.bias"]
        out[f"convs.{i}.conv2.0.kernel"] = FIR
        out[f"convs.{i}.conv2.1.weight"], out[f"convs.{i}.conv2.2.bias"] = p[f"b{r}.conv1.weight"], p[f"b{r}.conv1.bias"]
        out[f"convs.{i}.skip.0.kernel"] = FIR
        out[f"convs.{i}.skip.1.weight"] = p[f"b{r}.skip.weight"]
        i, r = i + 1, r // 2
    out["final_conv.0.weight"], out["final_conv.1.bias"] = p["b4.conv.weight"], p["b4.conv.bias"]
    out["final_linear.0.weight"], out["final_linear.0.bias"] = p["b4.fc.weight"], p["b4.fc.bias"]
    out["final_linear.1.weight"], out["final_linear.1.bias"] = p["b4.out.weight"], p["b4.out.bias"]
    return out


# ---- NVIDIA's persistent modules ------------------------------------------------------------------------------------------

persistence = types.ModuleType("torch_utils.persistence")


def _reconstruct_persistent_obj(meta):
    raise SystemExit("the test itself never loads such a file")


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj
sys.modules["torch_utils"] = types.ModuleType("torch_utils")
sys.modules["torch_utils.persistence"] = persistence
dnnlib_util = types.ModuleType("dnnlib.util")
sys.modules["dnnlib"], sys.modules["dnnlib.util"] = types.ModuleType("dnnlib"), dnnlib_util


class EasyDict(dict):
    pass


EasyDict.__module__, dnnlib_util.EasyDict = "dnnlib.util", EasyDict
SOURCE = "import os\n" + "# the source text of a module, which nobody may run\n" * 4000


class Persistent:
    """A module as torch_utils/persistence.py pickles it: its __dict__ beside its source text."""

    def __init__(self, tensors, buffers=("w_avg", "noise_const", "resample_filter")):
        state = dict(training=False, _backward_hooks=collections.OrderedDict(), img_resolution=64,
                     act_gain=np.float64(math.sqrt(2)), _init_kwargs=EasyDict(w_dim=8, nested=EasyDict(a=[1, 2.5, None])))
        own, inner = collections.OrderedDict(), collections.OrderedDict()
        for name, value in tensors.items():
            head, _, rest = name.partition(".")
            if rest:
                inner.setdefault(head, collections.OrderedDict())[rest] = value
            else:
                own[head] = value
        state["_parameters"] = collections.OrderedDict(
            (k, torch.nn.Parameter(v, requires_grad=True)) for k, v in own.items() if k not in buffers)
        state["_buffers"] = collections.OrderedDict((k, v) for k, v in own.items() if k in buffers)
        state["_modules"] = collections.OrderedDict((k, Persistent(v)) for k, v in inner.items())
        self.meta = EasyDict(type="class", version=6, module_src=SOURCE, class_name="Generator", state=state)

    def __reduce__(self):
        return persistence._reconstruct_persistent_obj, (self.meta,)


def with_filters(p):
    """The buffers that stylegan2-ada keeps beside the weights."""
    out = collections.OrderedDict(p)
    for name in p:
        if name.endswith("conv0.weight"):
            out[name.rsplit(".", 2)[0] + ".resample_filter"] = FIR
            out[name.rsplit(".", 1)[0] + ".resample_filter"] = FIR
        if name.endswith("noise_strength"):
            out[name] = p[name].reshape(())
    return out


def nvidia(path, networks, protocol):
    data = dict(training_set_kwargs=EasyDict(path="x"))
    data.update((k, Persistent(with_filters(v))) for k, v in networks.items())
    data["augment_pipe"] = Persistent({"p": torch.zeros([])})
    with open(path, "wb") as f:
        pickle.dump(data, f, protocol=protocol)


# ---- containers -----------------------------------------------------------------------------------------------------------


def save_zip(path, obj):
    torch.save(obj, path)


def save_legacy(path, obj):
    torch.save(obj, path, _use_new_zipfile_serialization=False)


def save_deflated(path, obj):
    plain = io.BytesIO()
    torch.save(obj, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info.filename))


def save_big_endian(path, obj):
    """An archive of float32 storages, as a big-endian machine writes it."""
    plain = io.BytesIO()
    torch.save(obj, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            data = source.read(info.filename)
            if "/data/" in info.filename:
                data = np.frombuffer(data, "<f4").byteswap().tobytes()
            if not info.filename.endswith("byteorder"):
                target.writestr(info.filename, data)
        target.writestr(source.infolist()[0].filename.split("/")[0] + "/byteorder", "big")


def safetensors(path, tensors):
    """The format is three lines; the package is not needed."""
    import json
    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, t in tensors.items():
        t = t.contiguous()
        raw = (t.view(torch.int16) if t.dtype == torch.bfloat16 else t).numpy().tobytes()
        header[name] = dict(dtype=names[t.dtype], shape=list(t.shape), data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class Storage:
    def __init__(self, key, numel):
        self.key, self.numel = key, numel


class Stored:
    """A tensor of such a storage."""

    def __init__(self, storage, shape):
        self.storage, self.shape = storage, tuple(shape)

    def __reduce__(self):
        stride = tuple(int(np.prod(self.shape[i + 1:])) for i in range(len(self.shape)))
        return torch._utils._rebuild_tensor_v2, (self.storage, 0, self.shape, stride, False, collections.OrderedDict())


class StoragePickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", torch.FloatStorage, obj.key, "cuda:0", obj.numel) + ((None,) if self.legacy else ())
        return None


def huge(tensors, elements):
    """A checkpoint's object with an optimiser's tensor of so many elements before the network; storages by key."""
    storages = [("0", elements, None)]
    network = collections.OrderedDict()
    for i, (name, t) in enumerate(tensors.items()):
        storages.append((str(i + 1), t.numel(), t))
        network[name] = Stored(Storage(str(i + 1), t.numel()), t.shape)
    return dict(g_optim=dict(state={0: Stored(Storage("0", elements), (elements,))}), g_ema=network), storages


def write_huge_legacy(path, tensors, elements):
    """Sparse: the large storage is a hole."""
    obj, storages = huge(tensors, elements)
    with open(path, "wb") as f:
        for value in (0x1950A86A20F9469CFC6C, 1001, dict(protocol_version=1001, little_endian=True, type_sizes={})):
            pickle.dump(value, f, protocol=2)
        pickler = StoragePickler(f, protocol=2)
        pickler.legacy = True
        pickler.dump(obj)
        pickle.dump([key for key, _, _ in storages], f, protocol=2)
        for _, n, tensor in storages:
            f.write(struct.pack("<q", n))
            if tensor is None:
                f.seek(4 * n, os.SEEK_CUR)
            else:
                f.write(tensor.numpy().tobytes())


def write_huge_zip(path, tensors, elements):
    """The same as a ZIP64 archive: sizes in the central directory, as PyTorch writes them."""
    import zlib
    obj, storages = huge(tensors, elements)
    buffer = io.BytesIO()
    StoragePickler(buffer, protocol=2).dump(obj)
    members = [("archive/data.pkl", buffer.getvalue(), len(buffer.getvalue()))]
    members += [(f"archive/data/{key}", None if t is None else t.numpy().tobytes(), 4 * n) for key, n, t in storages]
    directory = b""
    with open(path, "wb") as f:
        for name, data, size in members:
            at, crc = f.tell(), 0 if data is None else zlib.crc32(data)
            local = struct.pack("<HH", 1, 16) + struct.pack("<QQ", size, size)
            f.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0x21, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(name),
                                len(local)) + name.encode() + local)
            if data is None:
                f.seek(size, os.SEEK_CUR)
            else:
                f.write(data)
            extra = struct.pack("<HHQQQ", 1, 24, size, size, at)
            directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0x21, crc, 0xFFFFFFFF, 0xFFFFFFFF,
                                     len(name), len(extra), 0, 0, 0, 0, 0xFFFFFFFF) + name.encode() + extra
        at, n = f.tell(), len(members)
        f.write(directory)
        end = f.tell()
        f.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, n, n, len(directory), at))
        f.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
        f.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


# ---- other networks -------------------------------------------------------------------------------------------------------


def conv(out, name, O, I, k, g, bias=True):
    out[name + ".weight"] = torch.randn(O, I, k, k, generator=g)
    if bias:
        out[name + ".bias"] = torch.randn(O, generator=g)


def norm(out, name, C, g):
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        out[f"{name}.{leaf}"] = torch.rand(C, generator=g)
    out[name + ".num_batches_tracked"] = torch.tensor(7)


def vgg16(widths, seed=0):
    g = torch.Generator().manual_seed(seed)
    out, I = collections.OrderedDict(), 3
    stages = [(0, 0), (2, 0), (5, 1), (7, 1), (10, 2), (12, 2), (14, 2), (17, 3), (19, 3), (21, 3), (24, 4), (26, 4), (28, 4)]
    for index, stage in stages:
        conv(out, f"features.{index}", widths[stage], I, 3, g)
        I = widths[stage]
    out["classifier.0.weight"], out["classifier.0.bias"] = torch.zeros(3, I), torch.zeros(3)
    return out


def alexnet(widths, seed=0):
    g = torch.Generator().manual_seed(seed)
    out, I = collections.OrderedDict(), 3
    for (index, k), O in zip([(0, 11), (3, 5), (6, 3), (8, 3), (10, 3)], widths):
        conv(out, f"features.{index}", O, I, k, g)
        I = O
    return out


def squeezenet(first, fires, seed=0):
    """fires: (squeeze, expand) of features 3, 4, 6, 7, 9, 10, 11, 12."""
    g = torch.Generator().manual_seed(seed)
    out, I = collections.OrderedDict(), first
    conv(out, "features.0", first, 3, 3, g)
    for index, (s, e) in zip([3, 4, 6, 7, 9, 10, 11, 12], fires):
        conv(out, f"features.{index}.squeeze", s, I, 1, g)
        conv(out, f"features.{index}.expand1x1", e, s, 1, g)
        conv(out, f"features.{index}.expand3x3", e, s, 3, g)
        I = 2 * e
    return out


def lpips_state(network, slices, widths, seed=1):
    """The state of lpips.LPIPS: slices maps a feature's index to its slice."""
    g = torch.Generator().manual_seed(seed)
    out = collections.OrderedDict([("scaling_layer.shift", torch.zeros(1, 3, 1, 1)), ("scaling_layer.scale", torch.ones(1, 3, 1, 1))])
    for name, value in network.items():
        if name.startswith("features."):
            index, rest = name[len("features."):].split(".", 1)
            out[f"net.slice{slices[int(index)]}.{index}.{rest}"] = value
    for i, C in enumerate(widths):
        out[f"lin{i}.model.1.weight"] = torch.rand(1, C, 1, 1, generator=g)
        out[f"lins.{i}.model.1.weight"] = out[f"lin{i}.model.1.weight"]
    return out


def resnet(third, width, seed=0, prefix=""):
    g = torch.Generator().manual_seed(seed)
    out, I = collections.OrderedDict(), width
    conv(out, prefix + "conv1", width, 3, 7, g, False)
    norm(out, prefix + "bn1", width, g)
    for stage, blocks in enumerate((3, 4, third, 3)):
        C = width << stage
        for b in range(blocks):
            base = f"{prefix}layer{stage + 1}.{b}."
            for i, (o, c, k) in enumerate(((C, I, 1), (C, C, 3), (4 * C, C, 1))):
                conv(out, f"{base}conv{i + 1}", o, c, k, g, False)
                norm(out, f"{base}bn{i + 1}", o, g)
            if b == 0:
                conv(out, base + "downsample.0", 4 * C, I, 1, g, False)
                norm(out, base + "downsample.1", 4 * C, g)
            I = 4 * C
    return out


def deeplab(third, width, K, seed=0):
    g = torch.Generator().manual_seed(seed + 1)
    out, C, A = resnet(third, width, seed, "backbone."), 32 * width, 3
    for i in range(4):
        conv(out, f"classifier.0.convs.{i}.0", A, C, 1 if i == 0 else 3, g, False)
        norm(out, f"classifier.0.convs.{i}.1", A, g)
    conv(out, "classifier.0.convs.4.1", A, C, 1, g, False)
    norm(out, "classifier.0.convs.4.2", A, g)
    conv(out, "classifier.0.project.0", A, 5 * A, 1, g, False)
    norm(out, "classifier.0.project.1", A, g)
    conv(out, "classifier.1", A, A, 3, g, False)
    norm(out, "classifier.2", A, g)
    conv(out, "classifier.4", K, A, 1, g)
    out["aux_classifier.0.weight"] = torch.zeros(2, 2, 3, 3)
    return out


def classifier(C, h1, h2, K, seed):
    g = torch.Generator().manual_seed(seed)
    out = collections.OrderedDict()
    for i, (o, n) in ((0, (h1, C)), (3, (h2, h1)), (6, (K, h2))):
        out[f"module.layers.{i}.weight"], out[f"module.layers.{i}.bias"] = torch.randn(o, n, generator=g), torch.randn(o, generator=g)
        if i < 6:
            norm(out, f"module.layers.{i + 2}", o, g)
    return dict(model_state_dict=out)

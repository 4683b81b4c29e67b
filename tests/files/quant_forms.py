"""Quantised tensors in every published form, and the numbers that they stand for, by the published code of the form, rewritten for numpy:
  GPTQ                AutoGPTQ, auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py (forward), and GPTQModel's gptq_v2 without the added 1
  AWQ                 AutoAWQ, awq/utils/packing_utils.py (dequantize_gemm)
  compressed-tensors  compressed_tensors/compressors/quantized_compressors/{pack,naive}_quantized.py, quantization/lifecycle/forward.py
  FP8                 transformers/integrations/finegrained_fp8.py; OCP 8-bit Floating Point Specification for the numbers
"""
import json
import struct

import numpy as np

rng = np.random.default_rng(11)
TYPES = {np.float32: "F32", np.float16: "F16", np.int32: "I32", np.int64: "I64", np.int8: "I8", np.uint8: "F8_E4M3"}


class BF16:
    """Numbers of 16 bits that numpy lacks."""

    def __init__(self, a):
        u = a.astype(np.float32).view(np.uint32)
        self.u = ((u + 0x7fff + (u >> 16 & 1)) >> 16).astype(np.uint16)

    def numbers(self):
        return (self.u.astype(np.uint32) << 16).view(np.float32)


def numbers(a):
    return a.numbers() if isinstance(a, BF16) else a.astype(np.float32)


def write(path, tensors):
    head, at, data = {}, 0, []
    for name, t in tensors.items():
        a, kind = (t.u, "BF16") if isinstance(t, BF16) else (t, TYPES[t.dtype.type])
        raw = np.ascontiguousarray(a).tobytes()
        head[name] = {"dtype": kind, "shape": list(a.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + b"".join(data))


# ---- GPTQ ----
def pack_rows(q, bits):
    """(n, m) integers, `32 // bits` of a column in a word."""
    per = 32 // bits
    return sum(q[j::per].astype(np.uint32) << np.uint32(bits * j) for j in range(per)).view(np.int32)


def gptq(w, bits=4, group=128, sym=True, v2=False, order=None):
    n, k = w.shape
    group = k if group == -1 else group
    groups = -(-k // group)
    index = np.arange(k) // group
    if order is not None:
        index[order] = np.arange(k) // group
    q = rng.integers(0, 1 << bits, (k, n))
    middle = 1 << bits - 1
    zero = np.full((groups, n), middle) if sym else rng.integers(1, (1 << bits) + (bits == 4 and not v2), (groups, n))
    zero = np.minimum(zero, (1 << bits) - 1) if v2 else zero
    scale = np.abs(w).mean() * 2.5 / (1 << bits) * 2 * rng.uniform(0.5, 1.5, (groups, n))
    stored = zero if v2 else zero - 1
    return {"qweight": pack_rows(q, bits), "qzeros": pack_rows(stored.T, bits).T.copy(), "scales": scale.astype(np.float16),
            "g_idx": index.astype(np.int32)}


def gptq_weights(t, bits=4, v2=False, **_):
    wf = np.arange(0, 32, bits, dtype=np.int32)
    zeros = (t["qzeros"][:, :, None] >> wf[None, None, :]).astype(np.int16 if bits == 8 else np.int8)
    zeros = (zeros & (1 << bits) - 1).astype(np.int16)
    zeros = (zeros if v2 else zeros + 1).reshape(t["scales"].shape)
    weight = (t["qweight"][:, None, :] >> wf[None, :, None]).astype(np.int16 if bits == 8 else np.int8)
    weight = (weight & (1 << bits) - 1).astype(np.int16).reshape(-1, weight.shape[2])
    g = t["g_idx"].astype(np.int64)
    return (numbers(t["scales"])[g] * (weight - zeros[g]).astype(np.float32)).T.copy()


# ---- AWQ ----
AWQ_ORDER, AWQ_REVERSE = [0, 2, 4, 6, 1, 3, 5, 7], [0, 4, 1, 5, 2, 6, 3, 7]


def awq_pack(q):
    out = np.zeros((q.shape[0], q.shape[1] // 8), np.uint32)
    for i, j in enumerate(AWQ_ORDER):
        out |= q[:, j::8].astype(np.uint32) << np.uint32(4 * i)
    return out.view(np.int32)


def awq(w, group=128):
    n, k = w.shape
    group = k if group == -1 else group
    scale = np.abs(w).mean() * 0.3 * rng.uniform(0.5, 1.5, (k // group, n))
    return {"qweight": awq_pack(rng.integers(0, 16, (k, n))), "qzeros": awq_pack(rng.integers(0, 16, (k // group, n))),
            "scales": scale.astype(np.float16)}


def awq_weights(t, group=128, **_):
    shifts = np.arange(0, 32, 4, dtype=np.int32)
    iw = (t["qweight"][:, :, None] >> shifts).reshape(t["qweight"].shape[0], -1)
    iz = (t["qzeros"][:, :, None] >> shifts).reshape(t["qzeros"].shape[0], -1)
    back = np.arange(iz.shape[1]).reshape(-1, 8)[:, AWQ_REVERSE].reshape(-1)
    iw, iz = iw[:, back] & 15, iz[:, back] & 15
    size = iw.shape[0] // iz.shape[0]
    return ((iw - np.repeat(iz, size, 0)) * numbers(np.repeat(t["scales"], size, 0))).astype(np.float32).T.copy()


# ---- compressed-tensors ----
def pack_to_int32(value, bits, dim=1):
    value = (value.astype(np.int16) + (1 << bits - 1)).astype(np.uint8)
    value = value.T if dim == 0 else value
    per = 32 // bits
    value = np.pad(value, ((0, 0), (0, -value.shape[1] % per))).reshape(value.shape[0], -1, per).astype(np.uint32)
    packed = (value << np.arange(0, 32, bits, dtype=np.uint32)).sum(2).astype(np.uint32).view(np.int32)
    return packed.T.copy() if dim == 0 else packed


def unpack_from_int32(value, bits, shape, dim=1):
    per = 32 // bits
    value = value.T if dim == 0 else value
    out = np.zeros((value.shape[0], value.shape[1] * per), np.int32)
    for i in range(per):
        out[:, i::per] = value >> bits * i & (1 << bits) - 1
    out = out[:, :shape[1] if dim else shape[0]] - (1 << bits - 1)
    return out.T if dim == 0 else out


def compressed(w, bits=4, group=128, sym=True, packed=True, order=None, kind=BF16):
    n, k = w.shape
    group = k if group == -1 else group
    groups = -(-k // group)
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    q = rng.integers(low, high + 1, (n, k)).astype(np.int8)
    scale = np.abs(w).mean() * 5 / (1 << bits) * rng.uniform(0.5, 1.5, (n, groups))
    t = {"weight_scale": kind(scale) if kind is BF16 else scale.astype(kind)}
    if not sym:
        zero = rng.integers(low, high + 1, (n, groups)).astype(np.int8)
        t["weight_zero_point"] = pack_to_int32(zero, bits, 0) if packed else zero
    if order is not None:
        index = np.arange(k) // group
        index[order] = np.arange(k) // group
        t["weight_g_idx"] = index.astype(np.int32)
    if packed:
        return dict(t, weight_packed=pack_to_int32(q, bits), weight_shape=np.array([n, k], np.int64))
    return dict(t, weight=q)


def compressed_weights(t, bits=4, group=128, packed=True, **_):
    n, k = t["weight_shape"] if packed else t["weight"].shape
    q = unpack_from_int32(t["weight_packed"], bits, (n, k)) if packed else t["weight"].astype(np.int32)
    scale = numbers(t["weight_scale"])
    zero = np.zeros(scale.shape, np.int32)
    if "weight_zero_point" in t:
        zero = unpack_from_int32(t["weight_zero_point"], bits, scale.shape, 0) if packed else t["weight_zero_point"].astype(np.int32)
    g = t["weight_g_idx"] if "weight_g_idx" in t else np.arange(k) // (k if group == -1 else group)
    return scale[:, g] * (q - zero[:, g]).astype(np.float32)


# ---- FP8 ----
E4M3 = np.array([(-1) ** (c >> 7) * ((c & 7) * 2.0 ** -9 if c >> 3 & 15 == 0 else (8 + (c & 7)) * 2.0 ** ((c >> 3 & 15) - 10)) for c in range(256)],
                np.float32)


def fp8(w, form="block"):
    n, k = w.shape
    q = rng.integers(0, 256, (n, k)).astype(np.uint8)
    q[q & 0x7f == 0x7f] = 3
    shape = {"block": (-(-n // 128), -(-k // 128)), "channel": (n, 1), "tensor": ()}[form]
    scale = np.asarray(np.abs(w).mean() / 80 * rng.uniform(0.5, 1.5, shape), np.float32)
    if form == "block":
        return {"weight": q, "weight_scale_inv": scale}
    t = {"weight": q, "weight_scale": BF16(scale) if form == "channel" else scale}
    return dict(t, input_scale=np.float32(0.5).reshape(())) if form == "tensor" else t


def fp8_weights(t, form="block", **_):
    n, k = t["weight"].shape
    scale = t["weight_scale_inv"] if form == "block" else numbers(t["weight_scale"])
    if form == "block":
        scale = np.repeat(np.repeat(scale, 128, 0)[:n], 128, 1)[:, :k]
    return E4M3[t["weight"]] * scale


# ---- what config.json says ----
def gptq_config(bits=4, group=128, sym=True, v2=False, order=False):
    return {"bits": bits, "group_size": group, "sym": sym, "desc_act": order is not False, "quant_method": "gptq", "damp_percent": 0.01,
            **({"checkpoint_format": "gptq_v2"} if v2 else {})}


def compressed_config(bits=4, group=128, sym=True, packed=True, order=None, kind="int", strategy=None, **_):
    weights = {"num_bits": bits, "type": kind, "symmetric": sym, "strategy": strategy or ("channel" if group == -1 else "group"),
               "group_size": group if group > 0 else None, "actorder": "group" if order is not None else None, "dynamic": False}
    form = "pack-quantized" if packed else "float-quantized" if kind == "float" else "int-quantized"
    return {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": {"weights": weights, "targets": ["Linear"]}},
            "ignore": ["lm_head"], "quantization_status": "compressed", "kv_cache_scheme": None}

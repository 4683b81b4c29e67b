"""quant_files.py WORK: quantised checkpoints in every form, read by our reader; run by check_quant.

The weights that each form stands for are made by the published code of the form, rewritten for numpy:
  GPTQ                AutoGPTQ, auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py (forward), and GPTQModel's gptq_v2 without the added 1
  AWQ                 AutoAWQ, awq/utils/packing_utils.py (dequantize_gemm)
  compressed-tensors  compressed_tensors/compressors/quantized_compressors/{pack,naive}_quantized.py, quantization/lifecycle/forward.py
  FP8                 transformers/integrations/finegrained_fp8.py; OCP 8-bit Floating Point Specification for the numbers
"""
import json
import os
import struct
import subprocess
import sys

import numpy as np

sys.path.insert(0, "tests/oracle")
import net64

WORK, FULL = sys.argv[1], "--full" in sys.argv
LOGITS, TENSORS, DAEMON = "build/tests/e2e/logits", "build/tests/files/tensors", "build/bin/xversed"
CONTEXT = 1024  # of the program
# Heads of 48: leaves of o begin inside groups of 32, 64 and 128.
CONFIG = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=128, intermediate_size=384, num_hidden_layers=2,
              num_attention_heads=4, num_key_value_heads=2, head_dim=48, vocab_size=331, max_position_embeddings=1024, rms_norm_eps=1e-6,
              hidden_act="silu", tie_word_embeddings=False, torch_dtype="float16")
H, F, O, KV = 128, 384, 192, 96
MATRICES = {"self_attn.q_proj": (O, H), "self_attn.k_proj": (KV, H), "self_attn.v_proj": (KV, H), "self_attn.o_proj": (H, O),
            "mlp.gate_proj": (F, H), "mlp.up_proj": (F, H), "mlp.down_proj": (H, F)}
passed = failed = 0
rng = np.random.default_rng(11)
IDS = rng.integers(0, 331, 70).astype(np.int32)


def check(name, ok, *told):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAILED", name, *[str(t)[:500] for t in told])


# ---- files ----
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


def folder(name, tensors, quant, file="model.safetensors", beside=None, **more):
    path = f"{WORK}/{name}"
    os.makedirs(path, exist_ok=True)
    write(f"{path}/{file}", tensors)
    json.dump(dict(CONFIG, **({"quantization_config": quant} if quant is not None else {}), **more), open(path + "/config.json", "w"))
    if beside:
        json.dump(beside[1], open(f"{path}/{beside[0]}", "w"))
    return path


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


# ---- models ----
def gptq_config(bits=4, group=128, sym=True, v2=False, order=False):
    return {"bits": bits, "group_size": group, "sym": sym, "desc_act": order is not False, "quant_method": "gptq", "damp_percent": 0.01,
            **({"checkpoint_format": "gptq_v2"} if v2 else {})}


def compressed_config(bits=4, group=128, sym=True, packed=True, order=None, kind="int", strategy=None, **_):
    weights = {"num_bits": bits, "type": kind, "symmetric": sym, "strategy": strategy or ("channel" if group == -1 else "group"),
               "group_size": group if group > 0 else None, "actorder": "group" if order is not None else None, "dynamic": False}
    form = "pack-quantized" if packed else "float-quantized" if kind == "float" else "int-quantized"
    return {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": {"weights": weights, "targets": ["Linear"]}},
            "ignore": ["lm_head"], "quantization_status": "compressed", "kv_cache_scheme": None}


# name: maker, weights, its options, config, class of the matrices
FORMS = {
    "gptq-4-128": (gptq, gptq_weights, {}, gptq_config(), "int4"),
    "gptq-4-32-asym": (gptq, gptq_weights, dict(group=32, sym=False), gptq_config(group=32, sym=False), "uint4"),
    "gptq-4-64-v2": (gptq, gptq_weights, dict(group=64, sym=False, v2=True), gptq_config(group=64, sym=False, v2=True), "uint4"),
    "gptq-4-rows": (gptq, gptq_weights, dict(group=-1), gptq_config(group=-1), "int4"),
    "gptq-8-128": (gptq, gptq_weights, dict(bits=8), gptq_config(bits=8), "int8"),
    "gptq-8-32-asym": (gptq, gptq_weights, dict(bits=8, group=32, sym=False), gptq_config(bits=8, group=32, sym=False), "uint8"),
    "gptq-4-act-order": (gptq, gptq_weights, dict(group=64, sym=False, order=True), gptq_config(group=64, sym=False, order=True), "int8,uint4"),
    "gptq-8-act-order": (gptq, gptq_weights, dict(bits=8, group=32, order=True), gptq_config(bits=8, group=32, order=True), "int8"),
    "awq-64": (awq, awq_weights, dict(group=64), {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm"},
               "uint4"),
    "awq-rows": (awq, awq_weights, dict(group=-1), {"quant_method": "awq", "bits": 4, "group_size": -1, "zero_point": True}, "uint4"),
    "packed-4-64": (compressed, compressed_weights, dict(group=64), compressed_config(group=64), "int4,uint4"),
    "packed-4-32-asym": (compressed, compressed_weights, dict(group=32, sym=False), compressed_config(group=32, sym=False), "uint4"),
    "packed-4-act-order": (compressed, compressed_weights, dict(group=32, order=True), compressed_config(group=32, order=True), "int8,int4"),
    "packed-8-rows": (compressed, compressed_weights, dict(bits=8, group=-1), compressed_config(bits=8, group=-1), "int8"),
    "int8-rows": (compressed, compressed_weights, dict(bits=8, group=-1, packed=False, kind=np.float32),
                  compressed_config(bits=8, group=-1, packed=False), "int8"),
    "int8-asym": (compressed, compressed_weights, dict(bits=8, group=-1, packed=False, sym=False),
                  compressed_config(bits=8, group=-1, packed=False, sym=False), "uint8"),
    "fp8-block": (fp8, fp8_weights, {}, {"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e4m3", "activation_scheme": "dynamic"},
                  "int8"),
    "fp8-channel": (fp8, fp8_weights, dict(form="channel"),
                    compressed_config(bits=8, group=-1, packed=False, kind="float"), "int8"),
    "fp8-tensor": (fp8, fp8_weights, dict(form="tensor"), {"quant_method": "fp8", "activation_scheme": "static"}, "int8"),
}
RANKS = {"gptq-4-128": 3, "gptq-4-32-asym": 4, "gptq-8-32-asym": 2, "gptq-4-act-order": 3, "awq-64": 4, "packed-4-act-order": 2, "int8-rows": 3}


def plain(seed=5):
    """All tensors as f16 numbers; large enough that every part matters."""
    r = np.random.default_rng(seed)
    out = {"model.embed_tokens.weight": r.normal(0, 1, (331, H)), "model.norm.weight": r.normal(1, 0.3, H), "lm_head.weight": r.normal(0, 0.3, (331, H))}
    for i in range(2):
        at = f"model.layers.{i}."
        out.update({at + "input_layernorm.weight": r.normal(1, 0.3, H), at + "post_attention_layernorm.weight": r.normal(1, 0.3, H)})
        out.update({at + m + ".weight": r.normal(0, s[1] ** -0.5, s) for m, s in MATRICES.items()})
    return {k: v.astype(np.float16) for k, v in out.items()}


def quantised(make, options, skip=()):
    """Tensors with the matrices in a form, and those of each matrix."""
    out, parts = plain(), {}
    for i in range(2):
        orders = {H: rng.permutation(H), O: rng.permutation(O), F: rng.permutation(F)}
        for m, (n, k) in MATRICES.items():
            name = f"model.layers.{i}.{m}"
            if name in skip:
                continue
            more = dict(options, order=orders[k]) if options.get("order") else options
            parts[name] = make(out.pop(name + ".weight").astype(np.float32), **more)
            out.update({f"{name}.{end}": t for end, t in parts[name].items()})
    return out, parts


def logits(path, quant, ranks=1):
    command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks > 1 else []
    r = subprocess.run(command + [LOGITS, path, "f32", "48", quant], input=IDS.tobytes(), capture_output=True)
    check(f"{path} {quant}: the model runs", r.returncode == 0, r.stderr.decode())
    return np.frombuffer(r.stdout, np.float32).reshape(-1, 331) if r.returncode == 0 else np.zeros((len(IDS), 331), np.float32)


def found(path):
    r = subprocess.run([TENSORS, path, "100"], capture_output=True)
    check(f"{path} is read", r.returncode == 0, r.stderr)
    out, at, data = {}, 0, r.stdout
    while at < len(data):
        end = data.index(b"\n", at)
        name, kind, shape, size = data[at:end].decode().split("\t")
        out[name] = (kind, shape, data[end + 1:end + 1 + int(size)])
        at = end + 1 + int(size)
    return out


def weights_class(path):
    r = subprocess.run([DAEMON, path, "--dry-run", "--json", "--device", "cpu"], capture_output=True)
    return json.loads(r.stdout)["numerics_class"].split("/")[1] if r.returncode == 0 else r.stderr.decode()


def spread(a, exact):
    return np.sqrt(((a - exact) ** 2).mean()) / exact.std()


def with_int8_inputs(full):
    """What the class itself costs: the same weights in float64, inputs of the layers' products as integers, 32 with one scale."""
    def rounded(x, w, name):
        g = x.reshape(len(x), -1, 32)
        scale = np.abs(g).max(-1, keepdims=True) / 127
        x = (np.rint(g / np.where(scale, scale, 1)) * scale).reshape(x.shape)
        return x @ w[name + ".weight"].T
    exact, net64.linear = net64.linear, rounded
    out = net64.forward(CONFIG, {k: v.astype(np.float64) for k, v in full.items()}, IDS, CONTEXT)
    net64.linear = exact
    return out


def form(name):
    make, back, options, config, kind = FORMS[name]
    tensors, parts = quantised(make, options)
    path = folder(name, tensors, config)
    want = {k: back(t, **options) for k, t in parts.items()}
    got = found(path)
    wrong = [k for k, w in want.items() if got.get(k + ".weight", (0, 0, b""))[2] != w.astype(np.float32).tobytes()]
    check(f"{name}: exact weights", not wrong, wrong)
    check(f"{name}: no other tensors", len(got) == len(plain()), got.keys())
    full = {k: v.astype(np.float32) for k, v in plain().items()}
    full.update({k + ".weight": w.astype(np.float32) for k, w in want.items()})
    exact = net64.forward(CONFIG, {k: v.astype(np.float64) for k, v in full.items()}, IDS, CONTEXT)
    as_numbers = logits(path, "none")
    check(f"{name}: f32 numbers", logits(folder(name + "-full", full, None), "none").tobytes() == as_numbers.tobytes())
    r = subprocess.run([DAEMON, "--convert", path, f"{WORK}/{name}-converted", "-q", "f32"], capture_output=True)
    check(f"{name}: converts", r.returncode == 0, r.stderr)
    check(f"{name}: converted, the same numbers", logits(f"{WORK}/{name}-converted", "none").tobytes() == as_numbers.tobytes())
    auto, held = logits(path, "auto"), weights_class(path)
    off, bound = spread(auto, exact), spread(with_int8_inputs(full), exact)
    print(f"  {name:20s} {held:24s} logits off by {off:.4f} of their spread (the class {bound:.4f}, f32 {spread(as_numbers, exact):.1e})")
    check(f"{name}: logits", off < 1.5 * bound, off, bound)
    check(f"{name}: f32 logits", spread(as_numbers, exact) < 1e-5)
    check(f"{name}: class", held == kind + "+f16", held, kind)
    for n in range(2, 5) if FULL else [RANKS[name]] if name in RANKS else []:
        check(f"{name}: {n} ranks, same bits", logits(path, "auto", n).tobytes() == auto.tobytes())


def refused(name, tensors, quant, *parts, program=(TENSORS,), beside=None):
    """One line that names what is wrong, and no other end than a refusal."""
    path = folder("hostile", tensors, quant, beside=beside)
    r = subprocess.run([program[0], path, *program[1:]], input=IDS.tobytes(), capture_output=True)
    told = r.stderr.decode().strip()
    check(f"refused: {name}", r.returncode == 66 and all(p in told for p in parts) and "\n" not in told, r.returncode, told)
    if beside:
        os.remove(f"{path}/{beside[0]}")


Q = "model.layers.0.self_attn.q_proj."


def hostile_tensors():
    base, _ = quantised(gptq, dict(group=64, sym=False, order=True))
    config = gptq_config(group=64, sym=False)

    def changed(end, t):
        out = {k: v for k, v in base.items() if k != Q + end}
        return out if t is None else dict(out, **{Q + end: t})

    index = base[Q + "g_idx"].copy()
    index[5] = 40
    low = base[Q + "g_idx"].copy()
    low[5] = -2
    scales = base[Q + "scales"].copy()
    scales[1, 3] = np.nan
    for name, end, t, *parts in [
            ("a group beyond the last", "g_idx", index, "g_idx", "column 5 is in group 40", "groups 0 to 1"),
            ("a negative group", "g_idx", low, "column 5 is in group -2"),
            ("groups of another length", "g_idx", index[:-1], "g_idx has shape [127]", "must be [128]"),
            ("groups as floats", "g_idx", index.astype(np.float32), "g_idx has type F32", "i32"),
            ("no scales", "scales", None, "q_proj.scales is missing", "q_proj.qweight"),
            ("no zero points", "qzeros", None, "q_proj.qzeros is missing"),
            ("scales of another shape", "scales", scales[:, :-1], "scales has shape [2, 191]", "must be [2, 192]"),
            ("another number of groups", "scales", np.vstack([scales, scales]), "4 groups", "groups of 64"),
            ("scales as integers", "scales", base[Q + "scales"].astype(np.int32), "scales has type I32"),
            ("no groups", "scales", scales[:0], "0 groups"),
            ("a scale that is NaN", "scales", scales, "the scale of row 3, group 1, is nan", "damaged"),
            ("zero points of another shape", "qzeros", base[Q + "qzeros"][:, :-1], "qzeros has shape [2, 23]"),
            ("zero points as floats", "qzeros", base[Q + "qzeros"].astype(np.float32), "qzeros has type F32"),
            ("weights as a vector", "qweight", base[Q + "qweight"].reshape(-1), "qweight has shape [3072]", "matrix"),
            ("weights as floats", "qweight", base[Q + "qweight"].astype(np.float32), "qweight has type F32"),
            ("no weights", "qweight", base[Q + "qweight"][:0], "qweight has shape [0, 192]")]:
        refused(name, changed(end, t), config, *parts)
    refused("a scale that is NaN, while loading", changed("scales", scales), config, "the scale of row 3", program=(LOGITS, "f32", "8", "auto"))
    refused("rows of another number", changed("qweight", base[Q + "qweight"][:, :-8]), config, "q_proj")
    refused("no config", base, None, "no \"quantization_config\"", "quantize_config.json")

    packed, _ = quantised(compressed, dict(group=32, sym=False))
    shape = Q + "weight_shape"
    for name, more, *parts in [("a shape of the wrong size", {shape: np.array([192, 120], np.int64)}, "q_proj.weight_packed has shape [192, 16]"),
                               ("a negative shape", {shape: np.array([-1, 128], np.int64)}, "q_proj"),
                               ("a huge shape", {shape: np.array([2 ** 62, 2 ** 62], np.int64)}, "q_proj"),
                               ("a shape of three", {shape: np.array([192, 128, 1], np.int64)}, "weight_shape has shape [3]"),
                               ("a scale of another shape", {Q + "weight_scale": np.ones((192, 3), np.float32)}, "3 groups")]:
        if name == "a scale of another shape":
            more = {Q + "weight_scale": np.ones((191, 4), np.float32)}
            parts = ["weight_scale has shape [191, 4]"]
        refused(name, dict(packed, **more), compressed_config(group=32, sym=False), *parts)
    refused("no shape", {k: v for k, v in packed.items() if k != shape}, compressed_config(group=32), "weight_shape is missing")
    eight, _ = quantised(fp8, dict(form="block"))
    block = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    refused("no scale of e4m3", {k: v for k, v in eight.items() if k != Q + "weight_scale_inv"}, block, "q_proj.weight_scale is missing")
    refused("blocks of another number", dict(eight, **{Q + "weight_scale_inv": np.ones((3, 2), np.float32)}), block, "must be [2, 1]")
    bad = eight[Q + "weight"].copy()
    bad[7, 7] = 0x7f
    refused("e4m3 that is NaN", dict(eight, **{Q + "weight": bad}), block, "row 7 holds NaN")
    refused("an infinite scale", dict(eight, **{Q + "weight_scale_inv": np.full((2, 1), np.inf, np.float32)}), block, "is inf")


def hostile_configs():
    base, _ = quantised(gptq, dict(group=64))
    good = gptq_config(group=64)
    for name, quant, *parts in [
            ("a list", [1], "is a list", "must be an object"), ("a text", "gptq", "must be an object"), ("a number", 5, "must be an object"),
            ("2 bits", dict(good, bits=2), '"bits" is 2', "4 and 8"), ("3 bits", dict(good, bits=3), '"bits" is 3'),
            ("bits as a text", dict(good, bits="4"), '"bits" is a string'), ("no bits", {k: v for k, v in good.items() if k != "bits"}, '"bits" is missing'),
            ("groups of 0", dict(good, group_size=0), '"group_size" is 0'), ("groups of -2", dict(good, group_size=-2), '"group_size" is -2'),
            ("groups as a list", dict(good, group_size=[128]), '"group_size" is a list'), ("huge groups", dict(good, group_size=2 ** 70), "group_size"),
            ("sym as a text", dict(good, sym="yes"), '"sym"', "true or false"), ("desc_act as a number", dict(good, desc_act=1), '"desc_act"'),
            ("Marlin's order", dict(good, checkpoint_format="marlin"), '"checkpoint_format" is marlin', "gptq_v2"),
            ("a method as a number", dict(good, quant_method=4), '"quant_method"'), ("dynamic as a list", dict(good, dynamic=[1]), '"dynamic"'),
            ("gemv", {"quant_method": "awq", "bits": 4, "group_size": 64, "version": "gemv"}, '"version" is gemv', "gemm"),
            ("AWQ of 8 bits", {"quant_method": "awq", "bits": 8, "group_size": 64}, '"bits" is 8'),
            ("another format", {"quant_method": "compressed-tensors", "format": "marlin-24"}, '"format" is marlin-24'),
            ("NVFP4", {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, "nvfp4-pack-quantized"),
            ("schemes as a list", {"quant_method": "compressed-tensors", "config_groups": [1]}, '"config_groups"'),
            ("a scheme as a text", {"quant_method": "compressed-tensors", "config_groups": {"a": "b"}}, '"config_groups"'),
            ("a scheme of 2 bits", {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 2}}}}, '"bits" is 2'),
            ("a scheme of groups of 0", {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 4, "group_size": 0}}}},
             '"group_size" is 0'),
            ("blocks as a number", {"quant_method": "fp8", "weight_block_size": 128}, '"weight_block_size"'),
            ("blocks of 0", {"quant_method": "fp8", "weight_block_size": [0, 128]}, '"weight_block_size"'),
            ("e5m2", {"quant_method": "fp8", "fmt": "e5m2"}, '"fmt" is e5m2')] + [
            (m, {"quant_method": m}, f'"quant_method" is {m}', "--quantization int8") for m in
            ("bitsandbytes", "hqq", "eetq", "aqlm", "exl2", "mxfp4", "quanto", "torchao", "vptq", "higgs", "spqr", "bitnet", "auto-round", "modelopt")]:
        refused(name, base, quant, *parts)
        refused(name + ", by the model", base, quant, *parts, program=(LOGITS, "f32", "8", "auto"))
    refused("an older config", base, None, "quantize_config.json", '"bits" is 3', beside=("quantize_config.json", dict(good, bits=3, quant_method=None)))


def names():
    """Older folders of AutoGPTQ, AutoAWQ, and a mixture of modules."""
    base, parts = quantised(gptq, dict(group=64, sym=False))
    old = {k: v for k, v in gptq_config(group=64, sym=False).items() if k != "quant_method"}
    want = gptq_weights(parts[Q[:-1]]).tobytes()
    path = folder("XVERSE-13B-Chat-GPTQ-Int4", base, None, "gptq_model-4bit-64g.safetensors", ("quantize_config.json", old),
                  architectures=["XverseForCausalLM"], model_type="xverse")
    check("AutoGPTQ's names", found(path).get(Q + "weight", "   ")[2] == want)
    check("AutoGPTQ's names, planned", weights_class(path) == "uint4+f16", weights_class(path))
    base, parts = quantised(awq, dict(group=64))
    path = folder("awq", base, None, beside=("quant_config.json", {"zero_point": True, "q_group_size": 64, "w_bit": 4, "version": "GEMM"}))
    check("AutoAWQ's names", found(path).get(Q + "weight", "   ")[2] == awq_weights(parts[Q[:-1]], 64).tobytes())
    skip = ["model.layers.1.self_attn.v_proj", "model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"]
    base, _ = quantised(gptq, dict(group=32), skip)
    path = folder("mixture", base, dict(gptq_config(group=32), modules_to_not_convert=skip))
    check("modules that stay", weights_class(path) == "f16,int4,uint4+f16", weights_class(path))
    check("modules that stay, logits", spread(logits(path, "auto"), logits(path, "none")) < 0.05)
    mixed = dict(base)
    eight = gptq(np.ones((F, H), np.float32), bits=8, group=32)
    mixed.update({f"model.layers.1.mlp.{m}.{end}": t for m in ("gate_proj", "up_proj") for end, t in eight.items()})
    path = folder("dynamic", mixed, dict(gptq_config(group=32), dynamic={"+:.*gate.*": {"bits": 8}}))
    check("bits by module", weights_class(path) == "f16,int8,int4,uint4+f16", weights_class(path))
    r = subprocess.run([DAEMON, path, "--inspect"], capture_output=True, text=True)
    check("inspect", all(t in r.stdout for t in ("GPTQ 8 bits  2 tensors", "GPTQ 4 bits  9 tensors", "f16          10 tensors")), r.stdout[-600:], r.stderr)


for name in FORMS:
    form(name)
hostile_tensors()
hostile_configs()
names()
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed > 0)

"""quant_files.py WORK: quantised checkpoints in every form (quant_forms.py), read by our reader; run by check_quant."""
import json
import os
import shutil
import subprocess
import sys

import numpy as np

sys.path.insert(0, "tests/oracle")
import net64
from quant_forms import (awq, awq_weights, compressed, compressed_config, compressed_weights, fp8, fp8_weights, gptq, gptq_config, gptq_weights,
                         rng, write)

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
EXPERTS, E, S = 5, 192, 160  # how many, and the inner numbers of one and of the shared one
MOE = dict(num_experts=EXPERTS, num_local_experts=EXPERTS, num_experts_per_tok=2, moe_intermediate_size=E, norm_topk_prob=True)
passed = failed = 0
IDS = rng.integers(0, 331, 70).astype(np.int32)


def check(name, ok, *told):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAILED", name, *[str(t)[:500] for t in told])


def folder(name, tensors, quant, file="model.safetensors", beside=None, **more):
    path = f"{WORK}/{name}"
    os.makedirs(path, exist_ok=True)
    write(f"{path}/{file}", tensors)
    json.dump({**CONFIG, **({"quantization_config": quant} if quant is not None else {}), **more}, open(path + "/config.json", "w"))
    if beside:
        json.dump(beside[1], open(f"{path}/{beside[0]}", "w"))
    return path


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


def ffn(at, n, names=("gate_proj", "up_proj", "down_proj")):
    return {f"{at}.{name}": (H, n) if i == 2 else (n, H) for i, name in enumerate(names)}


def all_experts(at, *names):
    return {k: shape for e in range(EXPERTS) for k, shape in ffn(f"{at}.{e}", E, *names).items()}


ATTENTION = {k: v for k, v in MATRICES.items() if "attn" in k}
# Beside Llama: the class, what its config has more, the matrices of a layer, and what is not quantised in the files that people publish.
NETWORKS = {
    "llama": (CONFIG, MATRICES, {}),
    "mixtral": (dict(CONFIG, **MOE, architectures=["MixtralForCausalLM"], model_type="mixtral", intermediate_size=E, sliding_window=None),
                {**ATTENTION, **all_experts("block_sparse_moe.experts", ("w1", "w3", "w2"))}, {"block_sparse_moe.gate.weight": (EXPERTS, H)}),
    "qwen3 moe": (dict(CONFIG, **MOE, architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe"), {**ATTENTION, **all_experts("mlp.experts")},
                  {"mlp.gate.weight": (EXPERTS, H), "self_attn.q_norm.weight": (48,), "self_attn.k_norm.weight": (48,)}),
    "qwen2 moe": (dict(CONFIG, **MOE, architectures=["Qwen2MoeForCausalLM"], model_type="qwen2_moe", shared_expert_intermediate_size=S),
                  {**ATTENTION, **all_experts("mlp.experts"), **ffn("mlp.shared_expert", S)},
                  {"mlp.gate.weight": (EXPERTS, H), "mlp.shared_expert_gate.weight": (1, H),
                   **{f"self_attn.{p}_proj.bias": (n,) for p, n in (("q", O), ("k", KV), ("v", KV))}}),
}
AWQ32 = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm", "modules_to_not_convert": ["gate"]}
# name: network, then as in FORMS
MIXTURES = {
    "mixtral-gptq": ("mixtral", gptq, gptq_weights, dict(group=64), gptq_config(group=64), "int4,uint4"),
    "mixtral-gptq-act-order": ("mixtral", gptq, gptq_weights, dict(group=32, order=True), gptq_config(group=32, order=True), "int8,int4"),
    "mixtral-awq": ("mixtral", awq, awq_weights, dict(group=32), AWQ32, "uint4"),
    "mixtral-fp8": ("mixtral", fp8, fp8_weights, dict(form="tensor"), {"quant_method": "fp8", "activation_scheme": "static"}, "int8"),
    "qwen3-moe-gptq-8": ("qwen3 moe", gptq, gptq_weights, dict(bits=8, group=-1), gptq_config(bits=8, group=-1), "int8"),
    "qwen3-moe-awq": ("qwen3 moe", awq, awq_weights, dict(group=32), AWQ32, "uint4"),
    "qwen3-moe-packed": ("qwen3 moe", compressed, compressed_weights, dict(group=32), compressed_config(group=32), "int4,uint4"),
    "qwen3-moe-fp8": ("qwen3 moe", fp8, fp8_weights, {}, {"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e4m3"}, "int8"),
    "qwen2-moe-gptq": ("qwen2 moe", gptq, gptq_weights, dict(group=32, sym=False), gptq_config(group=32, sym=False), "uint4"),
    "qwen2-moe-channel": ("qwen2 moe", fp8, fp8_weights, dict(form="channel"), compressed_config(bits=8, group=-1, packed=False, kind="float"), "int8"),
}
RANKS.update({"mixtral-gptq": 3, "mixtral-gptq-act-order": 2, "qwen3-moe-awq": 4, "qwen2-moe-gptq": 3})


def plain(network="llama", seed=5):
    """All tensors as f16 numbers; large enough that every part matters."""
    r = np.random.default_rng(seed)
    _, matrices, others = NETWORKS[network]
    out = {"model.embed_tokens.weight": r.normal(0, 1, (331, H)), "model.norm.weight": r.normal(1, 0.3, H), "lm_head.weight": r.normal(0, 0.3, (331, H))}
    for i in range(2):
        at = f"model.layers.{i}."
        out.update({at + "input_layernorm.weight": r.normal(1, 0.3, H), at + "post_attention_layernorm.weight": r.normal(1, 0.3, H)})
        out.update({at + m + ".weight": r.normal(0, s[1] ** -0.5, s) for m, s in matrices.items()})
        out.update({at + k: r.normal(len(s) == 1, s[-1] ** -0.5, s) for k, s in others.items()})
    return {k: v.astype(np.float16) for k, v in out.items()}


def quantised(make, options, skip=(), network="llama"):
    """Tensors with the matrices in a form, and those of each matrix."""
    out, parts = plain(network), {}
    for i in range(2):
        orders = {}
        for m, (n, k) in NETWORKS[network][1].items():
            orders.setdefault(k, rng.permutation(k))
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


def plan(path, ranks=1):
    """The class of the weights, and what each rank holds of them."""
    r = subprocess.run([DAEMON, path, "--dry-run", "--json", "--device", "cpu", "-tp", str(ranks)], capture_output=True)
    p = json.loads(r.stdout) if r.returncode == 0 else None
    return (p["numerics_class"].split("/")[1], [x["weight_bytes"] for x in p["ranks"]]) if p else (r.stderr.decode(), [])


def weights_class(path):
    return plan(path)[0]


def without_files(path):
    """A folder with the config alone."""
    os.makedirs(path + "-config", exist_ok=True)
    shutil.copy(path + "/config.json", path + "-config/config.json")
    return path + "-config"


def spread(a, exact):
    """The median of positions: a token between two experts may take the other one."""
    return np.median(np.sqrt(((a - exact) ** 2).mean(1))) / exact.std()


def with_int8_inputs(config, full):
    """What the class itself costs: the same weights in float64, inputs of the layers' products as integers, 32 with one scale."""
    def rounded(x, w, name):
        g = x.reshape(*x.shape[:-1], -1, 32)
        scale = np.abs(g).max(-1, keepdims=True) / 127
        x = (np.rint(g / np.where(scale, scale, 1)) * scale).reshape(x.shape)
        return exact(x, w, name)
    exact, net64.linear = net64.linear, rounded
    out = net64.forward(config, {k: v.astype(np.float64) for k, v in full.items()}, IDS, CONTEXT)
    net64.linear = exact
    return out


def form(name, make, back, options, config, kind, network="llama"):
    tensors, parts = quantised(make, options, network=network)
    net = NETWORKS[network][0]
    path = folder(name, tensors, config, **net)
    want = {k: back(t, **options) for k, t in parts.items()}
    got = found(path)
    wrong = [k for k, w in want.items() if got.get(k + ".weight", (0, 0, b""))[2] != w.astype(np.float32).tobytes()]
    check(f"{name}: exact weights", not wrong, wrong)
    check(f"{name}: no other tensors", len(got) == len(plain(network)), got.keys())
    full = {k: v.astype(np.float32) for k, v in plain(network).items()}
    full.update({k + ".weight": w.astype(np.float32) for k, w in want.items()})
    exact = net64.forward(net, {k: v.astype(np.float64) for k, v in full.items()}, IDS, CONTEXT)
    as_numbers = logits(path, "none")
    check(f"{name}: f32 numbers", logits(folder(name + "-full", full, None, **net), "none").tobytes() == as_numbers.tobytes())
    r = subprocess.run([DAEMON, "--convert", path, f"{WORK}/{name}-converted", "-q", "f32"], capture_output=True)
    check(f"{name}: converts", r.returncode == 0, r.stderr)
    check(f"{name}: converted, the same numbers", logits(f"{WORK}/{name}-converted", "none").tobytes() == as_numbers.tobytes())
    auto, held = logits(path, "auto"), weights_class(path)
    off, bound = spread(auto, exact), spread(with_int8_inputs(net, full), exact)
    print(f"  {name:20s} {held:24s} logits off by {off:.4f} of their spread (the class {bound:.4f}, f32 {spread(as_numbers, exact):.1e})")
    # A token that takes another expert is read by those behind it.
    check(f"{name}: logits", off < (1.5 if network == "llama" else 2.5) * bound, off, bound)
    check(f"{name}: f32 logits", spread(as_numbers, exact) < 1e-5)
    check(f"{name}: class", held == kind + "+f16", held, kind)
    alone = without_files(path)
    check(f"{name}: the same plan without files", all(plan(path, n) == plan(alone, n) for n in (1, 3)), plan(path, 3), plan(alone, 3))
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
    form(name, *FORMS[name])
for name, (network, *how) in MIXTURES.items():
    form(name, *how, network)
hostile_tensors()
hostile_configs()
names()
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed > 0)

"""LoRA adapters of every family, made and saved by PEFT where it has the class, run by xversed's engine, by PEFT, and by the float64 passes of
net64.py on W + scale * B A.

Claims: beside the weights, our f32 class is on average never further from float64 than twice PEFT's float32 (or, without a class, that of
net64.py), and our bf16 class than twice PEFT's bfloat16; one to four ranks give the same bits, however the prompt is cut. Merged, the weights are
the float64 sums, rounded: a checkpoint that holds these gives the same bits, and PEFT merges to the same within a rounding. What is broken is
refused with one sentence that names it."""
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import families
import net64
from families import CONTEXT, MODELS, check, compare, ours, random_state, reference_class, save

LLAMA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# family: what the config says beside r, and how the file is written; targets of classes that PEFT cannot make: names in a layer with shapes
CASES = {
    "llama biases": (dict(r=8, lora_alpha=16, target_modules=LLAMA_TARGETS), True, 4),
    "qwen2": (dict(r=20, lora_alpha=10, use_rslora=True, target_modules=["q_proj", "v_proj"]), False, 3),
    "mistral": (dict(r=4, lora_alpha=8, target_modules=LLAMA_TARGETS, rank_pattern={"down_proj": 33, "layers.1.self_attn.k_proj": 1},
                     alpha_pattern={r".*\.0\.mlp\.(gate|up)_proj": 2.5, "q_proj": 3}), True, 2),
    "qwen3": (dict(r=4, lora_alpha=8, target_modules=["q_proj", "o_proj", "up_proj"]), True, 2),
    "pythia": (dict(r=5, lora_alpha=4, target_modules=["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]), True, 3),
    "codegen": (dict(r=16, lora_alpha=16, target_modules=["qkv_proj", "out_proj", "fc_in", "fc_out"]), True, 3),
    "moss": (dict(r=3, lora_alpha=9, target_modules=["qkv_proj", "fc_out"]), False, 4),
    "opt": (dict(r=7, lora_alpha=7, target_modules=["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]), True, 3),
    "baichuan 7b": (dict(r=6, lora_alpha=12, target_modules=["W_pack", "o_proj", "down_proj"]), True, 2),
}


def fill(a, b, generator):
    """Large enough that the update is about as large as the product itself."""
    with torch.no_grad():
        a.copy_(torch.randn(a.shape, generator=generator) * a.shape[1] ** -0.5)
        b.copy_(torch.randn(b.shape, generator=generator) * 0.5 * a.shape[0] ** -0.5)


def by_peft(reference, cfg, state, how, folder, safe):
    """The model with its adapter, which is saved."""
    config, model = reference_class(reference)
    model = model(config(**cfg, attn_implementation="eager")).eval()
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    for p in model.parameters():
        p.data = p.data.to(next(iter(state.values())).dtype)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **how)).eval()
    generator = torch.Generator().manual_seed(7)
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and len(module.lora_A):
            fill(module.lora_A["default"].weight, module.lora_B["default"].weight, generator)
    model.create_or_update_model_card = lambda *a: None  # it needs more packages
    model.save_pretrained(folder, safe_serialization=safe)
    return model


def by_hand(state, how, folder):
    """An adapter of a class that transformers lacks, as PEFT writes it."""
    generator, tensors = torch.Generator().manual_seed(7), {}
    for name, w in state.items():
        module = name[:-len(".weight")]
        if module.split(".")[-1] in how["target_modules"]:
            a, b = torch.empty(how["r"], w.shape[1]), torch.empty(w.shape[0], how["r"])
            fill(a, b, generator)
            tensors[f"base_model.model.{module}.lora_A.weight"], tensors[f"base_model.model.{module}.lora_B.weight"] = a, b
    os.makedirs(folder)
    save_file(tensors, f"{folder}/adapter_model.safetensors", metadata={"format": "pt"})
    json.dump(dict(peft_type="LORA", bias="none", use_dora=False, modules_to_save=None, **how), open(f"{folder}/adapter_config.json", "w"))


def tensors_of(folder):
    file = f"{folder}/adapter_model.safetensors"
    return load_file(file) if os.path.exists(file) else torch.load(f"{folder}/adapter_model.bin", map_location="cpu")


def scale_of(how, module, r):
    alpha = how["lora_alpha"]
    for key, value in how.get("alpha_pattern", {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            alpha = value
            break
    return alpha / (math.sqrt(r) if how.get("use_rslora") else r)


def merged(state, how, folder):
    """float64 sums in the order of the ranks; by name."""
    out, given = {k: t.double().numpy() for k, t in state.items()}, tensors_of(folder)
    for name, a in given.items():
        if ".lora_A." not in name:
            continue
        module = name[len("base_model.model."):name.index(".lora_A.")]
        a, b = a.double().numpy(), given[name.replace(".lora_A.", ".lora_B.")].double().numpy()
        w = out[module + ".weight"].copy()
        for j in range(len(a)):
            w += (b[:, j] * scale_of(how, module, len(a)))[:, None] * a[j][None, :]
        out[module + ".weight"] = w
    return out


def run(name, folder):
    how, safe, ranks = CASES[name]
    architecture, kind, reference, base, more = MODELS[name]
    dtype = more.get("dtype", torch.float32)
    cfg = dict(base, architectures=[architecture], model_type=kind, torch_dtype=str(dtype)[6:])
    state = {k: t.to(dtype) for k, t in random_state(name, dict(base), 1).items()}
    model, adapter, whole = f"{folder}/model", f"{folder}/adapter", f"{folder}/merged"
    os.makedirs(model), os.makedirs(whole)
    save(model, cfg, more, state)
    if reference:
        f32 = by_peft(reference, base, {k: t.float() for k, t in state.items()}, how, adapter, safe)
    else:
        by_hand(state, how, adapter)
    ids = np.random.default_rng(1).integers(0, cfg["vocab_size"], 150).tolist()
    vocab = cfg["vocab_size"]
    sums = merged(state, how, adapter)
    exact = net64.forward(cfg, sums, ids, CONTEXT)
    mine = ours(model, ids, vocab, adapter=adapter)
    with torch.no_grad():
        other = f32(torch.tensor([ids])).logits[0].numpy() if reference else \
            net64.forward(cfg, {k: v.astype(np.float32) for k, v in sums.items()}, ids, CONTEXT)
    compare(name, "f32", mine, other, exact)
    plain = ours(model, ids, vocab)
    check(f"{name} matters", np.abs(plain - mine).max() > 0.3 * exact.std(), "the adapter changes nothing")
    check(f"{name} chunks", ours(model, ids, vocab, chunk=7, adapter=adapter).tobytes() == mine.tobytes(), "another chunk, other bits")
    check(f"{name} single", ours(model, ids[:9], vocab, chunk=1, adapter=adapter).tobytes() == mine[:9].tobytes(), "token by token, other bits")
    for n in range(2, 5) if families.FULL else [ranks]:
        check(f"{name} {n} ranks", ours(model, ids, vocab, chunk=100, ranks=n, adapter=adapter).tobytes() == mine.tobytes(), "other bits")
    if name in ("qwen3", "pythia"):
        q = ours(model, ids, vocab, quant="int4", adapter=adapter)
        check(f"{name} int4 ranks", ours(model, ids, vocab, ranks=ranks, quant="int4", adapter=adapter).tobytes() == q.tobytes(), "other bits")
    if dtype == torch.bfloat16 and reference:
        bf16 = by_peft(reference, base, state, how, f"{folder}/bf16", safe)
        with torch.no_grad():
            compare(name, "bf16", ours(model, ids, vocab, "bf16", adapter=adapter), bf16(torch.tensor([ids])).logits[0].float().numpy(), exact)
    rounded = {k: torch.from_numpy(v.astype(np.float32)).to(dtype) for k, v in sums.items()}
    save(whole, cfg, more, rounded)
    together = ours(model, ids, vocab, adapter="merge=" + adapter)
    check(f"{name} merged", together.tobytes() == ours(whole, ids, vocab).tobytes(), "not the float64 sums")
    check(f"{name} merged, {ranks} ranks", ours(model, ids, vocab, ranks=ranks, adapter="merge=" + adapter).tobytes() == together.tobytes(), "other bits")
    if reference and dtype == torch.float32:
        theirs = f32.merge_and_unload().state_dict()
        worst = max(((theirs[k] - t).abs().max() / t.abs().max()).item() for k, t in rounded.items() if k in theirs)
        check(f"{name} PEFT merges the same", worst < 1e-6, worst)


# what is broken: how the folder's config and tensors change, and what the sentence must name
FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def renamed(tensors, old, new):
    return {k.replace(old, new): t for k, t in tensors.items()}


BROKEN = {
    "rank 0": (lambda c, t: (dict(c, r=0), t), '"r" is 0; it must be a whole number from 1'),
    "a rank beyond the files": (lambda c, t: (dict(c, r=9), t), r"lora_A.weight has shape \[8, 96\], but adapter_config.json says rank 9"),
    "alpha NaN": (lambda c, t: (dict(c, lora_alpha=float("nan")), t), '"lora_alpha" is NaN; it must be a finite number'),
    "alpha a text": (lambda c, t: (dict(c, lora_alpha="16"), t), '"lora_alpha" is "16"'),
    "no r": (lambda c, t: ({k: v for k, v in c.items() if k != "r"}, t), '"r" is missing'),
    "DoRA": (lambda c, t: (dict(c, use_dora=True), t), '"use_dora": true: DoRA is not supported'),
    "biases": (lambda c, t: (dict(c, bias="lora_only"), t), '"bias": "lora_only": trained biases'),
    "modules_to_save": (lambda c, t: (dict(c, modules_to_save=["lm_head"]), t), '"modules_to_save": .*lm_head'),
    "another method": (lambda c, t: (dict(c, peft_type="IA3"), t), '"peft_type": IA3; only LORA'),
    "pissa": (lambda c, t: (dict(c, init_lora_weights="pissa_niter_4"), t), '"init_lora_weights": "pissa_niter_4"'),
    "an odd pattern": (lambda c, t: (dict(c, rank_pattern={"q_proj": "x"}), t), '"rank_pattern" is'),
    "a wrong expression": (lambda c, t: (dict(c, alpha_pattern={"(q_proj": 2}), t), "a pattern"),
    "another hidden size": (lambda c, t: (c, {**t, FIRST: torch.zeros(8, 95)}), r"shape \[8, 95\]; for this model it must be \[8, 96\]: .* another model"),
    "another width": (lambda c, t: (c, {**t, FIRST.replace("_A", "_B"): torch.zeros(97, 8)}), r"shape \[97, 8\]; for this model it must be \[96, 8\]"),
    "a vector": (lambda c, t: (c, {**t, FIRST: torch.zeros(8)}), "must be a matrix"),
    "integers": (lambda c, t: (c, {**t, FIRST: torch.zeros(8, 96, dtype=torch.int32)}), "has type I32"),
    "no B": (lambda c, t: (c, {k: v for k, v in t.items() if k != FIRST.replace("_A", "_B")}), "q_proj has lora_A but no lora_B"),
    "NaN": (lambda c, t: (c, {**t, FIRST: torch.full((8, 96), math.nan)}), "lora_A.weight holds NaN or infinity"),
    "another layer": (lambda c, t: (c, renamed(t, "layers.1.", "layers.7.")), "layers.7.* the model has 2 layers"),
    "an unknown target": (lambda c, t: (c, renamed(t, "v_proj", "w_proj")), "w_proj, which is no target of LlamaForCausalLM here: they are q_proj, "),
    "the embedding": (lambda c, t: (c, {**t, "base_model.model.model.embed_tokens.lora_embedding_A": torch.zeros(8, 517)}), "adapters of the embedding"),
    "a head": (lambda c, t: (c, {**t, "base_model.model.lm_head.weight": torch.zeros(517, 96)}), "lm_head.weight: it is no low-rank matrix"),
    "DoRA's tensors": (lambda c, t: (c, {**t, FIRST.replace("lora_A.weight", "lora_magnitude_vector"): torch.zeros(96)}), "belongs to DoRA"),
    "no tensors": (lambda c, t: (c, {}), "no tensors"),
    "no config": (lambda c, t: (None, t), "no adapter_config.json, so this is no adapter"),
    "no file": (lambda c, t: (c, None), "found neither adapter_model.safetensors nor adapter_model.bin"),
    "a cut file": (lambda c, t: (c, b"\x10\0\0\0\0\0\0\0{"), "adapter_model.safetensors"),
    "a list": (lambda c, t: ([], t), "adapter_config.json"),
}


def broken(folder):
    how = dict(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"])
    architecture, kind, reference, base, more = MODELS["llama biases"]
    cfg = dict(base, architectures=[architecture], model_type=kind)
    state = random_state("llama biases", dict(base), 1)
    os.makedirs(f"{folder}/model")
    save(f"{folder}/model", cfg, more, state)
    by_hand(state, how, f"{folder}/good")
    config, tensors = json.load(open(f"{folder}/good/adapter_config.json")), tensors_of(f"{folder}/good")
    for name, (change, text) in BROKEN.items():
        at = tempfile.mkdtemp(dir=folder)
        c, t = change(dict(config), dict(tensors))
        if c is not None:
            json.dump(c, open(f"{at}/adapter_config.json", "w"))
        if isinstance(t, bytes):
            open(f"{at}/adapter_model.safetensors", "wb").write(t)
        elif t is not None:
            save_file(t, f"{at}/adapter_model.safetensors")
        r = subprocess.run([families.LOGITS, f"{folder}/model", "f32", "8", "none", "auto", at], input=b"\0\0\0\0", capture_output=True)
        said = r.stderr.decode()
        check(f"{name} is refused", r.returncode == 66 and re.search(text, said) and said.count("\n") == 1, f"{r.returncode}: {said[:400]}")
    r = subprocess.run([families.LOGITS, f"{folder}/model", "f32", "8", "none", "auto", f"{folder}/good"], input=b"\0\0\0\0", capture_output=True)
    check("what is whole is not", not r.returncode, r.stderr)


only = [a for a in sys.argv[1:] if not a.startswith("--")]
for name in [*CASES, "broken"]:
    if only and not any(o in name for o in only):
        continue
    folder = tempfile.mkdtemp(prefix="xv-lora-")
    try:
        broken(folder) if name == "broken" else run(name, folder)
    except (RuntimeError, AssertionError) as e:
        check(name, False, e)
    finally:
        shutil.rmtree(folder)
print(f"{families.passed} passed, {families.failed} failed, 0 skipped")
sys.exit(families.failed > 0)

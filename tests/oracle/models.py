"""Small random models saved by transformers, run by transformers, by a float64 forward of our own writing, and by xversed's engine.

Claims: our f32 class is never further from float64 than twice transformers' float32 on the same stored weights, our bf16 class never
further than twice transformers' bfloat16; the most likely token is the same wherever its margin exceeds the error."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, os.path.dirname(__file__))
import llama64

LOGITS = "build/tests/e2e/logits"
BASE = dict(hidden_size=64, intermediate_size=172, num_hidden_layers=2, num_attention_heads=8, num_key_value_heads=8,
            vocab_size=517, max_position_embeddings=1024, rms_norm_eps=1e-6)
MODELS = {
    "mha f32": (dict(), torch.float32, {}),
    "mha bf16": (dict(), torch.bfloat16, {}),
    "grouped f16": (dict(num_key_value_heads=2, rope_theta=500000.0), torch.float16, {}),
    "wide bf16": (dict(hidden_size=1024, intermediate_size=2816, num_hidden_layers=2, num_key_value_heads=4, vocab_size=999),
                  torch.bfloat16, {}),
    "tied bf16": (dict(tie_word_embeddings=True), torch.bfloat16, {}),
    "linear f32": (dict(rope_scaling={"type": "linear", "factor": 4.0}), torch.float32, {}),
    "llama3 bf16": (dict(hidden_size=256, rope_theta=10000.0, rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64}), torch.bfloat16, {}),
    "shards f32": (dict(num_hidden_layers=4), torch.float32, {"max_shard_size": "200KB"}),
    "mixed": (dict(), "mixed", {}),
}
passed = failed = 0


def check(name, ok, text):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {text}")


def save(name, folder):
    """The model as a download would be; weights large enough that every part of the network matters."""
    over, dtype, how = MODELS[name]
    torch.manual_seed(sum(map(ord, name)))
    model = LlamaForCausalLM(LlamaConfig(**{**BASE, **over}))
    with torch.no_grad():
        for key, p in model.named_parameters():
            std = 0.5 if "norm" in key else 1.0 if "embed" in key else p.shape[-1] ** -0.5
            p.copy_(torch.randn_like(p) * std + (1 if "norm" in key else 0))
            outliers = torch.rand_like(p) < 1e-4
            p[outliers] *= 10
        if dtype == "mixed":
            for i, (key, p) in enumerate(model.named_parameters()):
                p.data = p.data.to([torch.float32, torch.float16, torch.bfloat16][i % 3])
        else:
            model.to(dtype)
    model.save_pretrained(folder, safe_serialization=True, **how)
    path = f"{folder}/config.json"
    cfg = json.load(open(path))
    cfg["architectures"] = ["XverseForCausalLM"]  # the same network under its XVERSE name
    cfg["model_type"] = "xverse"
    json.dump(cfg, open(path, "w"))
    return model, cfg


def ours(folder, compute, chunk, ids, vocab):
    r = subprocess.run([LOGITS, folder, compute, str(chunk)], input=np.array(ids, np.int32).tobytes(), capture_output=True)
    if r.returncode:
        raise RuntimeError(r.stderr.decode())
    return np.frombuffer(r.stdout, np.float32).reshape(len(ids), vocab)


def theirs(folder, cfg, dtype, ids):
    """Loaded afresh, as a user would: converting a model in memory would round its rotary frequencies too."""
    config = LlamaConfig(**{k: v for k, v in cfg.items() if k not in ("architectures", "model_type")})
    model = LlamaForCausalLM.from_pretrained(folder, config=config, torch_dtype=dtype)
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def distance(a, exact):
    return np.sqrt(((a.astype(np.float64) - exact) ** 2).mean()), np.abs(a.astype(np.float64) - exact).max()


def compare(name, what, mine, other, exact):
    (rms, most), (rms_other, most_other) = distance(mine, exact), distance(other, exact)
    print(f"  {name:14s} {what:5s} rms {rms:.3g} (transformers {rms_other:.3g}), max {most:.3g} ({most_other:.3g})")
    check(f"{name} {what} rms", rms <= 2 * rms_other, f"{rms} against {rms_other}")
    check(f"{name} {what} max", most <= 2 * most_other, f"{most} against {most_other}")
    top = np.sort(exact, -1)
    clear = top[:, -1] - top[:, -2] > 2 * most
    same = mine.argmax(-1) == exact.argmax(-1)
    check(f"{name} {what} greedy", same[clear].all() and clear.sum() > len(clear) // 4, f"{(~same & clear).sum()} differ")


def run(name, folder):
    model, cfg = save(name, folder)
    cfg.setdefault("head_dim", cfg["hidden_size"] // cfg["num_attention_heads"])
    weights = {k: v.double().numpy() for k, v in model.state_dict().items()}
    ids = np.random.default_rng(5).integers(0, cfg["vocab_size"], 300).tolist()
    exact = llama64.forward(cfg, weights, ids)
    f32 = ours(folder, "f32", 128, ids, cfg["vocab_size"])
    compare(name, "f32", f32, theirs(folder, cfg, torch.float32, ids), exact)
    check(f"{name} chunk", (ours(folder, "f32", 7, ids, cfg["vocab_size"]).tobytes() == f32.tobytes()), "another chunk, other bits")
    if MODELS[name][1] == torch.bfloat16:
        compare(name, "bf16", ours(folder, "bf16", 128, ids, cfg["vocab_size"]), theirs(folder, cfg, torch.bfloat16, ids), exact)


for name in MODELS:
    folder = tempfile.mkdtemp(prefix="xv-oracle-")
    try:
        run(name, folder)
    finally:
        shutil.rmtree(folder)
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed > 0)

"""make_model.py DIR [key=value ...]: a small random model as a Hugging Face directory (config.json, model.safetensors), by numpy alone.
Keys: hidden, ffn, layers, heads, kv_heads, vocab, dtype (bf16|f16|f32), tied (0|1), shards, seed."""
import json
import os
import sys

import numpy as np

TYPES = {"bf16": "BF16", "f16": "F16", "f32": "F32"}


def encode(x, dtype):
    x = x.astype(np.float32)
    if dtype == "f32":
        return x.tobytes()
    if dtype == "f16":
        return x.astype(np.float16).tobytes()
    u = x.view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16).tobytes()


def tensors(o):
    h, f, d = o["hidden"], o["ffn"], o["hidden"] // o["heads"]
    q, kv = o["heads"] * d, o["kv_heads"] * d
    yield "model.embed_tokens.weight", (o["vocab"], h), 1.0
    for i in range(o["layers"]):
        p = f"model.layers.{i}."
        yield p + "self_attn.q_proj.weight", (q, h), h**-0.5
        yield p + "self_attn.k_proj.weight", (kv, h), h**-0.5
        yield p + "self_attn.v_proj.weight", (kv, h), h**-0.5
        yield p + "self_attn.o_proj.weight", (h, q), q**-0.5
        yield p + "mlp.gate_proj.weight", (f, h), h**-0.5
        yield p + "mlp.up_proj.weight", (f, h), h**-0.5
        yield p + "mlp.down_proj.weight", (h, f), f**-0.5
        yield p + "input_layernorm.weight", (h,), 0
        yield p + "post_attention_layernorm.weight", (h,), 0
    yield "model.norm.weight", (h,), 0
    if not o["tied"]:
        yield "lm_head.weight", (o["vocab"], h), 4 * h**-0.5


def write(path, items, o):
    header, at = {}, 0
    blobs = []
    for name, shape, std in items:
        rng = np.random.default_rng([o["seed"], sum(map(ord, name)), len(name)])
        noise = rng.standard_normal(shape, dtype=np.float32)
        blobs.append(encode(noise * std if std else 1 + 0.1 * noise, o["dtype"]))
        header[name] = {"dtype": TYPES[o["dtype"]], "shape": list(shape), "data_offsets": [at, at + len(blobs[-1])]}
        at += len(blobs[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def main():
    folder = sys.argv[1]
    o = dict(hidden=64, ffn=172, layers=2, heads=8, kv_heads=8, vocab=517, dtype="bf16", tied=0, shards=1, seed=0)
    for arg in sys.argv[2:]:
        key, value = arg.split("=")
        o[key] = int(value) if key != "dtype" else value
    os.makedirs(folder, exist_ok=True)
    json.dump({"architectures": ["XverseForCausalLM"], "hidden_size": o["hidden"], "intermediate_size": o["ffn"],
               "num_hidden_layers": o["layers"], "num_attention_heads": o["heads"], "num_key_value_heads": o["kv_heads"],
               "vocab_size": o["vocab"], "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
               "tie_word_embeddings": bool(o["tied"]), "eos_token_id": 3}, open(f"{folder}/config.json", "w"))
    items = list(tensors(o))
    if o["shards"] == 1:
        write(f"{folder}/model.safetensors", items, o)
        return
    index = {}
    for s in range(o["shards"]):
        name = f"model-{s + 1:05d}-of-{o['shards']:05d}.safetensors"
        mine = items[s::o["shards"]]
        write(f"{folder}/{name}", mine, o)
        index.update({item[0]: name for item in mine})
    json.dump({"metadata": {}, "weight_map": index}, open(f"{folder}/model.safetensors.index.json", "w"))


main()

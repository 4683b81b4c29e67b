"""weights.py DIR [--vocab N] [--gguf TYPE,...] - one random model of XVERSE-13B's shape with 2 layers, by numpy: DIR/model (Hugging
Face, bf16) for us and DIR/TYPE.gguf (bf16, f16, q8_0, q4_0) of the same weights for a peer. In q4_0 embedding and head are q8_0, as in
our int4. Whatever is there already stays as it is."""
import argparse
import json
import os
import struct

import numpy as np

HIDDEN, FFN, LAYERS, HEADS, CONTEXT = 5120, 13824, 2, 40, 4096
ROWS = 512  # of a matrix at a time
GGML = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8, "bf16": 30}
FILE_TYPE = {"f16": 1, "q4_0": 2, "q8_0": 7, "bf16": 32}
BLOCK_BYTES = {"f32": 128, "f16": 64, "bf16": 64, "q8_0": 34, "q4_0": 18}  # of 32 numbers


def tensors(vocab):
    """(our name, a peer's name, shape, deviation; None: a norm's weights)"""
    yield "model.embed_tokens.weight", "token_embd.weight", (vocab, HIDDEN), 1.0
    for i in range(LAYERS):
        ours, peer = f"model.layers.{i}.", f"blk.{i}."
        for part in "qkv":
            yield f"{ours}self_attn.{part}_proj.weight", f"{peer}attn_{part}.weight", (HIDDEN, HIDDEN), HIDDEN**-0.5
        yield ours + "self_attn.o_proj.weight", peer + "attn_output.weight", (HIDDEN, HIDDEN), HIDDEN**-0.5
        for part in "gate", "up":
            yield f"{ours}mlp.{part}_proj.weight", f"{peer}ffn_{part}.weight", (FFN, HIDDEN), HIDDEN**-0.5
        yield ours + "mlp.down_proj.weight", peer + "ffn_down.weight", (HIDDEN, FFN), FFN**-0.5
        yield ours + "input_layernorm.weight", peer + "attn_norm.weight", (HIDDEN,), None
        yield ours + "post_attention_layernorm.weight", peer + "ffn_norm.weight", (HIDDEN,), None
    yield "model.norm.weight", "output_norm.weight", (HIDDEN,), None
    yield "lm_head.weight", "output.weight", (vocab, HIDDEN), 4 * HIDDEN**-0.5


def to_bf16(x):
    u = np.asarray(x, np.float32).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def to_f32(h):
    return (h.astype(np.uint32) << 16).view(np.float32)


def noise(name, shape, std):
    """bf16, a few rows at a time: sums of two uniform numbers out of a table of 65,536."""
    rng = np.random.Generator(np.random.SFC64([sum(map(ord, name)), len(name)]))
    i = np.arange(65536)
    table = to_bf16(((i & 255) + (i >> 8) - 255) / 104.5 * (0.1 if std is None else std) + (std is None))
    for first in range(0, shape[0], ROWS):
        n = min(ROWS, shape[0] - first) * (shape[1] if len(shape) > 1 else 1)
        yield table[np.frombuffer(rng.bytes(2 * n), np.uint16)]


def interleave(h):
    """Rows of whole heads as ggml's rotation wants them: the two halves of a head in turn."""
    return h.reshape(-1, 2, HIDDEN // HEADS // 2, HIDDEN).swapaxes(1, 2).reshape(-1)


def encode(h, kind):
    if kind == "bf16":
        return h.tobytes()
    x = to_f32(h)
    if kind == "f32":
        return x.tobytes()
    if kind == "f16":
        return x.astype(np.float16).tobytes()
    x = x.reshape(-1, 32)
    at = np.abs(x).argmax(1)
    most = x[np.arange(len(x)), at]
    scale = (np.abs(most) / 127 if kind == "q8_0" else most / -8).astype(np.float16)
    factor = np.divide(1, scale.astype(np.float32), where=scale != 0, out=np.zeros(len(x), np.float32))
    if kind == "q8_0":
        out = np.empty(len(x), [("d", "<f2"), ("q", "i1", 32)])
        out["q"] = np.rint(x * factor[:, None])
    else:
        q = np.clip(x * factor[:, None] + 8.5, 0, 15).astype(np.uint8)
        out = np.empty(len(x), [("d", "<f2"), ("q", "u1", 16)])
        out["q"] = q[:, :16] | q[:, 16:] << 4
    out["d"] = scale
    return out.tobytes()


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def pair(key, kind, value):
    code, form = {"u32": (4, "<I"), "f32": (6, "<f"), "text": (8, None)}[kind]
    return text(key) + struct.pack("<I", code) + (text(value) if kind == "text" else struct.pack(form, value))


def array(key, code, n, data):
    return text(key) + struct.pack("<IIQ", 9, code, n) + data


def words(vocab):
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + [f"w{i}" for i in range(vocab - 259)]
    kinds = [2, 3, 3] + [6] * 256 + [1] * (vocab - 259)
    return [array("tokenizer.ggml.tokens", 8, vocab, b"".join(map(text, names))),
            array("tokenizer.ggml.scores", 6, vocab, np.zeros(vocab, "<f4").tobytes()),
            array("tokenizer.ggml.token_type", 5, vocab, np.array(kinds, "<i4").tobytes())]


def gguf_head(vocab, kind):
    pairs = [pair("general.architecture", "text", "llama"), pair("general.name", "text", "random"),
             pair("general.file_type", "u32", FILE_TYPE[kind]), pair("llama.context_length", "u32", CONTEXT),
             pair("llama.embedding_length", "u32", HIDDEN), pair("llama.block_count", "u32", LAYERS),
             pair("llama.feed_forward_length", "u32", FFN), pair("llama.attention.head_count", "u32", HEADS),
             pair("llama.attention.head_count_kv", "u32", HEADS), pair("llama.rope.dimension_count", "u32", HIDDEN // HEADS),
             pair("llama.attention.layer_norm_rms_epsilon", "f32", 1e-6), pair("llama.rope.freq_base", "f32", 10000),
             pair("llama.vocab_size", "u32", vocab), pair("tokenizer.ggml.model", "text", "llama"),
             pair("tokenizer.ggml.bos_token_id", "u32", 1), pair("tokenizer.ggml.eos_token_id", "u32", 2),
             pair("tokenizer.ggml.unknown_token_id", "u32", 0)] + words(vocab)
    infos, at = [], 0
    for _, name, shape, std in tensors(vocab):
        k = gguf_kind(name, std, kind)
        infos.append(text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", d) for d in shape[::-1]) +
                     struct.pack("<IQ", GGML[k], at))
        at += int(np.prod(shape)) // 32 * BLOCK_BYTES[k]
        at += -at % 32
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(pairs)) + b"".join(pairs + infos)
    return head + b"\0" * (-len(head) % 32)


def gguf_kind(name, std, kind):
    if std is None:
        return "f32"
    return "q8_0" if kind == "q4_0" and not name.startswith("blk") else kind


def safetensors_head(vocab):
    header, at = {}, 0
    for name, _, shape, _ in tensors(vocab):
        end = at + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    data = json.dumps(header).encode()
    data += b" " * (-len(data) % 8)
    return struct.pack("<Q", len(data)) + data


def write_config(folder, vocab):
    os.makedirs(folder, exist_ok=True)
    json.dump({"architectures": ["XverseForCausalLM"], "hidden_size": HIDDEN, "intermediate_size": FFN, "num_hidden_layers": LAYERS,
               "num_attention_heads": HEADS, "vocab_size": vocab, "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-6,
               "torch_dtype": "bfloat16"}, open(folder + "/config.json", "w"))


def write_model(folder, vocab, kinds):
    """Missing files of the model: the safetensors file (kind None) and gguf files."""
    write_config(folder + "/model", vocab)
    paths = {None: folder + "/model/model.safetensors"} | {k: f"{folder}/{k}.gguf" for k in kinds}
    out = {k: open(p + ".new", "wb") for k, p in paths.items() if not os.path.exists(p)}
    for k, f in out.items():
        f.write(gguf_head(vocab, k) if k else safetensors_head(vocab))
    for name, peer, shape, std in tensors(vocab) if out else ():
        for part in noise(name, shape, std):
            turned = interleave(part) if "attn_q" in peer or "attn_k" in peer else part
            for k, f in out.items():
                f.write(encode(turned, gguf_kind(peer, std, k)) if k else part.tobytes())
    for k, f in out.items():
        f.close()
        os.rename(f.name, paths[k])
    return paths


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("dir")
    a.add_argument("--vocab", type=int, default=32768)
    a.add_argument("--gguf", default="bf16,f16,q8_0,q4_0")
    o = a.parse_args()
    for path in write_model(o.dir, o.vocab, [k for k in o.gguf.split(",") if k]).values():
        print(f"{path}: {os.path.getsize(path) / 1e9:.2f} GB")


if __name__ == "__main__":
    main()

"""shapes.py - one small random model of each family that llama.cpp has, too: a folder for us and a GGUF file of the same numbers. Tokens of the file
are written "[5]", so that a text names them one by one."""
import json
import os
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from weights import GGML, array, encode, pair, text, to_bf16, to_f32  # noqa: E402

FIXED = {"baichuan": dict(layers=32)}  # llama.cpp tells its two networks by that
BYTES = 259  # tokens before "[259]": unknown, begin, end, single bytes


def shape(**more):
    return dict(dict(hidden=512, ffn=1408, layers=4, heads=8, kv=8, vocab=4096, context=1024), **more)


class Model:
    """Tensors in the order in which they are added: {our name: array}, {the peer's name: array}."""

    def __init__(self, c, seed=1):
        self.c, self.ours, self.peer, self.rng = c, {}, {}, np.random.default_rng(seed)

    def add(self, ours, peer, *dims, turn=0, std=None):
        """One tensor, or (ours a list) one of each name stacked for the peer. turn: heads whose rows the peer rotates as neighbours."""
        names = ours if isinstance(ours, list) else [ours]
        parts = []
        for name in names:
            gain = len(dims) == 1
            t = self.rng.normal(0, 0.1 if gain else std or dims[-1] ** -0.5, dims) + (gain and name.endswith("weight"))
            if name.startswith(("lm_head.", "embed_out.")):
                t[:BYTES] = 0  # never the likeliest
            t = to_f32(to_bf16(t.astype(np.float32))).reshape(dims)
            self.ours[name] = t
            parts.append(t.reshape(turn, 2, dims[0] // turn // 2, *dims[1:]).swapaxes(1, 2).reshape(dims) if turn else t)
        self.peer[peer] = np.stack(parts) if isinstance(ours, list) else parts[0]


def attention(m, at, to, c, turn=False, bias=False, norms=False, out="o_proj"):
    d = c.get("head_dim", c["hidden"] // c["heads"])
    for p, heads in (("q", c["heads"]), ("k", c["kv"]), ("v", c["kv"])):
        turned = heads if turn and p != "v" else 0
        m.add(f"{at}self_attn.{p}_proj.weight", f"{to}attn_{p}.weight", heads * d, c["hidden"], turn=turned)
        if bias:
            m.add(f"{at}self_attn.{p}_proj.bias", f"{to}attn_{p}.bias", heads * d)
        if norms and p != "v":
            m.add(f"{at}self_attn.{p}_norm.weight", f"{to}attn_{p}_norm.weight", d)
    m.add(f"{at}self_attn.{out}.weight", f"{to}attn_output.weight", c["hidden"], c["heads"] * d)


def gated(m, at, to, c, ffn, suffix="", names=("gate_proj", "up_proj", "down_proj"), experts=0):
    for ours, peer, dims in zip(names, ("gate", "up", "down"), ((ffn, c["hidden"]), (ffn, c["hidden"]), (c["hidden"], ffn))):
        ours = [f"{at}{e}.{ours}.weight" for e in range(experts)] if experts else f"{at}{ours}.weight"
        m.add(ours, f"{to}ffn_{peer}{suffix}.weight", *dims)


def norm(m, ours, peer, c, bias=False):
    m.add(ours + ".weight", peer + ".weight", c["hidden"])
    if bias:
        m.add(ours + ".bias", peer + ".bias", c["hidden"])


def llama_like(m, c, ffn=None, layer_norm=False, **how):
    m.add("model.embed_tokens.weight", "token_embd.weight", c["vocab"], c["hidden"], std=1.0)
    for i in range(c["layers"]):
        at, to = f"model.layers.{i}.", f"blk.{i}."
        norm(m, at + "input_layernorm", to + "attn_norm", c, layer_norm)
        attention(m, at, to, c, **how)
        norm(m, at + "post_attention_layernorm", to + "ffn_norm", c, layer_norm)
        (ffn or (lambda m, at, to, c: gated(m, at + "mlp.", to, c, c["ffn"])))(m, at, to, c)
    norm(m, "model.norm", "output_norm", c, layer_norm)
    m.add("lm_head.weight", "output.weight", c["vocab"], c["hidden"], std=4 * c["hidden"] ** -0.5)


def mixtral_ffn(m, at, to, c):
    m.add(at + "block_sparse_moe.gate.weight", to + "ffn_gate_inp.weight", c["experts"], c["hidden"])
    gated(m, at + "block_sparse_moe.experts.", to, c, c["ffn"], "_exps", ("w1", "w3", "w2"), c["experts"])


def qwen_ffn(m, at, to, c):
    m.add(at + "mlp.gate.weight", to + "ffn_gate_inp.weight", c["experts"], c["hidden"])
    gated(m, at + "mlp.experts.", to, c, c["expert_ffn"], "_exps", experts=c["experts"])
    if "shared" in c:
        m.add(at + "mlp.shared_expert_gate.weight", to + "ffn_gate_inp_shexp.weight", 1, c["hidden"])
        gated(m, at + "mlp.shared_expert.", to, c, c["shared"], "_shexp")


def neox(m, c):
    h, heads = c["hidden"], c["heads"]
    m.add("gpt_neox.embed_in.weight", "token_embd.weight", c["vocab"], h, std=1.0)
    for i in range(c["layers"]):
        at, to = f"gpt_neox.layers.{i}.", f"blk.{i}."
        norm(m, at + "input_layernorm", to + "attn_norm", c, True)
        norm(m, at + "post_attention_layernorm", to + "ffn_norm", c, True)
        for what, dims in (("weight", (3 * h, h)), ("bias", (3 * h,))):
            m.add(f"{at}attention.query_key_value.{what}", f"{to}attn_qkv.{what}", *dims)
            t = m.peer[f"{to}attn_qkv.{what}"]  # head by head for us, thirds for the peer
            m.peer[f"{to}attn_qkv.{what}"] = t.reshape(heads, 3, h // heads, *t.shape[1:]).swapaxes(0, 1).reshape(t.shape)
        for ours, peer, dims in (("attention.dense", "attn_output", (h, h)), ("mlp.dense_h_to_4h", "ffn_up", (c["ffn"], h)),
                                 ("mlp.dense_4h_to_h", "ffn_down", (h, c["ffn"]))):
            m.add(f"{at}{ours}.weight", f"{to}{peer}.weight", *dims)
            m.add(f"{at}{ours}.bias", f"{to}{peer}.bias", dims[0])
    norm(m, "gpt_neox.final_layer_norm", "output_norm", c, True)
    m.add("embed_out.weight", "output.weight", c["vocab"], h, std=4 * h ** -0.5)


def phi(m, c):
    h = c["hidden"]
    m.add("model.embed_tokens.weight", "token_embd.weight", c["vocab"], h, std=1.0)
    for i in range(c["layers"]):
        at, to = f"model.layers.{i}.", f"blk.{i}."
        norm(m, at + "input_layernorm", to + "attn_norm", c, True)
        attention(m, at, to, c, bias=True, out="dense")
        m.add(at + "self_attn.dense.bias", to + "attn_output.bias", h)
        for ours, peer, dims in (("mlp.fc1", "ffn_up", (c["ffn"], h)), ("mlp.fc2", "ffn_down", (h, c["ffn"]))):
            m.add(f"{at}{ours}.weight", f"{to}{peer}.weight", *dims)
            m.add(f"{at}{ours}.bias", f"{to}{peer}.bias", dims[0])
    norm(m, "model.final_layernorm", "output_norm", c, True)
    m.add("lm_head.weight", "output.weight", c["vocab"], h, std=4 * h ** -0.5)
    m.add("lm_head.bias", "output.bias", c["vocab"])


RMS, LAYER = "attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"
# family: our class, model_type, the peer's architecture, sizes, keys of config.json, keys of the file, tensors
FAMILIES = {
    "llama": ("LlamaForCausalLM", "llama", "llama", shape(kv=4), {}, {}, lambda m, c: llama_like(m, c, turn=True)),
    "baichuan": ("BaichuanForCausalLM", "baichuan", "baichuan", shape(), {}, {}, lambda m, c: llama_like(m, c, turn=True)),
    "qwen2": ("Qwen2ForCausalLM", "qwen2", "qwen2", shape(kv=2), {}, {}, lambda m, c: llama_like(m, c, bias=True)),
    "qwen3": ("Qwen3ForCausalLM", "qwen3", "qwen3", shape(kv=4, head_dim=128), {}, {}, lambda m, c: llama_like(m, c, norms=True)),
    "mixtral": ("MixtralForCausalLM", "mixtral", "llama", shape(kv=4, experts=8, taken=2), {}, {}, lambda m, c: llama_like(m, c, mixtral_ffn, turn=True)),
    "qwen2-moe": ("Qwen2MoeForCausalLM", "qwen2_moe", "qwen2moe", shape(experts=16, taken=4, expert_ffn=352, shared=704), {}, {},
                  lambda m, c: llama_like(m, c, qwen_ffn, bias=True)),
    "qwen3-moe": ("Qwen3MoeForCausalLM", "qwen3_moe", "qwen3moe", shape(kv=4, experts=32, taken=8, expert_ffn=192, head_dim=64),
                  dict(norm_topk_prob=True), {}, lambda m, c: llama_like(m, c, qwen_ffn, norms=True)),
    "gpt-neox": ("GPTNeoXForCausalLM", "gpt_neox", "gptneox", shape(ffn=2048),
                 dict(rotary_pct=0.25, rotary_emb_base=10000, hidden_act="gelu_new", use_parallel_residual=True, layer_norm_eps=1e-5),
                 {"use_parallel_residual": ("bool", True), "rope.dimension_count": ("part", 0.25)}, neox),
    "phi": ("PhiForCausalLM", "phi", "phi2", shape(ffn=2048), dict(partial_rotary_factor=0.5, layer_norm_eps=1e-5),
            {"rope.dimension_count": ("part", 0.5)}, phi),
    "stablelm": ("StableLmForCausalLM", "stablelm", "stablelm", shape(), dict(partial_rotary_factor=0.25, layer_norm_eps=1e-5, use_qkv_bias=True),
                 {"use_parallel_residual": ("bool", False), "rope.dimension_count": ("part", 0.25)},
                 lambda m, c: llama_like(m, c, layer_norm=True, bias=True)),
}


def config_of(family):
    name, kind, _, c, more, _, _ = FAMILIES[family]
    config = dict(architectures=[name], model_type=kind, hidden_size=c["hidden"], intermediate_size=c["ffn"], num_hidden_layers=c["layers"],
                  num_attention_heads=c["heads"], num_key_value_heads=c["kv"], vocab_size=c["vocab"], max_position_embeddings=c["context"],
                  rms_norm_eps=1e-6, rope_theta=10000.0, torch_dtype="bfloat16", tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)
    if "head_dim" in c:
        config["head_dim"] = c["head_dim"]
    if "experts" in c:
        config.update(num_experts=c["experts"], num_local_experts=c["experts"], num_experts_per_tok=c["taken"])
        config.update({k: c[v] for k, v in (("moe_intermediate_size", "expert_ffn"), ("shared_expert_intermediate_size", "shared")) if v in c})
    return dict(config, **more)


def flag(key, yes):
    return text(key) + struct.pack("<IB", 7, yes)


def words(vocab):
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + [f"[{i}]" for i in range(BYTES, vocab)]
    kinds = [2, 3, 3] + [6] * 256 + [4] * (vocab - BYTES)
    return [pair("tokenizer.ggml.model", "text", "llama"), array("tokenizer.ggml.tokens", 8, vocab, b"".join(map(text, names))),
            array("tokenizer.ggml.scores", 6, vocab, np.zeros(vocab, "<f4").tobytes()),
            array("tokenizer.ggml.token_type", 5, vocab, np.array(kinds, "<i4").tobytes()), pair("tokenizer.ggml.bos_token_id", "u32", 1),
            pair("tokenizer.ggml.eos_token_id", "u32", 2), pair("tokenizer.ggml.unknown_token_id", "u32", 0), flag("tokenizer.ggml.add_bos_token", False),
            flag("tokenizer.ggml.add_space_prefix", False)]


def metadata(family, kind):
    _, _, arch, c, _, more, _ = FAMILIES[family]
    d = c.get("head_dim", c["hidden"] // c["heads"])
    numbers = {"context_length": c["context"], "embedding_length": c["hidden"], "block_count": c["layers"], "feed_forward_length": c["ffn"],
               "attention.head_count": c["heads"], "attention.head_count_kv": c["kv"], "vocab_size": c["vocab"], "rope.dimension_count": d}
    if "head_dim" in c:
        numbers.update({"attention.key_length": d, "attention.value_length": d})
    if "experts" in c:
        numbers.update({"expert_count": c["experts"], "expert_used_count": c["taken"]})
        numbers.update({k: c[v] for k, v in (("expert_feed_forward_length", "expert_ffn"), ("expert_shared_feed_forward_length", "shared")) if v in c})
    pairs = {k: ("u32", v) for k, v in numbers.items()} | {RMS: ("f32", 1e-6), LAYER: ("f32", 1e-5), "rope.freq_base": ("f32", 10000)} | more
    out = [pair("general.architecture", "text", arch), pair("general.name", "text", family), pair("general.file_type", "u32", {"f32": 0, "bf16": 32}[kind])]
    return out + [flag(f"{arch}.{k}", v) if t == "bool" else pair(f"{arch}.{k}", "u32", int(d * v)) if t == "part" else
                  pair(f"{arch}.{k}", t, v) for k, (t, v) in pairs.items()] + words(c["vocab"])


def write_gguf(path, family, kind, tensors):
    infos, data = [], []
    at = 0
    for name, t in tensors.items():
        k = "f32" if t.ndim == 1 or "gate_inp" in name else kind
        raw = encode(to_bf16(t.reshape(-1)), k)
        infos.append(text(name) + struct.pack("<I", t.ndim) + b"".join(struct.pack("<Q", d) for d in t.shape[::-1]) + struct.pack("<IQ", GGML[k], at))
        data.append(raw + b"\0" * (-len(raw) % 32))
        at += len(data[-1])
    pairs = metadata(family, kind)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(pairs)) + b"".join(pairs + infos)
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % 32))
        f.writelines(data)


def write_folder(path, family, tensors):
    os.makedirs(path, exist_ok=True)
    json.dump(config_of(family), open(path + "/config.json", "w"))
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(t.shape), "data_offsets": [at, at + 2 * t.size]}
        at += 2 * t.size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path + "/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head)
        for t in tensors.values():
            f.write(to_bf16(t.reshape(-1)).tobytes())


def write(folder, family, kinds, **sizes):
    """(our folder, {kind: the peer's file}). sizes: others than those of FAMILIES."""
    entry = FAMILIES[family]
    FAMILIES[family] = (*entry[:3], dict(entry[3], **{**sizes, **FIXED.get(family, {})}), *entry[4:])
    m = Model(FAMILIES[family][3])
    entry[6](m, m.c)
    ours = f"{folder}/{family}"
    write_folder(ours, family, m.ours)
    files = {}
    for kind in kinds:
        files[kind] = f"{folder}/{family}-{kind}.gguf"
        write_gguf(files[kind], family, kind, m.peer)
    return ours, files

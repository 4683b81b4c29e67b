"""Forward passes of the model families, straight from the papers and the models' published code; shares no code with transformers or with
us. Arithmetic is of the type that the weights have: float64 is the truth, float32 a measure of what rounding alone does."""
import math

import numpy as np

erf = np.vectorize(math.erf, otypes=[float])


def rms(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def layer_norm(x, w, b, eps):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w + b


def silu(x):
    return x / (1 + np.exp(-x))


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * (0.5 * (1 + erf(x / math.sqrt(2)))).astype(x.dtype),
    "gelu_new": lambda x: x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))),
}
ACTIVATIONS["gelu_fast"] = ACTIVATIONS["gelu_pytorch_tanh"] = ACTIVATIONS["gelu_new"]


def frequencies(cfg, d, length):
    """inv_freq, and what cos and sin are multiplied by (arXiv:2104.09864, 2309.00071, 2402.13753; modeling_rope_utils.py)."""
    base = cfg.get("rope_theta", 1e6 if cfg.get("model_type") == "mixtral" else 10000.0)
    f = base ** (-np.arange(0, d, 2) / d)
    s = cfg.get("rope_scaling") or cfg.get("rope_parameters") or {}
    kind = s.get("rope_type", s.get("type", "default"))
    if "rope_theta" in s:
        f = s["rope_theta"] ** (-np.arange(0, d, 2) / d)
        base = s["rope_theta"]
    if kind == "default":
        return f, 1
    if kind == "linear":
        return f / s["factor"], 1
    if kind == "dynamic":
        most = cfg["max_position_embeddings"]
        if length > most:
            base = base * (s["factor"] * length / most - (s["factor"] - 1)) ** (d / (d - 2))
        return base ** (-np.arange(0, d, 2) / d), 1
    old = s.get("original_max_position_embeddings", cfg["max_position_embeddings"])
    if kind == "yarn":
        def dim(turns):
            return d * math.log(old / (turns * 2 * math.pi)) / (2 * math.log(base))
        low, high = max(math.floor(dim(s.get("beta_fast", 32))), 0), min(math.ceil(dim(s.get("beta_slow", 1))), d - 1)
        ramp = np.clip((np.arange(d // 2) - low) / max(high - low, 0.001), 0, 1)
        return f / s["factor"] * ramp + f * (1 - ramp), s.get("attention_factor", 0.1 * math.log(s["factor"]) + 1)
    if kind == "longrope":
        old = cfg["original_max_position_embeddings"]
        factor = s.get("factor", cfg["max_position_embeddings"] / old)
        scale = s.get("attention_factor", math.sqrt(1 + math.log(factor) / math.log(old)) if factor > 1 else 1)
        return f / np.array(s["long_factor" if length > old else "short_factor"]), scale
    assert kind == "llama3"
    wave, low, high = 2 * np.pi / f, s["low_freq_factor"], s["high_freq_factor"]
    smooth = (old / wave - low) / (high - low)
    blend = (1 - smooth) * f / s["factor"] + smooth * f
    return np.where(wave > old / low, f / s["factor"], np.where(wave < old / high, f, blend)), 1


def rotate(x, n_rot, cfg, length, neighbours=False):
    """x (heads, n, d): its first n_rot dimensions by position, halves or neighbours together."""
    f, scale = frequencies(cfg, n_rot, length)
    angle = np.arange(x.shape[1])[:, None] * f[None, :]
    cos, sin = (np.cos(angle) * scale).astype(x.dtype), (np.sin(angle) * scale).astype(x.dtype)
    out = x.copy()
    if neighbours:
        a, b = x[..., 0:n_rot:2], x[..., 1:n_rot:2]
        out[..., 0:n_rot:2], out[..., 1:n_rot:2] = a * cos - b * sin, b * cos + a * sin
    else:
        a, b = x[..., :n_rot // 2], x[..., n_rot // 2:n_rot]
        out[..., :n_rot // 2], out[..., n_rot // 2:n_rot] = a * cos - b * sin, b * cos + a * sin
    return out


def slopes(heads):
    """ALiBi, as the authors' get_slopes()."""
    def of_power(n):
        start = 2 ** -(2 ** -(math.log2(n) - 3))
        return [start ** (i + 1) for i in range(n)]
    p = 2 ** math.floor(math.log2(heads))
    return np.array(of_power(p) if p == heads else of_power(p) + list(slopes(2 * p))[0::2][:heads - p])


def attend(q, k, v, window=0, alibi=False):
    """(heads, n, d) each, keys and values of fewer heads; returns (n, heads * d)."""
    heads, n, d = q.shape
    k, v = np.repeat(k, heads // len(k), 0), np.repeat(v, heads // len(v), 0)
    s = q @ k.transpose(0, 2, 1) / np.asarray(math.sqrt(d), q.dtype)
    far = np.arange(n)[:, None] - np.arange(n)[None, :]
    if alibi:
        s = s - (slopes(heads)[:, None, None] * far).astype(q.dtype)
    s = np.where((far < 0) | (far >= window if window else False), -np.inf, s)
    p = np.exp(s - s.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return (p @ v).transpose(1, 0, 2).reshape(n, heads * d)


def heads_of(x, heads):
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def layer(weights, prefix, i):
    at = f"{prefix}{i}."
    return {k[len(at):]: v for k, v in weights.items() if k.startswith(at)}


def linear(x, w, name):
    y = x @ w[name + ".weight"].T
    return y + w[name + ".bias"] if name + ".bias" in w else y


def windows(cfg):
    """The window of each layer."""
    n, window = cfg["num_hidden_layers"], cfg.get("sliding_window") or 0
    if cfg.get("layer_types"):
        return [window if t == "sliding_attention" else 0 for t in cfg["layer_types"]]
    if cfg["model_type"] in ("mistral", "mixtral", "phi3"):
        return [window] * n
    if cfg["model_type"] in ("qwen2", "qwen3") and cfg.get("use_sliding_window"):
        return [window if i >= cfg["max_window_layers"] else 0 for i in range(n)]
    return [0] * n


def gated(x, w, at, names=("gate_proj", "up_proj", "down_proj")):
    gate, up, down = (at + n for n in names)
    return linear(silu(linear(x, w, gate)) * linear(x, w, up), w, down)


def experts(cfg, x, w):
    """A mixture of experts (arXiv:2401.04088; the code of Mixtral, Qwen and XVERSE)."""
    kind, mixtral = cfg["model_type"], cfg["model_type"] == "mixtral"
    k = cfg.get("moe_top_k") or cfg["num_experts_per_tok"]
    router = w["block_sparse_moe.gate.weight" if mixtral else "mlp.router.weight" if kind == "xverse" else "mlp.gate.weight"]
    logits = x @ router.T
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    out = np.zeros_like(x)
    for t in range(len(x)):
        chosen = np.argsort(-logits[t], kind="stable")[:k]
        by = p[t, chosen] / p[t, chosen].sum() if mixtral or cfg.get("norm_topk_prob") else p[t, chosen]
        for e, b in zip(chosen, by):
            out[t] += b * (gated(x[t], w, f"block_sparse_moe.experts.{e}.", ("w1", "w3", "w2")) if mixtral else
                           gated(x[t], w, f"mlp.experts.{e}."))
    if kind == "qwen2_moe":
        out += gated(x, w, "mlp.shared_expert.") / (1 + np.exp(-(x @ w["mlp.shared_expert_gate.weight"].T)))
    if cfg.get("num_shared_experts"):
        out += gated(x, w, "mlp.shared_experts.")
    return out


def is_routed(w):
    return any(".experts." in k for k in w)


def llama(cfg, weights, ids, length):
    heads, eps, n = cfg["num_attention_heads"], cfg.get("rms_norm_eps") or cfg["layer_norm_eps"], len(ids)

    def norm(x, w, name):
        b = w.get(name + ".bias")
        return rms(x, w[name + ".weight"], eps) if b is None else layer_norm(x, w[name + ".weight"], b, eps)
    kv, d = cfg.get("num_key_value_heads") or heads, cfg.get("head_dim") or cfg["hidden_size"] // heads
    n_rot, neighbours = int(d * cfg["partial_rotary_factor"]) if cfg["model_type"] in ("stablelm", "glm") else d, cfg["model_type"] == "glm"
    alibi = cfg["model_type"] == "baichuan" and "max_position_embeddings" not in cfg
    x = weights["model.embed_tokens.weight"][ids]
    for i, window in enumerate(windows(cfg)):
        w = layer(weights, "model.layers.", i)
        h = norm(x, w, "input_layernorm")
        if "self_attn.qkv_proj.weight" in w:
            q, k, v = np.split(linear(h, w, "self_attn.qkv_proj"), [heads * d, (heads + kv) * d], -1)
        elif "self_attn.W_pack.weight" in w:
            q, k, v = np.split(linear(h, w, "self_attn.W_pack"), 3, -1)
        else:
            q, k, v = (linear(h, w, f"self_attn.{p}_proj") for p in "qkv")
        q, k, v = heads_of(q, heads), heads_of(k, kv), heads_of(v, kv)
        if "self_attn.q_norm.weight" in w:
            q, k = rms(q, w["self_attn.q_norm.weight"], eps), rms(k, w["self_attn.k_norm.weight"], eps)
        if not alibi:
            q, k = rotate(q, n_rot, cfg, length, neighbours), rotate(k, n_rot, cfg, length, neighbours)
        x = x + linear(attend(q, k, v, window, alibi), w, "self_attn.o_proj")
        h = norm(x, w, "post_attention_layernorm")
        if is_routed(w):
            x = x + experts(cfg, h, w)
        elif "mlp.gate_up_proj.weight" in w:
            gate, up = np.split(linear(h, w, "mlp.gate_up_proj"), 2, -1)
            x = x + linear(silu(gate) * up, w, "mlp.down_proj")
        else:
            x = x + linear(silu(linear(h, w, "mlp.gate_proj")) * linear(h, w, "mlp.up_proj"), w, "mlp.down_proj")
    x = norm(x, weights, "model.norm")
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return x @ head.T


def neox(cfg, weights, ids, length):
    heads, eps, n, act = cfg["num_attention_heads"], cfg["layer_norm_eps"], len(ids), ACTIVATIONS[cfg["hidden_act"]]
    n_rot = int(cfg["hidden_size"] // heads * cfg["rotary_pct"])
    rope = dict(cfg, rope_theta=cfg.get("rotary_emb_base", 10000.0))
    x = weights["gpt_neox.embed_in.weight"][ids]
    for i in range(cfg["num_hidden_layers"]):
        w = layer(weights, "gpt_neox.layers.", i)
        h = layer_norm(x, w["input_layernorm.weight"], w["input_layernorm.bias"], eps)
        qkv = linear(h, w, "attention.query_key_value").reshape(n, heads, 3, -1).transpose(2, 1, 0, 3)
        q, k = rotate(qkv[0], n_rot, rope, length), rotate(qkv[1], n_rot, rope, length)
        a = linear(attend(q, k, qkv[2]), w, "attention.dense")
        y = x if cfg["use_parallel_residual"] else x + a
        h = layer_norm(y, w["post_attention_layernorm.weight"], w["post_attention_layernorm.bias"], eps)
        x = x + a + linear(act(linear(h, w, "mlp.dense_h_to_4h")), w, "mlp.dense_4h_to_h")
    x = layer_norm(x, weights["gpt_neox.final_layer_norm.weight"], weights["gpt_neox.final_layer_norm.bias"], eps)
    return x @ weights.get("embed_out.weight", weights["gpt_neox.embed_in.weight"]).T


def codegen(cfg, weights, ids, length):
    heads, eps, n, act = cfg["n_head"], cfg["layer_norm_epsilon"], len(ids), ACTIVATIONS[cfg["activation_function"]]
    x = weights["transformer.wte.weight"][ids]
    for i in range(cfg["n_layer"]):
        w = layer(weights, "transformer.h.", i)
        h = layer_norm(x, w["ln_1.weight"], w["ln_1.bias"], eps)
        blocks = linear(h, w, "attn.qkv_proj").reshape(n, 4, 3, heads // 4, -1)  # q, v, k in each of the 4
        q, v, k = (blocks[:, :, j].reshape(n, heads, -1).transpose(1, 0, 2) for j in range(3))
        q, k = (rotate(t, cfg["rotary_dim"], {}, length, neighbours=True) for t in (q, k))
        x = x + linear(attend(q, k, v), w, "attn.out_proj") + linear(act(linear(h, w, "mlp.fc_in")), w, "mlp.fc_out")
    x = layer_norm(x, weights["transformer.ln_f.weight"], weights["transformer.ln_f.bias"], eps)
    return linear(x, weights, "lm_head")


def opt(cfg, weights, ids, length):
    heads, eps, n, act = cfg["num_attention_heads"], 1e-5, len(ids), ACTIVATIONS[cfg["activation_function"]]
    x = weights["model.decoder.embed_tokens.weight"][ids] + weights["model.decoder.embed_positions.weight"][2:2 + n]
    for i in range(cfg["num_hidden_layers"]):
        w = layer(weights, "model.decoder.layers.", i)
        h = layer_norm(x, w["self_attn_layer_norm.weight"], w["self_attn_layer_norm.bias"], eps)
        q, k, v = (heads_of(linear(h, w, f"self_attn.{p}_proj"), heads) for p in "qkv")
        x = x + linear(attend(q, k, v), w, "self_attn.out_proj")
        h = layer_norm(x, w["final_layer_norm.weight"], w["final_layer_norm.bias"], eps)
        x = x + linear(act(linear(h, w, "fc1")), w, "fc2")
    x = layer_norm(x, weights["model.decoder.final_layer_norm.weight"], weights["model.decoder.final_layer_norm.bias"], eps)
    return x @ weights.get("lm_head.weight", weights["model.decoder.embed_tokens.weight"]).T


def phi(cfg, weights, ids, length):
    heads, eps, act = cfg["num_attention_heads"], cfg["layer_norm_eps"], ACTIVATIONS[cfg["hidden_act"]]
    kv, n_rot = cfg.get("num_key_value_heads") or heads, int(cfg["hidden_size"] // heads * cfg["partial_rotary_factor"])
    x = weights["model.embed_tokens.weight"][ids]
    for i in range(cfg["num_hidden_layers"]):
        w = layer(weights, "model.layers.", i)
        h = layer_norm(x, w["input_layernorm.weight"], w["input_layernorm.bias"], eps)
        q, k, v = (heads_of(linear(h, w, f"self_attn.{p}_proj"), m) for p, m in (("q", heads), ("k", kv), ("v", kv)))
        q, k = rotate(q, n_rot, cfg, length), rotate(k, n_rot, cfg, length)
        x = x + linear(attend(q, k, v), w, "self_attn.dense") + linear(act(linear(h, w, "mlp.fc1")), w, "mlp.fc2")
    x = layer_norm(x, weights["model.final_layernorm.weight"], weights["model.final_layernorm.bias"], eps)
    return linear(x, weights, "lm_head")


NETS = {"phi": phi, "gpt_neox": neox, "codegen": codegen, "moss": codegen, "opt": opt}


def forward(cfg, weights, ids, length):
    """Logits (n, vocab); weights: name -> array; length: for which a base that follows the length is fixed."""
    return NETS.get(cfg["model_type"], llama)(cfg, weights, ids, length)

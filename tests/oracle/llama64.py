"""A Llama forward pass in float64, straight from the papers; shares no code with transformers or with us."""
import numpy as np


def rms(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def frequencies(cfg):
    d = cfg["head_dim"]
    f = 1.0 / cfg["rope_theta"] ** (np.arange(0, d, 2) / d)
    s = cfg.get("rope_scaling")
    if not s:
        return f
    kind = s.get("rope_type", s.get("type"))
    if kind == "linear":
        return f / s["factor"]
    assert kind == "llama3"
    wave = 2 * np.pi / f
    old, low, high = s["original_max_position_embeddings"], s["low_freq_factor"], s["high_freq_factor"]
    smooth = (old / wave - low) / (high - low)
    blend = (1 - smooth) * f / s["factor"] + smooth * f
    return np.where(wave > old / low, f / s["factor"], np.where(wave < old / high, f, blend))


def rotate(x, cos, sin):  # (heads, n, d)
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def forward(cfg, weights, ids):
    """Logits (n, vocab); weights: name -> float64 array."""
    heads, kv, d, eps = cfg["num_attention_heads"], cfg["num_key_value_heads"], cfg["head_dim"], cfg["rms_norm_eps"]
    n = len(ids)
    angle = np.arange(n)[:, None] * frequencies(cfg)[None, :]
    cos, sin = np.cos(angle), np.sin(angle)
    mask = np.triu(np.full((n, n), -np.inf), 1)
    x = weights["model.embed_tokens.weight"][ids]
    for i in range(cfg["num_hidden_layers"]):
        w = {k.split(f"model.layers.{i}.")[1]: v for k, v in weights.items() if k.startswith(f"model.layers.{i}.")}
        h = rms(x, w["input_layernorm.weight"], eps)
        q = (h @ w["self_attn.q_proj.weight"].T).reshape(n, heads, d).transpose(1, 0, 2)
        k = (h @ w["self_attn.k_proj.weight"].T).reshape(n, kv, d).transpose(1, 0, 2)
        v = (h @ w["self_attn.v_proj.weight"].T).reshape(n, kv, d).transpose(1, 0, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = np.repeat(k, heads // kv, 0), np.repeat(v, heads // kv, 0)
        s = q @ k.transpose(0, 2, 1) / np.sqrt(d) + mask
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        x = x + (p @ v).transpose(1, 0, 2).reshape(n, heads * d) @ w["self_attn.o_proj.weight"].T
        h = rms(x, w["post_attention_layernorm.weight"], eps)
        gate = h @ w["mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["mlp.up_proj.weight"].T)) @ w["mlp.down_proj.weight"].T
    x = rms(x, weights["model.norm.weight"], eps)
    return x @ weights.get("lm_head.weight", weights["model.embed_tokens.weight"]).T

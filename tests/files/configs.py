"""Run by the python of an environment with transformers: what AutoConfig makes of the config.json of each directory on standard input, a
line of JSON each; null where it refuses. --save: a line is two directories, and what is read in the first is saved in the second."""
import json
import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"
logging.disable(logging.CRITICAL)
from transformers import AutoConfig  # noqa: E402


def scaling(c):
    """Of version 5 one dictionary, of version 4 a number and a dictionary."""
    if hasattr(c, "standardize_rope_params"):
        c.standardize_rope_params()  # as the model does before it reads them
        p = c.rope_parameters
        return p["rope_theta"], p["rope_type"], p
    p = c.rope_scaling
    if p is None:
        return c.rope_theta, "default", {}
    return c.rope_theta, p.get("rope_type", p.get("type")), p


def meaning(folder):
    c = AutoConfig.from_pretrained(folder)
    theta, kind, p = scaling(c)
    out = {"theta": float(theta), "type": {k: k for k in ("default", "linear", "llama3", "yarn", "dynamic")}[kind]}
    if kind != "default":
        out["factor"] = float(p["factor"])
    if kind == "llama3":
        out.update(low=float(p["low_freq_factor"]), high=float(p["high_freq_factor"]), original=float(p["original_max_position_embeddings"]))
    if kind == "yarn":
        out.update(low=float(p.get("beta_slow") or 1), high=float(p.get("beta_fast") or 32),
                   original=float(p.get("original_max_position_embeddings") or c.max_position_embeddings))
    eos = c.eos_token_id
    out.update(hidden=c.hidden_size, ffn=c.intermediate_size, layers=c.num_hidden_layers, heads=c.num_attention_heads,
               rotated=c.head_dim, window=0, windowed=0, kv_heads=c.num_key_value_heads, head_dim=c.head_dim, vocab=c.vocab_size, max_pos=c.max_position_embeddings,
               eps=float(c.rms_norm_eps), tied=bool(c.tie_word_embeddings), bos=-1 if c.bos_token_id is None else c.bos_token_id,
               eos=eos if isinstance(eos, list) else [] if eos is None else [eos],
               dtype={"float32": "f32", "float16": "f16", "bfloat16": "bf16"}.get(str(c.dtype).replace("torch.", ""), ""))
    return out


for line in sys.stdin:
    if "--save" in sys.argv:
        try:
            AutoConfig.from_pretrained(line.split("\t")[0]).save_pretrained(line.strip().split("\t")[1])
        except Exception:
            pass
        continue
    try:
        print(json.dumps(meaning(line.strip())))
    except Exception:
        print("null")

"""A real chat model in a GGUF file of 4 bits (Q4_1), served: its greedy tokens against a float64 forward pass over the numbers that the format's
own library reads from the file. A token that is not the reference's likeliest passes where the reference's logits of the two are nearer than the
class's error: 0.01 for f32 weights; 1.5 for weights and activations of 8 bits, which move logits of this model by up to 0.5 each.
Usage: smollm2.py FILE CLASS; reads lines "IDS of the prompt | IDS of the answer" and prints one line for each."""
import sys

import gguf
import numpy as np

sys.path.insert(0, "tests/oracle")
import llama64

NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj"}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def name_of(name):
    part = name.removesuffix(".weight").split(".")
    return f"{WHOLE[part[0]] if len(part) == 1 else f'model.layers.{part[1]}.{NAMES[part[2]]}'}.weight"


def halves(w, heads):
    """A file of llama.cpp holds the pairs that rotate together beside each other; the paper's reference code, half a head apart."""
    return w.reshape(heads, -1, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def model_of(path):
    file = gguf.GGUFReader(path)
    value = {k: f.contents() for k, f in file.fields.items() if k.startswith("llama.")}
    heads, kv = value["llama.attention.head_count"], value["llama.attention.head_count_kv"]
    cfg = {"num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": value["llama.embedding_length"] // heads,
           "rms_norm_eps": value["llama.attention.layer_norm_rms_epsilon"], "rope_theta": value["llama.rope.freq_base"],
           "num_hidden_layers": value["llama.block_count"]}
    weights = {}
    for t in file.tensors:
        w = gguf.dequantize(t.data, t.tensor_type).astype(np.float64)
        if ".attn_q." in t.name or ".attn_k." in t.name:
            w = halves(w, heads if ".attn_q." in t.name else kv)
        weights[name_of(t.name)] = w
    return cfg, weights


def main():
    cfg, weights = model_of(sys.argv[1])
    margin = {"none": 0.01, "auto": 1.5}[sys.argv[2]]
    for line in sys.stdin:
        prompt, answer = ([int(i) for i in part.split()] for part in line.split("|"))
        logits = llama64.forward(cfg, weights, prompt + answer)[len(prompt) - 1:-1]
        behind = logits.max(1) - logits[np.arange(len(answer)), answer]
        ok = len(answer) and behind.max() <= margin
        print(f"{'ok' if ok else 'FAILED'} {len(answer)} tokens, {int((behind == 0).sum())} are the likeliest, the furthest is {behind.max():.3f} behind")


main()

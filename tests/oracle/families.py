"""Small random models of every family, as files of a download hold them, run by xversed's engine, by float64 forward passes of our own
writing (net64.py), and by transformers where it has the class.

Claims: our f32 class is on average never further from float64 than twice the float32 of transformers (or, without a class, of net64.py) on
the same weights, and our bf16 class than twice its bfloat16; one to four ranks give the same bits, however the prompt is cut, from safetensors and
from PyTorch files, with int8 and int4 weights; integers stay near. --full: more seeds, and every rank count for every model."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

sys.path.insert(0, os.path.dirname(__file__))
import net64

LOGITS = "build/tests/e2e/logits"
CONTEXT = 1024  # of the program
FULL = "--full" in sys.argv
LLAMA = dict(hidden_size=96, intermediate_size=172, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=3, vocab_size=517,
             max_position_embeddings=1024, rms_norm_eps=1e-6, hidden_act="silu", tie_word_embeddings=False)
ALIBI = {k: v for k, v in LLAMA.items() if k not in ("max_position_embeddings", "num_key_value_heads")}
NEOX = dict(hidden_size=120, intermediate_size=470, num_hidden_layers=2, num_attention_heads=5, vocab_size=501, hidden_act="gelu",
            rotary_pct=0.25, rotary_emb_base=10000, max_position_embeddings=1024, layer_norm_eps=1e-5, use_parallel_residual=True,
            tie_word_embeddings=False)
CODEGEN = dict(n_embd=160, n_layer=2, n_head=8, n_inner=None, vocab_size=515, rotary_dim=8, n_positions=1024, n_ctx=1024,
               activation_function="gelu_new", layer_norm_epsilon=1e-5, tie_word_embeddings=False)
OPT = dict(hidden_size=112, ffn_dim=452, num_hidden_layers=2, num_attention_heads=7, vocab_size=511, max_position_embeddings=1024,
           activation_function="relu", word_embed_proj_dim=112, tie_word_embeddings=True)
MOE = dict(LLAMA, intermediate_size=140, num_hidden_layers=3)


def longrope(config):
    pairs = config["hidden_size"] // config["num_attention_heads"] // 2
    return {"type": "longrope", "short_factor": [1 + i / 8 for i in range(pairs)], "long_factor": [1.5 + i * i / 3 for i in range(pairs)]}


def yarn(factor, old, **more):
    return {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": old, **more}


# name: class in config.json, model_type, the class of transformers or None, config, more: dtype, bin, bare (names without prefix),
# names (of the files, where the class of transformers has others)
MODELS = {
    "llama biases": ("LlamaForCausalLM", "llama", "Llama", dict(LLAMA, attention_bias=True, mlp_bias=True), {}),
    "llama yarn": ("LlamaForCausalLM", "llama", "Llama", dict(LLAMA, hidden_size=192, max_position_embeddings=128,
                                                             rope_scaling={"rope_type": "yarn", "factor": 4.0}), {}),
    "qwen2 yarn": ("Qwen2ForCausalLM", "qwen2", None, dict(LLAMA, rope_theta=1e6, hidden_size=384, rope_scaling=yarn(4.0, 96, beta_fast=16)), {}),
    "llama dynamic": ("LlamaForCausalLM", "llama", None, dict(LLAMA, max_position_embeddings=256,
                                                            rope_scaling={"type": "dynamic", "factor": 2.0}), {}),
    "qwen2": ("Qwen2ForCausalLM", "qwen2", "Qwen2", dict(LLAMA, tie_word_embeddings=True, rope_theta=1e6), {"dtype": torch.bfloat16}),
    "qwen2 windows": ("Qwen2ForCausalLM", "qwen2", None, dict(LLAMA, use_sliding_window=True, sliding_window=70, max_window_layers=1), {}),
    "qwen3": ("Qwen3ForCausalLM", "qwen3", None, dict(LLAMA, head_dim=48, hidden_size=64, tie_word_embeddings=True, rope_theta=1e6),
              {"dtype": torch.bfloat16}),
    "qwen3 of transformers 5": ("Qwen3ForCausalLM", "qwen3", None,
                                dict(LLAMA, head_dim=32, sliding_window=33, layer_types=["sliding_attention", "full_attention"],
                                     use_sliding_window=True, dtype="float32",
                                     rope_parameters={"rope_type": "default", "rope_theta": 5e5}), {"bin": True}),
    "mistral": ("MistralForCausalLM", "mistral", "Mistral", dict(LLAMA, sliding_window=45), {}),
    "mistral without a window": ("MistralForCausalLM", "mistral", "Mistral", dict(LLAMA, sliding_window=None), {"dtype": torch.float16}),
    "baichuan 13b": ("BaichuanForCausalLM", "baichuan", None, dict(ALIBI, model_max_length=1024), {"bin": True}),
    "baichuan2 13b": ("BaichuanForCausalLM", "baichuan", None, dict(ALIBI, num_attention_heads=12, model_max_length=1024, z_loss_weight=0,
                                                                  vocab_size=600), {"dtype": torch.bfloat16}),
    "baichuan 7b": ("BaiChuanForCausalLM", "baichuan", None, dict(ALIBI, max_position_embeddings=1024), {"bin": True}),
    "mixtral": ("MixtralForCausalLM", "mixtral", "Mixtral", dict(MOE, num_local_experts=5, num_experts_per_tok=2, sliding_window=None), {}),
    "mixtral windows": ("MixtralForCausalLM", "mixtral", "Mixtral", dict(MOE, num_local_experts=3, num_experts_per_tok=3, sliding_window=70),
                        {"bin": True, "dtype": torch.float16}),
    "mixtral fused": ("MixtralForCausalLM", "mixtral", "Mixtral", dict(MOE, num_local_experts=4, num_experts_per_tok=1), {"fused": True}),
    "qwen2 moe": ("Qwen2MoeForCausalLM", "qwen2_moe", "Qwen2Moe",
                  dict(MOE, num_experts=9, num_experts_per_tok=4, moe_intermediate_size=75, shared_expert_intermediate_size=161,
                       decoder_sparse_step=1, mlp_only_layers=[1], norm_topk_prob=False, rope_theta=1e6), {}),
    "qwen2 moe steps": ("Qwen2MoeForCausalLM", "qwen2_moe", "Qwen2Moe",
                        dict(MOE, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=300, shared_expert_intermediate_size=40,
                             decoder_sparse_step=2, norm_topk_prob=True, tie_word_embeddings=True), {"bin": True}),
    "qwen3 moe": ("Qwen3MoeForCausalLM", "qwen3_moe", None,
                  dict(MOE, num_experts=16, num_experts_per_tok=5, moe_intermediate_size=64, norm_topk_prob=True, head_dim=48,
                       rope_parameters={"rope_type": "default", "rope_theta": 1e6}), {"fused": True, "rename": {"num_experts": "num_local_experts"}}),
    "qwen3 moe dense layer": ("Qwen3MoeForCausalLM", "qwen3_moe", None,
                              dict(MOE, num_experts=7, num_experts_per_tok=1, moe_intermediate_size=33, norm_topk_prob=False,
                                   mlp_only_layers=[0], tie_word_embeddings=True, hidden_size=84), {"bin": True}),
    "xverse moe": ("XverseForCausalLM", "xverse", None,
                   dict(MOE, num_experts=8, moe_top_k=3, num_shared_experts=2, hidden_size=320, num_attention_heads=4,
                        num_key_value_heads=4), {}),
    "xverse moe alone": ("XverseMoeForCausalLM", "xverse", None,
                         dict(MOE, num_experts=4, moe_top_k=2, num_shared_experts=0, norm_topk_prob=True), {"bin": True}),
    "phi": ("PhiForCausalLM", "phi", "Phi", dict(hidden_size=160, intermediate_size=470, num_hidden_layers=2, num_attention_heads=5,
                                                 num_key_value_heads=5, vocab_size=501, hidden_act="gelu_new", partial_rotary_factor=0.5,
                                                 max_position_embeddings=1024, layer_norm_eps=1e-5, tie_word_embeddings=False),
            {"dtype": torch.float16}),
    "phi3": ("Phi3ForCausalLM", "phi3", "Phi3", dict(LLAMA, sliding_window=77, rms_norm_eps=1e-5, pad_token_id=0), {"bin": True}),
    "phi3 long": ("Phi3ForCausalLM", "phi3", "Phi3", dict(LLAMA, sliding_window=None, rms_norm_eps=1e-5, pad_token_id=0, original_max_position_embeddings=32,
                                                        rope_scaling=longrope(LLAMA)), {}),
    "glm": ("GlmForCausalLM", "glm", "Glm", dict(LLAMA, head_dim=16, partial_rotary_factor=0.5, attention_bias=True, pad_token_id=0), {}),
    "internlm": ("InternLMForCausalLM", "internlm", "Llama", dict(LLAMA, num_key_value_heads=6, bias=True, attention_bias=True), {"bin": True}),
    "internlm2": ("InternLM2ForCausalLM", "internlm2", "Llama", dict(LLAMA, bias=False, rope_theta=1e6),
                  {"names": "internlm2", "dtype": torch.bfloat16}),
    "internlm2 biases": ("InternLM2ForCausalLM", "internlm2", "Llama", dict(LLAMA, bias=True, attention_bias=True), {"names": "internlm2", "bin": True}),
    "stablelm": ("StableLmForCausalLM", "stablelm", "StableLm",
                 dict({k: v for k, v in LLAMA.items() if k != "rms_norm_eps"}, layer_norm_eps=1e-5, partial_rotary_factor=0.25,
                      use_qkv_bias=True), {"dtype": torch.bfloat16}),
    "pythia": ("GPTNeoXForCausalLM", "gpt_neox", "GPTNeoX", NEOX, {"bin": True}),
    "neox serial": ("GPTNeoXForCausalLM", "gpt_neox", "GPTNeoX", dict(NEOX, use_parallel_residual=False, hidden_act="gelu_new", rotary_pct=1.0,
                                                                      rotary_emb_base=25000), {}),
    "neox tied": ("GPTNeoXForCausalLM", "gpt_neox", "GPTNeoX", dict(NEOX, hidden_act="gelu_fast", tie_word_embeddings=True),
                  {"dtype": torch.bfloat16, "bare": "gpt_neox."}),
    "codegen": ("CodeGenForCausalLM", "codegen", "CodeGen", CODEGEN, {}),
    "moss": ("MossForCausalLM", "moss", "CodeGen", dict(CODEGEN, n_head=4, rotary_dim=16, n_inner=333), {"bin": True, "dtype": torch.float16}),
    "opt": ("OPTForCausalLM", "opt", "OPT", OPT, {"bin": True, "dtype": torch.float16}),
    "opt bare": ("OPTForCausalLM", "opt", "OPT", dict(OPT, tie_word_embeddings=False, activation_function="gelu"),
                 {"bare": "model.", "dtype": torch.bfloat16}),
}
RANKS = {"llama biases": 4, "qwen3": 2, "baichuan2 13b": 3, "baichuan 13b": 2, "pythia": 3, "codegen": 3, "moss": 4, "opt": 3, "qwen2": 3,
         "mistral": 2, "mixtral": 3, "qwen2 moe": 4, "qwen3 moe": 2, "xverse moe": 3, "phi": 3,
         "stablelm": 3, "glm": 2, "internlm2": 3}
passed = failed = 0


def check(name, ok, text):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {text}")


def ffn_shapes(at, h, f):
    yield at + "gate_proj.weight", (f, h)
    yield at + "up_proj.weight", (f, h)
    yield at + "down_proj.weight", (h, f)


def expert_shapes(cfg, at, h, f, router):
    yield f"{at}mlp.{router}.weight", (cfg["num_experts"], h)
    for e in range(cfg["num_experts"]):
        yield from ffn_shapes(f"{at}mlp.experts.{e}.", h, f)
    if cfg.get("num_shared_experts"):
        yield from ffn_shapes(at + "mlp.shared_experts.", h, f * cfg["num_shared_experts"])


def shapes(cfg, kind):
    """Names and shapes of the tensors of classes that this transformers does not have."""
    h, f, v, heads = cfg["hidden_size"], cfg["intermediate_size"], cfg["vocab_size"], cfg["num_attention_heads"]
    d = cfg.get("head_dim") or h // heads
    kv = (cfg.get("num_key_value_heads") or heads) * d
    yield "model.embed_tokens.weight", (v, h)
    for i in range(cfg["num_hidden_layers"]):
        at = f"model.layers.{i}."
        if kind == "baichuan":
            yield at + "self_attn.W_pack.weight", (3 * h, h)
        else:
            for p, rows in (("q", heads * d), ("k", kv), ("v", kv)):
                yield f"{at}self_attn.{p}_proj.weight", (rows, h)
                if kind in ("qwen2", "qwen2_moe"):
                    yield f"{at}self_attn.{p}_proj.bias", (rows,)
        if kind in ("qwen3", "qwen3_moe"):
            yield at + "self_attn.q_norm.weight", (d,)
            yield at + "self_attn.k_norm.weight", (d,)
        yield at + "self_attn.o_proj.weight", (h, heads * d)
        if "num_experts" in cfg and i not in cfg.get("mlp_only_layers", []):
            yield from expert_shapes(cfg, at, h, cfg.get("moe_intermediate_size", f), "router" if kind == "xverse" else "gate")
        else:
            yield from ffn_shapes(at + "mlp.", h, f)
        yield at + "input_layernorm.weight", (h,)
        yield at + "post_attention_layernorm.weight", (h,)
    yield "model.norm.weight", (h,)
    if not cfg["tie_word_embeddings"]:
        yield "lm_head.weight", (v, h)


def reference_class(name):
    return getattr(transformers, name + "Config"), getattr(transformers, name + "ForCausalLM")


def random_state(name, cfg, seed):
    """Weights large enough that every part of the network matters."""
    _, kind, reference, _, _ = MODELS[name]
    generator = torch.Generator().manual_seed(seed)
    if reference:
        config, model = reference_class(reference)
        state = model(config(**cfg)).state_dict()
        named = [(k, tuple(t.shape)) for k, t in state.items() if not k.endswith(("inv_freq", "masked_bias", "attention.bias", "causal_mask"))]
        if cfg["tie_word_embeddings"]:
            named = [(k, s) for k, s in named if k not in ("lm_head.weight", "embed_out.weight")]
    else:
        named = list(shapes(cfg, kind))
    out = {}
    for key, shape in named:
        vector, gain = len(shape) == 1, len(shape) == 1 and key.endswith("weight")
        std = 0.3 if vector else 1.0 if "embed_tokens" in key or "wte" in key or "embed_in" in key else 0.3 if "positions" in key else shape[-1] ** -0.5
        out[key] = torch.randn(shape, generator=generator) * std + (1 if gain else 0)
    return out


def fuse(state):
    """The experts of a layer in two tensors, as modules of transformers 5 hold them."""
    out, experts = {}, {}
    for key, t in state.items():
        at, dot, rest = key.partition(".experts.")
        if dot:
            e, name = rest.split(".", 1)
            experts.setdefault(at.replace("block_sparse_moe", "mlp"), {}).setdefault(name, {})[int(e)] = t
        else:
            out[key.replace("block_sparse_moe.gate", "mlp.gate")] = t
    for at, w in experts.items():
        first, second, third = ("w1", "w3", "w2") if "w1.weight" in w else ("gate_proj", "up_proj", "down_proj")
        stack = {n: torch.stack([w[n + ".weight"][e] for e in range(len(w[n + ".weight"]))]) for n in (first, second, third)}
        out[at + ".experts.gate_up_proj"] = torch.cat([stack[first], stack[second]], 1)
        out[at + ".experts.down_proj"] = stack[third]
    return out


INTERNLM2 = {"self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.up_proj": "feed_forward.w3",
             "mlp.down_proj": "feed_forward.w2", "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
             "model.embed_tokens": "model.tok_embeddings", "lm_head": "output"}


def internlm2(state, cfg):
    """Llama's tensors as modeling_internlm2.py has them: of each K/V head its queries' rows, its key's and its value's."""
    groups, out = cfg["num_key_value_heads"], {}
    for key, t in state.items():
        if "q_proj" in key:
            parts = [state[key.replace("q_proj", p + "_proj")].reshape(groups, -1, *t.shape[1:]) for p in "qkv"]
            out[key.replace("self_attn.q_proj", "attention.wqkv")] = torch.cat(parts, 1).reshape(-1, *t.shape[1:])
        elif "k_proj" not in key and "v_proj" not in key:
            out[next((key.replace(a, b) for a, b in INTERNLM2.items() if a in key), key)] = t
    return out


def save(folder, cfg, more, state):
    prefix = more.get("bare", "\0")
    state = fuse(state) if more.get("fused") else internlm2(state, cfg) if "names" in more else state
    files = {k[len(prefix):] if k.startswith(prefix) else k: t.contiguous() for k, t in state.items()}
    if more.get("bin"):  # two shards with an index; buffers that old exports hold
        files["transformer.h.0.attn.causal_mask" if cfg["model_type"] in ("moss", "codegen") else "gpt_neox.layers.0.attention.bias"
              if cfg["model_type"] == "gpt_neox" else "model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(1, 1, 8, 8).bool() \
            if cfg["model_type"] in ("moss", "codegen", "gpt_neox") else torch.ones(4)
        names = list(files)
        parts = [names[::2], names[1::2]]
        index = {}
        for i, part in enumerate(parts):
            file = f"pytorch_model-{i + 1:05d}-of-00002.bin"
            torch.save({k: files[k] for k in part}, f"{folder}/{file}")
            index.update({k: file for k in part})
        json.dump({"metadata": {}, "weight_map": index}, open(f"{folder}/pytorch_model.bin.index.json", "w"))
    else:
        save_file(files, f"{folder}/model.safetensors", metadata={"format": "pt"})
    json.dump({more.get("rename", {}).get(k, k): v for k, v in cfg.items()}, open(f"{folder}/config.json", "w"))


def ours(folder, ids, vocab, compute="f32", chunk=128, ranks=1, quant="none", adapter=""):
    command = [LOGITS, folder, compute, str(chunk), quant, "auto", adapter]
    if ranks > 1:
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] + command
    r = subprocess.run(command, input=np.array(ids, np.int32).tobytes(), capture_output=True,
                       env=dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1"))
    if r.returncode:
        raise RuntimeError(r.stderr.decode())
    return np.frombuffer(r.stdout, np.float32).reshape(len(ids), vocab)


def theirs(reference, cfg, state, dtype, ids):
    config, model = reference_class(reference)
    model = model(config(**cfg, attn_implementation="eager"))
    wrong = model.load_state_dict(state, strict=False)
    assert not wrong.unexpected_keys, wrong
    model.tie_weights()
    for m in model.modules():  # rotary tables stay f32, as they are when a user loads the model
        for key, p in m.named_parameters(recurse=False):
            p.data = p.data.to(dtype)
    model.eval()
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def distance(a, exact):
    return np.sqrt(((a.astype(np.float64) - exact) ** 2).mean()), np.abs(a.astype(np.float64) - exact).max()


def compare(name, what, mine, other, exact):
    (near, most), (near_other, most_other) = distance(mine, exact), distance(other, exact)
    print(f"  {name:24s} {what:5s} rms {near:.3g} (reference {near_other:.3g}), max {most:.3g} ({most_other:.3g})", flush=True)
    check(f"{name} {what} rms", near <= 2 * near_other, f"{near} against {near_other}")
    check(f"{name} {what} max", most <= 3 * most_other, f"{most} against {most_other}")
    return near


def run(name, folder, seed):
    architecture, kind, reference, base, more = MODELS[name]
    cfg = dict(base, architectures=[architecture], model_type=kind, torch_dtype=str(more.get("dtype", torch.float32))[6:])
    dtype = more.get("dtype", torch.float32)
    state = {k: t.to(dtype) for k, t in random_state(name, {k: v for k, v in base.items()}, seed).items()}
    save(folder, cfg, more, state)
    vocab = cfg["vocab_size"]
    ids = np.random.default_rng(seed).integers(0, vocab, 300).tolist()
    net = dict(state)
    if "z_loss_weight" in cfg:  # the head of Baichuan 2, in the type of the files
        net["lm_head.weight"] = torch.nn.functional.normalize(state["lm_head.weight"].double()).to(dtype)
    exact = net64.forward(cfg, {k: t.double().numpy() for k, t in net.items()}, ids, CONTEXT)
    f32 = ours(folder, ids, vocab)
    other = theirs(reference, base, {k: t.float() for k, t in state.items()}, torch.float32, ids) if reference else \
        net64.forward(cfg, {k: t.float().numpy() for k, t in net.items()}, ids, CONTEXT)
    compare(name, "f32", f32, other, exact)
    check(f"{name} chunks", ours(folder, ids, vocab, chunk=7).tobytes() == f32.tobytes(), "another chunk, other bits")
    if dtype == torch.bfloat16 and reference:
        compare(name, "bf16", ours(folder, ids, vocab, "bf16"), theirs(reference, base, state, dtype, ids), exact)
    for quant, bound in (("int8", 0.05), ("int4", 0.5)):
        q = ours(folder, ids, vocab, quant=quant)
        # Where two experts are nearly equal, rounded weights of the layers before may choose the other one: the row in the middle counts.
        near = np.median(np.sqrt(((q - exact) ** 2).mean(1))) if "expert" in str(cfg) else distance(q, exact)[0]
        check(f"{name} {quant}", near < bound * exact.std(), f"{near} with {exact.std()}")
        n = RANKS.get(name, 2)
        if quant == "int4" and (FULL or name in RANKS):
            check(f"{name} {quant} ranks", ours(folder, ids, vocab, ranks=n, quant=quant).tobytes() == q.tobytes(), f"{n} ranks, other bits")
    for n in range(2, 5) if FULL else [RANKS[name]] if name in RANKS else []:
        check(f"{name} {n} ranks", ours(folder, ids, vocab, chunk=100, ranks=n).tobytes() == f32.tobytes(), "other bits")


if __name__ == "__main__":
    only = [a for a in sys.argv[1:] if not a.startswith("--")]
    for name in MODELS:
        for seed in range(1, 4 if FULL else 2):
            if only and not any(o in name for o in only):
                continue
            folder = tempfile.mkdtemp(prefix="xv-family-")
            try:
                run(name, folder, seed)
            except (RuntimeError, AssertionError) as e:
                check(name, False, e)
            finally:
                shutil.rmtree(folder)
    if not only or "delta" in only:
        folder = tempfile.mkdtemp(prefix="xv-family-")
        state = random_state("mistral without a window", MODELS["mistral without a window"][3], 1)
        state["model.norm.weight"] -= 1
        state["model.norm.weight"] *= 0.1
        cfg = dict(LLAMA, architectures=["LlamaForCausalLM"], model_type="llama")
        save(folder, cfg, {"bin": True}, {k: t.half() for k, t in state.items()})
        r = subprocess.run([LOGITS, folder, "f32", "8"], input=np.array([1], np.int32).tobytes(), capture_output=True)
        check("a delta is noted", not r.returncode and b"differences to a base model" in r.stderr, r.stderr)
        shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)

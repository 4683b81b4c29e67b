"""The daemon with a small network of every family (random weights) on 1 to 4 emulated GPUs: logprobs of given texts stay within a bound of
the CPU's, whose own tests hold them against float64. With --enable-deterministic-inference every bit is the same on other numbers of ranks,
in chunks, in company, and whether a prefix was in the cache or not, windows included. --full: that, and CUDA graphs, for every network."""
import json
import os
import random
import re
import struct
import sys
import tempfile
from functools import partial

sys.path[:0] = ["tests/e2e", "tests/files"]
from job import Job, check, finish, skip, together

FAKE = os.path.abspath("build/tests/fakegpu/libxverse-cuda-fake.so")
FULL = "--full" in sys.argv
ONLY = [a for a in sys.argv[1:] if a != "--full"]
if not os.path.exists(FAKE):
    skip("no CUDA headers, so there is no plug-in for the emulated GPU")
    finish()
from quiet import Quiet  # noqa: E402
from wire import Client  # noqa: E402

VOCAB = 131
BASE = dict(hidden_size=128, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, vocab_size=VOCAB,
            max_position_embeddings=512, torch_dtype="float16", initializer_range=0.08)
WHOLE = dict({k: v for k, v in BASE.items() if k != "num_key_value_heads"})
GPT = dict(n_layer=2, n_inner=96, vocab_size=VOCAB, n_positions=512, torch_dtype="float16")
# Name: class, config, ranks, and the kernel of prompts. Heads of every size that the kernels have; ranks that share heads unevenly.
NETWORKS = {
    "XVERSE": ("XverseForCausalLM", WHOLE, 1, "wgmma"),
    "Llama with biases": ("LlamaForCausalLM", dict(BASE, num_key_value_heads=2, attention_bias=True, mlp_bias=True, tie_word_embeddings=True), 2, "wgmma"),
    "Mistral": ("MistralForCausalLM", dict(BASE, num_attention_heads=4, head_dim=128, sliding_window=30), 2, "wgmma"),
    "Qwen 2": ("Qwen2ForCausalLM", dict(BASE, num_key_value_heads=2, use_sliding_window=True, sliding_window=20, max_window_layers=1), 2, "wgmma"),
    "Qwen 3": ("Qwen3ForCausalLM", dict(BASE, head_dim=128), 1, "wgmma"),
    "Baichuan 13B": ("BaichuanForCausalLM", dict({k: v for k, v in WHOLE.items() if k[:3] != "max"}, hidden_size=320, num_attention_heads=5, model_max_length=512, z_loss_weight=0), 4, "wgmma"),
    "GPTQ": ("LlamaForCausalLM", dict(BASE, intermediate_size=128, tie_word_embeddings=False), 2, "wgmma"),
    "AWQ": ("LlamaForCausalLM", dict(BASE, intermediate_size=128, tie_word_embeddings=False), 2, "wgmma"),
    "Mixtral GPTQ": ("MixtralForCausalLM", dict(BASE, tie_word_embeddings=False, num_local_experts=3, num_experts_per_tok=2), 2, "wgmma"),
    "Qwen 3 MoE AWQ": ("Qwen3MoeForCausalLM", dict(BASE, tie_word_embeddings=False, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=64,
                                                   norm_topk_prob=True), 1, "wgmma"),
    "FP8": ("LlamaForCausalLM", dict(BASE, hidden_size=256, num_attention_heads=4, intermediate_size=352, tie_word_embeddings=False), 3, "wgmma"),
    "heads of 100": ("LlamaForCausalLM", dict(BASE, hidden_size=200, num_key_value_heads=2), 2, "mma.sync: wgmma needs heads of 64 or 128"),
    "heads of 72": ("Qwen3ForCausalLM", dict(BASE, num_attention_heads=4, head_dim=72), 3, "mma.sync: wgmma needs heads of 64 or 128"),
    "heads of 192": ("MistralForCausalLM", dict(BASE, head_dim=192, sliding_window=30), 1, "mma.sync: wgmma needs heads of 64 or 128"),
    "Mixtral": ("MixtralForCausalLM", dict(BASE, num_attention_heads=4, head_dim=64, num_local_experts=5, num_experts_per_tok=2), 3, "wgmma"),
    "Qwen 2 MoE": ("Qwen2MoeForCausalLM", dict(BASE, num_experts=9, num_experts_per_tok=4, moe_intermediate_size=43, shared_expert_intermediate_size=67,
                                              mlp_only_layers=[0]), 1, "wgmma"),
    "XVERSE MoE": ("XverseForCausalLM", dict(WHOLE, hidden_size=160, num_experts=6, moe_top_k=3, num_shared_experts=2, rope_theta=1e4), 2,
                   "mma.sync: wgmma needs heads of 64 or 128"),
    "OPT": ("OPTForCausalLM", dict(WHOLE, hidden_size=288, ffn_dim=100, word_embed_proj_dim=288, num_attention_heads=3), 2, "mma.sync: wgmma needs heads of 64 or 128"),
    "Pythia": ("GPTNeoXForCausalLM", dict(WHOLE, hidden_size=320, num_attention_heads=4), 3, "mma.sync: wgmma needs heads of 64 or 128"),
    "GPT-NeoX in turn": ("GPTNeoXForCausalLM", dict(WHOLE, use_parallel_residual=False, hidden_act="gelu_fast"), 1, "wgmma"),
    "MOSS": ("MossForCausalLM", dict(GPT, n_embd=1024, n_head=4, rotary_dim=64), 2, "mma.sync: wgmma needs heads of 64 or 128"),
    "CodeGen": ("CodeGenForCausalLM", dict(GPT, n_embd=320, n_head=4, rotary_dim=32), 1, "mma.sync: wgmma needs heads of 64 or 128"),
}
TYPES = {"GPTNeoXForCausalLM": "gpt_neox", "Qwen2MoeForCausalLM": "qwen2_moe", "Qwen3MoeForCausalLM": "qwen3_moe"}
QUANTISED = {"GPTQ": "int4,uint4+f16", "AWQ": "uint4+f16", "FP8": "e4m3+f16", "Mixtral GPTQ": "int4,uint4+f16", "Qwen 3 MoE AWQ": "uint4+f16"}  # their classes
BITS = tuple(n for n in NETWORKS if n != "heads of 100") if FULL else ("FP8", "GPTQ", "Mixtral GPTQ", "Mistral", "Pythia", "XVERSE MoE")
GRAPHS = tuple(NETWORKS) if FULL else ("Baichuan 13B", "GPTQ", "Mixtral", "Pythia", "Qwen 3")  # their warm-up takes longest here
DUMMY = ["--load-format", "dummy"]
SMALL = ["--kv-cache-memory-bytes", "4000000", "--max-model-len", "128", "--max-num-seqs", "2", "--no-tuning"]


def matrices(config):
    """Names and shapes of a layer's."""
    h, d, mixtral = config["hidden_size"], config["hidden_size"] // config["num_attention_heads"], "num_local_experts" in config
    kv, f = config["num_key_value_heads"] * d, config.get("moe_intermediate_size", config["intermediate_size"])
    yield from {"self_attn.q_proj": (h, h), "self_attn.k_proj": (kv, h), "self_attn.v_proj": (kv, h), "self_attn.o_proj": (h, h)}.items()
    names = ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj")
    experts = config.get("num_local_experts", config.get("num_experts", 0))
    for at in [f"{'block_sparse_moe' if mixtral else 'mlp'}.experts.{e}." for e in range(experts)] or ["mlp."]:
        yield from ((at + n, (h, f) if n == names[2] else (f, h)) for n in names)


def vectors(config):
    """What else a layer has."""
    yield from (("input_layernorm.weight", None), ("post_attention_layernorm.weight", None))
    if "num_local_experts" in config:
        yield "block_sparse_moe.gate.weight", config["num_local_experts"]
    if "num_experts" in config:
        yield from (("self_attn.q_norm.weight", None), ("self_attn.k_norm.weight", None), ("mlp.gate.weight", config["num_experts"]))


HOW = {"AWQ": dict(bits=4, group_size=32, quant_method="awq", zero_point=True, version="gemm"),
       "FP8": dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[128, 128]),
       "GPTQ": dict(bits=4, group_size=32, quant_method="gptq", sym=False, desc_act=True)}


def matrix(w, form, layer, order):
    """A matrix as a file holds it, and the numbers that it stands for."""
    import quant_forms as q
    if form == "FP8":
        scales = "channel" if layer else "block"
        parts = q.fp8(w, scales)
        return parts, q.fp8_weights(parts, scales)
    parts = q.awq(w, group=32) if form == "AWQ" else q.gptq(w, group=32, sym=layer == 1, order=order)
    return parts, (q.awq_weights if form == "AWQ" else q.gptq_weights)(parts, group=32)


def quantised(path, plain, form):
    """Fills a folder with a model of AWQ; or of GPTQ, whose first layer is asymmetric and has its columns in the order of activations; or of FP8,
    whose first layer has scales for blocks and whose second for rows; and another folder with the same numbers in f16."""
    import numpy as np
    import quant_forms as q
    config = json.load(open(f"{path}/config.json"))
    rng = q.rng = np.random.default_rng(7)
    h, d = config["hidden_size"], config["hidden_size"] // config["num_attention_heads"]
    both = {"model.embed_tokens.weight": rng.normal(0, 0.5, (VOCAB, h)), "model.norm.weight": np.ones(h), "lm_head.weight": rng.normal(0, 0.1, (VOCAB, h))}
    files, numbers = {}, {}
    for i in range(2):
        at, order = f"model.layers.{i}.", rng.permutation(h) if i == 0 else None
        both.update({at + k: rng.normal(0, 0.3, (n, h)) if n else np.ones(d if "self_attn" in k else h) for k, n in vectors(config)})
        for m, shape in matrices(config):
            w, own = rng.normal(0, 0.05, shape), order if m[-6:] in ("q_proj", "k_proj", "v_proj") or m in ("mlp.gate_proj", "mlp.up_proj") else None
            parts, stands_for = matrix(w, form, i, own)
            numbers[f"{at}{m}.weight"] = stands_for.astype(np.float16)
            files.update({f"{at}{m}.{end}": a for end, a in parts.items()})
    both = {k: v.astype(np.float16) for k, v in both.items()}
    os.makedirs(plain)
    json.dump(config, open(f"{plain}/config.json", "w"))
    q.write(f"{plain}/model.safetensors", dict(both, **numbers))
    q.write(f"{path}/model.safetensors", dict(both, **files))
    json.dump(dict(config, quantization_config=HOW[form]), open(f"{path}/config.json", "w"))


def path_of(top, name):
    return f"{top}/{name.replace(' ', '-')}"


def folder(top, name):
    architecture, config, _, _ = NETWORKS[name]
    path = path_of(top, name)
    os.makedirs(path)
    json.dump(dict(config, architectures=[architecture], eos_token_id=None, model_type=TYPES.get(architecture, architecture.removesuffix("ForCausalLM").lower())),
              open(f"{path}/config.json", "w"))
    if name in QUANTISED:
        quantised(path, f"{path}-numbers", name.split()[-1])


def cuda(ranks, path, *options):
    files = [] if os.path.exists(f"{path}/model.safetensors") else DUMMY
    return Quiet(ranks, path, "--device", "cuda", *files, *SMALL, *options,
                 env=dict(XVERSED_CUDA_LIB=FAKE, FAKEGPU_DEVICES=str(ranks), FAKEGPU_ORDER="rand", FAKEGPU_SEED=str(ranks)))


def texts():
    rng = random.Random(5)
    return [[rng.randrange(VOCAB) for _ in range(n)] for n in (2, 70)]


def scores(j):
    c = Client(j.socket)
    calls = [c.score(t) for t in texts()]
    c.wait(*calls, seconds=240)
    out = [[t.logprob for t in x.prompt_tokens[1:]] for x in calls]
    c.close()
    return out


def generate(c, prompts, at_once):
    def one(p):
        return c.generate(p, max_tokens=3, seed=len(p), temperature=1, logprobs=2)

    calls = [one(p) for p in prompts] if at_once else [c.wait(one(p)) for p in prompts]
    if at_once:
        c.wait(*calls, seconds=240)
    return [x.error and x.error.text or [(t.id, struct.pack("<f", t.logprob)) for t in x.tokens] for x in calls], calls


def against_cpu(top, name):
    path, (_, _, ranks, prompts_by) = path_of(top, name), NETWORKS[name]
    other, files = path, DUMMY
    if name in QUANTISED:
        other, files = f"{path}-numbers", []
    cpu, j = Job(1, other, "--device", "cpu", "--compute", "f32", *files, *SMALL), cuda(ranks, path, *([] if name in GRAPHS else ["--no-graphs"]))
    if check(f"{name}, CPU: starts", cpu.start(120), cpu.text()[-600:]) and check(f"{name}: starts", j.start(120), j.text()[-600:]):
        c = Client(j.socket)
        by = c.status().prompt_attention
        check(f"{name}: prompts by {prompts_by}", by == prompts_by, by)
        held = c.status().numerics_class
        check(f"{name}: the class of the files", f"/{QUANTISED.get(name, 'f16')}/" in held, held)
        graphs = re.findall(r"graphs_mib=(\S+) planned_mib=(\S+)", j.text())
        check(f"{name}: graphs take what is planned", len(graphs) == (name in GRAPHS) and all(a == b != "0.000" for a, b in graphs), graphs)
        want, got = scores(cpu), scores(j)
        apart = [max(abs(a - b) for a, b in zip(w, g)) if len(w) == len(g) else 9 for w, g in zip(want, got)]
        size = max(abs(x) for w in want for x in w)  # of a logprob: so large are logits, and so their roundings
        check(f"{name}: logprobs of given texts on {ranks}", max(apart) < 0.0005 * size, f"{apart} of {size}")
        answers, _ = generate(c, [t[:40] for t in texts()], True)
        check(f"{name}: answers", all(len(a) == 3 for a in answers), answers)
        c.close()
        check(f"{name}: ends", j.stop() == 0 and cpu.stop() == 0, j.text()[-400:])
        print(f"  {name} on {ranks}: logprobs of up to {size:.1f} within {max(apart):.4f} of the CPU's")
    cpu.close()
    j.close()
    if name in BITS:
        fixed_bits(path, name, ranks)


def fixed_bits(path, name, ranks):
    """The same prompts alone, from the cache, and in company; then on other ranks in smaller chunks."""
    prompts, want = texts(), None
    for n, options in ((1, ["--no-graphs"]), (ranks, ["--max-num-batched-tokens", "48", *([] if FULL else ["--no-graphs"])])):
        j = cuda(n, path, "--enable-deterministic-inference", *options)
        if check(f"{name}, fixed, {n} ranks: starts", j.start(120), j.text()[-600:]):
            c = Client(j.socket)
            first, _ = generate(c, prompts, False)
            want = want or first
            check(f"{name}, fixed, {n} ranks: the same bits", first == want and all(len(a) == 3 for a in first), f"{first} and {want}")
            again, calls = generate(c, prompts, True)
            check(f"{name}, fixed, {n} ranks: the cache is hit", calls[-1].finished.cached_tokens >= 64, calls[-1].finished.cached_tokens)
            check(f"{name}, fixed, {n} ranks: from the cache and in company the same bits", again == want, f"{again} and {want}")
            c.close()
            check(f"{name}, fixed, {n} ranks: ends", j.stop() == 0, j.text()[-400:])
        j.close()


def eighty(top):
    """Groups of 32 columns do not begin with heads of 80, so o is rounded by share: refused where the bits must be those of any ranks."""
    path = f"{top}/eighty"
    os.makedirs(path)
    json.dump(dict(BASE, hidden_size=160, tie_word_embeddings=False, architectures=["LlamaForCausalLM"], model_type="llama"), open(f"{path}/config.json", "w"))
    quantised(path, f"{path}-numbers", "GPTQ")
    j = cuda(2, path, "--no-graphs", "--enable-deterministic-inference")
    check("heads of 80 from a quantised file, fixed: refused", not j.start(60) and "needs heads of 32" in j.text(), j.text()[-400:])
    j.close()


def main():
    try:
        import numpy  # noqa: F401
    except ImportError:
        skip("python3-numpy is not installed")
        finish()
    with tempfile.TemporaryDirectory() as top:
        chosen = [name for name in NETWORKS if not ONLY or any(o in name for o in ONLY)]
        for name in chosen:
            folder(top, name)
        eighty(top)
        together(3, *(partial(against_cpu, top, name) for name in chosen))
    finish()


main()

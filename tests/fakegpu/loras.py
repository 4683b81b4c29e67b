"""Adapters beside the weights on emulated GPUs: logprobs stay within a bound of the CPU's for each adapter, with biases of every product and
without. With --enable-deterministic-inference every call has the same bits alone, in a batch of several adapters, on other numbers of ranks, and with an adapter that was loaded while serving."""
import json
import os
import sys
import tempfile
from functools import partial

sys.path.insert(0, "tests/e2e")
from job import Job, check, finish, skip, together

FAKE = os.path.abspath("build/tests/fakegpu/libxverse-cuda-fake.so")
if not os.path.exists(FAKE):
    skip("no CUDA headers, so there is no plug-in for the emulated GPU")
    finish()
from lora import adapter, ask, load  # noqa: E402
from quiet import Quiet  # noqa: E402
from wire import Client, outcome  # noqa: E402

VOCAB, HIDDEN, FFN = 131, 128, 96
CONFIG = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=2,
              num_attention_heads=2, num_key_value_heads=1, vocab_size=VOCAB, max_position_embeddings=512, torch_dtype="float16", initializer_range=0.08)
BIASES = dict(attention_bias=True, mlp_bias=True)
SHAPES = dict(q_proj=(HIDDEN, HIDDEN), k_proj=(64, HIDDEN), v_proj=(64, HIDDEN), o_proj=(HIDDEN, HIDDEN), gate_proj=(FFN, HIDDEN),
              up_proj=(FFN, HIDDEN), down_proj=(HIDDEN, FFN))
SMALL = ["--load-format", "dummy", "--kv-cache-memory-bytes", "4000000", "--max-model-len", "128", "--max-num-seqs", "4", "--max-loras", "3",
         "--max-lora-rank", "20"]
TEXTS = [[(7 * i + k * k) % VOCAB for k in range(n)] for i, n in enumerate((3, 60))]


def cuda(ranks, path, *options, model="model"):
    return Quiet(ranks, f"{path}/{model}", "--device", "cuda", "--no-tuning", *SMALL, *options,
                 env=dict(XVERSED_CUDA_LIB=FAKE, FAKEGPU_DEVICES=str(ranks), FAKEGPU_ORDER="rand", FAKEGPU_SEED=str(ranks)))


def given(path):
    return ["--lora", f"a={path}/a", "--lora", f"b={path}/b"]


def scores(j):
    c = Client(j.socket)
    calls = [c.score(t, adapter=name) for t in TEXTS for name in ("", "a", "b")]
    c.wait(*calls, seconds=240)
    out = [[t.logprob for t in x.prompt_tokens[1:]] for x in calls]
    c.close()
    return out


def against_cpu(path, model="model"):
    cpu = Job(1, f"{path}/{model}", "--device", "cpu", "--compute", "f32", *SMALL, *given(path))
    j = cuda(2, path, *given(path), *(["--no-graphs"] if model != "model" else []), model=model)
    if check("CPU: starts", cpu.start(120), cpu.text()[-600:]) and check("2 ranks: starts", j.start(120), j.text()[-600:]):
        want, got = scores(cpu), scores(j)
        size = max(abs(x) for w in want for x in w)
        apart = [max(abs(a - b) for a, b in zip(w, g)) if len(w) == len(g) else 9 for w, g in zip(want, got)]
        changed = min(max(abs(a - b) for a, b in zip(want[i], want[i + k])) for i in (0, 3) for k in (1, 2))
        check(f"2 ranks, {model}: logprobs of given texts", max(apart) < 0.004 * size < 0.1 * changed, f"{apart} of {size}, changed by {changed}")
        print(f"  logprobs of up to {size:.1f} within {max(apart):.4f} of the CPU's; adapters change them by {changed:.2f}")
        check("2 ranks: ends", j.stop() == 0 and cpu.stop() == 0, j.text()[-400:])
    cpu.close()
    j.close()


def calls(client, at_once):
    def one(i, name):
        return ask(client, name, TEXTS[1][:20 + i], max_tokens=4, seed=i, temperature=1, logprobs=2, ignore_eos=True)

    who = ["", "a", "b", "c", "a"]
    made = [one(i, name) for i, name in enumerate(who)] if at_once else [client.wait(one(i, name), seconds=240) for i, name in enumerate(who)]
    client.wait(*made, seconds=240)
    return [outcome(x) for x in made]


def fixed_bits(path):
    want = None
    for ranks, options in ((1, []), (2, ["--max-num-batched-tokens", "48", "--no-graphs"])):
        j = cuda(ranks, path, "--enable-deterministic-inference", *given(path), *options)
        if check(f"fixed, {ranks} ranks: starts", j.start(120), j.text()[-600:]):
            c = Client(j.socket)
            told = load(c, "c", f"{path}/c")
            check(f"fixed, {ranks} ranks: an adapter is loaded while serving", not told.HasField("error"), told)
            alone = calls(c, False)
            want = want or alone
            check(f"fixed, {ranks} ranks: the same bits", alone == want, f"{alone} and {want}")
            check(f"fixed, {ranks} ranks: in company the same bits", calls(c, True) == want)
            c.close()
            check(f"fixed, {ranks} ranks: ends", j.stop() == 0, j.text()[-400:])
        j.close()


def main():
    with tempfile.TemporaryDirectory() as path:
        for name, config in (("model", CONFIG), ("biased", dict(CONFIG, **BIASES))):
            os.makedirs(f"{path}/{name}")
            json.dump(config, open(f"{path}/{name}/config.json", "w"))
        adapter(f"{path}/a", 1, rank=8, shapes=SHAPES)
        adapter(f"{path}/b", 2, rank=20, targets=("q_proj", "v_proj", "up_proj"), shapes=SHAPES)
        adapter(f"{path}/c", 3, rank=3, targets=("o_proj", "down_proj"), shapes=SHAPES)
        together(2, partial(against_cpu, path), partial(against_cpu, path, "biased"), partial(fixed_bits, path))
    finish()


main()

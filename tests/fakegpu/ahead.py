"""A step that is enqueued while the one before runs brings the same words and logprobs, to the bit, as one at a time: a small model on 1, 2
and 3 emulated GPUs under --enable-deterministic-inference, with calls that end by EOS, by a stop id, by a stop text, by their length and by a
Cancel while a step is in flight, with prompts in pieces, shared beginnings, resumed calls, every way to sample, and a cache so small that
calls are pre-empted. Counters tell that steps went ahead where they may, and only there."""
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, "tests/e2e")
import job
from job import check, finish, skip

FAKE = os.path.abspath("build/tests/fakegpu/libxverse-cuda-fake.so")
WITH = sys.argv[sys.argv.index("--with") + 1] if "--with" in sys.argv else None  # a folder with another xversed and plug-in
FULL = "--full" in sys.argv
BLOCK = 2 * 64 * 32 * 2  # bytes of a head: K and V, numbers, tokens, two each
HEADS, BLOCKS, VOCAB = 4, 7, 260
if not os.path.exists(FAKE):
    skip("no CUDA headers, so there is no plug-in for the emulated GPU")
    finish()
from quiet import Quiet  # noqa: E402
from wire import Client, pb  # noqa: E402

LETTERS = list(range(4 + ord("a"), 4 + ord("j")))
LONG = [(7 * i) % 250 + 4 for i in range(126)]  # the next block is needed soon, when there is none
CALLS = [
    dict(prompt=LONG, temperature=0, max_tokens=8, ignore_eos=True),
    dict(prompt=LONG[:59] + [9, 8, 7], temperature=1, seed=10, max_tokens=8, ignore_eos=True, prompt_logprobs=1),
    dict(prompt="city", temperature=0, max_tokens=12),
    dict(prompt="She said", temperature=1, seed=3, allowed_token_ids=LETTERS, stop=["e"], max_tokens=30),
    dict(prompt="year", temperature=1, seed=5, stop_token_ids=list(range(4, VOCAB, 7)), max_tokens=30, logprobs=2),
    dict(prompt="stone", temperature=1, seed=6, stop_token_ids=list(range(5, VOCAB, 3)), min_tokens=3, max_tokens=30),
    dict(prompt="island", temperature=0, logit_bias=[(3, 30.0)], min_tokens=2, max_tokens=30),  # EOS
    dict(prompt="Water", temperature=0.8, seed=7, top_p=0.8, repetition_penalty=1.3, presence_penalty=0.5, max_tokens=10, logprobs=5),
    dict(prompt="One", temperature=0, max_tokens=1),
    dict(prompt="Two", temperature=1, seed=9, allowed_token_ids=[4 + i for i in range(99)], max_tokens=6),
    dict(prompt="Music", temperature=1, seed=8, top_k=9, frequency_penalty=0.7, max_tokens=10, ignore_eos=True),
]


def make_model(folder):
    """Random weights; a token is a byte."""
    subprocess.run(["/usr/bin/python3", "tests/e2e/make_model.py", folder, f"hidden={64 * HEADS}", "ffn=96", "layers=1", f"heads={HEADS}",
                    f"kv_heads={HEADS}", f"vocab={VOCAB}"], check=True)
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))  # GPT-2's letters for bytes
    odd = [b for b in range(256) if b not in plain]
    letter = {b: chr(b) if b in plain else chr(256 + odd.index(b)) for b in range(256)}
    special = ["<unk>", "<pad>", "<s>", "</s>"]
    added = [dict(id=i, content=s, special=True, normalized=False, lstrip=False, rstrip=False, single_word=False) for i, s in enumerate(special)]
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False)
    bpe = dict(type="BPE", vocab={**{s: i for i, s in enumerate(special)}, **{letter[b]: 4 + b for b in range(256)}}, merges=[])
    json.dump(dict(version="1.0", added_tokens=added, pre_tokenizer=level, decoder=level, model=bpe), open(f"{folder}/tokenizer.json", "w"))
    return folder


def ask(c, prompt, logit_bias=(), **how):
    return c.generate(prompt, logit_bias=[pb.Bias(id=i, value=v) for i, v in logit_bias], **how)


def told(x):
    tokens = [(t.id, t.logprob, t.rank, [(y.id, y.logprob) for y in t.top]) for t in list(x.prompt_tokens) + list(x.tokens)]
    return None if x.error or not x.finished else (x.finished.reason, x.text, list(x.ids), tokens)


def counters(c):
    text = c.wait(c.send(metrics=pb.MetricsRequest())).last.metrics.text
    return {n: int(float(re.search(rf"^xverse_{n}_total{{[^}}]*}} (\S+)$", text, re.M)[1])) for n in ("steps", "steps_ahead", "num_preemptions", "prefix_cache_hits")}


def cancelled(c):
    """A Cancel when the first words are there, and what came till then; the other call is not disturbed."""
    long, other = ask(c, "The sea", temperature=0, max_tokens=60, ignore_eos=True), ask(c, "Trees", temperature=0, max_tokens=14, ignore_eos=True)
    while not long.ids and not c.closed and not long.ended:
        c.read(1)
    c.cancel(long)
    c.wait(long, other, seconds=120)
    return list(long.ids), told(other)


def serve(c):
    """All at once, then again what shares a beginning, then a resumed half."""
    calls = [ask(c, **how) for how in CALLS]
    c.wait(*calls, seconds=240)
    first = [told(x) for x in calls]
    again = ask(c, LONG + [11], temperature=0, max_tokens=5, ignore_eos=True)
    half = calls[10]
    mark = pb.Resume(ids=half.ids[:6], seed=8, fingerprint=half.started.fingerprint, numerics_class=half.started.numerics_class)
    rest = ask(c, resume=mark, **CALLS[10])
    c.wait(again, rest, seconds=120)
    check("a resumed call goes on as it would have", half.ids[:6] + list(rest.ids) == list(half.ids), f"{rest.ids} of {half.ids}, {rest.error}")
    return first + [told(again)]


def last_words(j):
    """Of a daemon that has ended, in what order mpirun may tell them."""
    return [x for x in j.text().split("\n") if "fakegpu" in x or "level=error" in x][:3] or j.text()[-600:]


def run(name, model, want, ranks, devices, ahead, *options):
    kv = BLOCKS * BLOCK * -(-HEADS // ranks)
    j = Quiet(ranks, model, "--device", "cuda", "--enable-deterministic-inference", "--no-tuning", "--kv-cache-memory-bytes", str(kv),
            "--max-model-len", "192", "--max-num-seqs", "6", "--max-num-batched-tokens", "64", "--admission-look-ahead", "0", "--max-logits-rows", "5",
            *options, env=dict(XVERSED_CUDA_LIB=FAKE, FAKEGPU_DEVICES=str(devices), FAKEGPU_ORDER="rand", FAKEGPU_SEED=str(ranks)))
    got = None
    if check(f"{name}: starts", j.start(200), last_words(j)):
        c = Client(j.socket)
        try:
            got = serve(c)
        except OSError:
            pass
        if not check(f"{name}: all answered", got and all(got), last_words(j)):
            j.close()
            return got
        for how, a, b in zip(CALLS + [dict(prompt="again")], want or got, got):
            check(f"{name}: the same words and logprobs, {str(how)[:60]}", a == b, f"{b} and {a}")
        part, other = cancelled(c)
        got += [other]
        if want:
            whole = ask(c, "The sea", temperature=0, max_tokens=len(part), ignore_eos=True)
            c.wait(whole)
            check(f"{name}: a cancelled call's words", list(whole.ids) == part, f"{part} and {list(whole.ids)}")
            check(f"{name}: beside a cancelled call", other == want[-1], f"{other} and {want[-1]}")
        n = counters(c)
        print(f"  {name}: {n}")
        check(f"{name}: pre-empted and shared", n["num_preemptions"] > 0 and n["prefix_cache_hits"] > 0, n)
        check(f"{name}: steps ahead", 2 * n["steps_ahead"] > n["steps"] if ahead else n["steps_ahead"] == 0, n)
        c.close()
        check(f"{name}: ends", j.stop() == 0, j.text()[-400:])
    j.close()
    return got


with tempfile.TemporaryDirectory() as top:
    path = make_model(top)
    one = run("one at a time", path, None, 1, 1, False, "--no-step-ahead")
    if one and WITH:  # planted bugs
        FAKE, job.BIN = WITH + "/libxverse-cuda-fake.so", WITH + "/"
        run("planted", path, one, 2, 2, True)
    elif one:
        run("ahead", path, one, 1, 1, True)
        run("ahead on 2", path, one, 2, 2, True)
        run("ahead on 3, no graphs", path, one, 3, 3, True, "--no-graphs")
    if one and FULL:
        run("2 that share a GPU", path, one, 2, 1, False)
finish()

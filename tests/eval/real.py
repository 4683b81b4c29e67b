"""real.py - `xverse eval` on the demo model: the same bits whatever the ranks, threads and caches, and a forward pass of another program.

    tests/eval/check_real [--full [--slice N]]

--full: all 14,042 questions of MMLU against the forward pass, and lm-eval through the gateway, with questions a second. What is done is kept in
build/tests/eval-real, so that the same command goes on where it was killed; --slice N takes the first N questions of each subject, and says so.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, "tests/e2e")
sys.path.insert(0, "tests/eval")
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # processes are
import numpy as np
import torch
from tokenizers import Tokenizer

from job import Job, check, finish, skip
from prompts import prompts_of

MODEL = "launch/demo/model"
DATA = os.environ.get("XV_TESTDATA", "../shared/testdata") + "/eval"
XVERSE = "build/bin/xverse"
PART = 50  # questions of one process at a time
work = tempfile.mkdtemp(prefix="xv-eval-real-")
torch.set_grad_enabled(False)
torch.set_num_threads(1)  # the questions are shared out among processes


def make_data():
    """For clones without the published files: short questions of a few subjects."""
    root = f"{work}/data/mmlu/data"
    for n, s in enumerate(("anatomy", "astronomy", "marketing")):
        for split, rows in (("dev", 5), ("test", 9)):
            os.makedirs(f"{root}/{split}", exist_ok=True)
            with open(f"{root}/{split}/{s}_{split}.csv", "w") as f:
                for i in range(rows):
                    f.write(f'"What did the {"king queen man city people".split()[(i + n) % 5]} say to number {i * 37 + n}, and why?",yes,no,{i},"the {s}",{"ABCD"[(i * 7 + n) % 4]}\n')
    return f"{work}/data", ["mmlu", "--subjects", "anatomy,astronomy,marketing"]


class Forward:
    """The network in float32 by torch's matrix products alone; keys and values of a beginning are kept for the prompts that share it."""

    def __init__(self, folder):
        c = json.load(open(folder + "/config.json"))
        self.heads, self.layers, self.eps = c["num_attention_heads"], c["num_hidden_layers"], c["rms_norm_eps"]
        self.d = c["hidden_size"] // self.heads
        self.w = {k: v.float() for k, v in torch.load(folder + "/pytorch_model.bin", map_location="cpu", weights_only=True).items()}
        self.angle = 1.0 / 10000.0 ** (torch.arange(0, self.d, 2).double() / self.d)

    def rms(self, x, name):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.eps) * self.w[name]

    def rotate(self, x, at):
        a = (torch.arange(at, at + x.shape[1]).double()[:, None] * self.angle).float()
        left, right = x[..., :self.d // 2], x[..., self.d // 2:]
        return torch.cat([left * a.cos() - right * a.sin(), right * a.cos() + left * a.sin()], -1)

    def __call__(self, ids, past=None):
        """Logits of the last position, and the keys and values of all."""
        at = past[0][0].shape[1] if past else 0
        x, kept, n = self.w["model.embed_tokens.weight"][ids], [], len(ids)
        mask = torch.full((n, at + n), -torch.inf).triu(at + 1)
        for i in range(self.layers):
            p = f"model.layers.{i}."
            h = self.rms(x, p + "input_layernorm.weight")
            q, k, v = ((h @ self.w[f"{p}self_attn.{m}_proj.weight"].T).view(n, self.heads, self.d).transpose(0, 1) for m in "qkv")
            q, k = self.rotate(q, at), self.rotate(k, at)
            if past:
                k, v = torch.cat([past[i][0], k], 1), torch.cat([past[i][1], v], 1)
            kept.append((k, v))
            a = torch.softmax(q @ k.transpose(1, 2) / self.d ** 0.5 + mask, -1) @ v
            x = x + a.transpose(0, 1).reshape(n, -1) @ self.w[p + "self_attn.o_proj.weight"].T
            h = self.rms(x, p + "post_attention_layernorm.weight")
            gate = h @ self.w[p + "mlp.gate_proj.weight"].T
            x = x + (torch.nn.functional.silu(gate) * (h @ self.w[p + "mlp.up_proj.weight"].T)) @ self.w[p + "mlp.down_proj.weight"].T
        return self.w["lm_head.weight"] @ self.rms(x[-1], "model.norm.weight"), kept


def tokens_of(texts):
    """By the reference library; the file is older than its present spelling of Metaspace."""
    with open(MODEL + "/tokenizer.json") as f:
        tok = Tokenizer.from_str(f.read().replace('"add_prefix_space": false', '"prepend_scheme": "never"'))
    return [e.ids for e in tok.encode_batch(texts)]


def evaluate(name, args, data, ranks, *options, more=(), threads="1", folder=work, shown=False):
    """shown: progress goes to the terminal or the log, and a run of hours has its time."""
    job = Job(ranks, MODEL, "--threads", threads, *options)
    out = f"{folder}/{name}"
    if not check(f"{name}: starts", job.start(), job.text()[-300:]):
        return None, None, None
    begin = time.time()
    p = subprocess.run([XVERSE, "eval", *args, "--data", data, "--out", out, "--uds", job.socket, "--lang", "en", *more], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=None if shown else subprocess.PIPE, timeout=None if shown else 3000)
    seconds = time.time() - begin
    job.stop()
    job.close()
    check(f"{name}: runs", p.returncode in (0, 2, 3), (p.returncode, (p.stderr or b"").decode()[-300:]))
    with open(f"{out}/mmlu.samples.jsonl", "rb") as f:
        samples = f.read()
    return samples, json.load(open(f"{out}/mmlu.json")), seconds


def same_bits(args, data):
    base, result, seconds = evaluate("one", args, data, 1, threads="2")
    n = base.count(b"\n")
    print(f"  {n} questions, 1 rank: {n / seconds:.1f}/s")
    for name, ranks, options, more in (("two ranks, no reuse", 2, ["--no-enable-prefix-caching"], []), ("one thread, batches of 3", 1, ["--max-num-seqs", "3", "--max-num-batched-tokens", "96"], ["--in-flight", "5"])):
        other, again, seconds = evaluate(name, args, data, ranks, *options, more=more)
        print(f"  {name}: {n / seconds:.1f}/s")
        check(f"{name}: the same samples", other == base, f"{len(other or b'')} bytes, not {len(base)}")
        check(f"{name}: the same result", again == result, "")
    return [json.loads(l) for l in base.splitlines()]


def against_part(samples, data):
    """Of these samples: prompts of other tokens, how far logits are, choices that differ, and those too close to call."""
    net, prompt = Forward(MODEL), prompts_of(data)
    bare, ctx = ([i[-1] for i in tokens_of([before + c for c in "ABCD"])] for before in ("", "Answer: "))
    tokens = tokens_of([prompt(s["task"], s["index"], s["k"]) for s in samples])
    worst = differ = ties = 0
    last, kept = [], None
    for s, ids in zip(samples, tokens):
        ids = ids[-s["n_tokens"]:]
        shared = 0
        while shared < min(len(ids), len(last)) - 1 and ids[shared] == last[shared]:
            shared += 1
        past = [(k[:, :shared], v[:, :shared]) for k, v in kept] if kept and shared > 16 else None
        logits, kept = net(ids[shared if past else 0:], past)
        last = ids
        for letters, of, pred in ((bare, "logits", "pred"), (ctx, "logits_ctx", "pred_ctx")):
            mine = logits[letters].numpy()
            worst = max(worst, float(np.abs(mine - s[of]).max()))
            order = np.sort(mine)
            clear = order[-1] - order[-2] > 0.1
            differ += clear and "ABCD"[int(mine.argmax())] != s[pred]
            ties += letters is bare and not clear
    other = sum(len(ids) != s["n_tokens"] and not s["truncated"] for s, ids in zip(samples, tokens))
    return other, worst, int(differ), int(ties)


def kept_part(path, samples, data):
    """The same, kept in a file that appears whole."""
    if path and os.path.exists(path):
        return json.load(open(path))
    found = against_part(samples, data)
    if path:
        with open(path + ".new", "w") as f:
            json.dump(found, f)
        os.rename(path + ".new", path)
    return found


def all_parts(samples, data, folder):
    """Neighbours share the beginning of their prompts, so a part is a run of them."""
    parts = [samples[i:i + PART] for i in range(0, len(samples), PART)]
    names = [folder and f"{folder}/{i}.json" for i in range(len(parts))]
    already, begin, shown, done, found = sum(bool(n) and os.path.exists(n) for n in names), time.time(), 0, 0, []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(kept_part, n, p, data) for n, p in zip(names, parts)]
        for future in as_completed(waiting):
            found.append(future.result())
            done += 1
            took = time.time() - begin
            if done > already and took > shown + 20:
                shown = took
                left = took / (done - already) * (len(parts) - done)
                print(f"  forward pass: {min(done * PART, len(samples)):,} of {len(samples):,} questions, about {left / 60:.0f} min left", flush=True)
    return found


def against_forward(samples, data, most, folder=None):
    """The letters' logits and choices of a forward pass of ours; how far bf16 is from float32 bounds what may differ."""
    ends = tokens_of(["Answer:"] + ["Answer: " + c for c in "ABCD"])
    check("letters behind a prompt are one token", all(e[:-1] == ends[0] for e in ends[1:]), ends)
    samples = samples[:: max(1, len(samples) // most)]
    n, parts = len(samples), all_parts(samples, data, folder)
    other, differ, ties = (sum(p[i] for p in parts) for i in (0, 2, 3))
    worst = max(p[1] for p in parts)
    print(f"  {n} questions against a forward pass in float32: logits within {worst:.3f}, {ties} closer than 0.1", flush=True)
    check("the prompts' tokens", other == 0, f"{other} of {n} differ")
    check("the same choices", differ == 0, f"{differ} of {n} differ")
    check("the same logits", worst < 0.08, worst)
    check("most choices are clear", ties < n * 0.8, f"{ties} of {n}")


def lm_eval(data):
    """On the same questions: lm-eval's sums through the gateway, and how long it takes."""
    python = subprocess.run(["tests/oracle/venv", "evaluation"], capture_output=True, text=True).stdout.strip()
    if not python:
        return skip("lm-eval cannot be had")
    job = Job(1, MODEL, "--served-model-name", "demo", "--threads", "2")
    job.start()
    out = f"{work}/lm"
    begin = time.time()
    subprocess.run([XVERSE, "eval", "mmlu", "--subjects", "astronomy,prehistory,marketing,virology", "--limit", "25", "--data", data, "--out", out, "--uds", job.socket], capture_output=True)
    ours = time.time() - begin
    samples = [json.loads(l) for l in open(out + "/mmlu.samples.jsonl")]
    prompt = prompts_of(data)
    with open(f"{work}/questions.jsonl", "w") as f:
        for s in samples:
            f.write(json.dumps({**s, "prompt": prompt(s["task"], s["index"], s["k"])}) + "\n")
    p = subprocess.run([python, "tests/eval/lm_eval_choices.py", job.socket, f"{work}/questions.jsonl"], capture_output=True, text=True)
    job.stop()
    job.close()
    print(p.stdout.strip())
    seconds = re.search(r"in ([\d.]+) s", p.stdout)
    check("lm-eval: the same choices", p.returncode == 0, (p.stdout + p.stderr)[-600:])
    if seconds:
        print(f"  {len(samples)} questions: xverse eval {ours:.1f} s, lm-eval {seconds[1]} s, {float(seconds[1]) / ours:.1f} times as long")


def place_of(how):
    """Where a long run keeps what it has done; what other programs have done there is dropped."""
    folder = os.path.abspath(f"build/tests/eval-real{'-' + str(how) if how else ''}")
    key = hashlib.sha256()
    for path in ("build/bin/xversed", XVERSE, MODEL + "/pytorch_model.bin", MODEL + "/tokenizer.json", "tests/eval/real.py"):
        with open(path, "rb") as f:
            key.update(hashlib.sha256(f.read()).digest())
    try:
        with open(folder + "/key") as f:
            if f.read() == key.hexdigest():
                print(f"  going on with what an earlier run has left in {os.path.relpath(folder)}", flush=True)
                return folder
    except OSError:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder + "/forward")
    with open(folder + "/key", "w") as f:
        f.write(key.hexdigest())
    return folder


def all_questions(part):
    """part: questions of each subject; 0: all."""
    folder = place_of(part)
    if part:
        print(f"  A SLICE: the first {part} questions of each subject, not all 14,042", flush=True)
    base, result, seconds = evaluate("all", ["mmlu", *(["--limit", str(part)] if part else []), "--resume"], DATA, 1, threads="2", folder=folder, shown=True)
    samples = [json.loads(l) for l in base.splitlines()]
    print(f"  {len(samples):,} questions of MMLU in {seconds:.0f} s (less where an earlier run asked some)", flush=True)
    counts = result["questions"]
    check("all questions", counts["done"] == counts["asked"] == len(samples) == (57 * part if part else 14042), counts)
    check("the result says whether it is all", result["complete"] == (not part), result["complete"])
    begin = time.time()
    against_forward(samples, DATA, len(samples), folder + "/forward")
    print(f"  against the forward pass in {time.time() - begin:.0f} s", flush=True)
    return folder


options = argparse.ArgumentParser()
options.add_argument("--full", action="store_true")
options.add_argument("--slice", type=int, default=0, metavar="N")
options = options.parse_args()
data, args = make_data()
samples = same_bits(args, data)
against_forward(samples, data, 40)
if options.full and os.path.isdir(DATA):
    folder = all_questions(options.slice)
    lm_eval(DATA)
    import job
    if not job.failed:
        shutil.rmtree(folder)
elif options.full:
    skip("the published files are not here")
shutil.rmtree(work)
finish()

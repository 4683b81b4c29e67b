"""The greedy answers of llama.cpp to a few prompts, for a small random model of every family that it has: at each place ours is the same token, or its
logit lies so near that rounding decides. One place is also told wrong, to see it found."""
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, "tests/bench")
import shapes  # noqa: E402

BUILD = os.environ["XV_LLAMA_CPP"]
ANSWER, PROMPTS, NEAR = 24, 2, 2e-3
READ = ("llama", "baichuan", "qwen2", "qwen3", "mixtral", "qwen2-moe", "qwen3-moe")  # files that we read, too
passed = failed = 0


def check(name, ok, *told):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED {name}:", *(str(t)[-600:] for t in told), flush=True)
    return ok


def theirs(gguf, prompt):
    text = "".join(f"[{t}]" for t in prompt)
    r = subprocess.run([BUILD + "/bin/llama-completion", "-m", gguf, "-p", text, "-n", str(ANSWER), "--temp", "0", "-no-cnv", "--no-display-prompt", "-c", "512",
                        "-ctk", "f32", "-ctv", "f32", "-fa", "off", "--ignore-eos", "--simple-io", "-t", "2"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return [int(t) for t in re.findall(r"\[(\d+)\]", r.stdout)], r.stderr


def logits(folder, ids, vocab):
    r = subprocess.run(["build/tests/e2e/logits", folder, "f32"], input=np.array(ids, np.int32).tobytes(), capture_output=True)
    return np.frombuffer(r.stdout, np.float32).reshape(-1, vocab) if len(r.stdout) == 4 * vocab * len(ids) else None


def agrees(rows, answer):
    """How far below the largest logit the peer's token lies at most, in standard deviations."""
    return max(float((row.max() - row[t]) / row.std()) for row, t in zip(rows, answer))


def compare(family, folder):
    ours, files = shapes.write(folder, family, ["f32"], hidden=128, vocab=700, layers=2)
    rng, vocab = np.random.default_rng(5), 700
    for _ in range(PROMPTS):
        prompt = rng.integers(shapes.BYTES, vocab, 40).tolist()
        answer, err = theirs(files["f32"], prompt)
        if not check(f"{family}: llama.cpp answers", len(answer) >= 4, answer, err):
            return
        got = logits(ours, prompt + answer[:-1], vocab)
        if not check(f"{family}: ours runs", got is not None):
            return
        if family in READ:
            file = logits(files["f32"], prompt + answer[:-1], vocab)
            check(f"{family}: the file itself gives the same bits", file is not None and file.tobytes() == got.tobytes())
        rows = got[len(prompt) - 1:]
        check(f"{family}: the same tokens", agrees(rows, answer) < NEAR, agrees(rows, answer))
        wrong = [shapes.BYTES + (answer[0] - shapes.BYTES + 1) % (vocab - shapes.BYTES)] + answer[1:]
        check(f"{family}: a wrong token is found", agrees(rows, wrong) > NEAR)


for family in shapes.FAMILIES:
    with tempfile.TemporaryDirectory(prefix="xv-peer-") as folder:
        compare(family, folder)
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed > 0)

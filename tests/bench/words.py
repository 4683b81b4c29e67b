#!/usr/bin/env python3
"""Encode speed, ours against PyPI `tokenizers` on one thread, turn by turn.

    words.py DIR FILE [ROUNDS]    DIR holds a tokenizer.json
    words.py make DIR CORPUS      trains DIR/tokenizer.json, of XVERSE's form with 100,000 words, on the corpus.jsonl of
                                  launch/demo/corpus.py, and writes its text as DIR/en and DIR/zh

Both sides are timed in CPU seconds, so that a busy machine disturbs little."""
import json
import os
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer

SIZE, TEXT = 100000, 4 << 20


def make(directory, corpus):
    sys.path.insert(0, os.path.dirname(__file__) + "/../words")
    from configs import xverse
    rows = [json.loads(line) for line in open(corpus, encoding="utf-8")]
    os.makedirs(directory, exist_ok=True)
    xverse(size=SIZE, texts=[r["text"] for r in rows]).save(directory + "/tokenizer.json")
    for language in "en", "zh":
        text = "\n".join(r["text"] for r in rows if r["language"] == language)
        with open(f"{directory}/{language}", "w", encoding="utf-8") as f:
            f.write(text[:TEXT])


def reference(t, text):
    start = time.process_time()
    t.encode(text, add_special_tokens=False)
    return len(text.encode()) / (time.process_time() - start) / 1e6


def main():
    if sys.argv[1] == "make":
        return make(*sys.argv[2:])
    directory, path, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5
    t = Tokenizer.from_file(f"{directory}/tokenizer.json")
    text = open(path, encoding="utf-8").read()
    ours, theirs = [], []
    for _ in range(rounds):
        out = subprocess.run(["build/tests/bench/words", directory, path], capture_output=True, text=True, check=True).stdout
        ours.append(float(out.split("\n")[0].split()[2]))
        theirs.append(reference(t, text))
    print(out, end="")
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"tokenizers {b:.2f} MB/s; ratio {a / b:.1f}")
    print(json.dumps({"ours_MBps": a, "tokenizers_MBps": b, "ratio": a / b}))


if __name__ == "__main__":
    main()

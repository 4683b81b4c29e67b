"""grammar_words.py - a real vocabulary of 100,000 words in many languages, as bytes and as a tokenizer.json."""
import base64
import glob
import json
import os
import subprocess
import sys

WORDS = 100000


def venv():
    """The Python of the environment that has the words."""
    r = subprocess.run(["tests/oracle/venv", "grammar"], capture_output=True, text=True)
    if r.returncode:
        sys.exit("tests/oracle/venv grammar: " + r.stderr[-300:])
    return r.stdout.strip()


def bytes_of_tokens(python):
    """The first words of Qwen's vocabulary, behind <unk>, <s> and </s>."""
    folder = os.path.dirname(os.path.dirname(python))
    path = glob.glob(folder + "/lib/python3*/site-packages/dashscope/resources/qwen.tiktoken")[0]
    return [base64.b64decode(line.split()[0]) for line in open(path, "rb") if line.strip()][:WORDS - 3]


def save_tokenizer(tokens, folder):
    """As a tokenizer.json of byte-level BPE, without merges."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    char = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(rest)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = ["<unk>", "<s>", "</s>"]
    words = special + ["".join(char[b] for b in t) for t in tokens]
    json.dump({"version": "1.0", "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
               "added_tokens": [{"id": i, "content": s, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
                                for i, s in enumerate(special)],
               "model": {"type": "BPE", "vocab": {w: i for i, w in enumerate(words)}, "merges": []}}, open(folder + "/tokenizer.json", "w"), ensure_ascii=False)

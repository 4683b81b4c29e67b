"""Texts beyond the sizes at which the tokenizer works in parts: 64 KiB of a text, 4 KiB of a word. Ids and offsets are compared with
the reference engine's: long.py [--full] [--only NAME]"""
import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
from configs import all_configs
from differ import byte_offsets
from strings import CODE, LANGUAGES, WORDS, make
from tok import OFFSETS, PARSE, Tok

SOME = ["llama", "xverse-v2", "xverse-v1", "gpt2-prefix", "neox-nfc", "llama3", "deepseek", "strip", "replace", "punct-removed", "punct-next",
        "whitespace", "whitespace-split", "split-invert", "split-empty", "metaspace-always", "metaspace-first", "metaspace-whole", "unk-apart",
        "unk-fused", "unk-none", "added-words", "split-contiguous", "delimiter"]
passed = failed = 0


def texts(seed, count):
    """Words with and without spaces, runs of one character, pieces of everything."""
    rng = random.Random(seed)
    parts = WORDS + LANGUAGES + CODE + make(200, ["<s>", "<|endoftext|>"], seed=seed)
    out = []
    for i in range(count):
        between = ["", " ", "", "  ", "\n", "▁"][(seed + i) % 6]
        text = ""
        while len(text) < 90000:
            unit = rng.choice(parts)
            n = rng.choice([1, 1, 1, 2, 20]) if rng.random() < 0.99 else rng.choice([3000, 9000]) // (1 + len(unit))
            text += between.join([unit] * n) + between
        out.append(text)
    return out


def first_difference(a, b):
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"{len(a)} and {len(b)} tokens, from {at} on: ours {a[at:at + 5]!r}, theirs {b[at:at + 5]!r}"


def compare(name, reference, count):
    global passed, failed
    with tempfile.TemporaryDirectory() as folder:
        reference.save(folder + "/tokenizer.json")
        some = texts(sum(map(ord, name)), count)
        ours = Tok(folder).encode_many(some, PARSE | OFFSETS)
    for text, (ids, spans) in zip(some, ours):
        theirs = reference.encode(text, add_special_tokens=False)
        if ids == theirs.ids and spans == byte_offsets(text, theirs.offsets):
            passed += 1
        else:
            failed += 1
            print(f"FAILED {name}: {first_difference(ids, theirs.ids)}")


configs = all_configs()
only = sys.argv[sys.argv.index("--only") + 1:] if "--only" in sys.argv else None
full = "--full" in sys.argv
for name in only or (configs if full else SOME):
    compare(name, configs[name](), 12 if full else 3)
print(f"{passed} passed, {failed} failed, 0 skipped")
raise SystemExit(failed > 0)

"""Ids that other people published, exact: vectors.py [--data DIR]. Uses nothing but the test data beside the project."""
import argparse
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
from tok import ADD, PARSE, Tok

passed = failed = skipped = 0


def same(name, ours, theirs):
    global passed, failed
    if ours == theirs:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}:\n  ours   {ours}\n  theirs {theirs}")


def skip(what):
    global skipped
    skipped += 1
    print(f"skipped: {what}")


def directory(work, name, **files):
    """files: name with __ for the dot -> path to link, or JSON to write."""
    d = os.path.join(work, name)
    os.makedirs(d)
    for key, what in files.items():
        path = os.path.join(d, key.replace("__", "."))
        if isinstance(what, str):
            os.symlink(os.path.abspath(what), path)
        else:
            with open(path, "w") as f:
                json.dump(what, f)
    return Tok(d)


def llama_cpp(tok, data, name):
    base = f"{data}/llama.cpp-vocab/ggml-vocab-{name}.gguf"
    with open(base + ".inp", newline="") as f:
        texts = f.read().split("\n__ggml_vocab_test__\n")
    with open(base + ".out") as f:
        ids = [[int(x) for x in line.split()] for line in f.read().split("\n")]
    texts = texts[:46]
    for text, ours, theirs in zip(texts, tok.encode_many(texts, 0), ids):
        same(f"{name} {text!r}", ours, theirs)


def opt(work, data):
    with open(f"{data}/opt-roberta/encoder.json") as f:
        word = {i: w for w, i in json.load(f).items()}
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    with open(f"{data}/opt-roberta/dict.txt") as f:
        for n, line in enumerate(f):
            name = line.split(" ")[0]
            vocab[word[int(name)] if name.isdigit() else name] = 4 + n
    return directory(work, "opt", vocab__json=vocab, merges__txt=f"{data}/opt-roberta/vocab.bpe", config__json={"model_type": "opt"},
                     tokenizer_config__json={"bos_token": "</s>", "eos_token": "</s>"})


def xverse(work, vector):
    """The published ids tell the vocabulary: one character each, but for two words, which are its merges."""
    text, ids, words = vector["text"], vector["ids"], ("美国", "所以")
    vocab, at = {"<unk>": 0}, 0
    for i in ids:
        n = 2 if text[at:at + 2] in words else 1
        vocab[text[at:at + n]] = i
        at += n
    assert at == len(text)
    for w in words:  # their characters: CJK lies in code-point order
        for c in w:
            vocab.setdefault(c, 18556 + ord(c) - 0x4E00)
    meta = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": False}
    return directory(work, "xverse", tokenizer__json={
        "added_tokens": [], "normalizer": None, "post_processor": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [meta, {"type": "Punctuation", "behavior": "Isolated"},
                                                                {"type": "Digits", "individual_digits": True}]},
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, meta]},
        "model": {"type": "BPE", "unk_token": "<unk>", "vocab": vocab, "merges": [" ".join(w) for w in words]}})


def public(tok, vectors, name, flags=PARSE):
    for v in vectors:
        if "ids" in v:
            same(f"{name} {v['text']!r}", tok.encode_many([v["text"]], flags)[0], v["ids"])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", default="../shared/testdata")
    data = p.parse_args().data
    if not os.path.exists(f"{data}/public-vectors.json"):
        skip("the published vectors are not here")
        print(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 0
    with open(f"{data}/public-vectors.json") as f:
        known = json.load(f)
    with tempfile.TemporaryDirectory() as work:
        llama = f"{data}/llama2c/llama-tokenizer.model"
        llama_cpp(directory(work, "llama", tokenizer__model=llama, tokenizer_config__json={"add_bos_token": False}), data, "llama-spm")
        public(directory(work, "llama-bos", tokenizer__model=llama), known["llama-1/2"], "llama", ADD | PARSE)
        llama_cpp(directory(work, "neox", tokenizer__json=f"{data}/gpt-neox/20B_tokenizer.json"), data, "mpt")
        llama_cpp(directory(work, "gpt2", vocab__json=f"{data}/opt-roberta/encoder.json", merges__txt=f"{data}/opt-roberta/vocab.bpe"), data, "gpt-2")
        o = opt(work, data)
        llama_cpp(o, data, "roberta-bpe")
        public(o, known["opt (all sizes)"], "opt", ADD | PARSE)
        baichuan = directory(work, "baichuan", tokenizer__model=f"{data}/baichuan/baichuan-13b.rebuilt.tokenizer.model",
                             tokenizer_config__json={"add_bos_token": False})
        public(baichuan, known["baichuan-13b-chat (vocab 64000)"], "baichuan")
        vector = known["xverse-13b-2 / xverse-65b (vocab 100534)"]
        public(xverse(work, vector[0]), vector, "xverse")
        same("xverse decodes", xverse_text(work, vector[0]), vector[0]["text"])
    for name in ("open_llama v1 (slow tokenizer)", "baichuan2-7b-chat"):
        skip(f"{name}: its vocabulary is not here")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0


def xverse_text(work, vector):
    return Tok(os.path.join(work, "xverse")).decode_many([vector["ids"]])[0]


if __name__ == "__main__":
    sys.exit(main())

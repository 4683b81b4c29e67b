"""Compares our tokenizer with the reference engines, text by text: differ.py [--count N] [--only NAME] [--data DIR]"""
import argparse
import json
import os
import random
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(__file__))
from strings import make
from tok import ADD, OFFSETS, PARSE, Tok
from tokenizers import Tokenizer

passed = failed = skipped = 0


def report(name, difference):
    global passed, failed
    if difference is None:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {difference}", flush=True)


def first_difference(texts, ours, theirs):
    bad = [(t, a, b) for t, a, b in zip(texts, ours, theirs) if a != b]
    if bad:
        t, a, b = min(bad, key=lambda x: len(x[0]))
        return f"{len(bad)} of {len(texts)}: {t!r}\n  ours   {a!r}\n  theirs {b!r}"
    return None


def compared(name, texts, lists):
    print(f"  {name}: {len(texts)} texts, {len(lists)} lists of ids", flush=True)


def byte_offsets(text, spans):
    at = [0]
    for ch in text:
        at.append(at[-1] + len(ch.encode()))
    return [(at[a], at[b]) for a, b in spans]


def random_ids(count, size, rng):
    return [[rng.randrange(size) for _ in range(rng.choice([1, 2, 5, 20]))] for _ in range(count)]


def decodable_one(reference, ids, skip):
    """None: the library itself stops with a panic (Strip of a token that is too short)."""
    try:
        return reference.decode(ids, skip_special_tokens=skip)
    except BaseException as e:
        if "PanicException" not in type(e).__name__:
            raise
        return None


def decodable(reference, lists, skip):
    """Without the few lists on which the library panics."""
    texts = [decodable_one(reference, x, skip) for x in lists]
    taken = [(x, text) for x, text in zip(lists, texts) if text is not None]
    assert len(taken) > len(lists) / 2
    return [x for x, _ in taken], [text for _, text in taken]


def byte_lists(count, pieces, rng):
    """Ids of tokens for bytes, whole characters and pieces of them, with others between."""
    byte = {int(p[3:5], 16): i for i, p in enumerate(pieces) if len(p) == 6 and p.startswith("<0x") and p.endswith(">")}
    if len(byte) < 256:
        return []
    lists = []
    for _ in range(count):
        x = []
        for _ in range(rng.choice([1, 2, 4, 8])):
            kind = rng.randrange(4)
            if kind == 0:
                x.append(rng.randrange(len(pieces)))
            elif kind == 1:
                x.append(byte[rng.randrange(256)])
            else:
                x += [byte[b] for b in rng.choice("\U0001f600€犇½éx☕क").encode()[:rng.choice([1, 2, 4, 4])]]
        lists.append(x)
    return lists


def after(whole, head):
    """What a stream adds to the text `head`: the rest, from the first character that is another one."""
    n = next((i for i, (a, b) in enumerate(zip(whole, head)) if a != b), min(len(whole), len(head)))
    return whole[n:]


def compare_behind(name, tok, lists, decode, rng):
    """decode(list, skip); None: the library stops with a panic."""
    cuts = [rng.randrange(len(x) + 1) for x in lists]
    for skip in (False, True):
        both = [(x, cut, decode(x, skip), decode(x[:cut], skip)) for x, cut in zip(lists, cuts)]
        both = [b for b in both if b[2] is not None and b[3] is not None]
        assert len(both) > len(lists) / 2
        ours = tok.decode_behind([b[0] for b in both], [b[1] for b in both], skip)
        report(f"{name} behind a text{' without special' if skip else ''}",
               first_difference([b[:2] for b in both], ours, [after(b[2], b[3]) for b in both]))


def compare_hf(name, reference, directory, count, offsets=True):
    """reference: the library's tokenizer for the same file."""
    tok = Tok(directory)
    special = [a.content for a in reference.get_added_tokens_decoder().values()][:40]
    texts = make(count, special, seed=len(name) * 7 + count)
    theirs = [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
    report(name + " ids", first_difference(texts, tok.encode_many(texts), theirs))
    some = texts[:1000]
    report(name + " around", first_difference(some, tok.encode_many(some, ADD | PARSE), [reference.encode(t).ids for t in some]))
    if offsets:
        mine = [o for _, o in tok.encode_many(some, PARSE | OFFSETS)]
        report(name + " offsets", first_difference(some, mine, [byte_offsets(t, reference.encode(t, add_special_tokens=False).offsets) for t in some]))
    reference.encode_special_tokens = True
    report(name + " special as text", first_difference(some, tok.encode_many(some, 0), [reference.encode(t, add_special_tokens=False).ids for t in some]))
    reference.encode_special_tokens = False
    lists = theirs[:2000] + random_ids(max(500, count // 10), reference.get_vocab_size(), random.Random(5))
    for skip in (False, True):
        taken, decoded = decodable(reference, lists, skip)
        report(f"{name} decode{' without special' if skip else ''}", first_difference(taken, tok.decode_many(taken, skip), decoded))
    pieces = [reference.id_to_token(i) or "" for i in range(reference.get_vocab_size())]
    rng = random.Random(9)
    lists = [x for x in theirs[:count // 10] + lists[-count // 10:] + byte_lists(count // 5, pieces, rng) if x]
    compare_behind(name, tok, lists, lambda x, skip: decodable_one(reference, x, skip), rng)
    compared(name, texts, taken)


def file_for(name, tokenizer, work):
    """The tokenizer's own file, or for XVERSE the form that only older releases read."""
    directory = os.path.join(work, name)
    os.makedirs(directory)
    plain = json.loads(tokenizer.to_str())
    if name.startswith("xverse"):
        for part in plain["pre_tokenizer"]["pretokenizers"] + plain["decoder"]["decoders"]:
            if part["type"] == "Metaspace":
                assert part.pop("prepend_scheme") == "never"
                part["add_prefix_space"] = False
    with open(os.path.join(directory, "tokenizer.json"), "w") as f:
        json.dump(plain, f, ensure_ascii=name != "llama3")
    return directory


def compare_configs(count, only, work):
    from configs import all_configs
    for name, make_one in all_configs().items():
        if only in name:
            tokenizer = make_one()
            compare_hf(name, tokenizer, file_for(name, tokenizer, work), count)


def compare_neox(data, count, work):
    directory = os.path.join(work, "neox")
    os.makedirs(directory)
    shutil.copy(f"{data}/gpt-neox/20B_tokenizer.json", f"{directory}/tokenizer.json")
    compare_hf("gpt-neox-20b", Tokenizer.from_file(f"{directory}/tokenizer.json"), directory, count, offsets=False)


def compare_spm(name, model, count, work):
    import sentencepiece
    directory = os.path.join(work, name)
    os.makedirs(directory)
    shutil.copy(model, f"{directory}/tokenizer.model")
    with open(f"{directory}/tokenizer_config.json", "w") as f:
        f.write('{"add_bos_token": false}')
    sp = sentencepiece.SentencePieceProcessor(model_file=model)
    user = [sp.id_to_piece(i) for i in range(sp.get_piece_size())
            if not (sp.is_control(i) or sp.is_unknown(i) or sp.is_byte(i)) and sp.get_score(i) == 0][:40]
    texts = make(count, user, seed=count)
    tok = Tok(directory)
    theirs = sp.encode(texts)
    report(name + " ids", first_difference(texts, tok.encode_many(texts, 0), theirs))
    rng = random.Random(3)
    control = [i for i in range(sp.get_piece_size()) if sp.is_control(i)]
    lists = [[i for i in x if i not in control] for x in theirs[:2000] + random_ids(max(500, count // 10), sp.get_piece_size(), rng)]
    lists = [x for x in lists if x]
    report(name + " decode", first_difference(lists, tok.decode_many(lists, True), [sp.decode(x) for x in lists]))
    pieces = [sp.id_to_piece(i) if not sp.is_control(i) else "" for i in range(sp.get_piece_size())]
    bytes_too = [[i for i in x if i not in control] for x in byte_lists(count // 5, pieces, rng)]
    compare_behind(name, tok, [x for x in lists[:count // 10] + lists[-count // 10:] + bytes_too if x], lambda x, skip: sp.decode(x), rng)
    compared(name, texts, lists)


def train_spm(work, name, **how):
    import sentencepiece
    from configs import corpus
    prefix = os.path.join(work, name + "-train")
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus()), model_prefix=prefix, model_type="bpe", minloglevel=2,
                                             normalization_rule_name="identity", hard_vocab_limit=False, **how)
    return prefix + ".model"


def compare_llama_class(model, legacy, count, work):
    """The slow Llama class, whose dummy prefix depends on "legacy"."""
    from transformers import LlamaTokenizer
    name = "llama-legacy" if legacy else "llama-current"
    directory = os.path.join(work, name)
    os.makedirs(directory)
    shutil.copy(model, f"{directory}/tokenizer.model")
    with open(f"{directory}/tokenizer_config.json", "w") as f:
        json.dump({"legacy": legacy, "tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, f)
    reference = LlamaTokenizer(f"{directory}/tokenizer.model", legacy=legacy)
    texts = [t for t in make(count, ["<s>", "</s>", "<unk>"], seed=count) if "▁" not in t]
    report(name + " ids", first_difference(texts, Tok(directory).encode_many(texts, ADD | PARSE), [reference(t).input_ids for t in texts]))
    compared(name, texts, [])


def compare_llama_prefix(model, count, work):
    """The fast Llama class with "add_prefix_space": false: from the model's file, and from a tokenizer.json with the prefix."""
    from transformers import LlamaTokenizerFast
    for legacy in (True, False):
        texts = [t for t in make(min(count, 3000), ["<s>", "</s>", "<unk>"], seed=count) if "\u2581" not in t]
        reference = LlamaTokenizerFast(vocab_file=model, legacy=legacy, add_prefix_space=False)
        with_prefix = LlamaTokenizerFast(vocab_file=model, legacy=legacy, add_prefix_space=True)
        ids = [reference(t).input_ids for t in texts]
        for kind in ("model", "json"):
            name = f"llama-no-prefix-{kind}-{'legacy' if legacy else 'current'}"
            directory = os.path.join(work, name)
            os.makedirs(directory)
            if kind == "model":
                shutil.copy(model, f"{directory}/tokenizer.model")
            else:
                with_prefix.backend_tokenizer.save(f"{directory}/tokenizer.json")
            with open(f"{directory}/tokenizer_config.json", "w") as f:
                json.dump({"legacy": legacy, "tokenizer_class": "LlamaTokenizer", "add_prefix_space": False, "bos_token": "<s>",
                           "eos_token": "</s>", "unk_token": "<unk>"}, f)
            tok = Tok(directory)
            report(name + " ids", first_difference(texts, tok.encode_many(texts, ADD | PARSE), ids))
            known = [x for x in ids if 0 not in x]  # what <unk> is in text, SentencePiece's library says
            decoded = [reference.decode(x, skip_special_tokens=True, clean_up_tokenization_spaces=False) for x in known]
            report(name + " decode", first_difference(known, tok.decode_many(known, True), decoded))
            compared(name, texts, known)


ODD = {  # model.vocab as it stands in the file, merges, added tokens
    "odd-taken": ('{"a":0,"b":1,"ab":2}', ["a b"], [(1, "x")]),
    "odd-taken-three": ('{"a":0,"b":1,"ab":2}', ["a b"], [(1, "x"), (2, "y"), (3, "z")]),
    "odd-taken-beside-gaps": ('{"a":0,"b":5,"ab":7}', ["a b"], [(5, "x")]),
    "odd-two-words": ('{"a":0,"b":0,"ab":2}', ["a b"], []),
    "odd-version": ('{"a":0,"b":1,"ab":2}', ["#version: 0.2", "a b"], []),
    "odd-version-later": ('{"a":0,"b":1,"ab":2}', ["a b", "#version: 0.2 x"], []),
}


def compare_odd(name, work):
    vocab, merges, added = ODD[name]
    directory = os.path.join(work, name)
    os.makedirs(directory)
    plain = dict(added_tokens=[dict(id=i, content=c, single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
                               for i, c in added],
                 decoder=dict(type="Fuse"), model=dict(type="BPE", vocab="@", merges=merges))
    with open(f"{directory}/tokenizer.json", "w") as f:
        f.write(json.dumps(plain).replace('"@"', vocab))
    reference, rng = Tokenizer.from_file(f"{directory}/tokenizer.json"), random.Random(1)
    texts = ["".join(rng.choice("abxyz") for _ in range(rng.randrange(12))) for _ in range(300)]
    report(name + " ids", first_difference(texts, Tok(directory).encode_many(texts), [reference.encode(t).ids for t in texts]))
    compared(name, texts, [])


SPM = {
    "spm-plain": dict(vocab_size=2000, byte_fallback=True, remove_extra_whitespaces=False),
    "spm-extra": dict(vocab_size=2000, byte_fallback=True, remove_extra_whitespaces=True),
    "spm-unknown": dict(vocab_size=1000, character_coverage=0.98, add_dummy_prefix=False),
    "spm-user": dict(vocab_size=2000, byte_fallback=True, remove_extra_whitespaces=True, user_defined_symbols=["<sep>", "<a b>", "th", "the", "  ", "\n"]),
    "spm-no-split": dict(vocab_size=2000, byte_fallback=True, split_by_whitespace=False, remove_extra_whitespaces=False),
}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--count", type=int, default=5000)
    p.add_argument("--only", default="")
    p.add_argument("--data", default="../shared/testdata")
    a = p.parse_args()
    global skipped
    with tempfile.TemporaryDirectory() as work:
        compare_configs(a.count, a.only, work)
        for name, how in SPM.items():
            if a.only in name:
                compare_spm(name, train_spm(work, name, **how), a.count, work)
        real = {"spm-llama": "llama2c/llama-tokenizer.model", "spm-baichuan": "baichuan/baichuan-13b.rebuilt.tokenizer.model",
                "spm-stories": "stories260K/hf-llama/tokenizer.model"}
        for name, model in real.items():
            if a.only not in name:
                continue
            if os.path.exists(f"{a.data}/{model}"):
                compare_spm(name, f"{a.data}/{model}", a.count, work)
            else:
                skipped += 1
                print(f"skipped: {model} is not here")
        for name in ODD:
            if a.only in name:
                compare_odd(name, work)
        if a.only in "llama-no-prefix" and os.path.exists(f"{a.data}/llama2c"):
            compare_llama_prefix(f"{a.data}/llama2c/llama-tokenizer.model", a.count, work)
        if a.only in "llama-class" and os.path.exists(f"{a.data}/llama2c"):
            for legacy in (True, False):
                compare_llama_class(f"{a.data}/llama2c/llama-tokenizer.model", legacy, min(a.count, 20000), work)
        if a.only in "gpt-neox" and os.path.exists(f"{a.data}/gpt-neox/20B_tokenizer.json"):
            compare_neox(a.data, a.count, work)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())

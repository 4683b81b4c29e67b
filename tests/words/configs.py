"""Small tokenizer.json files, each with some feature of the format, trained by the reference engine itself."""
import glob
import json
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers as N, pre_tokenizers as P, processors, trainers

from strings import CODE, LANGUAGES, WORDS, make

GPT2 = P.ByteLevel(add_prefix_space=False, use_regex=True)
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
          r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+"]


def corpus():
    return [" ".join(WORDS)] * 3 + LANGUAGES * 3 + CODE * 3 + make(400, seed=99)


def byte_tokens():
    return [f"<0x{b:02X}>" for b in range(256)]


def train(pre, normalizer=None, size=900, alphabet=(), special=(), texts=(), **model):
    t = Tokenizer(models.BPE(**model))
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    t.train_from_iterator(corpus() + list(texts), trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), initial_alphabet=list(alphabet),
                                                         show_progress=False))
    return t


def level(pre=GPT2, **more):
    t = train(pre, alphabet=P.ByteLevel.alphabet(), **more)
    t.decoder = decoders.ByteLevel()
    return t


def regexes(*patterns, behavior="isolated"):
    return P.Sequence([P.Split(Regex(p), behavior) for p in patterns] + [P.ByteLevel(add_prefix_space=False, use_regex=False)])


def llama(scheme=None):
    """What the library converts a SentencePiece model to."""
    t = train(None, N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), size=700, unk_token="<unk>", fuse_unk=True, byte_fallback=True,
              special=["<unk>", "<s>", "</s>"] + byte_tokens())
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    plain = json.loads(t.to_str())
    keep = {"<unk>", "<s>", "</s>"}
    plain["added_tokens"] = [a for a in plain["added_tokens"] if a["content"] in keep]
    return Tokenizer.from_str(json.dumps(plain))


def assigned(count):
    """XVERSE's vocabulary is mostly single characters in code-point order, without separators."""
    out = []
    for c in range(0x110000):
        ch = chr(c)
        if unicodedata.category(ch) not in ("Cn", "Cs", "Co", "Zs", "Zl", "Zp"):
            out.append(ch)
        if len(out) == count:
            return out


def documents():
    """Free text that Debian installs: licences and Perl's manual, as far as they are there."""
    files = sorted(glob.glob("/usr/share/common-licenses/*") + glob.glob("/usr/share/perl/*/pod/*.pod") + glob.glob("/usr/share/doc/*/copyright")[:300])
    for path in files:
        with open(path, encoding="utf-8", errors="replace") as f:
            yield f.read(200000)


def xverse_real(normalizer, bytes_too):
    """Of the size of the real ones: 100,278 words, of them 96,500 characters, and 256 bytes more in the second generation."""
    return xverse(normalizer, bytes_too, size=100278 + 256 * bytes_too, alphabet=assigned(96500), texts=list(documents()))


def xverse(normalizer=None, bytes_too=True, size=1200, alphabet=(), texts=()):
    meta = P.Metaspace("▁", prepend_scheme="never")
    special = ["<unk>", "<pad>", "<|startoftext|>", "<|endoftext|>"]
    t = train(P.Sequence([meta, P.Punctuation("isolated"), P.Digits(True)]), normalizer, size=size, unk_token="<unk>", fuse_unk=True,
              byte_fallback=bytes_too, alphabet=alphabet, texts=texts, special=special + (byte_tokens() if bytes_too else []))
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace("▁", prepend_scheme="never")])
    plain = json.loads(t.to_str())
    plain["added_tokens"] = [a for a in plain["added_tokens"] if a["content"] in special]
    return Tokenizer.from_str(json.dumps(plain))


def added(*tokens, **more):
    t = level(**more)
    for a in tokens:
        (t.add_special_tokens if a.special else t.add_tokens)([a])
    return t


def post(processor):
    t = level(special=["<s>", "</s>"])
    t.post_processor = processor
    return t


def ignore_merges():
    t = level(regexes(LLAMA3))
    plain = json.loads(t.to_str())
    plain["model"]["ignore_merges"] = True
    words = plain["model"]["vocab"]
    for w in ("Ġeverything", "zzz", "Hello"):
        words.setdefault(w, len(words))
    return Tokenizer.from_str(json.dumps(plain))


def decoder(d):
    t = train(P.Metaspace("▁", prepend_scheme="always"), special=byte_tokens(), unk_token=None)
    t.decoder = d
    plain = json.loads(t.to_str())
    plain["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(plain))


def all_configs():
    """name -> function that makes the tokenizer."""
    split = lambda b, p=r"\d+|-", inv=False: lambda: train(P.Split(Regex(p), b, invert=inv), unk_token="<unk>", special=["<unk>"])
    out = {
        "llama": llama,
        "xverse-v2": xverse,
        "xverse-v1": lambda: xverse(N.NFKC(), False),
        "xverse-v2-real": lambda: xverse_real(None, True),
        "xverse-v1-real": lambda: xverse_real(N.NFKC(), False),
        "gpt2": level,
        "gpt2-prefix": lambda: level(P.ByteLevel(add_prefix_space=True)),
        "neox-nfc": lambda: added(AddedToken("   ", normalized=True), AddedToken("  ", normalized=True), AddedToken("<|endoftext|>", special=True, normalized=False), normalizer=N.NFC()),
        "llama3": lambda: level(regexes(LLAMA3)),
        "qwen": lambda: level(regexes(QWEN), normalizer=N.NFC()),
        "deepseek": lambda: level(P.Sequence([P.Split(Regex(r"[\r\n]"), "isolated")] + [P.Split(Regex(p), "isolated") for p in DEEPSEEK[1:]] + [P.Digits(True), P.ByteLevel(add_prefix_space=False, use_regex=False)])),
        "ignore-merges": ignore_merges,
        "nfd": lambda: level(normalizer=N.NFD()),
        "nfkd": lambda: level(normalizer=N.NFKD()),
        "nfkc": lambda: level(normalizer=N.NFKC()),
        "lowercase": lambda: level(normalizer=N.Sequence([N.NFD(), N.Lowercase(), N.StripAccents()])),
        "strip": lambda: level(normalizer=N.Strip()),
        "strip-left": lambda: level(normalizer=N.Strip(left=True, right=False)),
        "nmt": lambda: level(normalizer=N.Nmt()),
        "replace": lambda: level(normalizer=N.Sequence([N.Replace(Regex(r"\s+"), " "), N.Replace("the", "THE"), N.Replace("ab", "")])),
        "prepend": lambda: level(normalizer=N.Prepend("_x")),
        "punct-removed": lambda: train(P.Punctuation("removed"), unk_token="<unk>", special=["<unk>"]),
        "punct-next": lambda: train(P.Punctuation("merged_with_next"), unk_token="<unk>", special=["<unk>"]),
        "punct-prev": lambda: train(P.Punctuation("merged_with_previous"), unk_token="<unk>", special=["<unk>"]),
        "punct-contiguous": lambda: train(P.Punctuation("contiguous"), unk_token="<unk>", special=["<unk>"]),
        "digits-together": lambda: train(P.Digits(False), unk_token="<unk>", special=["<unk>"]),
        "whitespace": lambda: train(P.Whitespace(), unk_token="<unk>", special=["<unk>"]),
        "whitespace-split": lambda: train(P.WhitespaceSplit(), unk_token="<unk>", special=["<unk>"]),
        "bert": lambda: train(P.BertPreTokenizer(), unk_token="<unk>", special=["<unk>"]),
        "delimiter": lambda: train(P.CharDelimiterSplit("e"), unk_token="<unk>", special=["<unk>"]),
        "split-string": lambda: train(P.Split(" ", "merged_with_previous"), unk_token="<unk>", special=["<unk>"]),
        "split-invert": split("removed", r"[a-z]+| ", True),
        "split-empty": split("isolated", r"x*"),
        "metaspace-always": lambda: train(P.Metaspace("▁", "always"), unk_token="<unk>", special=["<unk>"]),
        "metaspace-first": lambda: train(P.Metaspace("▁", "first"), unk_token="<unk>", special=["<unk>", "<s>"]),
        "metaspace-whole": lambda: train(P.Metaspace("_", "always", split=False), unk_token="<unk>", special=["<unk>"]),
        "unk-apart": lambda: train(P.Whitespace(), size=150, unk_token="<unk>", special=["<unk>"]),
        "unk-fused": lambda: train(P.Whitespace(), size=150, unk_token="<unk>", special=["<unk>"], fuse_unk=True),
        "unk-none": lambda: train(P.Whitespace(), size=150),
        "added-words": lambda: added(AddedToken("the", single_word=True), AddedToken("Hello", lstrip=True), AddedToken("world", rstrip=True), AddedToken("<x>", lstrip=True, rstrip=True, special=True), AddedToken("<xy>", special=True), AddedToken("é", normalized=True), normalizer=N.NFD()),
        "added-lower": lambda: added(AddedToken("WORLD", normalized=True), AddedToken("Time", normalized=False), normalizer=N.Lowercase()),
        "template": lambda: post(processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])),
        "roberta": lambda: post(processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=False)),
        "post-sequence": lambda: post(processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])])),
        "decode-metaspace": lambda: decoder(decoders.Metaspace("▁", "always")),
        "decode-none": lambda: decoder(decoders.Sequence([])),
        "decode-strip": lambda: decoder(decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip("▁", 2, 1)])),
        "decode-strip-each": lambda: decoder(decoders.Sequence([decoders.Replace(Regex("[aeiou]"), ""), decoders.Strip("▁", 1, 0)])),
    }
    for b in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        out["split-" + b] = split(b)
    return out

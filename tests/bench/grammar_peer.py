"""grammar_peer.py llguidance|xgrammar TOKENS - another engine of constrained answers: a line of JSON ["measure", schema, answers] or
["judge", schema, texts] becomes a line of JSON. For tests/bench/grammar."""
import base64
import json
import random
import sys
import time
import types

import numpy as np

tokens = [b"<unk>", b"<s>", b"</s>"] + [base64.b64decode(t) for t in json.load(open(sys.argv[2]))]
SPECIAL, END = [0, 1, 2], 2


def cpu():
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) * 1e6


class Llguidance:
    def __init__(self):
        import llguidance
        self.lib, self.version = llguidance, llguidance.__version__
        # What the schema forces is encoded by this.
        members = dict(eos_token_id=END, bos_token_id=1, tokens=[b"\xff" + t if i in SPECIAL else t for i, t in enumerate(tokens)],
                       special_token_ids=SPECIAL, __call__=lambda self, text: encode(text))
        wrapper = type("Tokens", (), members)()
        self.tokens = llguidance.LLTokenizer(llguidance.TokenizerWrapper(wrapper))

    def compile(self, schema):
        m = self.lib.LLMatcher(self.tokens, self.lib.LLMatcher.grammar_from_json_schema(json.dumps(schema)), log_level=0)
        return None if m.is_error() else m

    def run(self, m):
        m.reset()
        return m

    def mask(self, m):
        return np.frombuffer(m.compute_bitmask(), np.uint32)

    def accept(self, m, token):
        return m.consume_token(token)

    def takes(self, m, data):
        """Whether these bytes are a whole answer: each byte is a token."""
        return m.try_consume_tokens([BYTE[b] for b in data]) == len(data) and m.is_accepting()


class Xgrammar:
    def __init__(self):
        stub = types.ModuleType("transformers")  # it only names classes of that library
        for name in ("PreTrainedTokenizerBase", "PreTrainedTokenizerFast", "LogitsProcessor"):
            setattr(stub, name, type(name, (), {}))
        sys.modules.setdefault("transformers", stub)
        import importlib.metadata

        import xgrammar
        self.lib, self.version = xgrammar, importlib.metadata.version("xgrammar")
        self.info = xgrammar.TokenizerInfo(tokens, vocab_type=xgrammar.VocabType.RAW, vocab_size=len(tokens), stop_token_ids=[END])
        self.compiler = xgrammar.GrammarCompiler(self.info, max_threads=1, cache_enabled=False)
        self.bits = np.zeros((1, (len(tokens) + 31) // 32), np.int32)

    def compile(self, schema):
        return self.compiler.compile_json_schema(json.dumps(schema), strict_mode=False)

    def run(self, g):
        return self.lib.GrammarMatcher(g)

    def mask(self, m):
        self.bits[:] = -1
        m.fill_next_token_bitmask(self.bits, 0)
        return self.bits[0].view(np.uint32)

    def accept(self, m, token):
        return m.accept_token(token)

    def takes(self, m, data):
        return all(m.accept_token(BYTE[b]) for b in data) and m.accept_token(END)


ID, LONGEST = {t: i for i, t in enumerate(tokens) if i not in SPECIAL}, max(map(len, tokens))
BYTE = {t[0]: i for i, t in enumerate(tokens) if i > 2 and len(t) == 1}
rng = random.Random(1)


def encode(text):
    """By the longest token that fits, again and again."""
    data, out = text.encode() if isinstance(text, str) else bytes(text), []
    while data:
        n = next(n for n in range(min(LONGEST, len(data)), 0, -1) if data[:n] in ID)
        out.append(ID[data[:n]])
        data = data[n:]
    return out


def draw(mask):
    ids = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[:len(tokens)])
    return int(rng.choice(ids)) if len(ids) else None


def measure(engine, schema, answers):
    start, times = cpu(), []
    try:
        g = engine.compile(schema)
    except Exception:
        g = None
    took = cpu() - start
    if g is None:
        return None
    for _ in range(answers):
        m = engine.run(g)
        for _ in range(200):
            start = cpu()
            mask = engine.mask(m)
            times.append(cpu() - start)
            token = draw(mask)
            if token is None or token == END or not engine.accept(m, token):
                break
    return took, times


def judge(engine, schema, texts):
    try:
        g = engine.compile(schema)
    except Exception:
        g = None
    return None if g is None else [bool(engine.takes(engine.run(g), t.encode())) for t in texts]


engine = {"llguidance": Llguidance, "xgrammar": Xgrammar}[sys.argv[1]]()
print(json.dumps(engine.version), flush=True)
for line in sys.stdin:
    kind, schema, what = json.loads(line)
    print(json.dumps((measure if kind == "measure" else judge)(engine, schema, what)), flush=True)

"""fake.py - for the tests of `xverse eval`: a server whose tokenizer counts bytes and whose numbers are what a function of the prompt says."""
import hashlib
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, "tests/e2e")
from wire import frame, pb

LETTERS = "ABCDEFG"


def tokenize(text, special=True):
    """One token for each byte, 256 before them; a letter behind a blank at the end is one token of its own, as in real vocabularies."""
    data = text.encode()
    ids = [256] if special else []
    if re.search(rb" [A-G]$", data):
        return ids + list(data[:-2]) + [300 + data[-1] - 65]
    return ids + list(data)


def bytes_alone(text, special=True):
    """A letter behind a blank is two tokens."""
    return ([256] if special else []) + list(text.encode())


def merged(text, special=True):
    """A letter takes the colon before it into its token, as does a Chinese one."""
    data = text.encode()
    for end, first in ((b": ", 320), ("：".encode(), 330)):
        if re.search(re.escape(end) + rb"[A-G]$", data):
            return ([256] if special else []) + list(data[:-len(end) - 1]) + [first + data[-1] - 65]
    return bytes_alone(text, special)


class Server:
    """numbers(prompt text or None, its ids) gives a dict of id to number; the others are 0."""

    def __init__(self, path, numbers, max_model_len=1 << 20, slow=0.0, tokenize=tokenize, logprobs=None, fingerprint="fake", model="fake-model", dies_after=None, loading=0):
        self.path, self.numbers, self.max_model_len, self.slow = path, numbers, max_model_len, slow
        self.dies_after, self.open, self.loading = dies_after, [], loading
        self.fingerprint, self.model, self.tokenize, self.logprobs = fingerprint, model, tokenize, logprobs
        self.scores, self.bytes, self.adapters, self.lock = 0, 0, set(), threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(s)
            threading.Thread(target=self.talk, args=(s,), daemon=True).start()

    def talk(self, s):
        f, kept = s.makefile("rb"), {}
        try:
            while True:
                n = shift = 0
                while True:
                    byte = f.read(1)
                    if not byte:
                        return
                    n |= (byte[0] & 127) << shift
                    shift += 7
                    if byte[0] < 128:
                        break
                q = pb.Request.FromString(f.read(n))
                for r in self.answer(q, kept, n):
                    r.id = q.id
                    s.sendall(frame(r))
        except OSError:
            return

    def answer(self, q, kept, size):
        kind = q.WhichOneof("body")
        if kind == "hello":
            return [pb.Reply(hello=pb.Hello(protocol_min=1, protocol_max=1, version="test", frame_limit=1 << 26, served_model=self.model))]
        if kind == "status" and self.loading:  # so many times
            self.loading -= 1
            return [pb.Reply(status=pb.Status(state=pb.STATE_LOADING, phase="weights", phase_total=2))]
        if kind == "status":
            return [pb.Reply(status=pb.Status(state=pb.STATE_READY, model=self.model, vocab=400, max_model_len=self.max_model_len, ranks=1,
                                              max_num_seqs=8, fingerprint=self.fingerprint, numerics_class="fake/1", version="1", device="cpu",
                                              adapter=[pb.Adapter(name="tuned", fingerprint="ada")]))]
        if kind == "tokenize":
            special = q.tokenize.add_special_tokens if q.tokenize.HasField("add_special_tokens") else True
            return [pb.Reply(tokens=pb.Tokens(ids=self.tokenize(q.tokenize.text, special)))]
        if kind == "score":
            return self.score(q.score, kept, size)
        return [pb.Reply(error=pb.Error(code=pb.CODE_UNSUPPORTED, text="the fake server knows no " + str(kind)))]

    def score(self, s, kept, size):
        if self.slow:
            time.sleep(self.slow)
        if s.HasField("prefix_text"):
            kept.clear()
            kept[s.prefix_id] = s.prefix_text
        prefix = kept.get(s.prefix_id, "") if s.prefix_id else ""
        text = prefix + s.text if s.HasField("text") else None
        ids = self.tokenize(text) if text is not None else list(s.tokens.ids)
        with self.lock:
            self.scores += 1
            self.bytes += size
            dies = self.scores == self.dies_after
        if dies:
            self.close()
            for one in self.open:
                one.shutdown(socket.SHUT_RDWR)
        if len(ids) >= self.max_model_len:
            return [pb.Reply(error=pb.Error(code=pb.CODE_LIMIT, text=f"the prompt has {len(ids)} tokens; --max-model-len is {self.max_model_len}"))]
        values = self.numbers(text, ids)
        self.adapters.add(s.adapter)
        logprobs = [self.logprobs(ids, i) for i in s.targets] if s.target_logprobs else []
        return [pb.Reply(started=pb.Started(call=1, fingerprint=self.fingerprint, numerics_class="fake/1", prompt_tokens=len(ids))),
                pb.Reply(finished=pb.Finished(reason=pb.FINISH_SCORED, prompt_tokens=len(ids), target_logits=[values.get(i, 0.0) for i in s.targets], target_logprobs=logprobs))]


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()

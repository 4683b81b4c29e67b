"""dearest.py - the dearest legal single request of each kind, and what another client and the daemon's memory feel of it meanwhile."""
import os
import threading
import time

import job as j
from wire import Client, pb

FRAME = 16 << 20
VOCAB = 5000  # at most: ids from 0 to 255 are in every vocabulary here


def memory(pid, name="VmRSS"):
    """MiB."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")


def requests():
    """name -> the fields of a Request, made when asked for: some are as long as a frame may be."""
    most = FRAME - 200
    ids = bytes(range(20, 120)) * (most // 100)
    said = lambda text, **more: pb.Chat(messages=[pb.Message(role="user", content=text)], sampling=pb.Sampling(max_tokens=1), **more)
    text = lambda t, **s: pb.Generate(text=t, sampling=pb.Sampling(max_tokens=1, **s))
    words = "The quick brown fox jumps over the lazy dog, and then it naps. "
    return {
        "tokenize words": lambda: dict(tokenize=pb.Tokenize(text=words * (most // len(words)))),
        "tokenize one word": lambda: dict(tokenize=pb.Tokenize(text="a" * most)),
        "tokenize unknown bytes": lambda: dict(tokenize=b"\x0a" + varint(most - 20) + b"\xff" * (most - 20)),
        "tokenize with pieces": lambda: dict(tokenize=pb.Tokenize(text="a " * (most // 2), pieces=True)),
        "detokenize": lambda: dict(detokenize=pb.Detokenize(ids=ids)),
        "detokenize, half of it": lambda: dict(detokenize=pb.Detokenize(ids=ids[:most // 2])),
        "prompt of text": lambda: dict(generate=text("a b " * (most // 4))),
        "prompt that is cut": lambda: dict(generate=text("a b " * (most // 4), truncate_prompt_tokens=8)),
        "prompt of ids": lambda: dict(generate=pb.Generate(tokens=pb.Ids(ids=ids), sampling=pb.Sampling(max_tokens=1))),
        "allowed ids": lambda: dict(generate=pb.Generate(text="Once", sampling=pb.Sampling(max_tokens=8, allowed_token_ids=ids))),
        "chat": lambda: dict(chat=said("a b " * (most // 4))),
        "chat of many": lambda: dict(chat=pb.Chat(messages=[pb.Message(role="user", content="a")] * 4000, sampling=pb.Sampling(max_tokens=1))),
        "chat with tools": lambda: dict(chat=said("a", tools_json="[" + "{}," * (most // 4) + "{}]")),
        "template": lambda: dict(template_=pb.Template(messages=[pb.Message(role="user", content="a b " * (most // 4))])),
        "score": lambda: dict(score=pb.Score(text="a b " * (most // 4))),
        "resumed": lambda: dict(generate=pb.Generate(text="Once", sampling=pb.Sampling(max_tokens=8), resume=pb.Resume(ids=ids))),
    }


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def framed(id, body):
    """One field may be raw bytes of its message: protobuf for Python takes no strings that are not UTF-8."""
    (kind, message), = body.items()
    data = message if isinstance(message, bytes) else message.SerializeToString()
    number = pb.Request.DESCRIPTOR.fields_by_name[kind].number
    payload = b"\x08" + varint(id) + varint(number << 3 | 2) + varint(len(data)) + data
    return varint(len(payload)) + payload


class Watch:
    """Another client: asks for Status all the time, and another one lets a long answer stream."""

    def __init__(self, path, tokens):
        self.path, self.tokens, self.stop = path, tokens, False
        self.worst_status = self.worst_token = 0.0
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.ask, self.stream)]
        for t in self.threads:
            t.start()

    def ask(self):
        c = Client(self.path)
        while not self.stop:
            began = time.time()
            c.status()
            self.worst_status = max(self.worst_status, time.time() - began)
            time.sleep(0.01)
        c.close()

    def stream(self):
        c = Client(self.path)
        while not self.stop:
            call = c.generate("Once upon a time", max_tokens=self.tokens, ignore_eos=True)
            last, seen = time.time(), 0
            while call.ended is None and not c.closed and not self.stop:
                c.read(0.5)
                now = time.time()
                if len(call.ids) > seen:
                    if seen:
                        self.worst_token = max(self.worst_token, now - last)
                    last, seen = now, len(call.ids)
        c.close()

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join()


def send_raw(client, body):
    from wire import Call
    call = Call(client.next)
    client.next += 1
    client.calls[call.id] = call
    client.s.settimeout(60)
    client.s.sendall(framed(call.id, body))
    return call


def measure(path, pid, body, tokens=400, at_once=1):
    """(seconds until the answer, worst Status, worst pause of a stream, peak MiB above before, the last reply)."""
    datas = [body() for _ in range(1)] * at_once
    before = memory(pid)
    forget_peak(pid)
    watch = Watch(path, tokens)
    time.sleep(0.3)
    watch.worst_status = watch.worst_token = 0.0
    clients = [Client(path) for _ in datas]
    began = time.time()
    calls = [send_raw(c, d) for c, d in zip(clients, datas)]
    for c, call in zip(clients, calls):
        c.wait(call, seconds=120)
    seconds = time.time() - began
    time.sleep(0.1)
    watch.end()
    for c in clients:
        c.close()
    return seconds, watch.worst_status, watch.worst_token, memory(pid, "VmHWM") - before, calls[-1]


def told(call):
    if call.error:
        return f"{pb.Code.Name(call.error.code) if hasattr(pb, 'Code') else call.error.code}: {call.error.text[:70]}"
    return call.last.WhichOneof("body") if call.last else "NOTHING"

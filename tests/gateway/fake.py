"""fake.py - a daemon that says what a test tells it to: requests as they arrive, replies of any kind."""
import socket
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/e2e")
import wire  # noqa: E402
from wire import pb  # noqa: E402


class Connection:
    def __init__(self, daemon, s):
        self.daemon, self.s, self.buffer, self.lock = daemon, s, b"", threading.Lock()

    def send(self, id, **body):
        with self.lock:
            try:
                self.s.sendall(wire.frame(pb.Reply(id=id, **body)))
            except OSError:
                pass

    def requests(self):
        while True:
            n = shift = at = 0
            while at < len(self.buffer):
                n |= (self.buffer[at] & 127) << shift
                at, shift = at + 1, shift + 7
                if self.buffer[at - 1] < 128:
                    break
            else:
                return
            if len(self.buffer) < at + n:
                return
            request = pb.Request.FromString(self.buffer[at:at + n])
            self.buffer = self.buffer[at + n:]
            yield request

    def run(self):
        while True:
            try:
                data = self.s.recv(1 << 20)
            except OSError:
                return
            if not data:
                return
            self.buffer += data
            for r in self.requests():
                self.take(r)

    def take(self, r):
        kind, d = r.WhichOneof("body"), self.daemon
        if kind == "hello":
            self.send(0, hello=pb.Hello(protocol_min=1, protocol_max=1, version="fake", frame_limit=1 << 24, served_model="m"))
        elif d.denies and r.HasField("asker") and (r.asker.key or r.asker.client):
            self.send(r.id, error=pb.Error(code=pb.CODE_DENIED, text="asker: not from you"))
        elif kind == "status":
            self.send(r.id, status=pb.Status(state=pb.STATE_READY, model="m", max_model_len=512, fingerprint="f", numerics_class="c"))
        elif kind == "cancel":
            self.send(r.cancel.id, finished=pb.Finished(reason=pb.FINISH_CANCELLED))
            self.send(r.id, done=pb.Done(count=1))
        elif kind == "tokenize":
            d.seen.append(r)
            self.send(r.id, tokens=pb.Tokens(ids=[1, 2]))
        elif kind == "detokenize":
            d.seen.append(r)
            self.send(r.id, text=pb.Text(text="a"))
        else:
            d.seen.append(r)
            d.answer(self, r)


class Fake:
    """`answer` is called with the connection and each call that generates."""

    def __init__(self, path, answer=None, denies=False):
        self.path, self.answer, self.denies, self.seen = path, answer or whole, denies, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(50)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=Connection(self, s).run, daemon=True).start()


def started(c, id):
    c.send(id, started=pb.Started(call=id, seed=1, fingerprint="f", numerics_class="c", prompt_tokens=3))


def whole(c, r, text="hi", **finish):
    """A call of one token."""
    started(c, r.id)
    c.send(r.id, chunk=pb.Chunk(text=text, ids=[7]))
    c.send(r.id, finished=pb.Finished(**{"reason": pb.FINISH_LENGTH, "prompt_tokens": 3, "output_tokens": 1, **finish}))


def error(code, text="x: some reason", retry_ms=0):
    return lambda c, r: c.send(r.id, error=pb.Error(code=code, text=text, retry_after_ms=retry_ms))

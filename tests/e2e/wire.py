"""wire.py - the protocol spoken from Python, apart from our C: frames of a varint length and one message of proto/xverse.proto.
Needs python3-protobuf and protoc (Debian)."""
import os
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import time


def load_proto():
    out = tempfile.mkdtemp(prefix="xv-proto-")
    subprocess.run(["protoc", "-Iproto", "--python_out=" + out, "proto/xverse.proto"], check=True)
    sys.path.insert(0, out)
    import xverse_pb2
    subprocess.run(["rm", "-rf", out])
    return xverse_pb2


pb = load_proto()


def frame(message):
    data, head, n = message.SerializeToString(), b"", 0
    n = len(data)
    while n >= 128:
        head += bytes([n & 127 | 128])
        n >>= 7
    return head + bytes([n]) + data


class Call:
    """What came of one request."""

    def __init__(self, id):
        self.id, self.replies, self.text, self.prompt, self.ids, self.tokens, self.prompt_tokens = id, [], "", "", [], [], []
        self.started = self.finished = self.error = self.last = None
        self.places = []  # told while it waits
        self.began, self.first, self.ended, self.heard = time.time(), None, None, time.time()

    def take(self, r):
        kind = r.WhichOneof("body")
        self.heard = time.time()
        self.replies.append(kind)
        if kind == "started":
            self.started = r.started
        elif kind == "chunk":
            self.first = self.first or time.time()
            if r.chunk.prompt:
                self.prompt += r.chunk.text
                self.prompt_tokens += r.chunk.tokens
            else:
                self.text += r.chunk.text
                self.ids += r.chunk.ids
                self.tokens += r.chunk.tokens
        elif kind == "keep_alive":
            self.places.append(r.keep_alive.queue_place)
        else:
            self.last, self.ended = r, time.time()
            self.finished = r.finished if kind == "finished" else None
            self.error = r.error if kind == "error" else None


class Client:
    def __init__(self, path, seconds=60, key="", client="", uid=None):
        """key, client: whom it asks for, as a gateway says it; uid: connects as another user (root can)."""
        self.asker = pb.Asker(key=key or None, client=client or None) if key or client else None
        end = time.time() + seconds
        while True:
            self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                if uid is not None:
                    os.seteuid(uid)
                try:
                    self.s.connect(path)
                finally:
                    if uid is not None:
                        os.seteuid(0)
                break
            except OSError:
                self.s.close()
                if time.time() > end:
                    raise
                time.sleep(0.05)
        self.buffer, self.calls, self.next, self.closed = b"", {}, 1, False
        try:
            self.s.sendall(frame(pb.Request(hello=pb.Hello(protocol_min=1, protocol_max=1, version="test"))))
        except BrokenPipeError:
            pass  # the server has refused it already, and says why
        first = self.read(seconds)[0]
        self.hello, self.welcome = first.hello, first.WhichOneof("body") == "hello"

    def close(self):
        self.s.close()

    def frames(self):
        """Whole replies in the buffer."""
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
            reply = pb.Reply.FromString(self.buffer[at:at + n])
            self.buffer = self.buffer[at + n:]
            yield reply

    def read(self, seconds):
        """At least one reply, unless time runs out or the server closes (self.closed)."""
        end, got = time.time() + seconds, []
        while not got and not self.closed and time.time() < end:
            self.s.settimeout(max(0.001, end - time.time()))
            try:
                data = self.s.recv(1 << 20)
            except (socket.timeout, BlockingIOError):
                break
            except ConnectionError:
                data = b""
            self.closed = not data
            self.buffer += data
            got = list(self.frames())
        for r in got:
            if r.id in self.calls:
                self.calls[r.id].take(r)
        return got

    def send(self, **body):
        call = Call(self.next)
        self.next += 1
        self.calls[call.id] = call
        self.s.sendall(frame(pb.Request(id=call.id, asker=self.asker, **body)))
        return call

    def generate(self, prompt, timeout_ms=0, echo=False, resume=None, **sampling):
        g = pb.Generate(sampling=pb.Sampling(**sampling), timeout_ms=timeout_ms, echo=echo, resume=resume)
        if isinstance(prompt, str):
            g.text = prompt
        else:
            g.tokens.ids.extend(prompt)
        return self.send(generate=g)

    def wait(self, *calls, seconds=60):
        end = time.time() + seconds
        while any(c.ended is None for c in calls) and not self.closed and time.time() < end:
            self.read(min(0.2, max(0.001, end - time.time())))
        return calls[0] if len(calls) == 1 else calls

    def status(self):
        return self.wait(self.send(status=pb.StatusRequest())).last.status

    def score(self, prompt, **more):
        s = pb.Score(**more)
        if isinstance(prompt, str):
            s.text = prompt
        else:
            s.tokens.ids.extend(prompt)
        return self.send(score=s)

    def cancel(self, call):
        self.send(cancel=pb.Cancel(id=call.id))


def wait_all(clients, calls, seconds=60):
    """Reads from many connections at once."""
    end = time.time() + seconds
    with selectors.DefaultSelector() as sel:
        for c in clients:
            sel.register(c.s, selectors.EVENT_READ, c)
        while any(c.ended is None for c in calls) and time.time() < end:
            for key, _ in sel.select(0.2):
                key.data.read(0.01)
                if key.data.closed:
                    sel.unregister(key.data.s)
            if not sel.get_map():
                break


def bits(x):
    return struct.pack("<f", x).hex()


def token_bits(t):
    return (t.id, bits(t.logprob), t.rank, t.greedy, tuple((x.id, bits(x.logprob)) for x in t.top))


def outcome(c):
    """What a call gave, in a form that compares."""
    if c.error is not None:
        return ("error", c.error.code)
    return (list(c.ids), [token_bits(t) for t in c.tokens], [token_bits(t) for t in c.prompt_tokens], c.finished.reason, c.finished.stop_id)

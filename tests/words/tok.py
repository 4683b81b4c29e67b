"""Our tokenizer from Python: Tok(directory).encode(text), .decode(ids)."""
import struct
import subprocess
import threading

BIN = "build/tests/words/tok"
ADD, PARSE, OFFSETS, DECODE, SKIP, BEHIND = 1, 2, 4, 8, 16, 32


class Tok:
    def __init__(self, directory):
        self.directory = directory

    def ask(self, records, answer):
        """All records go to one process; answer(read) takes one answer off it."""
        p = subprocess.Popen([BIN, self.directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        data = b"".join(struct.pack("<BI", flags, len(body)) + body for flags, body in records)

        def feed():
            try:
                p.stdin.write(data)
                p.stdin.close()
            except BrokenPipeError:
                pass

        threading.Thread(target=feed, daemon=True).start()
        out = []
        try:
            for _ in records:
                out.append(answer(p.stdout))
        except struct.error:
            raise RuntimeError(p.stderr.read().decode())
        p.wait()
        return out

    def encode_many(self, texts, flags=PARSE):
        def answer(f):
            n, = struct.unpack("<I", f.read(4))
            ids = list(struct.unpack(f"<{n}i", f.read(4 * n)))
            if not flags & OFFSETS:
                return ids
            flat = struct.unpack(f"<{2 * n}I", f.read(8 * n))
            return ids, list(zip(flat[::2], flat[1::2]))

        return self.ask([(flags, t if isinstance(t, bytes) else t.encode()) for t in texts], answer)

    def decode_many(self, lists, skip=False):
        def answer(f):
            n, = struct.unpack("<I", f.read(4))
            return f.read(n).decode()

        flags = DECODE | (SKIP if skip else 0)
        return self.ask([(flags, struct.pack(f"<{len(x)}i", *x)) for x in lists], answer)

    def decode_behind(self, lists, cuts, skip=False):
        """What the stream of x[cut:] gives behind x[:cut]."""
        def answer(f):
            n, = struct.unpack("<I", f.read(4))
            return f.read(n).decode()

        flags = BEHIND | (SKIP if skip else 0)
        return self.ask([(flags, struct.pack(f"<{len(x) + 1}i", cut, *x)) for x, cut in zip(lists, cuts)], answer)

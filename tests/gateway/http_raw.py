import concurrent.futures
import http.client
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

from gw import *

daemon, sock = start_daemon()
gw = Gateway("--model", "m=" + sock, "--port=0", "--head-timeout=2", "--body-timeout=2", "--idle-timeout=4", "--max-body=65536",
             "--access-log", WORK + "/access")
BODY = b'{"prompt":[5,6],"max_tokens":2}'
CL = b"Content-Length: %d\r\n" % len(BODY)
POST, HOST, TYPE = b"POST /v1/completions HTTP/1.1\r\n", b"Host: localhost\r\n", b"Content-Type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)

# name, bytes, statuses that are right (0: closed without an answer), whether the connection must close
TABLE = [
    ("plain", POST + HOST + TYPE + CL + b"\r\n" + BODY, [200], False),
    ("chunked", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS, [200], False),
    ("chunk extension", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n{", b";a=b\r\n{"), [200], False),
    ("Content-Length and Transfer-Encoding", POST + HOST + TYPE + CL + CHUNKED + b"\r\n0\r\n\r\n" + HEALTH, [400], True),
    ("Transfer-Encoding and Content-Length", POST + HOST + TYPE + CHUNKED + CL + b"\r\n0\r\n\r\n" + HEALTH, [400], True),
    ("xchunked", POST + HOST + TYPE + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS, [400, 501], True),
    ("gzip, chunked", POST + HOST + TYPE + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS, [400, 501], True),
    ("chunked twice", POST + HOST + TYPE + CHUNKED + CHUNKED + b"\r\n" + CHUNKS, [400], True),
    ("xchunked with length", POST + HOST + TYPE + CL + b"Transfer-Encoding: xchunked\r\n\r\n" + BODY + HEALTH, [400, 501], True),
    ("two lengths", POST + HOST + TYPE + CL + b"Content-Length: 2\r\n\r\n" + BODY, [400], True),
    ("two equal lengths", POST + HOST + TYPE + CL + CL + b"\r\n" + BODY, [400], True),
    ("length +5", POST + HOST + TYPE + b"Content-Length: +5\r\n\r\n" + BODY, [400], True),
    ("length -1", POST + HOST + TYPE + b"Content-Length: -1\r\n\r\n" + BODY, [400], True),
    ("length 0x10", POST + HOST + TYPE + b"Content-Length: 0x10\r\n\r\n" + BODY, [400], True),
    ("length of 30 digits", POST + HOST + TYPE + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + BODY, [400, 413], True),
    ("length list", POST + HOST + TYPE + b"Content-Length: 5, 5\r\n\r\n" + BODY, [400], True),
    ("no length", POST + HOST + TYPE + b"\r\n", [411], True),
    ("bad chunk size", POST + HOST + TYPE + CHUNKED + b"\r\nzz\r\n" + BODY, [0, 400], True),
    ("two hosts", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", [400], True),
    ("no host", b"GET /health HTTP/1.1\r\n\r\n", [400], True),
    ("no host in 1.0", b"GET /health HTTP/1.0\r\n\r\n", [200], True),
    ("CR in a value", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: a\rb\r\n\r\n", [400], True),
    ("control character", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: a\x01b\r\n\r\n", [400], True),
    ("space in a name", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX A: b\r\n\r\n", [400], True),
    ("HTTP/1.9", b"GET /health HTTP/1.9\r\nHost: localhost\r\n\r\n", [505], True),
    ("HTTP/2.0", b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", [505], True),
    ("500 header lines", b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 500 + b"\r\n", [431], True),
    ("a head of 64 KiB", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 65536 + b"\r\n\r\n", [431, 0], True),
    ("a path of 64 KiB", b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", [414, 431, 0], True),
    ("method TRACE", b"TRACE /health HTTP/1.1\r\nHost: localhost\r\n\r\n", [405], False),
    ("method with a bad character", b"G\x01T /health HTTP/1.1\r\nHost: localhost\r\n\r\n", [400, 405, 0], True),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [400, 0], True),
    ("dot segments", b"GET /health/../server_info HTTP/1.1\r\nHost: localhost\r\n\r\n", [404], False),
    ("escaped path", b"GET /%68ealth HTTP/1.1\r\nHost: localhost\r\n\r\n", [404], False),
    ("double slash", b"GET //health HTTP/1.1\r\nHost: localhost\r\n\r\n", [404], False),
    ("traversal", b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", [404], False),
    ("body too large", POST + HOST + TYPE + b"Content-Length: 70000\r\n\r\n" + b" " * 70000, [413], True),
    ("chunked body too large", POST + HOST + TYPE + CHUNKED + b"\r\n11170\r\n" + b" " * 0x11170 + b"\r\n0\r\n\r\n", [413], True),
    ("text/plain", POST + HOST + b"Content-Type: text/plain\r\n" + CL + b"\r\n" + BODY, [415], True),
    ("no type", POST + HOST + CL + b"\r\n" + BODY, [415], True),
    ("gzip body", POST + HOST + TYPE + b"Content-Encoding: gzip\r\n" + CL + b"\r\n" + BODY, [415], True),
    ("NUL in a value", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: a\0b\r\n\r\n", [400], True),
    # forms that libmicrohttpd takes and other parsers read otherwise
    ("folded coding", POST + HOST + TYPE + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS, [400], True),
    ("folded coding beside a length", POST + HOST + TYPE + CL + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + BODY, [400], True),
    ("folded by a tab", POST + HOST + TYPE + b"Transfer-Encoding:\r\n\tchunked\r\n" + CL + b"\r\n" + BODY, [400], True),
    ("folded length", POST + HOST + TYPE + b"Content-Length:\r\n 31\r\n\r\n" + BODY, [400], True),
    ("folded host", b"GET /health HTTP/1.1\r\nHost: localhost\r\n .evil\r\n\r\n", [400], True),
    ("any folded line", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: a\r\n b\r\n\r\n", [400], True),
    ("first line folded", b"GET /health HTTP/1.1\r\n Host: localhost\r\n\r\n", [400], True),
    ("coding in 1.0", b"POST /v1/completions HTTP/1.0\r\n" + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS, [400], True),
    ("coding in 1.0, kept open", b"POST /v1/completions HTTP/1.0\r\n" + HOST + TYPE + b"Connection: keep-alive\r\n" + CHUNKED + b"\r\n" + CHUNKS, [400], True),
    ("a name that begins with Transfer-Encoding", POST + HOST + TYPE + CL + b"Transfer-Encodingx: chunked\r\n\r\n" + BODY, [400], True),
    ("a name that begins with Content-Length", POST + HOST + TYPE + CL + b"Content-Length2: 5\r\n\r\n" + BODY, [400], True),
    ("a name that begins with Host", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHosts: evil\r\n\r\n", [400], True),
    ("space before the colon", POST + HOST + TYPE + b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY, [400], True),
    ("tab before the colon", POST + HOST + TYPE + CL + b"Transfer-Encoding\t: chunked\r\n\r\n" + BODY, [400], True),
    ("no name", b"GET /health HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n", [400], True),
    ("no coding", POST + HOST + TYPE + b"Transfer-Encoding: \r\n\r\n" + CHUNKS, [400, 501], True),
    ("identity", POST + HOST + TYPE + CL + b"Transfer-Encoding: identity\r\n\r\n" + BODY, [400, 501], True),
    ("blanks before chunked", POST + HOST + TYPE + b"Transfer-Encoding: \tCHUNKED\r\n\r\n" + CHUNKS, [200], False),
    ("chunked and a blank", POST + HOST + TYPE + b"Transfer-Encoding: chunked \r\n\r\n" + CHUNKS, [400], True),
    ("a length and a blank", POST + HOST + TYPE + CL.replace(b"\r", b" \r") + b"\r\n" + BODY, [400], True),
    ("chunk extension ended by LF", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n{", b";a=b\n{"), [400], True),
    ("chunk extension ended by CR", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n{", b";a=b\r{"), [400], True),
    ("CR within a chunk extension", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n{", b";a\rb\r\n{"), [400], True),
    ("chunk extension with NUL", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n{", b";a\0b\r\n{"), [400], True),
    ("chunk size ended by LF", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n{", b"\n{"), [400], True),
    ("chunk size with a blank", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n{", b" \r\n{"), [400], True),
    ("chunk size 0x1f", POST + HOST + TYPE + CHUNKED + b"\r\n0x" + CHUNKS, [400], True),
    ("chunk size of 17 digits", POST + HOST + TYPE + CHUNKED + b"\r\n" + b"f" * 17 + b"\r\n" + CHUNKS, [413], True),
    ("chunk data ended by LF", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"}\r\n", b"}\n"), [400], True),
    ("chunk data longer than told", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"}\r\n", b"}}\r\n"), [400], True),
    ("last chunk ended by LF", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n0\r\n", b"\r\n0\n"), [400], True),
    ("a trailer", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"X-A: b\r\n\r\n", [200], False),
    ("a trailer ended by LF", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"X-A: b\n\r\n", [400], True),
    ("a folded trailer", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"X-A: b\r\n c\r\n\r\n", [400], True),
    ("a length as trailer", POST + HOST + TYPE + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"Content-Length: 5\r\n\r\n", [400], True),
    ("a tab in the request line", b"GET\t/health HTTP/1.1\r\nHost: localhost\r\n\r\n", [400], True),
    ("two types", POST + HOST + TYPE + b"Content-Type: text/plain\r\n" + CL + b"\r\n" + BODY, [400], True),
    ("two types, the other first", POST + HOST + b"Content-Type: text/plain\r\n" + TYPE + CL + b"\r\n" + BODY, [400], True),
    ("two equal types", POST + HOST + TYPE + TYPE + CL + b"\r\n" + BODY, [200], False),
    ("two equal hosts", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", [400], True),
    ("two keys", b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", [400], True),
    ("two origins", b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil\r\n\r\n", [400], True),
    ("no version", b"GET /health\r\nHost: localhost\r\n\r\n", [400], True),
    ("lower case http", b"GET /health http/1.1\r\nHost: localhost\r\n\r\n", [400], True),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505], True),
    # tolerated, as docs/gateway.md tells
    ("empty lines first", b"\r\n\r\n" + HEALTH, [200], False),
    ("bare LF", b"GET /health HTTP/1.1\nHost: localhost\n\n", [200], False),
]


def statuses(data):
    return [int(s) for s in re.findall(rb"HTTP/1\.[01] (\d{3})", data)]


def is_error(answer):
    try:
        return well_formed_error(json.loads(answer.split(b"\r\n\r\n", 1)[1]))
    except (ValueError, IndexError):
        return False


def table():
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda row: gw.raw(row[1], answers=None if row[3] else 1), TABLE))
    for (name, _, right, close), (got, closed) in zip(TABLE, answers):
        codes = statuses(got)
        first = codes[0] if codes else 0
        check(f"{name}: status", first in right and (len(codes) <= 1 or (close and set(codes) == {first})), codes, got[:200])
        check(f"{name}: connection", closed == close, "closed" if closed else "open")
        if first >= 400:
            check(f"{name}: its form", is_error(got), got)
    same("still alive", gw.get("/health")[0], 200)


def mutated():
    """Requests with bytes changed by chance, the same each time: whatever is answered, the gateway stays."""
    rng = random.Random(7)
    good = [row[1] for row in TABLE if len(row[1]) < 2000] + 40 * [row[1] for row in TABLE if row[2] == [200]]
    sent = []
    for _ in range(3000 if "--full" in sys.argv else 600):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            kind = rng.randrange(3)
            if kind == 0:
                data[at] = rng.choice(b"\r\n\0 :;,%\xff{}[]\"0a")
            elif kind == 1:
                del data[at:at + rng.randint(1, 8)]
            else:
                data[at:at] = rng.choice([b"\r\n", b"\n", b" ", b"Content-Length: 3\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n", b"\r\n\r\n"])
            if not data:
                data = bytearray(b"x")
        sent.append(bytes(data))
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda data: gw.raw(data, 0.2), sent))
    codes = [c for got, _ in answers for c in statuses(got)]
    check("only answers of the table", set(codes) <= {100, 200, 204, 400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 431, 501, 505}, set(codes))
    check("many were refused, some not", codes.count(400) > 50 and codes.count(200) > 0, {c: codes.count(c) for c in set(codes)})
    same("still there", (gw.p.poll(), gw.get("/health")[0]), (None, 200))


def in_pieces():
    """What is refused does not hang on how the bytes are cut, nor on a good request before."""
    rows = [row for row in TABLE if len(row[1]) < 400 and 413 not in row[2]]

    def byte_by_byte(row):
        s = gw.connect()
        try:
            for i in range(len(row[1])):
                s.sendall(row[1][i:i + 1])
        except OSError:
            pass
        got = b""
        try:
            while piece := s.recv(65536):
                got += piece
                s.settimeout(60 if row[3] else 0.7)
        except OSError:
            pass
        s.close()
        return got
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for row, got in zip(rows, pool.map(byte_by_byte, rows)):
            codes = statuses(got)
            check(f"byte by byte: {row[0]}", (codes[0] if codes else 0) in row[2] + [0] and len(codes) <= 1, codes, got[:200])
        for row, (got, _) in zip(rows, pool.map(lambda row: gw.raw(HEALTH + row[1], answers=None if row[3] else 2), rows)):
            codes = statuses(got)
            check(f"after a good one: {row[0]}", codes[:1] == [200] and len(codes) == 2 and codes[1] in row[2], codes, got[-200:])


def cpu_seconds(g):
    fields = open(f"/proc/{g.p.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def no_progress():
    """Whatever is begun and not ended, and whatever fills a buffer: no CPU, and no connection for longer than its time."""
    head = POST + HOST + TYPE + CHUNKED + b"\r\n"
    full_head = POST + HOST + TYPE + CHUNKED + b"X-A: " + b"a" * 15900 + b"\r\n\r\n"
    forms = {
        "a chunk size without end": head + b"0" * 60000, "an extension without end": head + b"1f;" + b"a" * 60000,
        "just an extension of 14 KiB": head + b"1f;" + b"a" * 14000, "a full head and an extension": full_head + b"1f;" + b"a" * 1000,
        "a trailer without end": head + b"0\r\nX-A: " + b"a" * 60000, "trailers without end": head + b"0\r\n" + b"X-A: b\r\n" * 9000,
        "a head without end": b"GET /health HTTP/1.1\r\nX-A: " + b"a" * 60000, "a request line without end": b"GET /" + b"a" * 60000,
        "heads without end": b"GET /health HTTP/1.1\r\n" + b"X-A: b\r\n" * 9000, "empty lines": b"\r\n" * 60000,
        "half a size": head + b"1", "half a chunk": head + b"1f\r\n{", "half an end": head + b"1\r\n{\r", "half a trailer": head + b"0\r\nX",
        "half a body": POST + HOST + TYPE + b"Content-Length: 60000\r\n\r\n" + b" " * 50000, "half a head": POST + HOST, "half a line": b"POS"}
    g = Gateway("--model", "m=" + sock, "--port=0", "--head-timeout=60", "--body-timeout=60")
    fds = len(os.listdir(f"/proc/{g.p.pid}/fd"))
    for stay in (True, False):
        for name, data in forms.items():
            s = g.connect(2)
            before = cpu_seconds(g)
            try:
                s.sendall(data)
            except OSError:
                pass
            if not stay:
                s.close()
            time.sleep(0.3)
            used = cpu_seconds(g) - before
            check(f"{name}: CPU seconds of 0.3" + ("" if stay else ", after it closed"), used < 0.12, used)
            s.close()
    for _ in range(20):  # the last bytes and the end in one segment, of a request that is known already
        s = g.connect(2)
        s.sendall(forms["half a body"][:20000])
        time.sleep(0.05)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        s.sendall(b" " * 500)
        s.close()
    same("and it serves", g.get("/health")[0], 200)
    check("no connection stays", wait_for(lambda: len(os.listdir(f"/proc/{g.p.pid}/fd")) <= fds), fds, len(os.listdir(f"/proc/{g.p.pid}/fd")))
    start = time.time()
    check("nor anything to wait for", g.stop() == 0 and time.time() - start < limit(10), time.time() - start)


def continued():
    s = gw.connect()
    s.sendall(POST + HOST + TYPE + CL + b"Expect: 100-continue\r\n\r\n")
    check("100-continue", b" 100 " in s.recv(1000))
    s.sendall(BODY)
    check("then the answer", b" 200 " in s.recv(1000))
    s.close()
    s = gw.connect()
    s.sendall(HEALTH)
    check("keep-alive: first", b" 200 " in s.recv(2000))
    s.sendall(POST + HOST + TYPE + CL + b"\r\n" + BODY)
    check("keep-alive: second", b" 200 " in s.recv(4000))
    s.close()
    got, _ = gw.raw(HEALTH + HEALTH, answers=2)
    same("pipelined", statuses(got), [200, 200])


def header_injection():
    for bad in ["a\tb", "x" * 200, "a b", "ä", "a;b", ""]:
        _, _, head = gw.request("GET", "/health", headers={"X-Request-Id": bad.encode("utf-8")})
        check(f"request id {bad[:10]!r} is replaced", re.fullmatch("[0-9a-f]{24}", head["X-Request-Id"]), head["X-Request-Id"])
    same("request id is told back", gw.get("/health", {"X-Request-Id": "my-id.1_2"})[2]["X-Request-Id"], "my-id.1_2")
    got, _ = gw.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\r\n Set-Cookie: x\r\n\r\n")
    check("a folded line adds no header", b"\r\nSet-Cookie" not in got and b"\r\n Set-Cookie" not in got, got)


def hosts():
    for host, status in [("localhost", 200), ("127.0.0.1:80", 200), ("[::1]:9", 200), ("a.localhost", 200), ("evil.example", 403),
                         ("127.0.0.1.evil.example", 403), ("localhost.evil.example:80", 403), ("evillocalhost", 403), ("[::1]evil.example", 403),
                         ("[::1]:80evil.example", 403), ("[::1", 403), ("[127.0.0.1]", 403), ("127.0.0.1:80:90", 403), ("localhost:x", 403),
                         ("localhost:99999", 403), ("user@localhost", 403), ("localhost/evil.example", 403), ("localhost evil.example", 403),
                         ("[::1].evil.example", 403), ("::1", 403), ("LOCALHOST:80", 200), ("localhost:", 200), ("[0:0::1]", 200), ("localhost,evil", 403)]:
        same(f"Host {host}", gw.get("/v1/models", {"Host": host})[0], status)
    for origin, status in [("http://evil.example", 403), ("null", 403), (f"http://127.0.0.1:{gw.port}", 200), (f"evil://127.0.0.1:{gw.port}", 403),
                           (f"http://127.0.0.1:{gw.port}.evil.example", 403), (f"http://127.0.0.1:{gw.port}/", 403), (f"https://127.0.0.1:{gw.port}", 200),
                           (f"http://user@127.0.0.1:{gw.port}", 403), (f"http://127.0.0.1:{gw.port + 1}", 403), ("http://127.0.0.1", 403),
                           (f"x http://127.0.0.1:{gw.port}", 403), (f"http://evil.example http://127.0.0.1:{gw.port}", 403), (f"HTTP://127.0.0.1:{gw.port}", 200),
                           (f"//127.0.0.1:{gw.port}", 403), (f"127.0.0.1:{gw.port}", 403), (f"ftp://127.0.0.1:{gw.port}", 403), ("", 403)]:
        same(f"Origin {origin}", gw.get("/v1/models", {"Origin": origin})[0], status)
    same("cross-site", gw.get("/v1/models", {"Sec-Fetch-Site": "cross-site"})[0], 403)
    same("same-origin", gw.get("/v1/models", {"Sec-Fetch-Site": "same-origin"})[0], 200)
    status, _, head = gw.request("OPTIONS", "/v1/completions", headers={"Origin": "http://evil.example"})
    check("preflight of a stranger", status == 403 and not head["Access-Control-Allow-Origin"], status)
    g = Gateway("--model", "m=" + sock, "--port=0", "--allowed-host=gw.example", "--cors-origin=https://page.example")
    same("--allowed-host", g.get("/v1/models", {"Host": "gw.example:8000"})[0], 200)
    status, _, head = g.get("/v1/models", {"Origin": "https://page.example"})
    same("--cors-origin", (status, head["Access-Control-Allow-Origin"]), (200, "https://page.example"))
    same("no credentials", head["Access-Control-Allow-Credentials"], None)
    status, _, head = g.request("OPTIONS", "/v1/completions", headers={
        "Origin": "https://page.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-stainless-os"})
    same("preflight", (status, head["Access-Control-Allow-Headers"]), (204, "authorization, content-type, x-stainless-os"))
    check("preflight methods", "POST" in (head["Access-Control-Allow-Methods"] or ""))
    same("another origin", g.get("/v1/models", {"Origin": "https://other.example"})[0], 403)
    for origin, status in [("http://page.example", 403), ("https://page.example:443", 200), ("https://page.example:444", 403),
                           ("https://page.example.evil", 403), ("https://PAGE.example", 200)]:
        same(f"listed or not: {origin}", g.get("/v1/models", {"Origin": origin})[0], status)
    g.stop()
    g = Gateway("--model", "m=" + sock, "--port=0", "--cors-origin=*")
    for origin in ("https://other.example", "null"):
        status, _, head = g.get("/v1/models", {"Origin": origin, "Sec-Fetch-Site": "cross-site"})
        same(f"--cors-origin=* and {origin}", (status, head["Access-Control-Allow-Origin"]), (200, origin))
    same("not for another name", g.get("/v1/models", {"Origin": "https://other.example", "Host": "evil.example"})[0], 403)
    g.stop()


def keys():
    open(WORK + "/keys", "w").write("# comment\nfirst-key\nsecond-key\n")
    g = Gateway("--model", "m=" + sock, "--port=0", "--api-key-file", WORK + "/keys", "--access-log", WORK + "/access-keys")
    for path in ["/v1/models", "/metrics", "/version", "/server_info", "/openapi.json", "/tokenizer_info", "/v1/models/m", "/nope"]:
        status, text, head = g.get(path)
        same(f"{path} without a key", (status, head["WWW-Authenticate"]), (401, "Bearer"))
        check("a well-formed error", well_formed_error(json.loads(text)), text)
    for path in ["/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize", "/v1/requests/x/cancel"]:
        same(f"{path} without a key", g.post(path, {"prompt": [1]})[0], 401)
    for path in ["/health", "/health/ready"]:
        same(f"{path} needs none", g.get(path)[0], 200)
    for key, status in [("first-key", 200), ("second-key", 200), ("third-key", 401), ("first-ke", 401), ("first-key2", 401), ("", 401),
                        ("# comment", 401), ("First-key", 401)]:
        same(f"key {key!r}", g.get("/v1/models", {"Authorization": "Bearer " + key})[0], status)
    same("Basic", g.get("/v1/models", {"Authorization": "Basic first-key"})[0], 401)
    g.complete(prompt=[401, 402, 403], max_tokens=2)
    g.post("/v1/completions", {"prompt": "SECRETTEXT"}, {"Authorization": "Bearer first-key"})
    g.stop()
    log = open(WORK + "/access-keys").read() + open(g.log).read()
    check("no key in the logs", "first-key" not in log and "third-key" not in log)
    check("no text in the logs", "SECRETTEXT" not in log)
    check("log lines are JSON", all(json.loads(line)["status"] for line in open(WORK + "/access-keys")))
    same("an empty key without keys", gw.get("/v1/models", {"Authorization": "Bearer "})[0], 200)


def slow():
    def one_line_a_second(out):
        s, start = gw.connect(), time.time()
        try:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
            while time.time() - start < 60:
                s.sendall(b"X-A: b\r\n")
                s.settimeout(0.5)
                try:
                    if not s.recv(100):
                        break
                except socket.timeout:
                    pass
        except OSError:
            pass
        out.append(time.time() - start)

    def slow_body(out):
        s, start = gw.connect(), time.time()
        try:
            s.sendall(POST + HOST + TYPE + b"Content-Length: 1000\r\n\r\n")
            while time.time() - start < 60:
                s.sendall(b" ")
                s.settimeout(0.5)
                try:
                    if not s.recv(100):
                        break
                except socket.timeout:
                    pass
        except OSError:
            pass
        out.append(time.time() - start)

    def idle(out):
        s, start = gw.connect(), time.time()
        s.sendall(HEALTH)
        s.recv(1000)
        try:
            s.recv(100)
        except OSError:
            pass
        out.append(time.time() - start)
    found = {}
    threads = []
    for f in (one_line_a_second, slow_body, idle):
        found[f.__name__] = []
        threads.append(threading.Thread(target=f, args=(found[f.__name__],)))
        threads[-1].start()
    crowd = [gw.connect() for _ in range(300)]
    for c in crowd:
        c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n")
    times = []
    while any(t.is_alive() for t in threads):
        start = time.time()
        gw.get("/health")
        times.append(time.time() - start)
        time.sleep(0.05)
    check("a head in pieces is cut at its deadline", 1.5 < found["one_line_a_second"][0] < limit(4), found)
    check("a body in pieces is cut at its deadline", 1.5 < found["slow_body"][0] < limit(4), found)
    check("an idle connection is closed", 3 < found["idle"][0] < limit(8), found)
    open_still = 0
    for c in crowd:
        c.settimeout(limit(0.01))
        try:
            open_still += c.recv(10) != b""
        except socket.timeout:
            open_still += 1
        except OSError:
            pass
        c.close()
    same("300 half heads are cut, too", open_still, 0)
    check("others are served meanwhile: nobody waits until the slow ones are cut", sorted(times)[len(times) // 2] < 1, max(times))


def tls_versions(port):
    """Only what authenticates what it encrypts, with keys that are used once."""
    def hello(*args):
        r = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *args], input=b"", capture_output=True, timeout=120)
        found = re.search(rb"Cipher is ([A-Z0-9_-]+)", r.stdout)
        return found.group(1).decode() if found and b"NONE" not in found.group(1) else None
    for version in ("-tls1", "-tls1_1"):
        same(f"TLS {version}", hello(version, "-cipher", "ALL:@SECLEVEL=0"), None)
    check("TLS 1.3", "GCM" in (hello("-tls1_3") or "") or "CHACHA" in (hello("-tls1_3") or ""))
    good = {"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"}
    listed = subprocess.run(["openssl", "ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True, text=True).stdout.strip().split(":")
    ciphers = [c for c in listed if c not in ("", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")]
    check("openssl knows many", len(ciphers) > 20 and good <= set(ciphers), len(ciphers))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        taken = {c for c, got in zip(ciphers, pool.map(lambda c: hello("-tls1_2", "-cipher", c + ":@SECLEVEL=0"), ciphers)) if got}
    same("ciphers of TLS 1.2", taken, good)


def tls_framing(g, context):
    """What is doubtful is refused in the same way, and a chunk without end costs nothing."""
    def ask_once(data, seconds):
        s = context.wrap_socket(g.connect(seconds), server_hostname="localhost")
        got = b""
        try:
            s.sendall(data)
            while piece := s.recv(65536):
                got += piece
        except OSError:
            pass
        s.close()
        return got

    def ask(data, seconds=3):
        """A server that closes while it is still sent to resets the connection, and its answer may be lost with that: then asked again."""
        return next(filter(None, (ask_once(data, seconds) for _ in range(5))), b"")
    head = POST + HOST + TYPE + CHUNKED + b"\r\n"
    before = cpu_seconds(g)
    for name, data in [("a chunk size without end", head + b"0" * 60000), ("an extension without end", head + b"1f;" + b"a" * 60000),
                       ("folded coding", POST + HOST + TYPE + b"Transfer-Encoding:\r\n chunked\r\n\r\n"), ("an extension ended by LF", head + b"1;a\n{")]:
        got = ask(data)
        check(f"TLS: {name}", statuses(got) == [400] and is_error(got), got[:200])
    got = ask(HEALTH + head + CHUNKS + b"\x01\r\n")
    same("TLS: refused after two good ones", statuses(got), [200, 200, 400])
    check("and all that costs little", cpu_seconds(g) - before < 1, cpu_seconds(g) - before)


def tls():
    if subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout",
                       WORK + "/key.pem", "-out", WORK + "/cert.pem"], capture_output=True).returncode:
        skip("TLS: no openssl")
        return
    g = Gateway("--model", "m=" + sock, "--port=0", "--tls-cert", WORK + "/cert.pem", "--tls-key", WORK + "/key.pem", ready=False)
    context = ssl.create_default_context(cafile=WORK + "/cert.pem")
    context.check_hostname = False

    def ask(body):
        c = http.client.HTTPSConnection("localhost", g.port, context=context, timeout=120)
        c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        r = c.getresponse()
        text = r.read()
        c.close()
        return r.status, text
    import http.client
    check("over TLS", wait_for(lambda: ask({"prompt": [5, 6], "max_tokens": 4})[0] == 200))
    status, text = ask({"prompt": [5, 6], "max_tokens": 40, "stream": True, "return_token_ids": True})
    check("a stream over TLS", status == 200 and events(text)[-1] == "[DONE]", text[-200:])
    tls_framing(g, context)
    tls_versions(g.port)
    same("TLS gateway ends", g.stop(), 0)
    g = subprocess.run([BIN + "xverse-gateway", "--port=0", "--tls-cert", WORK + "/cert.pem"], capture_output=True)
    same("--tls-cert alone", g.returncode, 64)


def unix_socket():
    path = WORK + "/http.sock"
    g = Gateway("--model", "m=" + sock, "--uds", path, ready=False)

    def ask():
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        s.connect(path)
        s.sendall(b"GET /health HTTP/1.1\r\nHost: anything\r\n\r\n")
        got = s.recv(1000)
        s.close()
        return b" 200 " in got
    check("over a Unix socket", wait_for(ask))
    g.stop()
    check("its file goes", not os.path.exists(path))


def many():
    g = Gateway("--model", "m=" + sock, "--port=0", "--max-connections=50", "--max-connections-per-address=40")
    fds = len(os.listdir(f"/proc/{g.p.pid}/fd"))
    conns = []
    for _ in range(200):
        try:
            conns.append(g.connect(1))
        except OSError:
            break
    time.sleep(0.3)
    check("connections are capped", len(os.listdir(f"/proc/{g.p.pid}/fd")) < fds + 60, len(os.listdir(f"/proc/{g.p.pid}/fd")))
    for c in conns:
        c.close()
    check("and served again afterwards", wait_for(lambda: try_health(g)))
    check("no descriptor leaks", wait_for(lambda: len(os.listdir(f"/proc/{g.p.pid}/fd")) <= fds + 2), fds, len(os.listdir(f"/proc/{g.p.pid}/fd")))
    g.stop()


def all_bodies():
    g = Gateway("--model", "m=" + sock, "--port=0", "--max-body=1000000", "--max-bodies=3000000")
    half = []
    for _ in range(3):
        half.append(g.connect(5))
        half[-1].sendall(POST + HOST + TYPE + b"Content-Length: 1000000\r\n\r\n" + b" " * 900000)
    status, a, head = wait_for(lambda: (r := g.complete(prompt="x" * 500000, max_tokens=1))[0] == 429 and r) or (0, {}, {})
    check("more than all bodies together may have", status == 429 and a["error"]["code"] == "overloaded" and int(head["Retry-After"]) >= 1, status, a)
    same("a small one still fits", g.complete(prompt=[5], max_tokens=1)[0], 200)
    for c in half:
        c.close()
    check("and later a large one", wait_for(lambda: g.complete(prompt=[5] * 20000, max_tokens=1)[0] == 400))
    g.stop()


def few_files():
    """No descriptor left: connections wait, nothing falls."""
    g = Gateway("--model", "m=" + sock, "--port=0", "--max-connections=500", wrap=["prlimit", "--nofile=60:60"])
    conns = [g.connect(5) for _ in range(100)]
    time.sleep(0.3)
    for c in conns:
        c.close()
    check("it serves again afterwards", wait_for(lambda: try_health(g)))
    same("and generates", g.complete(prompt=[5], max_tokens=1)[0], 200)
    same("and ends", g.stop(), 0)


def try_health(g):
    try:
        return g.get("/health")[0] == 200
    except OSError:
        return False


def stuck_log():
    """An access log that nobody reads: lines are lost, requests are not."""
    g = Gateway.__new__(Gateway)
    g.log, reader = WORK + "/stuck.log", None
    for name in ("standard output", "a named pipe"):
        path = WORK + "/fifo"
        if name == "a named pipe":
            os.mkfifo(path)
            r = subprocess.run([BIN + "xverse-gateway", "--port=0", "--access-log", path], capture_output=True, timeout=120)
            same("a pipe without a reader", r.returncode, 66)
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        g.p = subprocess.Popen([os.environ.get("XV_GATEWAY", BIN + "xverse-gateway"), "--model", "m=" + sock, "--port=0", "--access-log",
                                "-" if reader is None else path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(g.log, "w"))
        running.append(g.p)
        g.port = int(wait_for(lambda: re.search(r"127.0.0.1:(\d+)", open(g.log).read())).group(1))
        c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=120)
        for _ in range(600):
            c.request("GET", "/health", headers={"X-Request-Id": "x" * 100})
            c.getresponse().read()
        check(f"{name}: lines are lost and counted", g.metric("xverse_gateway_access_log_lost_total") > 0)
        g.p.terminate()
        same(f"{name}: it ends", g.p.wait(20), 0)
    os.close(reader)


def usage():
    for args, code in [(["--nope"], 64), (["--port=99999"], 64), (["--model"], 64), (["--model=a=x", "--model=a=y"], 64), (["--help"], 0), (["--cors-origin=https://a/"], 64), (["--cors-origin=a"], 64), (["--allowed-host=a/b"], 64), (["--allowed-host=http://a"], 64),
                       (["--openapi"], 0), (["--api-key-file=/nonexistent", "--port=0"], 66), (["--api-key-file=" + WORK, "--port=0"], 66), (["--api-key-file=/dev/zero", "--port=0"], 66), (["--host=300.1.1.1", "--port=0"], 78)]:
        r = subprocess.run([BIN + "xverse-gateway", *args], capture_output=True, timeout=120)
        same(f"exit code of {args}", r.returncode, code)
    document = json.loads(subprocess.run([BIN + "xverse-gateway", "--openapi"], capture_output=True).stdout)
    same("openapi.json is what --openapi prints", json.loads(gw.get("/openapi.json")[1]), document)
    check("every path of it is there", all(gw.request("OPTIONS", p.replace("{id}", "x"))[0] == 204 for p in document["paths"]))


for test in (table, in_pieces, no_progress, mutated, continued, header_injection, hosts, keys, slow, tls, unix_socket, many, all_bodies, few_files, stuck_log, usage):
    start = time.time()
    test()
    print(f"  {test.__name__}: {time.time() - start:.1f} s", flush=True)
same("the gateway ends when told", gw.stop(), 0)
done()

"""gw.py - for the gateway's tests: a daemon and gateways before it, requests raw and parsed, counted checks."""
import atexit
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time  # noqa: F401

sys.path.insert(0, "tests/e2e")
from patience import limit, wait_for  # noqa: E402, F401
from told import told  # noqa: E402

os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
BIN = "build/bin/"
DAEMON = os.environ.get("XV_DAEMON", BIN + "xversed")
STORIES = os.environ.get("XV_TESTDATA", "../shared/testdata") + "/stories260K/hf-llama"
PUBLISHED = os.path.isdir(STORIES)  # a model whose texts are published
TEXT_MODEL = STORIES if PUBLISHED else "launch/demo/model"  # one with a tokenizer: every clone has the bundled one
WORK = tempfile.mkdtemp(prefix="xv-gw-")
counts = {"passed": 0, "failed": 0, "skipped": 0}
running = []


def check(name, ok, *texts):
    counts["passed" if ok else "failed"] += 1
    if not ok:
        print("FAILED", name, *[str(t)[:400] for t in texts] or [told()], flush=True)
    return ok


def same(name, found, wanted):
    return check(name, found == wanted, "\n  found: ", repr(found), "\n  wanted:", repr(wanted))


def continuation(sock, prompt, n):
    """The greedy text of n tokens, as xverse prints it."""
    env = {**os.environ, "XVERSE_SOCKET": sock}
    text = subprocess.run([BIN + "xverse", "generate", prompt, "--max-tokens", str(n), "--temperature", "0"], env=env, capture_output=True, text=True).stdout
    return text.removesuffix("\n")


def skip(why):
    counts["skipped"] += 1
    print("  skipped:", why)


def done():
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    sys.exit(1 if counts["failed"] else 0)


@atexit.register
def cleanup():
    for p in running:
        if p.poll() is None:
            p.terminate()
    for p in running:
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            p.kill()
    shutil.rmtree(WORK, ignore_errors=True)


def start_daemon(model=None, name="m", uds=None, **options):
    """A daemon of one rank; a small random model without tokenizer unless one is named. Its socket."""
    uds = uds or f"{WORK}/{name}.sock"
    if not model:
        model = f"{WORK}/{name}-model"
        if not os.path.exists(model):
            subprocess.run(["/usr/bin/python3", "tests/e2e/make_model.py", model], check=True)
    args = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
    log = open(f"{WORK}/{name}.log", "w")
    p = subprocess.Popen(["mpirun", "--oversubscribe", "--bind-to", "none", "-n", "1", DAEMON, model, "--uds", uds,
                          "--served-model-name", name, *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    running.append(p)
    if not wait_for(lambda: 'event="ready"' in open(log.name).read() or p.poll() is not None) or p.poll() is not None:
        print(open(log.name).read())
        check("the daemon starts", False)
        done()
    return p, uds


def has_chat():
    return b"--chat-template" in subprocess.run([DAEMON, "--help"], capture_output=True).stdout


class Gateway:
    def __init__(self, *args, ready=True, wrap=()):
        self.log = f"{WORK}/gateway-{len(running)}.log"
        self.p = subprocess.Popen([*wrap, os.environ.get("XV_GATEWAY", BIN + "xverse-gateway"), *args], stdin=subprocess.DEVNULL,
                                  stdout=open(self.log, "w"), stderr=subprocess.STDOUT)
        running.append(self.p)
        found = wait_for(lambda: re.search(r'event="listening" on=(?:https?://(.*):(\d+)|"(/.+)")', open(self.log).read()) or
                         self.p.poll() is not None)
        self.port = int(found.group(2)) if found and found is not True and found.group(2) else None
        if ready:
            wait_for(lambda: self.get("/health/ready")[0] == 200)

    def connect(self, timeout=120, buffer=None):
        """`buffer`: bytes that the kernel may keep for us."""
        s = socket.socket()
        if buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        s.settimeout(timeout)
        s.connect(("127.0.0.1", self.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def raw(self, data, timeout=60, answers=None):
        """Bytes out, all bytes that come back until the other side closes or is silent for that time (for a moment, after so many answers);
        and whether it closed."""
        s = self.connect(timeout)
        got = b""
        try:
            s.sendall(data)
            while True:
                if answers and got.count(b"HTTP/1.1 ") >= answers:
                    s.settimeout(0.7)
                piece = s.recv(65536)
                if not piece:
                    return got, True
                got += piece
        except socket.timeout:
            return got, False
        except OSError:
            return got, True
        finally:
            s.close()

    def request(self, method, path, body=None, headers=None, timeout=120):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        head = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            head.setdefault("Content-Type", "application/json")
        c.request(method, path, body, head)
        r = c.getresponse()
        text = r.read()
        c.close()
        return r.status, text, r.headers

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, headers=None):
        status, text, head = self.request("POST", path, body, headers)
        try:
            return status, json.loads(text), head
        except ValueError:
            return status, text, head

    def complete(self, **body):
        return self.post("/v1/completions", body)

    def stream(self, path="/v1/completions", **body):
        """Events of a stream as parsed JSON; the last is "[DONE]" where it came, and the end's kind."""
        status, text, head = self.request("POST", path, dict(body, stream=True))
        return status, events(text), head

    def metric(self, name):
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return None

    def stop(self, sig=signal.SIGTERM):
        self.p.send_signal(sig)
        return self.p.wait(60)


def events(text):
    out = []
    for block in text.decode().split("\n\n"):
        if block.startswith("data: "):
            data = block[6:]
            out.append(data if data == "[DONE]" else json.loads(data))
    return out


def well_formed_error(answer):
    e = answer.get("error") if isinstance(answer, dict) else None
    return (isinstance(e, dict) and set(e) == {"message", "type", "param", "code"} and isinstance(e["message"], str) and
            e["message"] and isinstance(e["type"], str) and isinstance(e["param"], (str, type(None))) and
            isinstance(e["code"], (str, type(None))))

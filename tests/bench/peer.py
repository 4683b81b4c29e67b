"""peer.py - programs to be compared, run one at a time: our steps and daemon, a peer's bench programs and server."""
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, "tests/e2e")
median = statistics.median


class Steps:
    """build/tests/bench/steps, kept open."""

    def __init__(self, model, kind, threads, cache):
        self.p = subprocess.Popen(["build/tests/bench/steps", model, "--class", kind, "--threads", str(threads), "--pack-cache", cache],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.isa = self.answer()["isa"]

    def answer(self):
        line = self.p.stdout.readline()
        if not line:
            sys.exit("build/tests/bench/steps ended")
        return json.loads(line)

    def run(self, seqs, tokens, keys, reps):
        """(tokens a second, shares of the limit) of each run"""
        self.p.stdin.write(f"{seqs} {tokens} {keys} {reps}\n")
        self.p.stdin.flush()
        a = self.answer()
        least = [1e3 * max(a["giga_ops"] / peak, a["giga_bytes"] / read) for peak, read in zip(a["peak"], a["read"])]
        return [seqs * tokens * 1e3 / ms for ms in a["ms"]], [x / ms for x, ms in zip(least, a["ms"])]

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def output(command):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if r.returncode:
        sys.exit(f"{command[0]}: status {r.returncode}\n{r.stderr[-2000:]}")
    return r.stdout


def peer_bench(build, gguf, tokens, reps, threads, repack):
    """Tokens a second of each run: a prompt of `tokens`, or (1) one stream of 16."""
    what = ["-p", str(tokens), "-n", "0"] if tokens > 1 else ["-p", "0", "-n", "16"]
    out = output([build + "/bin/llama-bench", "-m", gguf, "-t", str(threads), "-r", str(reps), "-o", "json"] + what +
                 (["-rtr", "1"] if repack else []))
    return json.loads(out[out.index("["):])[0]["samples_ts"]


def peer_streams(build, gguf, seqs, threads):
    """Tokens a second of `seqs` streams together, 16 tokens each after a prompt of 48 in common."""
    out = output([build + "/bin/llama-batched-bench", "-m", gguf, "-t", str(threads), "-c", "2048", "-npp", "48", "-ntg", "16", "-npl",
                  str(seqs), "-pps", "--output-format", "jsonl"])
    return [json.loads(line)["speed_tg"] for line in out.splitlines() if line.startswith("{")]


def started(command, ready, log):
    """(process, seconds until ready() is true); dies with the end of its log."""
    start = time.time()
    with open(log, "w") as f:
        p = subprocess.Popen(command, stdout=f, stderr=f, stdin=subprocess.DEVNULL)
    while not ready():
        if p.poll() is not None or time.time() - start > 300:
            sys.exit(f"{command[0]} did not start:\n{open(log).read()[-2000:]}")
        time.sleep(0.003)
    return p, time.time() - start


def ended(p, signal):
    p.send_signal(signal)
    p.wait()


class Daemon:
    """xversed alone (one rank) or under mpirun."""

    def __init__(self, folder, model, *options, ranks=1, name="d"):
        self.path, log = f"{folder}/{name}.sock", f"{folder}/{name}.log"
        os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        before = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks > 1 else []
        self.p, self.seconds = started(before + ["build/bin/xversed", model, "--uds", self.path, *options],
                                       lambda: 'event="ready"' in open(log).read(), log)
        self.client = None

    def ask(self, prompt, tokens):
        """(seconds to the first token, seconds from there to the end)"""
        from wire import Client
        self.client = self.client or Client(self.path)
        c = self.client.generate(prompt, max_tokens=tokens, temperature=0, ignore_eos=True)
        self.client.wait(c)
        if not c.finished:
            sys.exit(f"a call failed: {c.error}")
        return c.first - c.began, c.ended - c.first

    def close(self):
        ended(self.p, 10)


class Server:
    """A peer's server on a port of the loopback."""

    def __init__(self, build, gguf, threads, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.p, self.seconds = started([build + "/bin/llama-server", "-m", gguf, "-t", str(threads), "-c", "2048", "-np", "1", "--host",
                                        "127.0.0.1", "--port", str(self.port)], self.healthy, folder + "/server.log")

    def healthy(self):
        try:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            c.request("GET", "/health")
            return c.getresponse().status == 200
        except OSError:
            return False

    def first_token(self, prompt):
        body = json.dumps({"prompt": prompt, "n_predict": 1, "stream": True, "cache_prompt": False, "temperature": 0, "ignore_eos": True})
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        start = time.time()
        c.request("POST", "/completion", body, {"Content-Type": "application/json"})
        line = c.getresponse().readline()
        if not line.startswith(b"data:"):
            sys.exit(f"no token from the peer's server: {line}")
        return time.time() - start

    def close(self):
        ended(self.p, 15)


def random_prompt(n, vocab):
    return [random.randrange(300, vocab) for _ in range(n)]

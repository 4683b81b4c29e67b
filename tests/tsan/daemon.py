"""daemon.py XVERSED: one rank under ThreadSanitizer with streams, cancels, long texts, scores, clients that leave, metrics and a drain.
Ends with 0 where nothing was reported; what was reported goes to standard output."""
import glob
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, "tests/e2e")
import job as j
from wire import Client, pb, wait_all

work = tempfile.mkdtemp(prefix="xv-tsan-")
words = os.path.isdir(j.TEXT_MODEL)
model = [j.TEXT_MODEL] if words else [j.dummy_model(work + "/model"), "--load-format", "dummy", "--max-model-len", "512"]
env = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_btl": "self",
       "TSAN_OPTIONS": f"suppressions=tests/tsan/suppressions exitcode=66 atexit_sleep_ms=0 log_path={work}/report"}
log = open(work + "/log", "w+")
p = subprocess.Popen([sys.argv[1], *model, "--uds", work + "/s", "--threads", "2", "--max-num-seqs", "8"], env=env, stdin=subprocess.DEVNULL,
                     stdout=log, stderr=log)


def prompt(n):
    return "Once upon a time " * n if words else list(range(1, 10 * n))


def traffic():
    clients = [Client(work + "/s", 60) for _ in range(6)]
    calls = [c.generate(prompt(i + 1), max_tokens=60, temperature=1, seed=i, ignore_eos=True, logprobs=2, stop=["zebra"]) for i, c in enumerate(clients) for _ in range(4)]
    one = Client(work + "/s")
    if words:
        long = one.send(tokenize=pb.Tokenize(text="some words " * 20000))
    for c, x in zip(clients, calls[::4]):
        c.cancel(x)
    if words:
        one.wait(long)
    wait_all(clients, calls, 120)
    one.wait(one.send(metrics=pb.MetricsRequest()), one.score(prompt(8), top_n=2))
    ok = all(x.ended for x in calls) and one.status().step > 60
    clients[0].close()
    clients[1].generate(prompt(1), max_tokens=300)
    clients[1].close()
    return ok


def main():
    j.wait_for(lambda: 'event="ready"' in open(work + "/log").read() or p.poll() is not None, 120)
    ok = p.poll() is None and traffic()
    if p.poll() is None:
        p.send_signal(signal.SIGTERM)
    try:
        ok = p.wait(60) == 0 and ok
    except subprocess.TimeoutExpired:
        p.kill()
        ok = False
    for path in glob.glob(work + "/report*"):
        text = open(path).read()
        print(text)
        ok = ok and "WARNING" not in text
    if not ok:
        print(open(work + "/log").read()[-2000:])
    subprocess.run(["rm", "-rf", work])
    raise SystemExit(not ok)


main()

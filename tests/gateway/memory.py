"""Requests that are small on the wire and large in memory: each form is sent many times at once, RSS stays within what --max-bodies
says, others are served, and memory is given back when the clients have gone."""
import concurrent.futures
import threading

from gw import *

MB = 1 << 20
_, sock = start_daemon()
tiny = start_daemon(TEXT_MODEL, "tiny")[1] if os.path.exists(TEXT_MODEL) else None
LIMIT = 96 * MB
BODY = 4 * MB


def rss(g, what="VmRSS"):
    return int(re.search(what + r":\s+(\d+)", open(f"/proc/{g.p.pid}/status").read()).group(1)) << 10


def gateway(*more):
    models = ["--model", "m=" + sock] + (["--model", "tiny=" + tiny] if tiny else [])
    return Gateway(*models, "--port=0", f"--max-bodies={LIMIT}", *more)


def padded(head, item):
    """A JSON object of about BODY bytes: `head` and a list of `item`."""
    n = (BODY - len(head) - 10) // (len(item) + 1)
    return head[:-1].encode() + b',"x":[' + b",".join([item] * n) + b"]}"


def warm(g):
    """What a first large request leaves behind counts as before."""
    g.post("/v1/completions", padded('{"prompt":[5],"max_tokens":1}', b'"%s"' % (b"a" * 1000)))
    g.complete(prompt=[5], max_tokens=2, logprobs=1)
    settle(g)
    return rss(g)


def settle(g):
    time.sleep(1.2)  # trims come once a second


def comes_back(name, g, before):
    ok = wait_for(lambda: rss(g) < before * 1.2 + MB, 60, 0.2)  # 5 MB before: a MB is noise
    check(f"{name}: memory comes back", ok, f"before {before / MB:.1f} MB, {rss(g) / MB:.1f} MB afterwards")


def at_once(g, path, body, n, read=True):
    """Statuses of n requests that are sent at the same time, and the peak of RSS meanwhile."""
    peak, stop = [rss(g)], []

    def watch():
        while not stop:
            peak.append(rss(g))
            time.sleep(0.01)
    t = threading.Thread(target=watch)
    t.start()

    def one(_):
        try:
            return g.request("POST", path, body, timeout=120)[0]
        except OSError:
            return 0
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        codes = list(pool.map(one, range(n)))
    stop.append(1)
    t.join()
    return codes, max(peak)


def trees():
    """Values that nobody asked for."""
    g = gateway()
    before = warm(g)
    for name, item in [("{}", b"{}"), ("[]", b"[]"), ('""', b'""'), ("0", b"0"), ("null", b"null"), ('{"":0}', b'{"":0}'), ("[[]]", b"[[]]"), ("1e400", b"1e400"),
                       ("of 30 digits", b"1" * 30), ("1.5", b"1.5")]:
        status, a, _ = g.request("POST", "/v1/completions", padded('{"prompt":[5],"max_tokens":1}', item))
        few = BODY // (len(item) + 1) < (1 << 18) // (2 if name in ('{"":0}', "[[]]") else 1)
        check(f"4 MB of {name}: refused by its values" if not few else f"4 MB of {name}", status == (200 if few else 413) and
              (few or well_formed_error(json.loads(a))), status, a[:300])
        check(f"4 MB of {name}: the peak", rss(g, "VmHWM") < before + 40 * MB, rss(g, "VmHWM") / MB)
    comes_back("4 MB of values", g, before)
    g.stop()


def held_streams():
    """Ignored keys of a stream do not stay while it runs."""
    g = gateway()
    before = warm(g)
    items = b",".join([b"{}"] * 200000)
    body = b'{"prompt":[5],"max_tokens":1900,"ignore_eos":true,"stream":true,"n":2,"x":[' + items + b"]}"
    conns = []
    for _ in range(14):
        s = g.connect(20, 8192)
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        s.recv(500)
        conns.append(s)
    check("streams of large bodies hold none of them", wait_for(lambda: rss(g) < before + 24 * MB, 60, 0.2), rss(g) / MB, before / MB)
    for s in conns:
        s.close()
    comes_back("large bodies of streams", g, before)
    g.stop()


def held_lists():
    """What calls carry besides their prompts, and choices that wait, are counted while the streams are open."""
    g = Gateway("--model", "long=" + start_daemon(name="long", max_num_seqs=4, max_num_queued_reqs=1000000)[1], "--port=0", f"--max-bodies={LIMIT}")
    before = warm(g)
    held = dict(prompt=[5], max_tokens=1900, ignore_eos=True, stream=True)
    forms = {"lists of ids": dict(held, n=32, allowed_token_ids=list(range(500)), bad_token_ids=[0] * 500, stop_token_ids=[510] * 500,
                                  stop=["z" * 1000 + str(i) for i in range(16)], logit_bias={str(i): 1 for i in range(500)}),
             "choices": dict(held, prompt=[[5]] * 16, n=128)}
    for name, body in forms.items():
        data = json.dumps(body).encode()
        conns = []
        for _ in range(400):
            s = g.connect(20, 8192)
            s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            conns.append(s)
        codes = [int(s.recv(15)[9:12] or 0) for s in conns]
        check(f"many {name}: answered, or told to come again", set(codes) <= {200, 429} and 429 in codes, {c: codes.count(c) for c in set(codes)})
        check(f"many {name}: the peak", rss(g, "VmHWM") < before + 1.5 * LIMIT, rss(g, "VmHWM") / MB)
        for s in conns:
            s.close()
        comes_back(f"many {name}", g, before)
    g.stop()


def detokenize():
    if not tiny:
        skip("detokenize: no model with a tokenizer")
        return
    g = gateway()
    before = warm(g)
    body = json.dumps({"model": "tiny", "tokens": [300] * 250000})
    codes, peak = at_once(g, "/detokenize", body, 60)
    check("60 detokenize at once: answered, or told to come again", set(codes) <= {200, 400, 413, 429, 503} and 200 in codes, {c: codes.count(c) for c in set(codes)})
    check("60 detokenize at once: the peak", peak < before + 2 * LIMIT, peak / MB)
    comes_back("60 detokenize", g, before)
    same("one more id than values", g.post("/detokenize", {"model": "tiny", "tokens": [5] * (1 << 18)})[0], 413)
    codes, peak = at_once(g, "/tokenize", json.dumps({"model": "tiny", "prompt": "a b " * 900000}), 16)
    check("16 tokenize of 3.6 MB: the peak", peak < before + 2 * LIMIT, peak / MB, {c: codes.count(c) for c in set(codes)})
    comes_back("16 tokenize", g, before)
    g.stop()


def many_choices():
    """A large prompt times n: the calls that run at once are as few as their prompts are large."""
    g = gateway()
    before = warm(g)
    for name, body in [("text", {"model": "tiny" if tiny else "m", "prompt": "a" * (3 * MB), "n": 128}), ("ids", {"prompt": [5] * 200000, "n": 128}),
                       ("a list", {"prompt": ["a" * 2000] * 1500, "n": 1, "model": "tiny" if tiny else "m"}),
                       ("messages", {"messages": [{"role": "user", "content": "a" * (3 * MB)}], "n": 128})]:
        codes, peak = at_once(g, "/v1/chat/completions" if name == "messages" else "/v1/completions", json.dumps(dict(body, max_tokens=1)), 8)
        check(f"a large prompt as {name}, n 128: statuses", set(codes) <= {200, 400, 413, 429, 501, 503}, {c: codes.count(c) for c in set(codes)})
        check(f"a large prompt as {name}, n 128: the peak", peak < before + 2 * LIMIT, peak / MB)
    comes_back("large prompts", g, before)
    g.stop()


def answers():
    """Small requests for large answers."""
    g = gateway()
    before = warm(g)
    body = {"prompt": [[5 + i % 400] * 1900 for i in range(40)], "max_tokens": 1, "echo": True, "logprobs": 20, "prompt_logprobs": 20}
    codes, peak = at_once(g, "/v1/completions", json.dumps(body), 4)
    check("large answers: statuses", set(codes) <= {200, 413, 429}, codes)
    check("large answers: the peak", peak < before + 2 * LIMIT, peak / MB)
    comes_back("large answers", g, before)
    status, a, _ = g.complete(**dict(body, prompt=[[5 + i % 400] * 1900 for i in range(100)]))
    check("an answer beyond a quarter of all: refused with a reason", status == 413 and "answer" in a["error"]["message"], status, str(a)[:300])
    small = dict(body, prompt=[[5] * 100])
    same("a small one with all of it", g.complete(**small)[0], 200)
    status, ev, _ = g.stream(**dict(body, prompt_logprobs=None))
    check("and a stream of the large one, read as it comes", status == 200 and ev[-1] == "[DONE]", status, str(ev[-1])[:200])
    comes_back("the rest", g, before)
    g.stop()


def unread():
    """Answers that nobody reads."""
    g = gateway("--stall-timeout=2")
    before = warm(g)
    body = json.dumps({"prompt": [[5] * 1900] * 20, "max_tokens": 1, "echo": True, "logprobs": 20}).encode()
    conns = []
    for _ in range(30):
        s = g.connect(20, 4096)
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        conns.append(s)
    peak = [0]
    end = time.time() + 6
    while time.time() < end:
        peak.append(rss(g))
        time.sleep(0.05)
    check("30 large answers that nobody reads: the peak", max(peak) < before + 2 * LIMIT, max(peak) / MB)
    same("others are served", g.complete(prompt=[5], max_tokens=1)[0], 200)
    for s in conns:
        s.close()
    comes_back("answers that nobody read", g, before)
    g.stop()


def shares():
    """One key cannot take what all have."""
    open(WORK + "/keys", "w").write("alice:key-a\nbob:key-b\nkey-c\nalice:key-a2\n")
    g = gateway("--api-key-file", WORK + "/keys", "--max-connections=20")
    a, b = {"Authorization": "Bearer key-a"}, {"Authorization": "Bearer key-b"}
    wait_for(lambda: g.get("/health/ready")[0] == 200)
    half = []
    for _ in range(11):
        s = g.connect(5)
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer key-a\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n" + b" " * 100)
        half.append(s)
    check("half of the connections are one key's share", wait_for(lambda: g.complete_as(a)[0] == 429))
    status, e, head = g.complete_as(a)
    check("and it is told so", status == 429 and e["error"]["code"] == "too_many_requests" and head["Retry-After"], e)
    same("its other key is the same account", g.complete_as({"Authorization": "Bearer key-a2"})[0], 429)
    same("others have theirs", (g.complete_as(b)[0], g.complete_as({"Authorization": "Bearer key-c"})[0]), (200, 200))
    for s in half:
        s.close()
    check("afterwards it is served", wait_for(lambda: g.complete_as(a)[0] == 200))
    half = []
    for _ in range(9):
        s = g.connect(5)
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer key-a\r\nContent-Type: application/json\r\nContent-Length: 4194304\r\n\r\n" + b" " * 4194303)
        half.append(s)
    check("bodies beyond its half of the memory", wait_for(lambda: g.complete_as(a, prompt="x" * (3 * MB))[0] == 429))
    same("another key's are taken", g.complete_as(b, prompt="x" * (3 * MB))[0], 400)
    for s in half:
        s.close()
    g.stop()


Gateway.complete_as = lambda self, key, **more: self.post("/v1/completions", {"prompt": [5], "max_tokens": 1, **more}, key)
for test in (trees, held_streams, held_lists, detokenize, many_choices, answers, unread, shares):
    start = time.time()
    test()
    print(f"  {test.__name__}: {time.time() - start:.1f} s", flush=True)
done()

import threading

from gw import *

LIMITS = dict(max_num_queued_reqs=16, max_num_seqs=8)
daemon, sock = start_daemon(**LIMITS)
gw = Gateway("--model", "m=" + sock, "--port=0", "--stall-timeout=1")
tiny = None
if os.path.exists(TEXT_MODEL):
    tiny = Gateway("--model", "tiny=" + start_daemon(TEXT_MODEL, "tiny")[1], "--port=0")
LONG = 1500


def ids_of(answer, i=0):
    return answer["choices"][i]["token_ids"]


def shapes():
    status, a, head = gw.complete(prompt=[5, 6, 7], max_tokens=4, temperature=0, return_token_ids=True, model="m")
    same("status", status, 200)
    same("keys", sorted(a), ["choices", "created", "id", "model", "object", "system_fingerprint", "usage"])
    same("object, model, id", (a["object"], a["model"], a["id"]), ("text_completion", "m", "cmpl-" + head["X-Request-Id"]))
    same("choice", (a["choices"][0]["index"], a["choices"][0]["finish_reason"], a["choices"][0]["logprobs"]), (0, "length", None))
    same("usage", a["usage"], {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "prompt_tokens_details": {"cached_tokens": 0}})
    info = json.loads(gw.get("/server_info")[1])["models"][0]
    check("of kernels the CPU has nothing to tell", info["prompt_attention"] == info["kernel_overlap"] == "", info)
    same("receipt", a["system_fingerprint"], info["fingerprint"] + "/" + info["numerics_class"])
    same("ids of a prompt", a["choices"][0]["prompt_token_ids"], [5, 6, 7])
    same("ids as 5.0 and 5e0", gw.request("POST", "/v1/completions", '{"prompt":[5.0,6e0,70e-1],"max_tokens":1,"stop_token_ids":[1.0],"bad_token_ids":[-0.0]}')[0], 200)
    for bad in ("5.5", "1e400", "-1.0", "true", "2147483648.0"):
        same(f"ids as {bad}", gw.request("POST", "/v1/completions", '{"prompt":[5,%s],"max_tokens":1}' % bad)[0], 400)
    same("default max_tokens", gw.complete(prompt=[5], ignore_eos=True)[1]["usage"]["completion_tokens"], 16)
    same("unknown model", gw.complete(prompt=[5], model="other")[0], 404)
    same("a name that only begins like one", gw.complete(prompt=[5], model="m\0x")[0], 404)
    _, ev, _ = gw.stream(prompt=[5], max_tokens=1, stream_options={"include_usage\0x": True})
    check("a key that only begins like one", not any(e.get("usage") for e in ev[:-1]), ev)
    status, _, head = gw.complete(prompt=[5], max_tokens=1, foo=1, bar=None)
    same("unknown keys are told", (status, head["X-Ignored-Fields"]), (200, "foo, bar"))
    status, a, _ = gw.complete(prompt=[5] * 2047, max_tokens=2)
    same("too long", (status, a["error"]["code"]), (400, "context_length_exceeded"))
    m = json.loads(gw.get("/v1/models")[1])
    same("models", (m["object"], m["data"][0]["id"], m["data"][0]["max_model_len"], m["data"][0]["object"]), ("list", "m", 2048, "model"))
    same("one model", json.loads(gw.get("/v1/models/m")[1])["id"], "m")
    same("no such model", gw.get("/v1/models/x")[0], 404)
    same("without /v1", gw.post("/completions", {"prompt": [5], "max_tokens": 1})[0], 200)
    same("best_of", (gw.complete(prompt=[5], best_of=2)[0], gw.complete(prompt=[5], best_of=1, max_tokens=1)[0]), (400, 200))
    same("response_format", gw.complete(prompt=[5], response_format={"type": "xml"})[1]["error"]["param"], "response_format")
    head = gw.request("HEAD", "/health")
    same("HEAD", (head[0], head[1]), (200, b""))


def choices():
    prompts = [[5, 6, 7], [8, 9], [400]]
    _, a, _ = gw.complete(prompt=prompts, n=3, max_tokens=5, seed=7, return_token_ids=True)
    same("order", [c["index"] for c in a["choices"]], list(range(9)))
    same("usage of all", (a["usage"]["prompt_tokens"], a["usage"]["completion_tokens"]), (6, sum(len(ids_of(a, i)) for i in range(9))))
    for p in range(3):
        _, b, _ = gw.complete(prompt=prompts[p], n=3, max_tokens=5, seed=7, return_token_ids=True)
        same(f"prompt {p} alone", [ids_of(b, i) for i in range(3)], [ids_of(a, 3 * p + i) for i in range(3)])
        _, b, _ = gw.complete(prompt=prompts[p], max_tokens=5, seed=7, return_token_ids=True)
        same(f"prompt {p}: choice 0 of n is n = 1", ids_of(b), ids_of(a, 3 * p))
    check("choices differ", len({tuple(ids_of(a, i)) for i in range(3)}) > 1)
    _, a, _ = gw.complete(prompt=[[5, i] for i in range(200)], max_tokens=1, temperature=0, return_token_ids=True)
    same("200 prompts, more than the queue takes", len(a["choices"]), 200)
    _, b, _ = gw.complete(prompt=[5, 150], max_tokens=1, temperature=0, return_token_ids=True)
    same("one of them alone", ids_of(b), ids_of(a, 150))
    check("negative and large seeds", all(gw.complete(prompt=[5], max_tokens=1, seed=s)[0] == 200 for s in (-1, 2**63 - 1, -2**63)))


def streams():
    body = dict(prompt=[[5, 6], [7]], n=2, max_tokens=6, seed=3, return_token_ids=True, logprobs=2)
    _, whole, _ = gw.complete(**body)
    status, ev, head = gw.stream(**body, stream_options={"include_usage": True})
    same("stream", (status, head["Content-Type"], ev[-1]), (200, "text/event-stream; charset=utf-8", "[DONE]"))
    same("usage is the last piece", (ev[-2]["choices"], ev[-2]["usage"]), ([], whole["usage"]))
    check("other pieces have none", all(e["usage"] is None for e in ev[:-2]))
    check("one id", len({e["id"] for e in ev[:-1]}) == 1 and ev[0]["object"] == "text_completion")
    for i in range(4):
        pieces = [e["choices"][0] for e in ev[:-2] if e["choices"][0]["index"] == i]
        same(f"ids of choice {i}", sum((p.get("token_ids", []) for p in pieces), []), ids_of(whole, i))
        same(f"one finish of choice {i}", [p["finish_reason"] for p in pieces if p["finish_reason"]], ["length"])
        for key in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            got = sum((p["logprobs"][key] for p in pieces if p["logprobs"]), [])
            same(f"{key} of choice {i}", got, whole["choices"][i]["logprobs"][key])
    _, ev, _ = gw.stream(prompt=[5], max_tokens=2)
    check("no usage unless asked for", all("usage" not in e for e in ev[:-1]))
    status, text, _ = gw.request("POST", "/v1/completions", {"prompt": [5, 600], "stream": True})
    check("an error before the first piece has its status", status == 400 and well_formed_error(json.loads(text)), text)
    got, _ = gw.raw(b"POST /v1/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n" +
                    b'{"prompt":[5],"stream":true}')
    check("no stream in HTTP/1.0", b" 400 " in got, got)


def parse_logprobs(choices, ctxlens):
    """The reading of lm-evaluation-harness (lm_eval/models/openai_completions.py): per choice in order of index the sum of
    the context's continuation and whether each token was the best of its alternatives."""
    res = []
    for choice, ctxlen in zip(sorted(choices, key=lambda c: c["index"]), ctxlens):
        logprobs = sum(choice["logprobs"]["token_logprobs"][ctxlen:-1])
        tokens_logprobs = choice["logprobs"]["token_logprobs"][ctxlen:-1]
        top_logprobs = choice["logprobs"]["top_logprobs"][ctxlen:-1]
        is_greedy = True
        for tok, top in zip(tokens_logprobs, top_logprobs):
            if tok != max(top.values()):
                is_greedy = False
                break
        res.append((logprobs, is_greedy))
    return res


def evaluation():
    context, cont = [5, 6, 7, 8], [9, 10, 11]
    _, a, _ = gw.complete(prompt=[context + cont, context + cont[:1]], temperature=0, max_tokens=1, logprobs=1, seed=1234, echo=True)
    for i, n in enumerate((7, 5)):
        lp = a["choices"][i]["logprobs"]
        same(f"entries of choice {i}", [len(lp[k]) for k in ("tokens", "token_logprobs", "top_logprobs", "text_offset")], [n + 1] * 4)
        check("the first has none", lp["token_logprobs"][0] is None and lp["top_logprobs"][0] is None)
        check("the others have alternatives", all(isinstance(t, dict) and t for t in lp["top_logprobs"][1:]))
        check("the token is among them", all(v in t.values() for v, t in zip(lp["token_logprobs"][1:], lp["top_logprobs"][1:])))
    scored = subprocess.run([BIN + "xverse", "score", "--uds", sock, "--ids", ",".join(map(str, context + cont)), "--json"], capture_output=True, text=True)
    own = [t["logprob"] for t in json.loads(scored.stdout)["prompt"][1:]]
    (total, greedy), (short, _) = parse_logprobs(a["choices"], [4, 4])
    check("the sum is that of Score", abs(total - sum(own[3:])) < 1e-4, total, sum(own[3:]))
    same("not greedy", greedy, False)
    _, best, _ = gw.complete(prompt=context, temperature=0, max_tokens=3, return_token_ids=True)
    _, a, _ = gw.complete(prompt=[context + ids_of(best)], temperature=0, max_tokens=1, logprobs=1, echo=True)
    same("the greedy continuation is greedy", parse_logprobs(a["choices"], [4])[0][1], True)
    _, a, _ = gw.complete(prompt=context, max_tokens=0, echo=True, logprobs=1)
    same("max_tokens 0: the prompt only", (len(a["choices"][0]["logprobs"]["tokens"]), a["usage"]["completion_tokens"]), (4, 0))
    # the end token is in the arrays though not in the text
    _, a, _ = gw.complete(prompt=context, max_tokens=5, logprobs=1, allowed_token_ids=[3], return_token_ids=True)
    c = a["choices"][0]
    same("the end token is told", (ids_of(a), len(c["logprobs"]["tokens"]), c["finish_reason"]), ([3], 1, "stop"))
    _, a, _ = gw.complete(prompt=context, max_tokens=4, allowed_token_ids=[3], ignore_eos=True, return_token_ids=True)
    same("ignore_eos", ids_of(a), [3] * 4)
    _, a, _ = gw.complete(prompt=context, max_tokens=4, allowed_token_ids=[9], stop_token_ids=[9])
    same("stop_token_ids", (a["choices"][0]["finish_reason"], a["choices"][0]["stop_reason"]), ("stop", 9))
    _, a, _ = gw.complete(prompt=context, max_tokens=4, logit_bias={"77": 100}, return_token_ids=True)
    same("logit_bias", ids_of(a), [77] * 4)
    _, a, _ = gw.complete(prompt=context, max_tokens=1, prompt_logprobs=2)
    p = a["choices"][0]["prompt_logprobs"]
    check("prompt_logprobs", len(p) == 4 and p[0] is None and all(str(t) in e and len(e) >= 2 for t, e in zip(context[1:], p[1:])), p)
    _, a, _ = gw.complete(prompt=context, max_tokens=1, truncate_prompt_tokens=2)
    same("truncate_prompt_tokens", a["usage"]["prompt_tokens"], 2)


def texts():
    if not tiny:
        skip("texts: no model with a tokenizer")
        return
    if not PUBLISHED:
        skip("texts that are published: testdata/stories260K is not here")
        return
    _, a, _ = tiny.complete(prompt="Once upon a time", max_tokens=8, temperature=0)
    same("text", a["choices"][0]["text"], ", there was a little girl")
    _, a, _ = tiny.complete(prompt="Once upon", max_tokens=8, temperature=0, echo=True)
    same("echo", a["choices"][0]["text"], "Once upon a time, there was a little g")
    _, a, _ = tiny.complete(prompt=["Once upon", "Once upon a time"], max_tokens=30, temperature=0, stop=["zzz", " was"])
    same("stop", [(c["text"], c["finish_reason"], c["stop_reason"]) for c in a["choices"]], [(" a time, there", "stop", " was"), (", there", "stop", " was")])
    _, a, _ = tiny.complete(prompt="Once upon a time", max_tokens=30, temperature=0, stop=" was", include_stop_str_in_output=True)
    same("include_stop_str_in_output", a["choices"][0]["text"], ", there was")
    _, ev, _ = tiny.stream(prompt="Once upon a time", max_tokens=40, temperature=0, stop=["girl"])
    same("a stream's text", "".join(e["choices"][0]["text"] for e in ev[:-1]), ", there was a little ")
    _, a, _ = tiny.complete(prompt="Once upon a time", max_tokens=3, temperature=0, logprobs=2, echo=True)
    lp = a["choices"][0]["logprobs"]
    same("offsets count characters", lp["text_offset"], [sum(map(len, lp["tokens"][:i])) for i in range(len(lp["tokens"]))])
    same("tokens are texts", lp["tokens"], ["<s>", " Once", " upon", " a", " time", ",", " there", " was"])
    _, a, _ = tiny.complete(prompt="x", max_tokens=6, allowed_token_ids=[231, 192, 163], logprobs=3, seed=1)
    lp = a["choices"][0]["logprobs"]
    check("bytes stay apart", all(t.startswith("bytes:\\x") for t in lp["tokens"]) and len(set(lp["tokens"])) > 1, lp)
    _, t, _ = tiny.post("/tokenize", {"prompt": "Once upon a time"})
    same("tokenize", (t["count"], t["max_model_len"], t["token_strs"]), (5, 512, None))
    same("detokenize", tiny.post("/detokenize", {"tokens": t["tokens"][1:]})[1], {"prompt": "Once upon a time"})
    _, t, _ = tiny.post("/tokenize", {"prompt": "test", "add_special_tokens": False, "return_token_strs": True})
    check("token_strs", len(t["token_strs"]) == t["count"])
    info = json.loads(tiny.get("/tokenizer_info")[1])
    check("tokenizer_info has an end token", isinstance(info.get("eos_token"), str) and info["eos_token"], info)
    _, t, _ = tiny.post("/tokenize", {"prompt": info["eos_token"], "add_special_tokens": False})
    same("which is one token", t["count"], 1)
    body = json.dumps({"prompt": "lily " * 40000, "truncate_prompt_tokens": 10, "max_tokens": 1})
    status, a, _ = tiny.request("POST", "/v1/completions", body)
    same("a body of 200 KB", status, 200)


def empty_prompts():
    """An empty text is the model's begin token, also where its tokenizer adds none by itself; without one, or none wanted, it is an error."""
    if tiny and PUBLISHED:
        a, b = (tiny.complete(prompt=p, max_tokens=4, temperature=0, return_token_ids=True)[1] for p in ("", [1]))
        same("a tokenizer that adds the begin token", (ids_of(a), a["usage"]["prompt_tokens"]), (ids_of(b), 1))
    _, other = start_daemon("launch/demo/model", "demo")
    g = Gateway("--model", "demo=" + other, "--port=0")
    bos = json.loads(g.get("/tokenizer_info")[1])["bos_token"]
    bos = g.post("/tokenize", {"prompt": bos, "add_special_tokens": False})[1]["tokens"]
    same("which adds none", g.post("/tokenize", {"prompt": ""})[1]["tokens"], [])
    a, b = (g.complete(prompt=p, max_tokens=4, temperature=0, return_token_ids=True)[1] for p in ("", bos))
    same("and the answer begins at it", (ids_of(a), a["usage"]["prompt_tokens"]), (ids_of(b), 1))
    same("not where none is wanted", g.complete(prompt="", add_special_tokens=False)[0], 400)
    same("of several", [len(ids_of({"choices": [c]})) for c in g.complete(prompt=["", "a"], max_tokens=2, ignore_eos=True, return_token_ids=True)[1]["choices"]], [2, 2])
    g.stop()
    status, a, _ = gw.complete(prompt="")
    check("no tokenizer", status == 400 and well_formed_error(a), status, a)


def open_stream(g, buffer=None, **body):
    s = g.connect(20, buffer)
    text = json.dumps(dict(body, stream=True)).encode()
    head = body.pop("head", "")
    s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + head.encode() +
              b"Content-Length: %d\r\n\r\n" % len(text) + text)
    return s


def dechunk(raw):
    """The body of a chunked answer, as far as it came."""
    data, body = raw.split(b"\r\n\r\n", 1)[1], b""
    while b"\r\n" in data:
        size, data = data.split(b"\r\n", 1)
        body, data = body + data[:int(size, 16)], data[int(size, 16) + 2:]
    return body


def cancelling():
    global gw, sock
    fast, fast_sock = gw, sock
    slow, sock = start_daemon(name="slow", fault="slow=100")  # what is asked of it takes minutes
    gw = Gateway("--model", sock, "--port=0")
    try:
        cancel_all()
        broken(slow)
    finally:
        gw, sock = fast, fast_sock


def cancel_all():
    for name, close in [("FIN", lambda s: s.close()), ("RST", lambda s: (s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"), s.close()))]:
        s = open_stream(gw, prompt=[5], max_tokens=LONG, n=4, ignore_eos=True)
        s.recv(1000)
        start = time.time()
        close(s)
        check(f"a stream left by {name} is cancelled within a second", wait_for(lambda: running_calls() == 0) and time.time() - start < limit(2), time.time() - start)
    s = gw.connect()
    text = json.dumps({"prompt": [5], "max_tokens": LONG, "n": 4, "ignore_eos": True}).encode()
    s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
    wait_for(lambda: running_calls() > 0)
    s.close()
    check("so is a whole answer", wait_for(lambda: running_calls() == 0))
    for method, path in [("POST", "/v1/requests/my-call/cancel"), ("DELETE", "/v1/requests/my-call"), ("DELETE", "/v1/requests/cmpl-my-call")]:
        out = []
        t = threading.Thread(target=lambda: out.append(gw.post("/v1/completions", {"prompt": [5], "max_tokens": LONG, "n": 3, "ignore_eos": True},
                                                               {"X-Request-Id": "my-call"})))
        t.start()
        wait_for(lambda: running_calls() > 0)
        start = time.time()
        same(f"{method} {path}", gw.request(method, path)[0], 200)
        t.join()
        check("at once", time.time() - start < limit(2), time.time() - start)
        same("its answer", (out[0][0], {(c["finish_reason"], c["stop_reason"]) for c in out[0][1]["choices"]}), (200, {("stop", "cancelled")}))
    same("nothing to cancel", gw.request("DELETE", "/v1/requests/my-call")[0], 404)


def running_calls():
    r = subprocess.run([BIN + "xverse", "status", "--uds", sock, "--json"], capture_output=True, text=True)
    s = json.loads(r.stdout)
    return s["running"] + s["waiting"]


def pings():
    """A stream that waits in the daemon's queue says so now and then."""
    g = Gateway("--model", "m=" + sock, "--port=0", "--ping-interval=0.2")
    busy = [open_stream(g, prompt=[5], max_tokens=1900, ignore_eos=True) for _ in range(9)]
    s = open_stream(g, prompt=[5], max_tokens=1900, ignore_eos=True)
    got = b""
    while b": ping\n\n" not in got and b"data:" not in got:
        got += s.recv(1 << 16)
    body = dechunk(got)
    check("comments while it waits", body.startswith(b": ping\n\n") or b"data:" in body, body[:100])
    check("comments are counted or all ran", g.metric("xverse_gateway_pings_total") > 0)
    for c in busy + [s]:
        c.close()
    check("and all end", wait_for(lambda: running_calls() == 0))
    g.stop()


def slow_readers():
    """A reader that stops holds nobody up and is cut; one that reads slowly gets everything."""
    stuck = [open_stream(gw, 8192, prompt=[5, i], max_tokens=2000, ignore_eos=True, logprobs=20) for i in range(4)]
    start = time.time()
    times = []
    while time.time() - start < 1.5:
        t = time.time()
        gw.complete(prompt=[5], max_tokens=1)
        times.append(time.time() - t)
    check("others are served", max(times) < limit(2), max(times))
    check("stuck readers are cut", wait_for(lambda: gw.metric("xverse_gateway_stalled_total") >= 4), gw.metric("xverse_gateway_stalled_total"))
    check("their calls end", wait_for(lambda: running_calls() == 0))
    memory = gw.metric("xverse_gateway_resident_memory_bytes")
    check("and little is held for them", memory < 64 << 20, memory)
    for s in stuck:
        s.close()
    body = dict(prompt=[5, 6], max_tokens=400, ignore_eos=True, seed=5, logprobs=5)
    s = open_stream(gw, **body)
    got = b""
    while not got.endswith(b"0\r\n\r\n"):
        piece = s.recv(4096)
        if not piece:
            break
        got += piece
        time.sleep(0.002)
    got = dechunk(got)
    check("a slow reader gets all", b"data: [DONE]" in got and got.count(b'"finish_reason":null') == 400, got.count(b'"finish_reason":null'), got[-100:])


def long_pauses():
    """More than the daemon keeps for a client that does not read: it closes, and the stream goes on from there."""
    g = Gateway("--model", "m=" + sock, "--port=0")
    body = dict(prompt=[5, 6], max_tokens=1900, ignore_eos=True, seed=5, logprobs=20, return_token_ids=True, n=4)
    whole = g.complete(**body)[1]
    s = open_stream(g, 65536, **body)
    log = WORK + "/m.log"
    check("it is closed meanwhile", wait_for(lambda: "client stalled: disconnecting" in open(log).read()))
    got = b""
    while not got.endswith(b"0\r\n\r\n"):
        piece = s.recv(1 << 16)
        if not piece:
            break
        got += piece
    pieces = [json.loads(e)["choices"][0] for e in re.findall(rb"data: (\{.*)", dechunk(got))]
    for i in range(4):
        mine = [p for p in pieces if p["index"] == i]
        same(f"all ids of choice {i} after a pause", sum((p.get("token_ids", []) for p in mine), []), ids_of(whole, i))
        same(f"all logprobs of choice {i}", sum((p["logprobs"]["token_logprobs"] for p in mine if p["logprobs"]), []),
             whole["choices"][i]["logprobs"]["token_logprobs"])
    g.stop()


def several_models():
    other, other_sock = start_daemon(name="b")
    g = Gateway("--model", sock, "--model", "other=" + other_sock, "--port=0")
    same("names", [m["id"] for m in json.loads(g.get("/v1/models")[1])["data"]], ["m", "other"])
    same("each by its name", [g.complete(model=m, prompt=[5], max_tokens=1)[1]["model"] for m in ("m", "other")], ["m", "other"])
    same("the daemon's own name counts no more", g.complete(model="b", prompt=[5])[0], 404)
    same("the first is the default", g.complete(prompt=[5], max_tokens=1)[1]["model"], "m")
    running = [line for line in g.get("/metrics")[1].decode().splitlines() if line.startswith("xverse_num_requests_running{")]
    same("metrics of both", running, ['xverse_num_requests_running{model_name="m"} 0', 'xverse_num_requests_running{model_name="other"} 0'])
    s = open_stream(g, model="other", prompt=[5], max_tokens=1900, ignore_eos=True, n=4)
    s.recv(100)
    subprocess.run([BIN + "xverse", "drain", "--uds", other_sock], capture_output=True)
    check("draining: not ready", wait_for(lambda: g.get("/health/ready")[0] == 503))
    same("but healthy", g.get("/health")[0], 200)
    status, a, head = g.complete(model="other", prompt=[5])
    check("requests are refused for the time being", status == 503 and head["Retry-After"] and a["error"]["code"] in ("draining", "unreachable"), status, a)
    same("the other model serves", g.complete(model="m", prompt=[5], max_tokens=1)[0], 200)
    s.close()
    g.stop()


def silent_daemon():
    """Somebody listens and says nothing, as a launcher does while the job starts."""
    path = WORK + "/silent"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(5)
    g = Gateway("--model", "m=" + path, "--port=0", ready=False)
    same("not healthy", (g.get("/health")[0], g.get("/health/ready")[0]), (503, 503))
    check("known as silent", wait_for(lambda: json.loads(g.get("/server_info")[1])["models"][0]["state"] == "silent"))
    start = time.time()
    status, a, head = g.complete(prompt=[5])
    check("503 at once", (status, a["error"]["code"]) == (503, "loading") and head["Retry-After"] and time.time() - start < limit(1), status, a)
    same("metrics all the same", g.get("/metrics")[0], 200)
    listener.close()
    same("and it ends", g.stop(), 0)


def overload():
    codes = []
    retry = []

    def one():
        status, _, head = gw.complete(prompt=[5], max_tokens=600, ignore_eos=True)
        codes.append(status)
        if status == 429:
            retry.append(head["Retry-After"])
    threads = [threading.Thread(target=one) for _ in range(150)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    check("over the queue: 429, else 200", set(codes) <= {200, 429} and 200 in codes and 429 in codes, {c: codes.count(c) for c in set(codes)})
    check("with Retry-After", retry and all(1 <= int(r) <= 30 for r in retry), retry[:3])


def places():
    """Three requests for a daemon that takes one at a time: each knows its place, and moves up when the first goes."""
    _, one = start_daemon(name="one", max_num_seqs=1, fault="slow=40")
    g = Gateway("--model", one, "--port=0")
    place = lambda name: json.loads(g.get("/v1/requests/" + name)[1]).get("queue_place")
    open_ones = []
    for i, name in enumerate("abc"):
        open_ones.append(open_stream(g, prompt=[5], max_tokens=1500, ignore_eos=True, head=f"X-Request-Id: {name}\r\n"))
        wait_for(lambda: json.loads(g.get("/server_info")[1])["models"][0]["running"] + json.loads(g.get("/server_info")[1])["models"][0]["waiting"] == i + 1)
    check("places in the queue", wait_for(lambda: [place(n) for n in "abc"] == [0, 1, 2]), [place(n) for n in "abc"])
    same("the first goes", g.request("DELETE", "/v1/requests/a")[0], 200)
    check("the others move up", wait_for(lambda: [place(n) for n in "bc"] == [0, 1]), [place(n) for n in "bc"])
    same("no such request", (g.get("/v1/requests/a")[0], g.get("/v1/requests/b/x")[0]), (404, 404))
    [s.close() for s in open_ones]
    g.stop()


def restarts():
    """The daemon ends and comes back: a stream goes on as if nothing had been; without it there are 503s."""
    global daemon
    g = Gateway("--model", "m=" + sock, "--port=0")  # without a short --stall-timeout: nobody reads while the daemon starts
    body = dict(prompt=[5, 6, 7], max_tokens=1500, ignore_eos=True, seed=11, return_token_ids=True)
    _, whole, _ = g.complete(**body)
    s = open_stream(g, **body)
    got = s.recv(1000)
    ranks = subprocess.run(["pgrep", "-P", str(daemon.pid), "-x", "xversed"], capture_output=True, text=True).stdout.split()
    [os.kill(int(r), signal.SIGKILL) for r in ranks]
    daemon.wait()
    status, text, head = g.get("/health")
    wait_for(lambda: g.get("/health")[0] == 503)
    status, text, head = g.get("/health")
    same("without a daemon", (status, json.loads(text)["error"]["type"]), (503, "unavailable_error"))
    status, a, head = g.complete(prompt=[5], max_tokens=1)
    check("a request then", status == 503 and head["Retry-After"] and well_formed_error(a), status, a)
    check("and no path is told", sock not in str(a), a)
    daemon, _ = start_daemon(uds=sock, **LIMITS)
    s.settimeout(60)
    while not got.endswith(b"0\r\n\r\n"):
        piece = s.recv(65536)
        if not piece:
            break
        got += piece
    got = dechunk(got)
    ids = sum((json.loads(e)["choices"][0].get("token_ids", []) for e in re.findall(rb"data: (\{.*)", got)), [])
    same("the stream went on, bit for bit", ids, ids_of(whole))
    check("ready again", wait_for(lambda: g.get("/health/ready")[0] == 200))
    g.stop()


def broken(daemon):
    """A daemon that does not come back: a stream ends in an error event and without its last chunk."""
    g = Gateway("--model", "m=" + sock, "--port=0", "--resume-timeout=0.5")
    s = open_stream(g, prompt=[5], max_tokens=1900, ignore_eos=True, n=2)
    got = s.recv(1000)
    out = []
    t = threading.Thread(target=lambda: out.append(g.complete(prompt=[5], max_tokens=1900, ignore_eos=True, n=2)))
    t.start()
    wait_for(lambda: running_calls() >= 3)
    ranks = subprocess.run(["pgrep", "-P", str(daemon.pid), "-x", "xversed"], capture_output=True, text=True).stdout.split()
    [os.kill(int(r), signal.SIGKILL) for r in ranks]
    s.settimeout(60)
    while True:
        piece = s.recv(65536)
        if not piece:
            break
        got += piece
    last = re.findall(rb"data: (.*)", dechunk(got))[-1]
    check("an error event", well_formed_error(json.loads(last)), last)
    check("no end", b"[DONE]" not in got and not got.endswith(b"0\r\n\r\n"), got[-80:])
    t.join()
    check("a whole answer becomes an error", out[0][0] in (500, 503) and well_formed_error(out[0][1]), out[0][:2])
    g.stop()


def shutdown():
    g = Gateway("--model", "m=" + sock, "--port=0")
    s = open_stream(g, prompt=[5], max_tokens=500, ignore_eos=True)
    got = s.recv(1000)
    g.p.send_signal(signal.SIGTERM)
    while True:
        piece = s.recv(65536)
        if not piece:
            break
        got += piece
    check("TERM: an open stream ends first", b"data: [DONE]" in got)
    same("then the gateway", g.p.wait(10), 0)
    g = Gateway("--model", "m=" + sock, "--port=0", "--shutdown-timeout=0.3")
    s = open_stream(g, prompt=[[5], [6]], n=16, max_tokens=1900, ignore_eos=True)
    s.recv(1000)
    start = time.time()
    same("TERM with a limit", g.stop(), 0)
    check("is in time", time.time() - start < limit(3))
    check("and cancels", wait_for(lambda: running_calls() == 0))


def metrics():
    _, text, head = gw.get("/metrics")
    same("type", head["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
    names = set()
    for line in text.decode().splitlines():
        check("metrics line", re.fullmatch(r'# (HELP|TYPE) [a-z0-9_]+ .+|[a-z0-9_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [-+.0-9eE]+', line), line)
        if line.startswith("# TYPE"):
            check("one block a family", line.split()[2] not in names, line)
            names.add(line.split()[2])
    check("the needed families are there", {"xverse_num_requests_running", "xverse_num_requests_waiting", "xverse_kv_cache_usage_perc"} <= names, names)


only = sys.argv[1:] and not sys.argv[1].startswith("--") and sys.argv[1:]
for test in (shapes, choices, streams, evaluation, texts, empty_prompts, cancelling, pings, slow_readers, long_pauses, several_models, silent_daemon, overload, places, metrics, shutdown, restarts):
    if only and test.__name__ not in only:
        continue
    start = time.time()
    test()
    print(f"  {test.__name__}: {time.time() - start:.1f} s", flush=True)
done()

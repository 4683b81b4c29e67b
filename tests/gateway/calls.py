import threading

from gw import *
import fake
from fake import Fake, pb

daemon = Fake(WORK + "/fake.sock")
gw = Gateway("--model", WORK + "/fake.sock", "--port=0")
USER = {"role": "user", "content": "hi"}


def chat(messages=(USER,), g=gw, **more):
    return g.post("/v1/chat/completions", {"messages": list(messages), "max_tokens": 4, **more})


def last():
    return daemon.seen[-1]


# code of the daemon: status, code of the error, whether official clients should try again (None: they do not for this status)
CODES = [("CODE_INVALID", 400, None, None), ("CODE_LIMIT", 400, "limit_exceeded", None), ("CODE_UNSUPPORTED", 400, "unsupported", None),
         ("CODE_UNKNOWN", 404, "not_found", None), ("CODE_BUSY", 429, "queue_full", True), ("CODE_LOADING", 503, "loading", True),
         ("CODE_DRAINING", 503, "draining", True), ("CODE_DENIED", 403, "not_allowed", None), ("CODE_DEADLINE", 504, "deadline", False),
         ("CODE_LOST_RANK", 500, "rank_failed", True), ("CODE_MISMATCH", 409, "model_changed", False), ("CODE_CANCELLED", 409, "cancelled", False),
         ("CODE_FORMAT", 500, "internal", False), ("CODE_INTERNAL", 500, "internal", False)]


def retried(status, head):
    """openai's _should_retry()."""
    said = head["x-should-retry"]
    return said == "true" if said in ("true", "false") else status in (408, 409, 429) or status >= 500


def statuses():
    for name, status, code, again in CODES:
        daemon.answer = fake.error(getattr(pb, name), "seed: some reason", 1)
        found, a, head = gw.complete(prompt=[5])
        same(f"{name}: status and code", (found, a["error"]["code"]), (status, code))
        same(f"{name}: tried again", retried(found, head), bool(again))
        check(f"{name}: Retry-After where it helps", bool(head["Retry-After"]) == (found in (429, 503)), head["Retry-After"])
    daemon.answer = fake.error(pb.CODE_UNSUPPORTED, "this model specifies no chat format: start the server with --chat-template NAME, or use Generate")
    status, a, head = chat()
    check("no chat: 501, once", (status, retried(status, head)) == (501, False) and "/v1/completions" in a["error"]["message"], status, a)
    daemon.answer = fake.error(pb.CODE_UNSUPPORTED, "the chat format 'plain' supports neither tools nor documents")
    for more, param in [({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"), ({"documents": [{"text": "a"}]}, "documents"),
                        ({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"}, "tools")]:
        status, a, head = chat(**more)
        same(f"{sorted(more)} on a format without them", (status, a["error"]["param"], retried(status, head)), (400, param, False))
    for path in ("/v1/nope", "/v1/models/nope"):
        status, _, head = gw.get(path)
        same(f"{path}: not tried again", (status, retried(status, head)), (404, False))
    status, a, head = gw.post("/v1/completions", {"prompt": [5], "temperature": -1})
    same("a bad field: not tried again", (status, retried(status, head)), (400, False))
    status, a, head = gw.request("POST", "/v1/completions", b"[" + b"0," * 300000 + b"0]")
    same("too many values: not tried again", (status, retried(status, head)), (413, False))


def waits():
    """Retry-After is the daemon's estimate, within what clients follow."""
    for ms, seconds in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (7300, "8"), (45000, "45"), (10**9, "60")]:
        daemon.answer = fake.error(pb.CODE_BUSY, "the queue is full", ms)
        same(f"Retry-After of {ms} ms", gw.complete(prompt=[5])[2]["Retry-After"], seconds)


def lengths():
    """The words by which clients know that a prompt is too long."""
    for text in ["the prompt has 3013 tokens; --max-model-len is 512", "500 prompt tokens and max_tokens 100 exceed --max-model-len 512",
                 "the conversation has more than 512 tokens", "the text has more than 512 tokens"]:
        daemon.answer = fake.error(pb.CODE_LIMIT, text)
        for status, a, _ in (gw.complete(prompt=[5]), chat()):
            e = a["error"]
            check(text, status == 400 and e["code"] == "context_length_exceeded" and e["type"] == "invalid_request_error" and
                  e["message"].startswith("This model's maximum context length is 512 tokens. However, ") and text in e["message"], status, a)
    daemon.answer = fake.error(pb.CODE_LIMIT, "stop: 65 strings")
    same("another limit is not a length", gw.complete(prompt=[5])[1]["error"]["code"], "limit_exceeded")


def reasons():
    eos, own = dict(reason=pb.FINISH_STOP, stop_id=3), dict(reason=pb.FINISH_STOP, stop_id=9)
    for name, finish, more, wanted in [
            ("the model's end", eos, {}, ("stop", None)), ("an id that was asked for", own, {"stop_token_ids": [4, 9]}, ("stop", 9)),
            ("the end beside another id", eos, {"stop_token_ids": [9]}, ("stop", None)),
            ("a string", dict(reason=pb.FINISH_STOP, stop_text="ab"), {"stop": ["ab"]}, ("stop", "ab")),
            ("length", dict(reason=pb.FINISH_LENGTH), {}, ("length", None)), ("cancelled", dict(reason=pb.FINISH_CANCELLED), {}, ("stop", "cancelled")),
            ("its time", dict(reason=pb.FINISH_DEADLINE), {}, ("length", "deadline"))]:
        daemon.answer = lambda c, r: fake.whole(c, r, **finish)
        for kind, answer in (("completion", gw.complete(prompt=[5], **more)[1]), ("chat", chat(**more)[1])):
            same(f"{kind}: {name}", (answer["choices"][0]["finish_reason"], answer["choices"][0]["stop_reason"]), wanted)
        ev = gw.stream("/v1/chat/completions", messages=[USER], **more)[1]
        same(f"stream: {name}", (ev[-2]["choices"][0]["finish_reason"], ev[-2]["choices"][0]["stop_reason"]), wanted)


def first_pieces():
    """A stream's head comes at once, the role with the first text."""
    go = threading.Event()

    def answer(c, r):
        fake.started(c, r.id)
        threading.Thread(target=lambda: (go.wait(20), c.send(r.id, chunk=pb.Chunk(text="hi", ids=[7])), c.send(
            r.id, finished=pb.Finished(reason=pb.FINISH_LENGTH, prompt_tokens=3, output_tokens=1)))).start()
    daemon.answer = answer
    g = Gateway("--model", WORK + "/fake.sock", "--port=0", "--ping-interval=0.2")
    s = g.connect(20)
    body = json.dumps({"messages": [USER], "stream": True}).encode()
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    got = b""
    while b": ping" not in got:
        got += s.recv(65536)
    check("head and pings come before the first token, and no piece", b" 200 OK" in got and b"data:" not in got, got)
    go.set()
    while not got.endswith(b"0\r\n\r\n"):
        got += s.recv(65536)
    pieces = [json.loads(p)["choices"][0]["delta"] for p in re.findall(rb"data: (\{.*)", got)]
    same("then role, text, end", pieces, [{"role": "assistant", "content": ""}, {"content": "hi"}, {}])
    s.close()
    g.stop()
    daemon.answer = lambda c, r: (fake.started(c, r.id), c.send(r.id, finished=pb.Finished(reason=pb.FINISH_STOP, prompt_tokens=3)))
    ev = gw.stream("/v1/chat/completions", messages=[USER])[1]
    same("an answer without text has its role, too", [e["choices"][0]["delta"] for e in ev[:-1]], [{"role": "assistant", "content": ""}, {}])


def usage_of_each():
    def answer(c, r):
        fake.started(c, r.id)
        for i in range(3):
            c.send(r.id, chunk=pb.Chunk(text="a", ids=[7, 8]))
        c.send(r.id, finished=pb.Finished(reason=pb.FINISH_LENGTH, prompt_tokens=3, output_tokens=6))
    daemon.answer = answer
    for path, body in (("/v1/completions", {"prompt": [5]}), ("/v1/chat/completions", {"messages": [USER]})):
        ev = gw.stream(path, stream_options={"continuous_usage_stats": True}, **body)[1]
        used = [e["usage"]["completion_tokens"] for e in ev[:-1] if e["choices"][0].get("text") or e["choices"][0].get("delta", {}).get("content")]
        same(f"{path}: usage in every piece", (used, ev[-2]["usage"]), ([2, 4, 6], {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}))
        ev = gw.stream(path, stream_options={"continuous_usage_stats": True, "include_usage": True}, **body)[1]
        check(f"{path}: and in the last", ev[-2]["choices"] == [] and ev[-2]["usage"]["completion_tokens"] == 6, ev[-2])
    status, _, head = gw.complete(prompt=[5], stream=True, stream_options={"include_obfuscation": False, "include_usage": None})
    same("other keys of stream_options are told", (status, head["X-Ignored-Fields"]), (200, "stream_options.include_obfuscation"))
    for name in ("include_usage", "continuous_usage_stats"):
        status, a, _ = gw.complete(prompt=[5], stream=True, stream_options={name: 1})
        check(f"{name}: 1", status == 400 and a["error"]["param"] == "stream_options" and name in a["error"]["message"], a)


def seeds():
    daemon.answer = fake.whole
    for text, seed in [("0", 0), ("1.0", 1), ("1e3", 1000), ("9223372036854775807", 2**63 - 1), ("9223372036854775808", 2**63), ("18446744073709551615", 2**64 - 1),
                       ("-1", 2**64 - 1), ("-9223372036854775808", 2**63), ("1e19", 10**19), ("-0", 0), ("-0.0", 0), ("12345678901234567", 12345678901234567)]:
        status, a, _ = gw.request("POST", "/v1/completions", '{"prompt":[5],"seed":%s}' % text)
        same(f"seed {text}", (status, last().generate.sampling.seed), (200, seed))
    for text, said in [("18446744073709551616", "seed must be at most 18446744073709551615"), ("1e20", "seed must be at most 18446744073709551615"),
                       ("1e400", "seed must be at most 18446744073709551615"), ("-9223372036854775809", "seed must be at least -9223372036854775808"),
                       ("9" * 400, "seed must be at most 18446744073709551615"), ("1.5", "seed must be a whole number"), ('"1"', "seed must be a whole number"),
                       ("true", "seed must be a whole number"), ("[1]", "seed must be a whole number")]:
        status, a, _ = gw.post("/v1/completions", '{"prompt":[5],"seed":%s}' % text)
        check(f"seed {text[:30]}", status == 400 and a["error"]["param"] == "seed" and said in a["error"]["message"], a)
    same("n: 1.0", gw.post("/v1/completions", '{"prompt":[5],"n":1.0,"max_tokens":2e0}')[0], 200)
    same("n: 2.0 is two", len(gw.post("/v1/completions", '{"prompt":[5],"n":2.0}')[1]["choices"]), 2)
    for text in ("18446744073709551616", "-99999999999999999999", "1e400", "-1e999", "1" * 1000, "1e-400"):
        for body in ('{"prompt":[5],"metadata":{"id":%s}}', '{"prompt":[5],"zzz":%s}', '{"prompt":[5],"zzz":[[%s]]}'):
            same(f"{text[:20]} in a field that nobody reads: {body}", gw.post("/v1/completions", body % text)[0], 200)
    for field in ("max_tokens", "n", "top_k", "temperature", "logprobs", "min_tokens"):
        status, a, _ = gw.post("/v1/completions", '{"prompt":[5],"%s":%s}' % (field, "9" * 40))
        check(f"{field} of 40 digits", status == 400 and a["error"]["param"] == field and a["error"]["message"].startswith(f"{field} must be at "), a)


def bodies():
    """What is no JSON is refused with its place."""
    daemon.answer = fake.whole
    for text, param, said in [('{"prompt":[5],"temperature":NaN}', "temperature", "NaN"), ('{"prompt":[5],"seed":Infinity}', "seed", "Infinity"),
                              ('{"prompt":[5],"x":{"y":[1,-Infinity]}}', "x", "x.y[1]"), ('{"prompt":[5],"seed":1,"seed":2}', "seed", "seed"),
                              ('{"prompt":[5],"x":{"a":1,"a":2}}', "x", "x.a"), ('{"messages":[{"role":"a","role":"b"}]}', "messages", "messages[0].role"),
                              ('{"prompt":[5],"user":"\\ud800"}', "user", "user"), ('{"prompt":[5],\n"max_tokens":01}', "max_tokens", "line 2"),
                              ('{"prompt":[5],"x":"\t"}', "x", "x"), ('{"prompt":[5]', None, "line 1"), ('{"prompt":[5]}}', None, "line 1"), ("", None, "empty")]:
        status, a, _ = gw.post("/v1/completions", text)
        check(f"{text!r}", status == 400 and a["error"]["param"] == param and said in a["error"]["message"], a)
    same("U+0000 in a prompt", (gw.post("/v1/completions", '{"prompt":"a\\u0000b"}')[0], last().generate.text), (200, "a\0b"))
    same("an empty prompt is the daemon's to judge", (gw.complete(prompt="")[0], last().generate.WhichOneof("prompt")), (200, "text"))
    same("top_logprobs 0 alone", chat(top_logprobs=0)[0], 200)
    same("top_logprobs 1 alone", (chat(top_logprobs=1)[0], chat(top_logprobs=1, logprobs=True)[0]), (400, 200))
    same("/v1/models/", json.loads(gw.get("/v1/models/")[1])["data"][0]["id"], "m")


def messages():
    """Contents reach the daemon as they were sent."""
    daemon.answer = fake.whole
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}
    talk = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "x"}}, "b"]},
            {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": [{"type": "input_text", "text": "w"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, {"role": "assistant", "refusal": None, "tool_calls": [call]},
            {"role": "user", "content": "n\0l", "name": "bob", "id": 18446744073709551617}, {"role": "user", "content": []}]
    status, _, head = chat(talk)
    found = [(m.role, m.content if m.HasField("content") else None, m.name, json.loads(m.json) if m.json else {}) for m in last().chat.messages]
    same("contents", (status, found), (200, [
        ("developer", "Be brief.", "", {}),
        ("user", None, "", {"content": [{"type": "text", "text": "a", "cache_control": {"type": "x"}}, {"type": "text", "text": "b"}]}),
        ("assistant", None, "", {"tool_calls": [call], "content": None}),
        ("tool", None, "", {"tool_call_id": "c", "content": [{"type": "text", "text": "w"}]}),
        ("assistant", None, "", {"content": [{"type": "text", "text": "no"}]}), ("assistant", None, "", {"refusal": None, "tool_calls": [call]}),
        ("user", "n\0l", "bob", {"id": 18446744073709551617}), ("user", None, "", {"content": []})]))
    same("keys that only a template may know are told", head["X-Ignored-Fields"], "messages.content.cache_control, messages.id")
    for name, bad in [("an image", [{"type": "image_url", "image_url": {"url": "http://x"}}]), ("audio", [{"type": "input_audio", "input_audio": {}}]),
                      ("a file", [{"type": "text", "text": "a"}, {"type": "file", "file": {}}]), ("no text", [{"type": "text"}]), ("a number", [5]),
                      ("text 5", [{"type": "text", "text": 5}]), ("null", [None]), ("an object", {"type": "text", "text": "a"}), ("type 5", [{"type": 5, "text": "a"}])]:
        status, a, _ = chat([{"role": "user", "content": bad}])
        check(f"a part: {name}", status == 400 and a["error"]["param"] == "messages", a)
    for key in ("prefix", "partial"):
        status, a, _ = chat([USER, {"role": "assistant", "content": "a", key: True}])
        check(f"{key} of a message", status == 400 and key in a["error"]["message"], a)
        same(f"{key}: false", chat([USER, {"role": "assistant", "content": "a", key: False}])[0], 200)


def askers():
    """The daemon is told for whom each request is."""
    daemon.answer = fake.whole

    def asker(g, headers=None, **more):
        status, a, _ = g.post("/v1/completions", {"prompt": [5], **more}, headers)
        return status, last().asker.key, last().asker.client
    same("no key: the address", asker(gw), (200, "", "127.0.0.1"))
    same("no key: the user", asker(gw, user="ann"), (200, "", "ann"))
    same("of 128 bytes", asker(gw, user="\u00e9" * 64), (200, "", "\u00e9" * 64))
    status, key, client = asker(gw, user="u" * 129)
    check("of more: a digest", len(client) == 64 and asker(gw, user="u" * 129)[2] == client != asker(gw, user="u" * 130)[2], client)
    same("an address that a client claims", asker(gw, {"X-Forwarded-For": "9.9.9.9"}), (200, "", "127.0.0.1"))
    g = Gateway("--model", WORK + "/fake.sock", "--port=0", "--trusted-proxy=127.0.0.1")
    for said, client in [("9.9.9.9", "9.9.9.9"), ("1.1.1.1, 8.8.8.8", "8.8.8.8"), ("a, 2001:db8::1", "2001:db8::1"), ("evil", "127.0.0.1"), ("", "127.0.0.1"),
                         ("9.9.9.9, ", "127.0.0.1")]:
        same(f"through a trusted proxy: {said!r}", asker(g, {"X-Forwarded-For": said})[2], client)
    body = b'{"prompt":[5]}'
    for lines, client in [([b"9.9.9.9", b"8.8.8.8"], "8.8.8.8"), ([b"9.9.9.9, 7.7.7.7", b"1.1.1.1, 8.8.8.8"], "8.8.8.8"), ([b"9.9.9.9", b"evil"], "127.0.0.1"),
                          ([b"9.9.9.9", b""], "127.0.0.1")]:
        head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        g.raw(head + b"".join(b"X-Forwarded-For: " + x + b"\r\n" for x in lines) + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        same(f"a trusted proxy adds a line of its own: {lines}", last().asker.client, client)
    g.stop()
    open(WORK + "/keys", "w").write("alice:key-a\nbob:k:e:y\nplain-key\nalice:key-2\n# no:key\n")
    g = Gateway("--model", WORK + "/fake.sock", "--port=0", "--api-key-file", WORK + "/keys", ready=False)
    wait_for(lambda: g.get("/health/ready")[0] == 200)
    of = lambda key, **more: asker(g, {"Authorization": "Bearer " + key}, **more)
    same("a key's name", (of("key-a"), of("key-2", user="x"), of("k:e:y"), of("bob:k:e:y")),
         ((200, "alice", "127.0.0.1"), (200, "alice", "x"), (200, "bob", "127.0.0.1"), (200, "bob", "127.0.0.1")))
    status, name, _ = of("plain-key")
    check("one without a name has one that does not show it", status == 200 and re.fullmatch("key-[0-9a-f]{8}", name) and "plain" not in name, name)
    for key in ("alice", "e:y", "no:key", "# no:key", "alice:"):
        same(f"no key: {key}", g.post("/v1/completions", {"prompt": [5]}, {"Authorization": "Bearer " + key})[0], 401)
    for path, body in [("/tokenize", {"prompt": "a"}), ("/detokenize", {"tokens": [5]}), ("/v1/chat/completions", {"messages": [USER]})]:
        same(f"{path}, too", (g.post(path, body, {"Authorization": "Bearer key-a"})[0], last().asker.key), (200, "alice"))
    own_requests(g)
    g.stop()


def own_requests(g):
    """A request is seen and ended by its own key alone, whatever id it was given."""
    daemon.answer = lambda c, r: fake.started(c, r.id)
    n = len(daemon.seen)
    t = threading.Thread(target=lambda: g.post("/v1/completions", {"prompt": [5]}, {"Authorization": "Bearer key-a", "X-Request-Id": "1"}), daemon=True)
    t.start()
    wait_for(lambda: len(daemon.seen) > n)
    for key, status in [("k:e:y", 404), ("plain-key", 404), ("key-2", 200), ("key-a", 200)]:
        same(f"{key} looks", g.request("GET", "/v1/requests/1", headers={"Authorization": "Bearer " + key})[0], status)
    for method, path in [("DELETE", "/v1/requests/1"), ("POST", "/v1/requests/1/cancel"), ("DELETE", "/v1/requests/cmpl-1")]:
        same(f"another key: {method} {path}", g.request(method, path, headers={"Authorization": "Bearer k:e:y"})[0], 404)
    check("it is still open", t.is_alive())
    same("its own ends it", g.request("DELETE", "/v1/requests/1", headers={"Authorization": "Bearer key-2"})[0], 200)
    t.join()
    daemon.answer = fake.whole


def denied():
    """A daemon that does not let this user ask for others serves all the same."""
    strict = Fake(WORK + "/strict.sock", denies=True)
    g = Gateway("--model", WORK + "/strict.sock", "--port=0")
    check("it serves", wait_for(lambda: g.complete(prompt=[5])[0] == 200))
    check("without saying for whom", strict.seen and not strict.seen[-1].asker.client)
    check("and the log says so", "--gateway-uid" in open(g.log).read())
    g.stop()


only = sys.argv[1:] and not sys.argv[1].startswith("--") and sys.argv[1:]
for test in (statuses, waits, lengths, reasons, first_pieces, usage_of_each, seeds, bodies, messages, askers, denied):
    if only and test.__name__ not in only:
        continue
    start = time.time()
    test()
    print(f"  {test.__name__}: {time.time() - start:.1f} s", flush=True)
same("the gateway ends", gw.stop(), 0)
done()

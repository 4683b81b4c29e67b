from gw import *

_, plain = start_daemon()
gw = Gateway("--model", "m=" + plain, "--port=0")
status, a, _ = gw.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
check("a model without chat", status == 501 and well_formed_error(a), status, a)
gw.stop()
if not os.path.exists(STORIES) or not has_chat():
    skip("no model with a tokenizer, or a daemon without chat")
    done()
_, sock = start_daemon(STORIES, "tiny", chat_template="llama-2")
gw = Gateway("--model", "tiny=" + sock, "--port=0")
USER = {"role": "user", "content": "Tell me of a cat"}


def chat(messages=(USER,), **more):
    return gw.post("/v1/chat/completions", {"messages": list(messages), **more})


def shapes():
    status, a, head = chat(max_tokens=6, seed=3)
    same("status, object, id", (status, a["object"], a["id"]), (200, "chat.completion", "chatcmpl-" + head["X-Request-Id"]))
    m = a["choices"][0]["message"]
    same("message", (m["role"], m["refusal"], type(m["content"])), ("assistant", None, str))
    same("finish", (a["choices"][0]["finish_reason"], a["usage"]["completion_tokens"]), ("length", 6))
    check("receipt", "/" in a["system_fingerprint"])
    same("max_completion_tokens", chat(max_completion_tokens=3)[1]["usage"]["completion_tokens"], 3)
    same("both, equal", chat(max_completion_tokens=3, max_tokens=3)[0], 200)
    same("both, different", chat(max_completion_tokens=3, max_tokens=4)[0], 400)
    a = chat(ignore_eos=True)[1]
    same("without a limit: the rest of the context", a["usage"]["total_tokens"], 512)


def streams():
    body = dict(max_tokens=8, seed=3, n=2, logprobs=True, top_logprobs=2)
    _, whole, _ = chat(**body)
    _, ev, _ = gw.stream("/v1/chat/completions", messages=[USER], stream_options={"include_usage": True}, **body)
    same("end and usage", (ev[-1], ev[-2]["choices"], ev[-2]["usage"]), ("[DONE]", [], whole["usage"]))
    for i in range(2):
        deltas = [e["choices"][0] for e in ev[:-2] if e["choices"][0]["index"] == i]
        same("first a role", deltas[0]["delta"], {"role": "assistant", "content": ""})
        same("last a finish", (deltas[-1]["delta"], deltas[-1]["finish_reason"]), ({}, "length"))
        same("text", "".join(d["delta"].get("content", "") for d in deltas), whole["choices"][i]["message"]["content"])
        same("logprobs", sum((d["logprobs"]["content"] for d in deltas if d["logprobs"]), []), whole["choices"][i]["logprobs"]["content"])
    t = whole["choices"][0]["logprobs"]["content"][0]
    same("bytes", bytes(t["bytes"]).decode(), t["token"])
    same("two alternatives", len(t["top_logprobs"]), 2)
    same("logprobs alone", chat(max_tokens=1, logprobs=True)[1]["choices"][0]["logprobs"]["content"][0]["top_logprobs"], [])


def messages():
    a = chat([USER], max_tokens=6, temperature=0)[1]["choices"][0]["message"]["content"]
    for name, content in [("parts", [{"type": "text", "text": "Tell me "}, {"type": "text", "text": "of a cat"}]), ("a list of texts", ["Tell me of a cat"])]:
        same(name, chat([{"role": "user", "content": content}], max_tokens=6, temperature=0)[1]["choices"][0]["message"]["content"], a)
    for name, bad in [("empty", []), ("a text", "x"), ("no role", [{"content": "x"}]), ("role 1", [{"role": 1, "content": "x"}]),
                      ("an image", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]),
                      ("content 5", [{"role": "user", "content": 5}]), ("unknown role", [{"role": "bad", "content": "x"}])]:
        status, e, _ = gw.post("/v1/chat/completions", {"messages": bad})
        check(f"messages: {name}", status == 400 and well_formed_error(e) and e["error"]["param"] == "messages", status, e)
    for key in ("chat_template", "response_format", "guided_json", "functions"):
        status, e, _ = chat(**{key: {"type": "json_object"}})
        same(f"{key} is refused by name", (status, e["error"]["param"]), (400, key))
    status, e, _ = chat(chat_template_kwargs={"chat_template": "x"})
    same("no template in disguise", (status, e["error"]["param"]), (400, "chat_template_kwargs"))
    same("keys of other programs", chat(max_tokens=1, user="u", metadata={"a": 1}, store=False)[0], 200)
    status, e, _ = chat([{"role": "user", "content": "word " * 2000}])
    same("too long", (status, e["error"]["code"]), (400, "context_length_exceeded"))


def tokens():
    _, t, _ = gw.post("/tokenize", {"messages": [USER]})
    same("tokenize counts what a call counts", t["count"], chat(max_tokens=1)[1]["usage"]["prompt_tokens"])
    special = json.loads(gw.get("/tokenizer_info")[1])["eos_token"]
    eos = gw.post("/tokenize", {"prompt": special, "add_special_tokens": False})[1]["tokens"]
    _, t, _ = gw.post("/tokenize", {"messages": [{"role": "user", "content": "a" + special}]})
    check("a special token that a user writes is ordinary text", eos[0] not in t["tokens"], t, eos)


for test in (shapes, streams, messages, tokens):
    test()
same("the gateway ends", gw.stop(), 0)
done()

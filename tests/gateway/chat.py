import re

from gw import *

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/e2e")
import wire  # noqa: E402

_, plain = start_daemon()
gw = Gateway("--model", "m=" + plain, "--port=0")
status, a, _ = gw.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
check("a model without chat", status == 501 and well_formed_error(a), status, a)
gw.stop()
if not os.path.exists(TEXT_MODEL) or not has_chat():
    skip("no model with a tokenizer, or a daemon without chat")
    done()
_, sock = start_daemon(TEXT_MODEL, "tiny", chat_template="llama-2")
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
    most = 512 if PUBLISHED else a["usage"]["prompt_tokens"] + json.load(open(TEXT_MODEL + "/generation_config.json"))["max_new_tokens"]
    same("without a limit: the rest of the context, or what the model's makers set", a["usage"]["total_tokens"], most)


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
    def ids(content, role="user", **more):
        return gw.post("/tokenize", {"messages": [{"role": role, "content": content, **more}]})[1].get("tokens")
    text = ids("Tell me\nof a cat")
    for name, content in [("parts", [{"type": "text", "text": "Tell me"}, {"type": "text", "text": "of a cat"}]), ("a list of texts", ["Tell me", "of a cat"]),
                          ("input_text", [{"type": "input_text", "text": "Tell me"}, {"type": "text", "text": "of a cat"}]),
                          ("no type", [{"text": "Tell me"}, {"type": None, "text": "of a cat"}]),
                          ("a refusal", [{"type": "refusal", "refusal": "Tell me"}, {"type": "text", "text": "of a cat"}]),
                          ("one part", [{"type": "text", "text": "Tell me\nof a cat"}])]:
        same(name, ids(content), text)
    same("a key that only begins like one", ids([{"type": "text", "text": "Tell me", "text\0x": "no"}, {"text": "of a cat"}], **{"prefix\0x": True}), text)
    check("U+0000", len(ids("a\0b") or []) > len(ids("a") or []), ids("a\0b"))
    same("developer is system", gw.post("/tokenize", {"messages": [{"role": "developer", "content": "Be brief."}, USER]})[1].get("tokens"),
         gw.post("/tokenize", {"messages": [{"role": "system", "content": "Be brief."}, USER]})[1]["tokens"])
    same("messages: null is absent", gw.post("/tokenize", {"prompt": "a cat", "messages": None})[1].get("tokens"), gw.post("/tokenize", {"prompt": "a cat"})[1]["tokens"])
    status, a, _ = chat(max_tokens=2, ignore_eos=True, return_token_ids=True)
    same("ids of an answer, and none of a prompt that nobody told", (status, len(a["choices"][0]["token_ids"]), "prompt_token_ids" in a["choices"][0]), (200, 2, False))
    for name, bad in [("empty", []), ("a text", "x"), ("no role", [{"content": "x"}]), ("role 1", [{"role": 1, "content": "x"}]),
                      ("an image", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]),
                      ("content 5", [{"role": "user", "content": 5}]), ("unknown role", [{"role": "bad", "content": "x"}])]:
        status, e, _ = gw.post("/v1/chat/completions", {"messages": bad})
        check(f"messages: {name}", status == 400 and well_formed_error(e) and e["error"]["param"] == "messages", status, e)
    for key in ("chat_template", "guided_whitespace_pattern", "functions"):
        status, e, _ = chat(**{key: {"type": "json_object"}})
        same(f"{key} is refused by name", (status, e["error"]["param"]), (400, key))
    status, e, _ = chat(chat_template_kwargs={"chat_template": "x"})
    same("no template in disguise", (status, e["error"]["param"]), (400, "chat_template_kwargs"))
    same("keys of other programs", chat(max_tokens=1, user="u", metadata={"a": 1}, store=False)[0], 200)
    status, e, _ = chat([{"role": "user", "content": "word " * 2000}])
    same("too long", (status, e["error"]["code"]), (400, "context_length_exceeded"))


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 99}, "b": {"enum": ["x", "y"]}},
          "required": ["a", "b"], "additionalProperties": False}


def is_answer(text):
    v = json.loads(text)
    return list(v) == ["a", "b"] and 1 <= v["a"] <= 99 and v["b"] in ("x", "y")


TAG = {"type": "tag", "begin": "<a>", "content": {"type": "json_schema", "json_schema": SCHEMA}, "end": "</a>"}


def is_tagged(text):
    return text.startswith("<a>") and text.endswith("</a>") and is_answer(text[3:-4])


def constraints():
    """What an answer must be, under the names that clients of other servers use."""
    tagged = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}
    for name, value, good in [
            ("response_format", tagged, is_answer), ("response_format", {"type": "json_object", "schema": SCHEMA}, is_answer),
            ("response_format", {"type": "json", "value": SCHEMA}, is_answer), ("guided_json", SCHEMA, is_answer),
            ("guided_json", json.dumps(SCHEMA), is_answer), ("structured_outputs", {"json": SCHEMA, "disable_any_whitespace": True}, is_answer),
            ("json_schema", SCHEMA, is_answer), ("format", SCHEMA, is_answer),
            ("guided_regex", "[a-c]{3}", lambda t: re.fullmatch("[a-c]{3}", t)), ("structured_outputs", {"regex": "[a-c]{3}"}, lambda t: len(t) == 3),
            ("regex", "[a-c]{3}", lambda t: len(t) == 3), ("guided_choice", ["yes", "no"], lambda t: t in ("yes", "no")),
            ("structured_outputs", {"choice": ["yes", "no"]}, lambda t: t in ("yes", "no")),
            ("guided_grammar", 'root ::= "x" [0-9]', lambda t: re.fullmatch("x[0-9]", t)), ("grammar", 'root ::= "x" [0-9]', lambda t: len(t) == 2),
            ("grammar", {"type": "regex", "value": "a{4}"}, lambda t: t == "aaaa"), ("ebnf", 'root ::= "x" [0-9]', lambda t: len(t) == 2),
            ("response_format", {"type": "structural_tag", "structures": [{"begin": "<a>", "schema": SCHEMA, "end": "</a>"}], "triggers": ["<a"]},
             lambda t: "<a" not in t or is_answer(t[t.index("<a>") + 3:t.index("</a>")])),
            ("response_format", {"type": "structural_tag", "format": TAG}, is_tagged), ("structural_tag", TAG, is_tagged),
            ("structured_outputs", {"structural_tag": json.dumps({"type": "structural_tag", "format": TAG})}, is_tagged),
            ("response_format", {"type": "text"}, lambda t: True), ("grammar", "", lambda t: True), ("format", "", lambda t: True)]:
        status, a, _ = chat(max_tokens=300, temperature=2, seed=3, **{name: value})
        text = status == 200 and a["choices"][0]["message"]["content"]
        check(f"{name}: {str(value)[:40]}", status == 200 and good(text), status, a)
    blanks = [s for s in range(8) for text in [chat(max_tokens=300, temperature=2, seed=s, json_schema=SCHEMA, structured_outputs={"disable_any_whitespace": True})[1]["choices"][0]["message"]["content"]]
              if re.search(r"\s", text) or not is_answer(text)]
    check("no white space, whichever field has the schema", not blanks, blanks)
    status, a, _ = gw.post("/v1/completions", {"prompt": "a", "max_tokens": 300, "guided_json": SCHEMA, "n": 3, "temperature": 2})
    check("completions, three at once", status == 200 and all(is_answer(c["text"]) for c in a["choices"]), status, a)
    for name, value, part in [
            ("response_format", {"type": "json_schema"}, "json_schema.schema is missing"), ("response_format", "x", "object with a type"),
            ("response_format", {"type": "structural_tag"}, "structural_tag.format: it must be a format"), ("guided_choice", [], "not empty"), ("guided_regex", 5, "string"),
            ("guided_regex", "a(", "regex: at byte 1"), ("guided_json", {"$dynamicRef": "#a"}, "json_schema: #: $dynamicRef"), ("guided_json", 5, "JSON Schema"),
            ("structural_tag", {"type": "tag", "begin": [], "content": {"type": "any_text"}, "end": ""}, "structural_tag.begin: it must be a string"), ("structured_outputs", {"structural_tag": "x"}, "structural_tag: line 1"), ("structured_outputs", {"x": 1}, "structured_outputs.x"),
            ("structural_tag", {"format": {"type": "token", "token": 5}}, 'format: the format "token" is not supported'), ("grammar", "root ::= a", 'no rule "a"'),
            ("guided_json", {"properties": {"q": {"$recursiveRef": "#"}}}, "#/properties/q: $recursiveRef")]:
        status, e, _ = chat(**{name: value})
        check(f"{name}: {str(value)[:40]} is refused", status == 400 and well_formed_error(e) and part in e["error"]["message"], status, e)
    status, e, _ = chat(guided_regex="a", guided_choice=["b"])
    check("two constraints", status == 400 and "only one" in e["error"]["message"], status, e)


def tokens():
    _, t, _ = gw.post("/tokenize", {"messages": [USER]})
    same("tokenize counts what a call counts", t["count"], chat(max_tokens=1)[1]["usage"]["prompt_tokens"])
    special = json.loads(gw.get("/tokenizer_info")[1])["eos_token"]
    eos = gw.post("/tokenize", {"prompt": special, "add_special_tokens": False})[1]["tokens"]
    _, t, _ = gw.post("/tokenize", {"messages": [{"role": "user", "content": "a" + special}]})
    check("a special token that a user writes is ordinary text", eos[0] not in t["tokens"], t, eos)


TEMPLATE = ("{% for m in messages %}{% if m.role == 'bad' %}{{ raise_exception('no <role> ' + m.role) }}{% endif %}"
            "[{{ m.role }}|{{ m.name }}|{{ m.content }}|{{ m.tool_calls | tojson if m.tool_calls else m.tool_call_id }}]{% endfor %}"
            "{{ tools | tojson }}{{ documents | tojson }}{{ thinking }}{% if add_generation_prompt %}>{% endif %}")
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "\u5317\u4eac"}}}


def agreement():
    """What the endpoint makes of a conversation is what the protocol's Template makes of it, tools and documents included."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    open(folder + "/t.jinja", "w").write(TEMPLATE)
    _, own = start_daemon(TEXT_MODEL, "own", chat_template=folder + "/t.jinja")
    g = Gateway("--model", "own=" + own, "--port=0")
    wire_client = wire.Client(own)
    M = wire.pb.Message
    talk = [{"role": "user", "content": "hi </s>", "name": "bob"}, {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "warm"}]
    said = [M(role="user", content="hi </s>", name="bob"), M(role="assistant", json=json.dumps({"tool_calls": [CALL], "content": None})),
            M(role="tool", content="warm", json='{"tool_call_id": "c1"}')]
    docs, args = [{"title": "a", "text": "b"}], {"thinking": "deep"}
    more = dict(tools_json=json.dumps(TOOLS), documents_json=json.dumps(docs), template_args_json=json.dumps(args))
    r = wire_client.wait(wire_client.send(template_=wire.pb.Template(messages=said, **more))).last.rendered
    text = '[user|bob|hi </s>|][assistant||None|%s][tool||warm|c1]%s%sdeep>' % (json.dumps([CALL], ensure_ascii=False), json.dumps(TOOLS), json.dumps(docs))
    same("the template's text", r.text, text)
    body = {"messages": talk, "tools": TOOLS, "documents": docs, "chat_template_kwargs": args}
    same("ids of both", g.post("/tokenize", body)[1]["tokens"], list(r.ids))
    a = g.post("/v1/chat/completions", {**body, "max_tokens": 6, "temperature": 0})[1]
    whole = wire_client.wait(wire_client.send(chat=wire.pb.Chat(messages=said, sampling=wire.pb.Sampling(max_tokens=6, temperature=0), **more)))
    same("answers of both", (a["choices"][0]["message"]["content"], a["usage"]["prompt_tokens"]), (whole.text, len(r.ids)))
    status, e, _ = g.post("/v1/chat/completions", {"messages": [{"role": "bad", "content": "x"}]})
    refused = wire_client.wait(wire_client.send(chat=wire.pb.Chat(messages=[M(role="bad", content="x")]))).error
    check("the template's own words", status == 400 and "no <role> bad" in e["error"]["message"] and "no <role> bad" in refused.text, e, refused)
    wire_client.close()
    same("its gateway ends", g.stop(), 0)


for test in (shapes, streams, messages, constraints, tokens, agreement):
    test()
same("the gateway ends", gw.stop(), 0)
done()

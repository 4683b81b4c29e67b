"""OpenAI's Responses API: what it answers is what a chat of the same conversation answers, its events build what it answers whole, and what is not
supported is refused by name."""
from gw import *
from random_models import TEMPLATE, start_random

daemon = {"hermes": start_random("hermes", TEMPLATE), "thinks": start_random("thinks", TEMPLATE + "<think>\n{# </think> #}")}
EFFORT = {"effort": start_random("effort", "{{ messages[-1].content }}{% if reasoning_effort %} effort: {{ reasoning_effort }}{% endif %}")}
gw = Gateway(*(a for n, s in {**daemon, **EFFORT}.items() for a in ("--model", f"{n}={s}")), "--port=0")
WEATHER = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}, "unit": {"enum": ["C", "F"]}}, "required": ["city", "unit"],
           "additionalProperties": False}
TOOL = {"type": "function", "name": "get_weather", "description": "Tells the weather", "parameters": WEATHER, "strict": True}
CHAT_TOOL = {"type": "function", "function": {k: v for k, v in TOOL.items() if k != "type"}}
KEYS = {"id", "object", "created_at", "status", "model", "system_fingerprint", "incomplete_details", "error", "background", "store", "previous_response_id",
        "service_tier", "truncation", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls", "reasoning", "temperature", "text",
        "tool_choice", "tools", "top_logprobs", "top_p", "user", "output", "usage"}


def ask(input_="Hi", model="hermes", headers=None, **more):
    return gw.post("/v1/responses", {"model": model, "input": input_, **more}, headers)


def chat(messages, model="hermes", **more):
    return gw.post("/v1/chat/completions", {"model": model, "messages": messages, **more})[1]


def parts(response):
    """What a response holds, as a chat's message says it."""
    m = {"content": "", "reasoning": "", "calls": []}
    for item in response["output"]:
        if item["type"] == "message":
            m["content"] += "".join(p["text"] for p in item["content"])
        elif item["type"] == "reasoning":
            m["reasoning"] += "".join(p["text"] for p in item["content"])
        else:
            m["calls"].append((item["name"], item["arguments"]))
    return m


def chat_parts(answer):
    m = answer["choices"][0]["message"]
    return {"content": m["content"] or "", "reasoning": m.get("reasoning", ""), "calls": [(c["function"]["name"], c["function"]["arguments"]) for c in m.get("tool_calls", [])]}


def stream(**body):
    """Events, each with its name, and whether the body ended cleanly."""
    status, text, head = gw.request("POST", "/v1/responses", {"model": "hermes", "stream": True, **body})
    out = []
    for block in text.decode().split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("event: "):
            out.append((lines[0][7:], json.loads(lines[1].removeprefix("data: "))))
        elif block:
            check("only events", block.startswith(":"), block)
    return out


def built(events):
    """A response of its events alone, checked on the way."""
    output, last = [], None
    for number, (name, e) in enumerate(events):
        if e["type"] != name or e["sequence_number"] != number:
            return check("types and numbers", False, name, e)
        kind = name.removeprefix("response.")
        if kind == "output_item.added":
            check("items in their order", e["output_index"] == len(output) and e["item"]["status"] == "in_progress", e)
            output.append(json.loads(json.dumps(e["item"])))
        elif kind == "content_part.added":
            output[e["output_index"]]["content"].append(dict(e["part"]))
        elif kind in ("output_text.delta", "reasoning_text.delta"):
            part = output[e["output_index"]]["content"][e["content_index"]]
            part["text"] += e["delta"]
            part.setdefault("logprobs", []).extend(e.get("logprobs", []))
        elif kind == "function_call_arguments.delta":
            output[e["output_index"]]["arguments"] += e["delta"]
        elif kind == "output_item.done":
            done = dict(e["item"])
            mine = {**output[e["output_index"]], "status": done["status"]}
            for p in mine.get("content", []):
                if p["type"] == "reasoning_text":
                    p.pop("logprobs")
            same("an item of its deltas", mine, done)
            output[e["output_index"]] = done
        elif kind in ("completed", "incomplete"):
            last = e["response"]
    check("begins", [n for n, _ in events[:2]] == ["response.created", "response.in_progress"] and not events[0][1]["response"]["output"], events[:2])
    same("the last event has all items", last and last["output"], output)
    return last


def blank(response):
    """Without what differs from one call to the next."""
    text = re.sub(r'"(id|call_id|item_id)": "[^"]*"', '"id": ""', json.dumps(response))
    text = re.sub(r'"cached_tokens": [0-9]+', '"cached_tokens": 0', text)
    return {**json.loads(text), "created_at": 0}


def answers():
    """The conversation reaches the model as a chat's does."""
    call = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": '{"city": "Paris"}', "id": "fc_1", "status": "completed"}
    chat_call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Where?"}], "encrypted_content": None}
    result = {"type": "function_call_output", "call_id": "c1", "output": "warm"}
    user, system = {"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief.\n\nBe kind."}
    tool = {"role": "tool", "tool_call_id": "c1", "content": "warm"}
    for name, input_, messages, more in [
            ("a text", "Hi", [user], {}), ("a message", [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}], [user], {}),
            ("instructions", "Hi", [{"role": "system", "content": "Be brief."}, user], {"instructions": "Be brief."}),
            ("instructions and a developer", [{"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]}, user], [system, user], {"instructions": "Be brief."}),
            ("a call and its result", [user, thought, said, call, result], [user, {"role": "assistant", "content": "I look.", "reasoning_content": "Where?", "tool_calls": [chat_call]}, tool], {}),
            ("a call alone", [user, call, {**result, "output": [{"type": "input_text", "text": "warm"}]}], [user, {"role": "assistant", "content": None, "tool_calls": [chat_call]}, tool], {}),
            ("two answers", [user, said, said, user], [user, {"role": "assistant", "content": "I look."}, {"role": "assistant", "content": "I look."}, user], {}),
            ("reasoning that was cut", [user, thought, user], [user, user], {})]:
        for model in daemon:
            status, r, _ = ask(input_, model, max_output_tokens=12, temperature=0, tools=[TOOL], tool_choice="none", **more)
            if status != 200:
                check(name, False, r)
                continue
            a = chat(messages, model, max_tokens=12, temperature=0, tools=[CHAT_TOOL], tool_choice="none")
            same(f"{name}: {model}", (parts(r), r["usage"]["input_tokens"], r["usage"]["output_tokens"], r["system_fingerprint"]),
                 (chat_parts(a), a["usage"]["prompt_tokens"], a["usage"]["completion_tokens"], a["system_fingerprint"]))
    same("its keys", set(r), KEYS)
    same("cut", (r["status"], r["incomplete_details"], r["output"][-1]["status"]), ("incomplete", {"reason": "max_output_tokens"}, "incomplete"))
    status, r, head = ask(text={"format": {"type": "json_schema", "name": "w", "schema": {"enum": ["yes", "no"]}, "strict": True}, "verbosity": "low"}, metadata={"a": "b"},
                          reasoning={"effort": "low"}, store=True, include=["reasoning.encrypted_content"], temperature=0.5, headers={"X-Request-Id": "mine"})
    check("a schema", r["status"] == "completed" and json.loads(parts(r)["content"]) in ("yes", "no") and r["output"][0]["status"] == "completed", r)
    same("repeated", (r["id"], r["metadata"], r["temperature"], r["store"], r["reasoning"], r["text"]["format"]["name"]), ("resp_mine", {"a": "b"}, 0.5, False, {"effort": "low"}, "w"))
    same("told", head["X-Ignored-Fields"], "store, text.verbosity")
    check("an object", isinstance(json.loads(parts(ask(text={"format": {"type": "json_object"}}, max_output_tokens=200, temperature=0, logit_bias=closing())[1])["content"] or "{}"), dict))
    same("no reasoning tokens", r["usage"]["output_tokens_details"], {"reasoning_tokens": 0})
    r = ask(model="thinks", max_output_tokens=8, temperature=0)[1]
    same("all is reasoning", ([i["type"] for i in r["output"]], r["usage"]["output_tokens_details"]["reasoning_tokens"]), (["reasoning"], 8))


def efforts():
    """They reach the template, from a chat too, unless its arguments name one."""
    user = [{"role": "user", "content": "Hi"}]
    more = dict(model="effort", temperature=0, max_tokens=4)
    given = [chat(user, chat_template_kwargs={"reasoning_effort": e}, **more) for e in ("low", "high")]
    wanted = [(a["usage"]["prompt_tokens"], a["choices"][0]["message"]["content"]) for a in given]
    asked = [chat(user, reasoning_effort="low", **more), chat(user, reasoning_effort="low", chat_template_kwargs={"reasoning_effort": "high"}, **more)]
    same("of a chat", [(a["usage"]["prompt_tokens"], a["choices"][0]["message"]["content"]) for a in asked], wanted)
    r = ask(model="effort", temperature=0, max_output_tokens=4, reasoning={"effort": "low"})[1]
    same("of a response", (r["usage"]["input_tokens"], parts(r)["content"]), wanted[0])
    check("they change the prompt", chat(user, **more)["usage"]["prompt_tokens"] < wanted[0][0], wanted)
    status, e, _ = gw.post("/v1/chat/completions", {"messages": user, "reasoning_effort": 5, "model": "effort"})
    check("refused: an effort that is no text", status == 400 and e["error"]["param"] == "reasoning_effort", e)


def closing():
    return {str(i): 50 for i in gw.post("/tokenize", {"model": "hermes", "prompt": "}", "add_special_tokens": False})[1]["tokens"][-1:]}


def events():
    bodies = [dict(input="Hi", max_output_tokens=12, temperature=0), dict(input="Hi", max_output_tokens=9, temperature=0, top_logprobs=2), dict(input="Hi", model="thinks", max_output_tokens=9, seed=3),
              dict(input="Hi", guided_choice=["Yes."], seed=1), dict(input="Hi", model="thinks", guided_choice=["Yes."], max_output_tokens=60, seed=1)]
    bodies += [dict(input="Hi", tools=[TOOL], tool_choice=choice, temperature=2, seed=seed, max_output_tokens=tokens, parallel_tool_calls=seed % 2 == 0)
               for seed, (choice, tokens) in enumerate([("required", 200), ({"type": "function", "name": "get_weather"}, 200), ("required", 9), ("auto", 20), ("required", 100)])]
    for body in bodies:
        last = built(stream(**body))
        status, whole, _ = gw.post("/v1/responses", {"model": "hermes", **body})
        same(f"{body}: streamed as whole"[:90], last and blank(last), blank(whole))
    calls = [i for i in whole["output"] if i["type"] == "function_call"]
    check("calls with ids", calls and len({c["call_id"] for c in calls}) == len(calls) and all(re.fullmatch("call_[0-9A-Za-z]{24}", c["call_id"]) for c in calls), whole)
    r = gw.post("/v1/responses", {"model": "hermes", **bodies[1]})[1]
    part = r["output"][0]["content"][0]
    check("logprobs", len(part["logprobs"]) == 9 and all(len(t["top_logprobs"]) == 2 for t in part["logprobs"]) and "".join(t["token"] for t in part["logprobs"]).strip() == part["text"].strip(), part)
    r = ask(include=["message.output_text.logprobs"], max_output_tokens=2, temperature=0)[1]
    check("logprobs that include asks for", [t["top_logprobs"] for t in r["output"][0]["content"][0]["logprobs"]] == [[], []], r)


def failures():
    for name, param, part, body in [
            ("no input", "input", "missing", {}), ("an empty list", "input", "empty list", {"input": []}), ("a number", "input", "not", {"input": 5}),
            ("an item", "input", "input[0] must be an object", {"input": ["x"]}), ("a role", "input", "input[0].role", {"input": [{"role": "tool", "content": "x"}]}),
            ("an image", "input", 'input[0]: part 0 must be an object of type input_text or output_text, not input_image', {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}),
            ("a call of another kind", "input", '"web_search_call" are not supported', {"input": [{"type": "web_search_call"}]}),
            ("a reference", "input", "send the item itself", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
            ("a call without a name", "input", "input[0].name", {"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}),
            ("a result without its call", "input", "input[0].call_id", {"input": [{"type": "function_call_output", "output": "x"}]}),
            ("instructions", "instructions", "must be a string", {"input": "x", "instructions": [1]}),
            ("a tool of OpenAI's", "tools", 'tools[0].type: "web_search"', {"input": "x", "tools": [{"type": "web_search"}]}),
            ("a chat's tool", "tools", "tools[0].name must be a string beside type", {"input": "x", "tools": [CHAT_TOOL]}),
            ("a schema of a tool", "tools", "tools[0].function.parameters: json_schema: #/properties/q: $dynamicRef",
             {"input": "x", "tools": [{"type": "function", "name": "f", "parameters": {"properties": {"q": {"$dynamicRef": "#a"}}}}], "tool_choice": "required"}),
            ("allowed_tools", "tool_choice", "allowed_tools", {"input": "x", "tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}),
            ("a format", "text", "text.format", {"input": "x", "text": {"format": {"type": "xml"}}}), ("text", "text", "text must be", {"input": "x", "text": 5}),
            ("effort", "reasoning", "reasoning.effort", {"input": "x", "reasoning": {"effort": 5}}), ("include", "include", "include[0]", {"input": "x", "include": [5]}),
            ("metadata", "metadata", "must be an object", {"input": "x", "metadata": 5}), ("max_output_tokens", "max_output_tokens", "at least 1", {"input": "x", "max_output_tokens": 0}),
            ("what is stored", "previous_response_id", "no response is stored; send the whole conversation as input", {"input": "x", "previous_response_id": "resp_1"}),
            ("a conversation", "conversation", "no conversation is stored", {"input": "x", "conversation": "c"}), ("background", "background", "use stream", {"input": "x", "background": True}),
            ("truncation", "truncation", "not supported", {"input": "x", "truncation": "auto"}), ("messages", "messages", "use input", {"messages": [{"role": "user", "content": "x"}]}),
            ("max_tokens", "max_tokens", "use max_output_tokens", {"input": "x", "max_tokens": 5}), ("response_format", "response_format", "use text.format", {"input": "x", "response_format": {"type": "json_object"}}),
            ("both formats", "text", "set only one", {"input": "x", "text": {"format": {"type": "json_object"}}, "guided_regex": "a"})]:
        status, e, _ = gw.post("/v1/responses", {"model": "hermes", **body})
        check(f"refused: {name}", status == 400 and well_formed_error(e) and e["error"]["param"] == param and part in e["error"]["message"], status, e)
    for method, path in (("GET", "/v1/responses/resp_1"), ("DELETE", "/v1/responses/resp_1")):
        status, text, _ = gw.request(method, path)
        check(f"{method} {path}", status == 404 and "no response is stored" in json.loads(text)["error"]["message"], status, text)
    for body in ({"background": False, "truncation": "disabled", "previous_response_id": None, "n": 1}, {"instructions": "", "tools": [], "text": {}, "reasoning": {}, "include": []}):
        same(f"served: {body}"[:60], ask(max_output_tokens=1, **body)[0], 200)


def endings():
    """A response that is cancelled, and one whose daemon is lost for good."""
    own = Gateway("--model", "m=" + start_random("lost", TEMPLATE), "--port=0", "--resume-timeout=1")
    mpirun = running[-2].pid
    for name, act in (("cancelled", lambda: gw_cancel(own)), ("lost", lambda: kill_children(mpirun))):
        s = own.connect()
        body = json.dumps({"input": "Once", "stream": True, "max_output_tokens": 3900, "ignore_eos": True}).encode()
        s.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: one\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        got = b""
        while b".delta" not in got:
            got += s.recv(65536)
        act()
        while not (got.endswith(b"0\r\n\r\n")) and (piece := s.recv(65536)):
            got += piece
        s.close()
        if name == "cancelled":
            check("cancelled", b'event: response.incomplete' in got and b'"status":"cancelled"' in got and got.endswith(b"0\r\n\r\n"), got[-600:])
        else:
            check("lost", b"event: error\ndata: " in got and b'"type":"error"' in got and b'"error":{"message":' in got and not got.endswith(b"0\r\n\r\n"), got[-600:])
    own.stop()


def kill_children(pid):
    for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
        os.kill(int(child), signal.SIGKILL)


def gw_cancel(own):
    same("the cancel", own.request("DELETE", "/v1/requests/resp_one")[0], 200)


for test in (answers, efforts, events, failures, endings):
    test()
same("the gateway ends", gw.stop(), 0)
done()

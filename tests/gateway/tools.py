"""Tools and reasoning over HTTP: calls of a random model at temperature 2 are valid by their schemas where they are required, and what a
scripted answer holds (a choice of one text) is taken apart as its form says, whole and streamed."""
from gw import *
from random_models import DEEPSEEK, MARKS, TEMPLATE, start_random

sys.path.insert(0, "tests/grammar")
import schemas  # noqa: E402

FULL = "--full" in sys.argv
COUNT = 1000 if FULL else 36
CHECKER = schemas.Judge()
if not CHECKER.ok:
    skip("no validator of JSON Schema (no network?)")
    done()
USER = {"role": "user", "content": "What is the weather in Paris?"}
WEATHER = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"type": "integer", "minimum": 1, "maximum": 9},
                                            "unit": {"enum": ["C", "F"]}}, "required": ["city", "unit"], "additionalProperties": False}
SUM = {"type": "object", "properties": {"terms": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 99}, "minItems": 1, "maxItems": 3}},
       "required": ["terms"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Tells the weather", "parameters": WEATHER}},
         {"type": "function", "function": {"name": "add-up", "parameters": SUM}}, {"type": "function", "function": {"name": "now"}}]
SCHEMAS = {"get_weather": WEATHER, "add-up": SUM, "now": {"type": "object", "maxProperties": 0}}
names = {"hermes": start_random("hermes", TEMPLATE), "plain": start_random("plain", "plain"), "mistral": start_random("mistral", TEMPLATE, mark="[TOOL_CALLS]", tool_call_parser="mistral"),
         "xverse": start_random("xverse", TEMPLATE, tool_call_parser="xverse"),
         "coder": start_random("coder", TEMPLATE + "{# </think> #}", tool_call_parser="qwen3_xml"), "thinks": start_random("thinks", TEMPLATE + "<think>\n{# </think> #}")}
names["short"] = start_random("short", "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{{ messages[-1].content }}")
for name, parser in (("deepseek", {}), ("deepseek31", {"tool_call_parser": "deepseek_v31"})):
    names[name] = start_random(name, DEEPSEEK, marks=MARKS, **parser)
gw = Gateway(*(a for n, s in names.items() for a in ("--model", f"{n}={s}")), "--port=0")


def chat(model="hermes", messages=(USER,), **more):
    return gw.post("/v1/chat/completions", {"model": model, "messages": list(messages), **more})


def joined(events):
    """A message of the deltas of a stream."""
    m, calls = {}, []
    for e in events[:-1]:
        d = e["choices"][0]["delta"]
        for key in ("content", "reasoning_content", "reasoning"):
            if key in d:
                m[key] = m.get(key, "") + d[key]
        for c in d.get("tool_calls", []):
            if c["index"] == len(calls):
                calls.append({"id": c["id"], "type": c["type"], "function": {"name": c["function"]["name"], "arguments": ""}})
            calls[c["index"]]["function"]["arguments"] += c["function"]["arguments"]
    return m, calls, [e["choices"][0]["finish_reason"] for e in events[:-1]][-1]


def faults(answer, judge_, most=None):
    """What is wrong with an answer that must be calls."""
    c = answer["choices"][0]
    calls = c["message"].get("tool_calls") or []
    if c["finish_reason"] == "length":
        return "" if c["message"]["content"] is None or not c["message"]["content"] or calls else "cut"
    if c["finish_reason"] != "tool_calls" or not calls or (most and len(calls) > most) or c["message"]["content"] is not None:
        return "no call"
    if len({k["id"] for k in calls}) < len(calls):
        return "ids"
    for k in calls:
        why = judge_.fault(SCHEMAS[k["function"]["name"]], k["function"]["arguments"])
        if why or k["type"] != "function":
            return why
    return ""


def required():
    """Calls of a model that knows nothing."""
    checker = CHECKER
    bad, whole = [], 0
    for seed in range(COUNT):
        model = ("hermes", "plain", "mistral", "xverse", "coder", "hermes")[seed % 6]
        named = ("required", {"type": "function", "function": {"name": ("get_weather", "add-up", "now")[seed % 3]}})[seed // 6 % 2]
        one = seed % 2 == 0
        status, a, _ = chat(model, tools=TOOLS, tool_choice=named, temperature=2, seed=seed, max_tokens=150, parallel_tool_calls=not one)
        why = str(a) if status != 200 else faults(a, checker, 1 if one else None)
        if not why and isinstance(named, dict):
            why = "".join(c["function"]["name"] for c in a["choices"][0]["message"].get("tool_calls") or [] if c["function"]["name"] != named["function"]["name"])
        whole += status == 200 and a["choices"][0]["finish_reason"] == "tool_calls"
        if why:
            bad.append((model, seed, why, a))
    check(f"{COUNT} calls are valid", not bad, *bad[:2])
    check("most of them are whole", whole > COUNT / 4, whole)
    status, a, _ = chat(tools=TOOLS, tool_choice="required", temperature=2, seed=5, max_tokens=150, n=3)
    check("three at once", status == 200 and not any(faults({"choices": [c]}, checker) for c in a["choices"]), a)
    for seed in (1, 2):
        body = dict(model="hermes", messages=[USER], tools=TOOLS, tool_choice="required", temperature=2, seed=seed, max_tokens=200)
        whole = chat(**{k: v for k, v in body.items() if k not in ("model", "messages")})[1]["choices"][0]
        m, calls, finish = joined(gw.stream("/v1/chat/completions", **body)[1])
        same("streamed as whole", ([c["function"] for c in calls], finish, m.get("content", "")),
             ([c["function"] for c in whole["message"].get("tool_calls", [])], whole["finish_reason"], ""))


CITY = '{"city": "Paris"}'
SAID = {
    "hermes": [f'I look.\n<tool_call>\n{{"name": "get_weather", "arguments": {CITY}}}\n</tool_call>\n<tool_call>\n{{"name": "now", "arguments": {{}}}}\n</tool_call>'],
    "mistral": [f'I look.[TOOL_CALLS][{{"name": "get_weather", "arguments": {CITY}}}, {{"name": "now", "arguments": {{}}}}]',
                f"I look.[TOOL_CALLS]get_weather[ARGS]{CITY}[TOOL_CALLS]now[ARGS]{{}}"],
    "coder": ["I look.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>"],
    "xverse": [f'I look.<|startofthink|>```JSON\n{{"api_name": "get_weather","parameters": {CITY}}}```<|endofthink|>'
               '<|startofthink|>```JSON\n{"api_name": "now","parameters": {}}```<|endofthink|>'],
    "deepseek": [f"I look.{MARKS[0]}{MARKS[1]}function{MARKS[2]}get_weather\n```json\n{CITY}\n```{MARKS[3]}\n{MARKS[1]}function{MARKS[2]}now\n```json\n{{}}\n```{MARKS[3]}{MARKS[4]}"],
    "deepseek31": [f"I look.{MARKS[0]}{MARKS[1]}get_weather{MARKS[2]}{CITY}{MARKS[3]}{MARKS[1]}now{MARKS[2]}{{}}{MARKS[3]}{MARKS[4]}"],
}


def say(text):
    """An answer that is this text and nothing else: no call is required, and the only one that could be made is not (tools are without parameters)."""
    if MARKS[0] in text:  # tokens, which a tag names
        return {"structural_tag": {"type": "structural_tag", "format": {"type": "const_string", "value": text}}, "max_tokens": 400}
    return {"guided_regex": re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", text), "max_tokens": 400}


def taken_apart():
    wanted = [("get_weather", {"city": "Paris"}), ("now", {})]
    for model, texts in SAID.items():
        for text in texts:
            # the other alternative, a call, begins otherwise than this text, and "bad" ids would tell: the text wins by its first word
            body = dict(model=model, messages=[USER], tools=TOOLS, temperature=0, logit_bias=first_token(text, model), **say(text))
            status, a, _ = gw.post("/v1/chat/completions", body)
            c = a["choices"][0] if status == 200 else {"message": {}, "finish_reason": a}
            m = c["message"]
            same(f"{model}: parts", (m.get("content"), [(k["function"]["name"], json.loads(k["function"]["arguments"])) for k in m.get("tool_calls", [])],
                                     c["finish_reason"]), ("I look.", wanted, "tool_calls"))
            s, calls, finish = joined(gw.stream("/v1/chat/completions", **body)[1])
            same(f"{model}: streamed", (s["content"], [(k["function"]["name"], json.loads(k["function"]["arguments"])) for k in calls], finish), ("I look.", wanted, "tool_calls"))
            check(f"{model}: ids", all(re.fullmatch("[0-9A-Za-z]{9}" if model == "mistral" else "call_[0-9A-Za-z]{24}", k["id"]) for k in calls), calls)
    status, a, _ = chat(tools=TOOLS, tool_choice="none", **say(SAID["hermes"][0]))
    same("none: the text stays", (a["choices"][0]["message"]["content"], a["choices"][0]["finish_reason"]), (SAID["hermes"][0], "stop"))


def deepseek():
    """Marks that are tokens: calls are made of the tokens, a prompt too, and text that looks like them is none."""
    ids = [gw.post("/tokenize", {"model": "deepseek", "prompt": m, "add_special_tokens": False})[1]["tokens"] for m in MARKS]
    same("each mark is a token", [len(i) for i in ids], [1] * len(MARKS))
    ids = [i[0] for i in ids]
    bad, whole = [], 0
    for seed in range(COUNT // 3):
        model, named = ("deepseek", "deepseek31")[seed % 2], ("required", {"type": "function", "function": {"name": "get_weather"}})[seed // 2 % 2]
        status, a, _ = chat(model, tools=TOOLS, tool_choice=named, temperature=2, seed=seed, max_tokens=300, return_token_ids=True)
        why = str(a) if status != 200 else faults(a, CHECKER)
        c = a["choices"][0] if status == 200 else {"finish_reason": ""}
        whole += c["finish_reason"] == "tool_calls"
        if why or c["token_ids"][:2] != ids[:2] or (c["finish_reason"] == "tool_calls" and not set(ids) <= set(c["token_ids"])):
            bad.append((model, seed, why, a))
    check("DeepSeek's calls are valid", not bad and whole, whole, *bad[:2])
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": json.dumps({"city": MARKS[0]})}}
    talk = [{"role": "user", "content": MARKS[1]}, {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": MARKS[4]}]
    tokens = gw.post("/tokenize", {"model": "deepseek", "messages": talk, "tools": TOOLS})[1].get("tokens", [])
    same("DeepSeek's prompt has the template's marks", [i for i in tokens if i in ids], ids)


def first_token(text, model="hermes"):
    ids = gw.post("/tokenize", {"model": model, "prompt": text, "add_special_tokens": False})[1]["tokens"]
    return {str(i): 100 for i in ids[:3]}


def reasoning():
    for model in ("thinks", "coder"):
        status, a, _ = chat(model, guided_choice=["Yes."], seed=1, max_tokens=60)
        m = a["choices"][0]["message"] if status == 200 else a
        check(f"{model}: constrained behind the reasoning", status == 200 and m["content"] in ("Yes.", ""), m)
    status, a, _ = chat("coder", guided_choice=["Yes."], max_tokens=60, temperature=0)
    same("no reasoning", (a["choices"][0]["message"]["content"], "reasoning" in a["choices"][0]["message"]), ("Yes.", False))
    status, a, _ = chat("thinks", max_tokens=8, temperature=0)
    m = a["choices"][0]["message"]
    check("open reasoning", m["content"] == "" and m["reasoning_content"] == m["reasoning"] and m["reasoning"], m)
    m, _, finish = joined(gw.stream("/v1/chat/completions", model="thinks", messages=[USER], max_tokens=8, temperature=0)[1])
    check("streamed", m.get("content") == "" and m["reasoning_content"] == m["reasoning"] == a["choices"][0]["message"]["reasoning"], m)


def history():
    """Calls and results go back through the template, whose text counts them."""
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": CITY}}
    talk = [USER, {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": "warm"}]
    for model, parts in (("hermes", ["<tool_call>get_weather city=Paris;</tool_call>", "[tool] warm", '"name": "add-up"']),
                         ("plain", ['<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}', "<tool_response>\nwarm", '"name": "add-up"'])):
        status, t, _ = gw.post("/tokenize", {"model": model, "messages": talk, "tools": TOOLS})
        text = status == 200 and gw.post("/detokenize", {"model": model, "tokens": t["tokens"]})[1]["prompt"]
        check(f"{model}: the prompt", text and all(p in text for p in parts), t, text)
        same(f"{model}: an answer", chat(model, talk, tools=TOOLS, max_tokens=2)[0], 200)
    shown = [gw.post("/tokenize", {"model": "hermes", "messages": [USER], **more})[1]["count"] for more in ({}, {"tools": TOOLS})]
    used = [chat(max_tokens=1, **more)[1]["usage"]["prompt_tokens"] for more in ({}, {"tools": TOOLS}, {"tools": TOOLS, "tool_choice": "none"})]
    same("the model is told of tools unless none may be called", used, [shown[0], shown[1], shown[0]])


def strict():
    """Free text, in which calls of strict tools are valid where one begins."""
    tools = [{"type": "function", "function": {**TOOLS[0]["function"], "strict": True}}]
    status, a, _ = chat(tools=tools, max_tokens=20, seed=1, temperature=2)
    check("free text", status == 200 and a["choices"][0]["finish_reason"] in ("length", "stop"), a)
    checker = CHECKER
    ids = gw.post("/tokenize", {"model": "hermes", "prompt": "<tool_call>", "add_special_tokens": False})[1]["tokens"]
    bad = []
    for seed in range(4):
        status, a, _ = chat(tools=tools, max_tokens=200, seed=seed, temperature=2, allowed_token_ids=None, logit_bias={str(i): 12 for i in ids})
        calls = a["choices"][0]["message"].get("tool_calls") or [] if status == 200 else []
        if status != 200 or (a["choices"][0]["finish_reason"] != "length" and any(checker.fault(WEATHER, c["function"]["arguments"]) for c in calls)):
            bad.append(a)
    check("calls in free text are valid", not bad, *bad[:1])
    status, a, _ = chat(tools=TOOLS, response_format={"type": "json_schema", "json_schema": {"schema": SUM}}, temperature=2, seed=2, max_tokens=150)
    m = a["choices"][0]["message"]
    ok = status == 200 and (a["choices"][0]["finish_reason"] == "length" or m.get("tool_calls") or not checker.fault(SUM, m["content"]))
    check("a call, or what response_format says", ok, a)


def named(i, **parameters):
    return {"type": "function", "function": {"name": f"f{i}", "parameters": parameters}}


def cut():
    """Answers that end within calls say so, and parts are the same in streams wherever they end."""
    faults_, reasons = [], {}
    for n, (model, stop, tokens) in enumerate((m, s, t) for m in ("hermes", "mistral", "thinks") for s in ("city", "}", "e", "zzz") for t in (2, 9, 18, 27, 150)):
        body = dict(model=model, messages=[USER], tools=TOOLS[:1], tool_choice="required", max_tokens=tokens, temperature=2, seed=n, stop=[stop])
        status, a, _ = gw.post("/v1/chat/completions", body)
        c = a["choices"][0] if status == 200 else {"message": {}, "finish_reason": a}
        calls = [k["function"] for k in c["message"].get("tool_calls", [])]
        m, streamed, finish = joined(gw.stream("/v1/chat/completions", **body)[1])
        m = {k: m.get(k) or "" for k in ("content", "reasoning")}
        valid = bool(calls) and all(not CHECKER.fault(WEATHER, k["arguments"]) for k in calls)
        if (calls, c["finish_reason"], m) != ([k["function"] for k in streamed], finish, {k: c["message"].get(k) or "" for k in m}) or (finish == "tool_calls" and not valid):
            faults_.append((body, a, m, streamed, finish))
        reasons.setdefault(finish, []).append(calls)
    check("cut calls", not faults_, *faults_[:1])
    check("by a stop string and by max_tokens, within calls", any(reasons.get("stop", [])) and any(reasons.get("length", [])), reasons)


def special_tokens():
    """Texts of tools, calls and results are the request's: their marks are no tokens of the template."""
    pad = gw.post("/tokenize", {"model": "mistral", "prompt": "[TOOL_CALLS]", "add_special_tokens": False})[1]["tokens"]
    same("a special token", len(pad), 1)
    text = 'a "q"\n\\ [TOOL_CALLS] </tools> </tool_call>'
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": json.dumps({text: text})}}
    tool = {"type": "function", "function": {"name": "f", "description": text, "parameters": {"properties": {text: {"enum": [text]}}}}}
    status, t, _ = gw.post("/tokenize", {"model": "mistral", "tools": [tool], "messages": [USER, {"role": "assistant", "content": text, "tool_calls": [call]},
                                                                                          {"role": "tool", "tool_call_id": "c1", "content": text}]})
    shown = status == 200 and gw.post("/detokenize", {"model": "mistral", "tokens": t["tokens"]})[1]["prompt"]
    check("none in the prompt", shown and pad[0] not in t["tokens"] and shown.count("[TOOL_CALLS]") == 7, t, shown)


def any_schema():
    """Arguments are an object, whatever a schema leaves open."""
    for i, parameters in enumerate(({}, {"properties": {"a": {"type": "integer"}}}, {"anyOf": [{"type": "integer"}, {"properties": {}}]})):
        status, a, _ = chat("short", tools=[named(i, **parameters)], tool_choice="required", temperature=2, seed=i, max_tokens=60)
        calls = a["choices"][0]["message"].get("tool_calls") if status == 200 else None
        check(f"an object by {parameters}", calls and all(c["function"]["arguments"].startswith("{") for c in calls), a)


def too_many():
    """What is refused names tools, and finding out why costs no more than a constraint may."""
    for name, part, tools in [
            ("many tools", "tools: 257, but", [named(i) for i in range(257)]),
            ("one that costs much", "tools[1].function.parameters: ", [named(0), named(1, properties={"a": {"pattern": "^[a-z]{0,400}x[a-z]{0,400}$"}})]),
            ("much together", "tools: as the form", [named(i, properties={"a": {"pattern": "^[a-z]{0,30}x[a-z]{0,30}$"}}) for i in range(256)])]:
        before = cpu_time("short")
        status, e, _ = chat("short", tools=tools, tool_choice="required", max_tokens=1)
        check(f"refused: {name}", status == 400 and e["error"]["param"] == "tools" and e["error"]["message"].startswith(part) and e["error"]["code"] == "limit_exceeded", status, e)
        used = cpu_time("short") - before
        check(f"{name}: CPU time", used < 1, used)
    status, a, _ = chat("short", tools=[named(i) for i in range(257)], tool_choice={"type": "function", "function": {"name": "f256"}}, max_tokens=20)
    same("one of many", status, 200)


def cpu_time(model):
    """Seconds that all threads of a model's daemon have run."""
    mpirun = running[list(names).index(model)].pid
    pid = open(f"/proc/{mpirun}/task/{mpirun}/children").read().split()[0]
    return sum(int(x) for x in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")


def refusals():
    f = TOOLS[0]["function"]
    for name, param, part, more in [
            ("no list", "tools", "a list", dict(tools=5)), ("no object", "tools", "tools[0]", dict(tools=["x"])),
            ("type", "tools", "tools[0].type", dict(tools=[{"type": "custom", "custom": {}}])),
            ("no function", "tools", "tools[1].function", dict(tools=[TOOLS[0], {"type": "function"}])),
            ("no name", "tools", "function.name", dict(tools=[{"type": "function", "function": {}}])),
            ("a name with quotes", "tools", "function.name", dict(tools=[{"type": "function", "function": {"name": 'a"b'}}])),
            ("a name with a control character", "tools", "tools[1].function.name", dict(tools=[TOOLS[0], {"type": "function", "function": {"name": "a\x01"}}])),
            ("parameters", "tools", "function.parameters", dict(tools=[{"type": "function", "function": {"name": "a", "parameters": 5}}])),
            ("of another type", "tools", 'function.parameters.type must be "object"', dict(tools=[{"type": "function", "function": {"name": "a", "parameters": {"type": "string"}}}])),
            ("two of one name", "tools", 'tools[2].function.name: "now" is the name of tools[1], too', dict(tools=[TOOLS[0], TOOLS[2], TOOLS[2]])),
            ("strict", "tools", "function.strict", dict(tools=[{"type": "function", "function": {"name": "a", "strict": 5}}])),
            ("a keyword", "tools", "tools[1].function.parameters: json_schema: #/properties/q: $dynamicRef",
             dict(tools=[TOOLS[0], {"type": "function", "function": {"name": "a", "parameters": {"properties": {"q": {"$dynamicRef": "#a"}}}}}], tool_choice="required")),
            ("tool_choice", "tool_choice", "none, auto, required", dict(tools=TOOLS, tool_choice="always")),
            ("an empty one", "tool_choice", "an empty text", dict(tools=TOOLS, tool_choice="")),
            ("allowed_tools", "tool_choice", "allowed_tools", dict(tools=TOOLS, tool_choice={"type": "allowed_tools"})),
            ("another tool", "tool_choice", 'no tool has the name "x"', dict(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "x"}})),
            ("no tools", "tool_choice", "no tools", dict(tool_choice="required")),
            ("both", "tool_choice", "constrained", dict(tools=TOOLS, tool_choice="required", guided_regex="a")),
            ("parallel", "parallel_tool_calls", "true or false", dict(tools=TOOLS, parallel_tool_calls=5)),
            ("functions", "functions", "use tools", dict(functions=[f])), ("function_call", "function_call", "tool_choice", dict(function_call={"name": "a"}))]:
        status, e, _ = chat(**more)
        check(f"refused: {name}", status == 400 and well_formed_error(e) and e["error"]["param"] == param and part in e["error"]["message"], status, e)
    for more in (dict(tools=[]), dict(tools=None, tool_choice=None, parallel_tool_calls=None), dict(tool_choice="auto"), dict(tools=TOOLS, tool_choice="auto", parallel_tool_calls=True)):
        same(f"served: {more}"[:60], chat(max_tokens=1, **more)[0], 200)
    for name, part, last in [
            ("tool_calls", "messages[1].tool_calls must be a list", {"role": "assistant", "tool_calls": {}}),
            ("a call", "messages[1].tool_calls[0] must be an object", {"role": "assistant", "tool_calls": [5]}),
            ("its name", "tool_calls[0].function.name", {"role": "assistant", "tool_calls": [{"function": {"name": 5}}]}),
            ("its arguments", "tool_calls[0].function.arguments", {"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": [1]}}]}),
            ("the id", "messages[1].tool_call_id must be a string", {"role": "tool", "content": "x", "tool_call_id": 5}),
            ("reasoning", "messages[1].reasoning_content must be a string", {"role": "assistant", "content": "x", "reasoning_content": {}})]:
        status, e, _ = chat(messages=[USER, last, USER])
        check(f"refused: {name} of a message", status == 400 and well_formed_error(e) and e["error"]["param"] == "messages" and part in e["error"]["message"], status, e)
    for arguments in ('{"a": ', "[1]", "5"):
        call = {"id": "c", "type": "function", "function": {"name": "now", "arguments": arguments}}
        status, e, _ = chat(messages=[USER, {"role": "assistant", "content": None, "tool_calls": [call]}, USER])
        check(f"refused: arguments {arguments} that the template goes through", status == 400 and "messages[1].tool_calls[0].function.arguments are no JSON" in e["error"]["message"], status, e)
        same("a template that prints them", chat("plain", [USER, {"role": "assistant", "content": None, "tool_calls": [call]}, USER], tools=TOOLS, max_tokens=1)[0], 200)
    status, e, _ = gw.post("/v1/messages", {"model": "hermes", "messages": [USER]})
    check("/v1/messages", status == 404 and well_formed_error(e) and "Messages" in e["error"]["message"], status, e)


for test in (required, taken_apart, deepseek, reasoning, history, strict, cut, special_tokens, any_schema, too_many, refusals):
    test()
same("the gateway ends", gw.stop(), 0)
done()

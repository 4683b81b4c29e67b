"""The fields and their limits are read from the gateway's own description (--openapi)."""
import random
import sys

from gw import *

_, sock = start_daemon()
models = ["--model", "m=" + sock]
if os.path.exists(STORIES):
    models += ["--model", "tiny=" + start_daemon(STORIES, "tiny")[1]]
gw = Gateway(*models, "--port=0")
document = json.loads(subprocess.run([BIN + "xverse-gateway", "--openapi"], capture_output=True).stdout)
WRONG = [True, False, 0, -1, 1.5, 1e300, "x", "", [], {}, [None], {"a": 1}, [[]], "\ud83d\ude00", 2**63 - 1, [1, "a"], [0.5], [-1], [2**40]]
connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=30)


def post(path, text):
    global connection
    try:
        connection.request("POST", path, text, {"Content-Type": "application/json"})
        r = connection.getresponse()
        return r.status, r.read(), r.headers
    except (http.client.HTTPException, OSError):
        connection.close()
        connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=30)
        connection.request("POST", path, text, {"Content-Type": "application/json"})
        r = connection.getresponse()
        return r.status, r.read(), r.headers


def look(name, path, text, wanted=None):
    """wanted: "good", "bad" or None where either is right."""
    status, answer, head = post(path, text)
    ok = status == 200 or 400 <= status < 500 or (status == 501 and "chat" in path)
    if status != 200:
        try:
            ok = ok and well_formed_error(json.loads(answer))
        except ValueError:
            ok = False
    if wanted and status != 501:
        ok = ok and (status == 200) == (wanted == "good")
    return check(name, ok, status, answer[:200])


def with_field(base, name, value):
    """The text of base with one more field; value may be what JSON cannot say (a text that is put in as it is)."""
    body = {k: v for k, v in base.items() if k != name}
    text = json.dumps(body)
    return text[:-1] + (", " if body else "") + json.dumps(name) + ": " + (value if isinstance(value, Raw) else json.dumps(value)) + "}"


class Raw(str):
    pass


def limits(path, base, name, s):
    low, high = s.get("minimum"), s.get("maximum")
    whole = s.get("type") == "integer"
    step = 1 if whole else 0.001
    if name in ("max_tokens", "min_tokens", "max_completion_tokens", "truncate_prompt_tokens"):
        high = None  # what the context leaves
    if low is not None:
        at = int(low) if whole else low
        good = {"max_tokens": 1}.get(name, at if not s.get("exclusiveMinimum") else at + step)
        look(f"{name}: lowest", path, with_field(base, name, good), "good")
        look(f"{name}: below", path, with_field(base, name, at - step), "bad")
        if s.get("exclusiveMinimum"):
            look(f"{name}: at an excluded limit", path, with_field(base, name, at), "bad")
    if high is not None:
        at = int(high) if whole else high
        look(f"{name}: highest", path, with_field(base, name, at), "good")
        if at < 2**31 - 1:
            look(f"{name}: lower than highest", path, with_field(base, name, at - step), "good")
        look(f"{name}: above", path, with_field(base, name, at + (1 if whole else 0.01)), "bad")
    if s.get("type") in ("integer", "number"):
        for bad in ["x", [], {}, True, "1"]:
            look(f"{name}: {bad!r}", path, with_field(base, name, bad), "bad")
    if s.get("type") == "boolean":
        for bad in ["x", [], {}, 1, 0, "true"]:
            look(f"{name}: {bad!r}", path, with_field(base, name, bad), "bad")


def field(path, base, name, s):
    if name == "top_logprobs":
        base = dict(base, logprobs=True)
    required = name in ("prompt", "messages", "tokens")
    look(f"{name}: null", path, with_field(base, name, None), "bad" if required else "good")
    limits(path, base, name, s)
    for value in WRONG:
        look(f"{name}: {value!r}", path, with_field(base, name, value))
    for raw in ["NaN", "Infinity", "1e999", "-0", "1" * 40, "18446744073709551616", "01", "+1", "'x'", '"\\ud800"', '"\\u0000"', "nul", ""]:
        look(f"{name}: {raw}", path, with_field(base, name, Raw(raw)))
    look(f"{name}: huge text", path, with_field(base, name, "y" * 100000))
    look(f"{name}: huge list", path, with_field(base, name, [7] * 20000))
    look(f"{name}: deep list", path, with_field(base, name, Raw("[" * 60 + "]" * 60)))
    look(f"{name}: too deep", path, with_field(base, name, Raw("[" * 5000 + "]" * 5000)), "bad")
    text = with_field(base, name, None)
    look(f"{name}: twice", path, text[:-1] + ", " + json.dumps(name) + ": null}", "bad")


def endpoint(path, base):
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    look(f"{path}: good", path, json.dumps(base))
    for name, s in schema["properties"].items():
        field(path, base, name, s)
    for name in schema["required"]:
        look(f"{path}: {name} absent", path, json.dumps({k: v for k, v in base.items() if k != name}), "bad")
    for text in ["", "{", "[]", "null", "1", '"x"', "{}", '{"a":1}{"b":2}', '{"a":1} x', "\ufeff{}", '{"prompt":[5]', "{'prompt':[5]}", "{" * 70,
                 '{"prompt":"\xff"}', '{"pro\\u0000mpt":1}', "\0"]:
        look(f"{path}: body {text[:20]!r}", path, text.encode("latin1", "replace") if "\ufeff" not in text else text.encode())


def counts_of_lists():
    c = "/v1/completions"
    base = {"prompt": [5, 6], "max_tokens": 1}
    for name, most, make in [("stop", 16, lambda i: f"s{i}"), ("stop_token_ids", 4096, lambda i: i % 500), ("bad_token_ids", 4096, lambda i: i % 500),
                             ("allowed_token_ids", 4096, lambda i: i % 500)]:
        for n in (0, 1, most - 1, most, most + 1):
            look(f"{name}: {n} entries", c, with_field(base, name, [make(i) for i in range(n)]), "good" if (name != "allowed_token_ids" or n) and n <= most else "bad")
    for n in (1023, 1024, 1025):
        look(f"stop of {n} bytes", c, with_field(base, "stop", "z" * n), "good" if n <= 1024 else "bad")
    for n in (511, 512, 513):
        look(f"user of {n} bytes", c, with_field(base, "user", "u" * n), "good" if n <= 512 else "bad")
    for n in (500, 517):
        look(f"logit_bias: {n} entries", c, with_field(base, "logit_bias", {str(i): 1 for i in range(n)}), "good")
    look("logit_bias: too many", c, with_field(base, "logit_bias", {str(i): 1 for i in range(1025)}), "bad")
    for bad in [{"x": 1}, {"-1": 1}, {"517": 1}, {"1": "a"}, {"1": 101}, {"1": -100.5}, {" 1": 1}, {"1 ": 1}, {"99999999999": 1}]:
        look(f"logit_bias {bad}", c, with_field(base, "logit_bias", bad), "bad")
    for n in (2047, 2048, 2049):
        look(f"{n} prompts", c, json.dumps({"prompt": [[5]] * n, "max_tokens": 1}), "good" if n <= 2048 else "bad")
    look("n times prompts", c, json.dumps({"prompt": [[5]] * 17, "max_tokens": 1, "n": 128}), "bad")
    for n, good in ((2046, True), (2047, True), (2048, False), (5000, False)):
        look(f"a prompt of {n} ids", c, json.dumps({"prompt": [5] * n, "max_tokens": 1}), "good" if good else "bad")
    for bad in [[517], [-1], [2**31], [2**40], [5, 6.5], [5, None], [5, "a"], [[5], "a", [517]], [[]], [[5], []]]:
        look(f"prompt {bad}", c, json.dumps({"prompt": bad, "max_tokens": 1}), "bad")


def pairs():
    """Two fields at once, by chance but the same each time."""
    rng = random.Random(1)
    schema = document["paths"]["/v1/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    names = [n for n in schema["properties"] if n not in ("prompt", "stream")]
    values = WRONG + [1, 2, 0.5, 16, None, "stop", [1, 2], {"1": 2}]
    for i in range(2000 if "--full" in sys.argv else 400):
        body = {"prompt": [5, 6, 7], "max_tokens": 2}
        for name in rng.sample(names, 2):
            body[name] = rng.choice(values)
        look(f"pair {i}: {body}", "/v1/completions", json.dumps(body))


endpoint("/v1/completions", {"prompt": [5, 6], "max_tokens": 1})
endpoint("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1})
if len(models) > 2:
    endpoint("/tokenize", {"model": "tiny", "prompt": "x"})
    endpoint("/detokenize", {"model": "tiny", "tokens": [5]})
else:
    skip("tokenize, detokenize: no model with a tokenizer")
counts_of_lists()
pairs()
same("and it still works", gw.complete(prompt=[5, 6], max_tokens=1)[0], 200)


done()

"""The fields and their limits are read from the gateway's own description (--openapi)."""
import random
import sys

from gw import *

_, sock = start_daemon()
models = ["--model", "m=" + sock]
if os.path.exists(TEXT_MODEL):
    models += ["--model", "tiny=" + start_daemon(TEXT_MODEL, "tiny")[1]]
gw = Gateway(*models, "--port=0")
document = json.loads(subprocess.run([BIN + "xverse-gateway", "--openapi"], capture_output=True).stdout)
WRONG = [True, False, 0, -1, 1.5, 1e300, "x", "", [], {}, [None], {"a": 1}, [[]], "\ud83d\ude00", 2**63 - 1, [1, "a"], [0.5], [-1], [2**40]]
connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=120)


def post(path, text):
    global connection
    try:
        connection.request("POST", path, text, {"Content-Type": "application/json"})
        r = connection.getresponse()
        return r.status, r.read(), r.headers
    except (http.client.HTTPException, OSError):
        connection.close()
        connection = http.client.HTTPConnection("127.0.0.1", gw.port, timeout=120)
        connection.request("POST", path, text, {"Content-Type": "application/json"})
        r = connection.getresponse()
        return r.status, r.read(), r.headers


def look(name, path, text, wanted=None):
    """wanted: "good", "bad" or None where either is right."""
    status, answer, head = post(path, text)
    ok = status == 200 or 400 <= status < 500 or (status == 501 and ("chat" in path or "responses" in path))
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
    if name in ("max_tokens", "min_tokens", "max_completion_tokens", "max_output_tokens", "truncate_prompt_tokens"):
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
    if name == "top_logprobs" and "messages" in base:
        base = dict(base, logprobs=True)
    required = name in [r for r in ("prompt", "messages", "tokens", "input") if r in base]
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
    for name, most, make in [("stop", 16, lambda i: f"s{i}"), ("stop_token_ids", 517, lambda i: i % 500), ("bad_token_ids", 517, lambda i: i % 500),
                             ("allowed_token_ids", 517, lambda i: i % 500)]:
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


# Fields of other servers' APIs that change the answer, with a value that does; gathered from their references, not from our tables.
REFUSED = {
    "OpenAI": dict(best_of=2, suffix="x", response_format={"type": "xml"}),
    "vLLM": dict(guided_whitespace_pattern="a", structured_outputs={"unknown": {}}, use_beam_search=True,
                 length_penalty=0.5, early_stopping=True, bad_words=["a"], logits_processors=["a"], logit_processor="a", prompt_embeds="a", priority=1,
                 continue_final_message=True, vllm_xargs={"a": 1}, spaces_between_special_tokens=False, detokenize=False, truncation_side="right",
                 thinking_token_budget=5, chat_template="a", lora_request={"a": 1}),
    "SGLang": dict(lora_path="a", no_stop_trim=True, stop_regex="a", custom_logit_processor="a", min_new_tokens=3,
                   max_new_tokens=3, sampling_params={"temperature": 0}, return_hidden_states=True),
    "TGI": dict(typical_p=0.9, watermark=True, adapter_id="a", do_sample=False, top_n_tokens=3, truncate=5,
                parameters={"temperature": 0}, stop_sequences=["a"], return_full_text=True),
    "llama-server": dict(n_predict=5, mirostat=1, mirostat_mode=2, typ_p=0.5, tfs_z=0.5, dry_multiplier=0.8, xtc_probability=0.5,
                         dynatemp_range=0.5, repeat_penalty=1.1, samplers=["top_k"], n_probs=3, lora=[{"id": 0, "scale": 1}], adapter="a",
                         input_prefix="a", input_suffix="a", system_prompt="a", image_data=[{}], t_max_predict_ms=5, min_keep=5, n_keep=5, n_indent=2),
    "Ollama": dict(options={"temperature": 0}, template="a", system="a", context=[1], raw=True, think=True, num_predict=3, images=["a"]),
    "others": dict(top_a=0.5, random_seed=5, safe_prompt=True, guidance_scale=2, no_repeat_ngram_size=3, penalty_alpha=0.6, num_beams=4, rep_pen=1.1,
                   epsilon_cutoff=3, smoothing_factor=0.2, negative_prompt="a", enable_thinking=False, nvext={"guided_json": {}}, min_length=4, max_length=9,
                   prompt_truncate_len=5, extra_body={"top_k": 1}, banned_strings=["a"], logprob_start_len=0),
    "others, windows and prompts": dict(repeat_last_n=64, penalty_last_n=32, penalize_nl=True, repetition_ngram_size=3, cfg_scale=1.5, dynatemp_low=0.5,
                                        max_temp=2, skew=1, regex_pattern="a", response_prefix="a", instruction_template="Alpaca", character="a",
                                        preset="a", truncation_length=9, instructions="a", max_output_tokens=5, max_tokens_to_sample=5, stop_words=["a"],
                                        end_id=5, input_ids=[5], input_embeds=[[0.5]], bypass_eos=True, response_fields=["content"],
                                        post_sampling_probs=True, previous_response_id="a"),
}
CHAT_REFUSED = dict(functions=[{"name": "f"}], function_call={"name": "f"}, tool_choice="required", modalities=["text", "audio"], audio={"voice": "a"},
                    prediction={"type": "content", "content": "a"}, web_search_options={}, echo=True)
NEUTRAL = dict(best_of=1, suffix="", response_format={"type": "text"}, length_penalty=1.0, bad_words=[], priority=0, typical_p=1, typ_p=1.0, tfs_z=1, mirostat=0,
               dry_multiplier=0.0, xtc_probability=0, repeat_penalty=1, use_beam_search=False, no_stop_trim=False, do_sample=True, watermark=False, grammar="",
               format="", options={}, raw=False, think=False, lora=[], samplers=[], min_new_tokens=0, continue_final_message=False, n_probs=0, extra_body={},
               spaces_between_special_tokens=True, logprob_start_len=-1)
HARMLESS = dict(store=True, metadata={"a": 1}, service_tier="auto", reasoning_effort="low", parallel_tool_calls=True, prompt_cache_key="a", safety_identifier="a",
                verbosity="low", cache_salt="a", request_id="a", keep_alive=5, id_slot=-1, cache_prompt=True, mirostat_tau=5, dry_base=1.75, foo=None)


def other_apis():
    """What another server would have obeyed is refused by name; what changes nothing passes, and what nobody reads is told."""
    for path, base, more in [("/v1/completions", {"prompt": [5, 6], "max_tokens": 1}, {}),
                             ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}, {"chat": CHAT_REFUSED})]:
        for server, fields in {**REFUSED, **more}.items():
            for name, value in fields.items():
                if "chat" in path and name in ("best_of", "suffix", "prompt_embeds"):
                    continue
                status, answer, _ = post(path, json.dumps({**base, name: value}))
                e = json.loads(answer).get("error") or {}
                check(f"{path}: {name} of {server}", status == 400 and e["param"] == name and e["message"].startswith(name), status, answer[:200])
                look(f"{path}: {name} null", path, json.dumps({**base, name: None}), "good")
        for name, value in NEUTRAL.items():
            look(f"{path}: {name}: {value!r} changes nothing", path, json.dumps({**base, name: value}), "good")
    status, _, head = post("/v1/completions", json.dumps({"prompt": [5, 6], "max_tokens": 1, **HARMLESS}))
    same("harmless ones are told", (status, head["X-Ignored-Fields"]), (200, ", ".join(HARMLESS)))
    status, _, head = post("/v1/completions", json.dumps({"prompt": [5, 6], "max_tokens": 1, "a b": 1, "x\r\ny": 1, "": 1, "\u00e4": 1, **{f"k{i}": 1 for i in range(500)}}))
    check("but not all that a header cannot say", status == 200 and len(head["X-Ignored-Fields"]) < 512 and head["X-Ignored-Fields"].startswith("k0, k1"), head)


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
endpoint("/v1/responses", {"input": "x", "max_output_tokens": 1})
if len(models) > 2:
    endpoint("/tokenize", {"model": "tiny", "prompt": "x"})
    endpoint("/detokenize", {"model": "tiny", "tokens": [5]})
else:
    skip("tokenize, detokenize: no model with a tokenizer")
counts_of_lists()
other_apis()
pairs()
same("and it still works", gw.complete(prompt=[5, 6], max_tokens=1)[0], 200)


done()

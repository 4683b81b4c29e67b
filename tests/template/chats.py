"""Conversations as models' own templates and code render them: our ids against those of transformers' apply_chat_template(), and of the code that models
without a template come with. Folders are those of tests/words/families.py."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, "tests/words")
import families  # noqa: E402

DATA = os.environ.get("XV_TESTDATA", "../shared/testdata")
TEMPLATES = DATA + "/llama.cpp-vocab/templates/"
passed = failed = skipped = 0
# Mistral 7B Instruct, versions 0.1 and 0.2.
MISTRAL = ("{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception("
           "'Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + "
           "message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception("
           "'Only user and assistant roles are supported!') }}{% endif %}{% endfor %}")
CALL = dict(id="call00001", type="function", function=dict(name="weather", arguments=dict(city="Zürich", days=2)))
TOOLS = [dict(type="function", function=dict(name="weather", description="The weather of a city.", parameters=dict(
    type="object", properties=dict(city=dict(type="string", description="its name"), days=dict(type="integer", description="how many")), required=["city"])))]


def said(*texts, system=None):
    roles = ("user", "assistant")
    return ([dict(role="system", content=system)] if system is not None else []) + [dict(role=roles[i % 2], content=t) for i, t in enumerate(texts)]


CONVERSATIONS = [
    said("Hello"),
    said("Hello", "Hi! How can I help?", "What is 12345 + 678,900?"),
    said("你好，世界", "你好！", "谢谢"),
    said("  leading and trailing  ", "\n\nan answer\n", "\ttabs\tand\n\nlines\n"),
    said("é 🙂 ｆｕｌｌ width", "naïve café — “quotes”", "ça va?"),
    said("def f(x):\n    return x  # code\n", "```python\nprint(1)\n```", "and `this`?"),
    said("Be brief.", system="You are a pirate."),
    said("Who are you?", "A pirate.", "Really?", "Aye.", "Tell more.", system="You are a pirate.\nSpeak so. "),
    said("a", "b", "c", "d", "e", "f", "g"),
    said("What is left?", "Nothing", system=""),
]
WITH_TOOLS = [
    said("Is it raining in Zürich?"),
    said("Is it raining?") + [dict(role="assistant", content="", tool_calls=[CALL]), dict(role="tool", tool_call_id="call00001", name="weather", content="rain, 8 °C")],
]


def check(name, ok, *told):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED {name}:", *(str(t)[:600] for t in told), flush=True)


def ours(folder, asked, *named):
    lines = "".join(json.dumps(a) + "\n" for a in asked)
    out = subprocess.run(["build/tests/template/ids", folder, *named], input=lines, capture_output=True, text=True).stdout.splitlines()
    return json.loads(out[0]), [json.loads(line) for line in out[1:]]


def compare(name, folder, cases, reference, *named):
    """cases: (messages, tools, whether an answer is asked for). A conversation that the reference refuses must be refused."""
    asked = [dict(messages=m, tools=t, open=o, args=dict(date_string="26 Jul 2024")) for m, t, o in cases]
    head, got = ours(folder, asked, *named)
    check(f"{name}: has a format", "format" in head and len(got) == len(asked), head)
    same = refused = 0
    for (m, t, o), mine in zip(cases, got):
        try:
            want = reference(m, t, o)
        except Exception as e:  # a template's own refusal
            refused += 1
            check(f"{name}: refused as there", "error" in mine, m, e, mine)
            continue
        check(f"{name}: ids", mine.get("ids") == want, m, mine, want)
        same += 1
    check(f"{name}: most are rendered", same >= 6, same, refused)


def all_cases(tools):
    plain = [(m, None, o) for m in CONVERSATIONS for o in ([True, False] if m[-1]["role"] == "user" else [False])]
    return plain + ([(m, TOOLS, True) for m in WITH_TOOLS] if tools else [])


def template(name, make, source, tools=False, special=()):
    """A model with a template of its own, in tokenizer_config.json."""
    folder = tempfile.mkdtemp(prefix="xv-chats-")
    reference, _ = make(folder)
    path = f"{folder}/tokenizer_config.json"
    config = json.load(open(path))
    config["chat_template"] = source
    json.dump(config, open(path, "w"))
    reference.chat_template = source
    for key in ("bos_token", "eos_token"):
        if isinstance(config.get(key), str):
            setattr(reference, key, config[key])

    def rendered(messages, given, asked):
        return list(reference.apply_chat_template(messages, tools=given, add_generation_prompt=asked, tokenize=True, date_string="26 Jul 2024"))
    compare(name, folder, all_cases(tools), rendered)
    subprocess.run(["rm", "-rf", folder])


def rounds_of(messages):
    """Baichuan's _parse_messages()."""
    system, rounds, one = "", [], []
    for i, m in enumerate(messages):
        if m["role"] == "system":
            assert i == 0
            system = m["content"]
            continue
        if m["role"] == "user" and one:
            rounds.append(one)
            one = []
        one.append(m)
    return system, rounds + ([one] if one else [])


def baichuan(encode, user, assistant):
    """build_chat_input() of generation_utils.py in Baichuan-13B-Chat and Baichuan2-Chat, without its limits."""
    def build(messages, _, asked):
        system, rounds = rounds_of(messages)
        ids = encode(system)
        for one in rounds:
            for m in one:
                ids = ids + [user if m["role"] == "user" else assistant] + encode(m["content"])
        return ids + ([assistant] if asked else [])
    return build




def own_code(name, folder_of, builder, files=(), named=()):
    folder = tempfile.mkdtemp(prefix="xv-chats-")
    reference, _ = folder_of(folder)
    for file, value in files:
        json.dump(value, open(f"{folder}/{file}", "w"))
    encode = lambda text: list(reference(text, add_special_tokens=False)["input_ids"])
    compare(name, folder, all_cases(False), builder(encode), *named)
    subprocess.run(["rm", "-rf", folder])


def nothing(name, folder_of):
    """A base model: conversations are refused with what to do."""
    folder = tempfile.mkdtemp(prefix="xv-chats-")
    folder_of(folder)
    head, _ = ours(folder, [])
    check(f"{name} has no format", "--chat-template" in head.get("why", "") and "plain" in head["why"], head)
    head, got = ours(folder, [dict(messages=said("Hello"), open=True)], "plain")
    check(f"{name} by name", head == {"format": "plain"} and got[0]["text"].endswith("Human: Hello\n\nAssistant: "), head, got)
    subprocess.run(["rm", "-rf", folder])


def with_data():
    if not os.path.isdir(TEMPLATES):
        global skipped
        skipped += 1
        return print("  skipped: no test data (templates)")
    read = lambda name: open(TEMPLATES + name + ".jinja").read()
    template("Qwen 2.5", families.qwen2, read("Qwen-Qwen2.5-7B-Instruct"), tools=True)
    for version in ("3.1-8B", "3.2-3B", "3.3-70B"):
        template(f"Llama {version}", families.llama3, read(f"meta-llama-Llama-{version}-Instruct"), tools=True)
    template("Mistral Nemo", families.tekken, read("mistralai-Mistral-Nemo-Instruct-2407"), tools=True)
    own_code("Baichuan", lambda f: families.baichuan(f, DATA), lambda e: baichuan(e, 195, 196),
             [("generation_config.json", dict(user_token_id=195, assistant_token_id=196))])
    nothing("Pythia", lambda f: families.pythia(f, DATA))


with_data()
template("Mistral 7B", families.mistral, MISTRAL)
template("Llama 2", families.mistral, open("tests/template/llama-2.jinja").read())
own_code("Baichuan 2", families.baichuan, lambda e: baichuan(e, 5, 6), [("generation_config.json", dict(user_token_id=5, assistant_token_id=6))])
nothing("OPT", families.opt)
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed > 0)

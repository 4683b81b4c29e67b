"""LoRA adapters over HTTP: an adapter's name as model gives what the protocol gives with it, streamed or not; names come and go with `xverse lora`;
unknown ones are refused."""
import json
import os
import subprocess
import sys
import urllib.parse

sys.path[:0] = ["tests/gateway", "tests/e2e"]
from gw import BIN, WORK, Gateway, TEXT_MODEL, check, done, same, start_daemon, wait_for
from lora import adapter
from wire import Client, pb

PROMPT, N = "The king", 12
ODD = "tales/k\u00f6nig"  # clients write it as %XX in a path


def folders():
    """Adapters of the model, and their folders by name."""
    c = json.load(open(TEXT_MODEL + "/config.json"))
    hidden, ffn, heads = c["hidden_size"], c["intermediate_size"], c["num_attention_heads"]
    kv = hidden // heads * c.get("num_key_value_heads", heads)
    shapes = dict(q_proj=(hidden, hidden), k_proj=(kv, hidden), v_proj=(kv, hidden), o_proj=(hidden, hidden), down_proj=(hidden, ffn))
    return {name: adapter(f"{WORK}/adapter{i}", i, targets=tuple(shapes), shapes=shapes, layers=c["num_hidden_layers"]) for i, name in enumerate(("a", ODD))}


def xverse(*words, text=""):
    r = subprocess.run([BIN + "xverse", *words], env={**os.environ, "XVERSE_SOCKET": uds}, input=text, capture_output=True, text=True, timeout=120)
    return r.stdout, r.stderr


def listed():
    return [m["id"] for m in json.loads(gw.get("/v1/models")[1])["data"]]


def of_protocol(name, chat):
    sampling = pb.Sampling(max_tokens=N, temperature=0)
    body = dict(chat=pb.Chat(messages=[pb.Message(role="user", content=PROMPT)], sampling=sampling, adapter=name)) if chat else \
        dict(generate=pb.Generate(text=PROMPT.encode(), sampling=sampling, adapter=name))
    return client.wait(client.send(**body))


def ask(model, chat, **more):
    path, prompt = ("/v1/chat/completions", dict(messages=[dict(role="user", content=PROMPT)])) if chat else ("/v1/completions", dict(prompt=PROMPT))
    return path, dict(model=model, max_tokens=N, temperature=0, **prompt, **more)


def text_of(choice):
    return choice["text"] if "text" in choice else (choice.get("message") or choice["delta"]).get("content") or ""


def streamed(model, chat):
    """Its text, and the models that its chunks name."""
    lines = gw.request("POST", *ask(model, chat, stream=True))[1].decode().split("\n\n")
    chunks = [json.loads(x[6:]) for x in lines if x.startswith("data: {")]
    return "".join(text_of(c) for chunk in chunks for c in chunk["choices"]), {chunk["model"] for chunk in chunks}


def answers(name):
    texts = []
    for chat in (False, True):
        whole, plain = of_protocol(name, chat), of_protocol("", chat)
        check(f"{name} matters, chat {chat}", whole.text != plain.text, whole.text, whole.error)
        status, a, _ = gw.post(*ask(name, chat))
        same(f"{name}: what the protocol gives, chat {chat}", (status, a.get("model"), text_of(a["choices"][0]) if status == 200 else a), (200, name, whole.text))
        check(f"{name}: its fingerprint", f"+{whole.started.adapter_fingerprint}/" in a["system_fingerprint"], a)
        same(f"{name}: streamed, chat {chat}", streamed(name, chat), (whole.text, {name}))
        texts.append(whole.text)
    status, a, _ = gw.post(*ask(name, False, n=2, guided_regex="[ab]{3}"))
    check(f"{name} with a constraint, two at once", status == 200 and all(len(c["text"]) == 3 for c in a["choices"]), status, a)
    status, one, _ = gw.get("/v1/models/" + urllib.parse.quote(name, safe=""))
    check(f"{name} by its path", status == 200 and json.loads(one)["id"] == name and json.loads(one)["parent"] == "m", status, one)
    same(f"{name} from the command line", xverse("generate", PROMPT, "--lora", name, "--max-tokens", str(N), "--temperature", "0")[0].rstrip("\n"), texts[0].rstrip("\n"))
    said = xverse("chat", "--lora", name, "--max-tokens", str(N), "--temperature", "0", text=PROMPT + "\n")
    check(f"{name} in xverse chat", texts[1].strip() in said[0], said, texts[1])


def unknown(name):
    for chat in (False, True):
        for more in ({}, dict(stream=True)):
            status, e, _ = gw.post(*ask(name, chat, **more))
            check(f"{name!r} is unknown, chat {chat} {more}", status == 404 and e["error"]["code"] == "model_not_found", status, e)
    same(f"{name!r} by its path", gw.get("/v1/models/" + urllib.parse.quote(name, safe=""))[0], 404)


dirs = folders()
daemon, uds = start_daemon(TEXT_MODEL, "m", max_loras=2, max_lora_rank=8, chat_template="plain")
gw, client = Gateway("--model", "m=" + uds, "--port=0"), Client(uds)
unknown("a")
for name, folder in dirs.items():
    check(f"{name} loads", "loaded" in xverse("lora", "load", f"{name}={folder}")[0])
check("the gateway learns of them", wait_for(lambda: listed() == ["m", *dirs]), listed())
for name in dirs:
    answers(name)
for name in ("A", "a ", "a/", "%61", "tales"):
    unknown(name)
said = xverse("lora", "load", f"{'x' * 300}={dirs['a']}")[1]
check("a long name is refused, not cut", "the limit is 255" in said, said)
for name in ('"', "a b", "\\", "\u0085"):
    said = xverse("lora", "load", f"{name}={dirs['a']}")[1]
    check(f"{name!r} is no name", "is no name" in said, said)
check("one unloads", "unloaded" in xverse("lora", "unload", "a")[0])
same("it is refused before the gateway knows", gw.post(*ask("a", False))[0], 404)
check("the gateway forgets it", wait_for(lambda: listed() == ["m", ODD]), listed())
unknown("a")
same("the other one stays", gw.post(*ask(ODD, False))[0], 200)
client.close()
same("the gateway ends", gw.stop(), 0)
done()

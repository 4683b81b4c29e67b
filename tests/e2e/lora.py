"""Adapters of a running daemon, on 1 to 3 ranks. Calls with different adapters in one batch give what each gives alone, bit for bit, and no
prefix is shared between them; adapters come and go under streams, which go on with the same bits; who may not load does not; a stream is resumed
with its own adapter only; what is broken is refused and changes nothing."""
import json
import os
import random
import shutil
import struct
import sys
import tempfile

sys.path.insert(0, "tests/e2e")
from job import Job, check, dummy_model, finish, skip, wait_for
from wire import Client, outcome, pb

VOCAB, HIDDEN, FFN, LAYERS = 517, 64, 172, 2
SHAPES = dict(q_proj=(HIDDEN, HIDDEN), k_proj=(HIDDEN, HIDDEN), v_proj=(HIDDEN, HIDDEN), o_proj=(HIDDEN, HIDDEN), gate_proj=(FFN, HIDDEN),
              up_proj=(FFN, HIDDEN), down_proj=(HIDDEN, FFN))


def adapter(folder, seed, rank=8, targets=tuple(SHAPES), layers=LAYERS, shapes=SHAPES, **config):
    """A random one, as PEFT writes it."""
    rng, head, data = random.Random(seed), {}, bytearray()
    for layer in range(layers):
        for target in targets:
            outputs, inputs = shapes[target]
            module = f"base_model.model.model.layers.{layer}.{'self_attn' if target[0] in 'qkvo' else 'mlp'}.{target}"
            for name, rows, cols, std in ((f"{module}.lora_A.weight", rank, inputs, inputs ** -0.5), (f"{module}.lora_B.weight", outputs, rank, 0.3)):
                begin = len(data)
                data += struct.pack(f"<{rows * cols}f", *(rng.gauss(0, std) for _ in range(rows * cols)))
                head[name] = dict(dtype="F32", shape=[rows, cols], data_offsets=[begin, len(data)])
    os.makedirs(folder)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    open(f"{folder}/adapter_model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
    json.dump(dict(peft_type="LORA", r=rank, lora_alpha=16, bias="none", **config), open(f"{folder}/adapter_config.json", "w"))
    return folder


def ask(client, name, prompt, **sampling):
    g = pb.Generate(sampling=pb.Sampling(**sampling), adapter=name)
    g.tokens.ids.extend(prompt)
    return client.send(generate=g)


def load(client, name, folder):
    return client.wait(client.send(lora_load=pb.LoraLoad(name=name, dir=folder))).last


def unload(client, name):
    return client.send(lora_unload=pb.LoraUnload(name=name))


PROMPTS = [[(7 * i + k) % VOCAB for k in range(70)] for i in range(3)]
OPTIONS = ["--load-format", "dummy", "--max-num-batched-tokens", "64", "--max-model-len", "512"]


def all_calls():
    """Names and settings: prompts of two blocks, so that prefixes are cached."""
    return [(name, dict(prompt=PROMPTS[i % 3], max_tokens=12, seed=i, temperature=1, logprobs=2, ignore_eos=True))
            for i, name in enumerate(["", "a", "b", "c", "a", "", "c", "b", "a", "b", "", "c"])]


def batches(model, folder):
    """Returns what each call gives, which is the same on every number of ranks."""
    want = None
    for ranks in (1, 2, 3):
        job = Job(ranks, model, *OPTIONS, "--lora", f"a={folder}/a", "--lora", f"b={folder}/b", "--lora", f"c={folder}/c")
        check(f"{ranks} ranks start", job.start(), job.text())
        client = Client(job.socket)
        alone = [outcome(client.wait(ask(client, name, **how))) for name, how in all_calls()]
        together = [ask(client, name, **how) for name, how in all_calls()]
        client.wait(*together)
        check(f"{ranks} ranks: a batch of adapters", [outcome(c) for c in together] == alone, "a call differs from itself alone")
        check(f"{ranks} ranks: prefixes are shared with the same adapter only", all(c.finished.cached_tokens == 64 for c in together),
              [c.finished.cached_tokens for c in together])
        check(f"{ranks} ranks: the same bits", alone == (want or alone), "other bits")
        want = alone
        if ranks < 3:
            check("drains", job.stop() == 0, job.text()[-500:])
            job.close()
    check("adapters matter", len({str(alone[i][0]) for i in (0, 1, 2, 3)}) == 4, "two give the same tokens")
    status = client.status()
    check("status lists them", [(x.name, x.rank, x.state, x.total_calls) for x in status.adapter] == [("a", 8, 1, 6), ("b", 4, 1, 6), ("c", 33, 1, 6)],
          str(status.adapter))
    started = client.wait(ask(client, "b", PROMPTS[0], max_tokens=1)).started
    check("the receipt names it", started.adapter == "b" and started.adapter_fingerprint == status.adapter[1].fingerprint, str(started))
    score = client.wait(client.send(score=pb.Score(tokens=pb.Ids(ids=PROMPTS[0]), adapter="a")), client.score(PROMPTS[0]))
    check("score takes it", outcome(score[0])[2] != outcome(score[1])[2], "the same with and without an adapter")
    resumed(client, status)
    check("drains", job.stop() == 0, job.text()[-500:])
    job.close()
    return want


def resumed(client, status):
    whole = client.wait(ask(client, "a", PROMPTS[1], max_tokens=20, seed=3, temperature=1, ignore_eos=True))
    keep = dict(ids=whole.ids[:9], seed=3, fingerprint=whole.started.fingerprint, numerics_class=whole.started.numerics_class)

    def again(name, fingerprint):
        g = pb.Generate(sampling=pb.Sampling(max_tokens=20, temperature=1, ignore_eos=True), adapter=name,
                        resume=pb.Resume(adapter_fingerprint=fingerprint, **keep))
        g.tokens.ids.extend(PROMPTS[1])
        return client.wait(client.send(generate=g))

    rest = again("a", status.adapter[0].fingerprint)
    check("resumed with its adapter", rest.error is None and keep["ids"] + rest.ids == whole.ids, str(rest.error))
    for name, fingerprint in (("b", status.adapter[0].fingerprint), ("", status.adapter[0].fingerprint), ("a", "")):
        wrong = again(name, fingerprint)
        check(f"not resumed as {name!r} with {fingerprint!r}", wrong.error is not None and wrong.error.code == pb.CODE_MISMATCH, str(wrong.error))


def while_serving(model, folder, want):
    job = Job(2, model, *OPTIONS, "--max-loras", "2", "--max-lora-rank", "33", "--fault", "slow=3")
    check("starts without adapters", job.start(), job.text())
    client, other = Client(job.socket), Client(job.socket)
    calls = all_calls()
    check("unknown", client.wait(ask(client, "a", [1])).error.code == pb.CODE_UNKNOWN)
    plain = dict(prompt=PROMPTS[0], max_tokens=300, seed=1, temperature=1, logprobs=1, ignore_eos=True)
    before = outcome(client.wait(ask(client, "", **plain)))
    stream = ask(client, "", **plain)
    client.read(5)
    check("loads under a stream", load(other, "a", f"{folder}/a").WhichOneof("body") == "adapter")
    check("loads another", load(other, "c", f"{folder}/c").adapter.state == pb.ADAPTER_READY)
    check("the stream goes on meanwhile", stream.ended is None)
    got = [outcome(other.wait(ask(other, name, **how))) for name, how in calls if name in ("a", "c")]
    check("as if loaded at the start", got == [w for (name, _), w in zip(calls, want) if name in ("a", "c")], "other bits")
    full = load(other, "b", f"{folder}/b").error
    check("no slot is left", full.code == pb.CODE_LIMIT and "all 2 slots of --max-loras" in full.text, str(full))
    busy = ask(client, "c", PROMPTS[1], max_tokens=400, seed=1, ignore_eos=True)
    wait_for(lambda: client.read(1) and busy.ids)  # it runs; the stream's replies come over the same connection
    gone = unload(other, "c")
    check("no new calls while it is unloaded", other.wait(ask(other, "c", [1])).error.code == pb.CODE_UNKNOWN)
    open_calls = [x.calls for x in other.status().adapter if x.name == "c"]  # none: the call has ended already
    check("unload waits for its calls", gone.ended is None if open_calls else gone.ended is not None, (open_calls, str(gone.last)))
    client.wait(busy), other.wait(gone)
    check("and answers then", busy.finished is not None and len(busy.ids) == 400 and gone.last.WhichOneof("body") == "adapter", (str(busy.error), str(gone.last)))
    broken = shutil.copytree(f"{folder}/b", f"{folder}/broken")
    text = json.load(open(f"{broken}/adapter_config.json"))
    for change, words in ((dict(text, r=5), "says rank 5"), (dict(text, use_dora=True), "DoRA"),
                          (dict(text, lora_alpha=1e300), "holds NaN or infinity"), (dict(text, rank_pattern={"(.*)*x|(.*)*y": 4}), "takes too long"),
                          (None, "no adapter_config.json")):
        os.unlink(f"{broken}/adapter_config.json")
        if change:
            json.dump(change, open(f"{broken}/adapter_config.json", "w"))
        r = load(other, "x", broken).error
        check(f"refused: {words}", words in r.text, r.text)
        if not change:
            open(f"{broken}/adapter_config.json", "w").write("{}")
    check("too large", "--max-lora-rank is 33" in load(other, "x", f"{folder}/large").error.text)
    for name, path, words in (("a", f"{folder}/b", "name of an adapter"), ("", f"{folder}/b", "no name"), ("x", "b", "no absolute path"),
                              ("x", "/nosuch", "No such file")):
        r = load(other, name, path).error
        check(f"refused: {words}", words in r.text, r.text)
    check("then another takes the slot", load(other, "b", f"{folder}/b").adapter.rank == 4)
    got = [outcome(other.wait(ask(other, name, **how))) for name, how in calls if name == "b"]
    check("a slot that is used again", got == [w for (name, _), w in zip(calls, want) if name == "b"], "other bits")
    client.wait(stream)
    check("the stream has the same bits", outcome(stream) == before, "a load changed it")
    if os.geteuid() == 0:
        os.chmod(job.dir, 0o755)
        os.chmod(job.socket, 0o666)
        stranger = Client(job.socket, uid=65534)
        check("a stranger loads nothing", load(stranger, "x", f"{folder}/c").error.code == pb.CODE_DENIED)
        check("and unloads nothing", stranger.wait(unload(stranger, "a")).error.code == pb.CODE_DENIED)
    else:
        skip("other users (needs root)")
    r = job.run("lora", "ls", "--json")
    check("xverse lora ls", [x["name"] for x in json.loads(r.stdout)["adapters"]] == ["a", "b"], r)
    r = job.run("generate", "--ids", "1 2 3", "--lora", "a", "--max-tokens", "2", "--json")
    check("xverse generate --lora", json.loads(r.stdout)["started"]["adapter"] == "a", r)
    r = job.run("lora", "unload", "a"), job.run("lora", "load", f"y={folder}/a"), job.run("lora", "unload", "nosuch")
    check("xverse lora load and unload", [x.returncode for x in r] == [0, 0, 64], str(r))
    check("drains", job.stop() == 0, job.text()[-500:])
    job.close()


def merged(model, folder):
    """The same bits on one and two ranks; the model is another one, and requests do not name the adapter."""
    seen = []
    for ranks in (1, 2):
        job = Job(ranks, model, *OPTIONS, "--lora", f"a={folder}/a", "--lora-merge")
        check("starts merged", job.start(), job.text())
        client = Client(job.socket)
        seen.append(outcome(client.wait(ask(client, "", **all_calls()[1][1]))))
        status = client.status()
        check("status says merged", status.adapter[0].state == pb.ADAPTER_MERGED and not status.max_loras, str(status.adapter))
        check("it cannot be named", "is merged into the model" in client.wait(ask(client, "a", [1])).error.text)
        check("drains", job.stop() == 0, job.text()[-500:])
        job.close()
    check("merged: the same bits on 2 ranks", seen[0] == seen[1], "other bits")


def options(model, folder):
    job = Job(1, model)
    for given, words in ((["--lora", "a"], '"a" is not NAME=DIR'), (["--lora", f"a={folder}/a", "--lora", f"a={folder}/b"], "two adapters have the name"),
                         (["--lora-merge"], "give the adapter by --lora"), (["--lora", f"a={folder}/a", "--max-lora-rank", "4"], "--max-lora-rank is 4"),
                         (["--lora", f"a={folder}/a", "--lora", f"b={folder}/b", "--max-loras", "1"], "2 adapters are given"),
                         (["--lora", "a=/nosuch"], "/nosuch: No such file"), (["--lora", 'a"=/nosuch'], "is no name"),
                         (["--lora", f"big={folder}/a", "--served-model-name", "big"], "is the name of the model")):
        job.options = [*OPTIONS, *given]
        check(f"does not start: {words}", not job.start() and words in job.text(), job.text()[-300:])
    job.close()


def main():
    folder = tempfile.mkdtemp(prefix="xv-lora-")
    model = dummy_model(f"{folder}/model")
    adapter(f"{folder}/a", 1)
    adapter(f"{folder}/b", 2, rank=4, targets=("q_proj", "v_proj"), use_rslora=True)
    adapter(f"{folder}/c", 3, rank=33, targets=("o_proj", "down_proj", "up_proj"))
    adapter(f"{folder}/large", 4, rank=34, targets=("q_proj",))
    want = batches(model, folder)
    while_serving(model, folder, want)
    merged(model, folder)
    options(model, folder)
    shutil.rmtree(folder)
    finish()


if __name__ == "__main__":
    main()

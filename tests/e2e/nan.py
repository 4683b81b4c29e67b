"""A model of whose embedding one token's row is NaN, and models with a NaN or an infinity in a matrix: calls with such rows end with
an error that says so, also Score, echo and prompt_logprobs; others beside them give what they give alone. --debug-nan names the layer.
On the CPU with 1 and 2 ranks and, where it was built, on the emulated GPU."""
import json
import os
import struct
import subprocess
import sys

sys.path.insert(0, "tests/e2e")
from job import Job, check, finish, skip, wait_for
from wire import Client, pb

FAKE = os.path.abspath("build/tests/fakegpu/libxverse-cuda-fake.so")
WORK = "build/tests/e2e/nan"
BAD = 7  # the token whose row is NaN
SMALL = ["--max-model-len", "256", "--max-num-seqs", "4", "--max-num-batched-tokens", "64"]
PLAIN = [1, 2, 4, 5, 6] * 14
NAN, INFINITE = 0x7FC0, 0xFF80  # bf16


def model(name, tensor=None, index=0, count=1, value=NAN):
    """A small model; `count` numbers of `tensor` from `index` on are `value`."""
    folder = f"{WORK}/{name}"
    how = dict(hidden=256, ffn=300, layers=3, heads=4, kv_heads=4)
    subprocess.run(["/usr/bin/python3", "tests/e2e/make_model.py", folder, *(f"{k}={v}" for k, v in how.items())], check=True)
    path = folder + "/model.safetensors"
    with open(path, "r+b") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(size))
        if tensor:
            f.seek(8 + size + header[tensor]["data_offsets"][0] + 2 * index)
            f.write(struct.pack("<H", value) * count)
    return folder


def job(ranks, path, cuda, *options):
    if not cuda:
        return Job(ranks, path, *SMALL, "--kv-cache-memory-bytes", "4000000", *options)
    return Job(ranks, path, *SMALL, "--device", "cuda", "--no-tuning", "--enable-deterministic-inference", "--kv-cache-memory-bytes", "4000000", *options,
               env=dict(XVERSED_CUDA_LIB=FAKE, FAKEGPU_DEVICES=str(ranks), FAKEGPU_ORDER="rand", FAKEGPU_SEED="1"))


def is_refused(call, position=None):
    e = call.error
    return e is not None and e.code == pb.CODE_INTERNAL and not e.retryable and "NaN or infinity" in e.text and (
        position is None or f"token {position} " in e.text)


def good(client):
    return [client.generate(PLAIN[:n], max_tokens=20, temperature=0, ignore_eos=True, logprobs=2) for n in (3, 40, 69)]


def told(call):
    return (list(call.ids), [t.logprob for t in call.tokens]) if call.error is None else str(call.error)


def one_token(name, ranks, path, cuda):
    j = job(ranks, path, cuda)
    if not check(f"{name}: starts", j.start(240), j.text()[-800:]):
        return
    c = Client(j.socket)
    want = [told(x) for x in c.wait(*good(c), seconds=240)]
    check(f"{name}: plain calls end well", all(len(w[0]) == 20 for w in want), str(want)[:300])
    bad = [c.generate(PLAIN[:40] + [BAD], max_tokens=5, temperature=0), c.generate([BAD] + PLAIN, max_tokens=5),
           c.generate(PLAIN + [BAD], max_tokens=5, top_p=0.5, logprobs=3),
           c.generate(PLAIN[:40], max_tokens=5, logit_bias=[pb.Bias(id=BAD, value=100)], temperature=0)]
    scored = [c.score(PLAIN[:9] + [BAD] + PLAIN[:9], top_n=2), c.generate(PLAIN[:9] + [BAD, 1, 2], max_tokens=1, prompt_logprobs=3),
              c.generate(PLAIN[:9] + [BAD, 1, 2], max_tokens=0, echo=True, logprobs=0)]
    beside = good(c)
    c.wait(*bad, *scored, *beside, seconds=240)
    check(f"{name}: the prompt's last token", is_refused(bad[0], 41), str(bad[0].error))
    check(f"{name}: its first, the prompt cut in two", is_refused(bad[1], 71), str(bad[1].error))
    check(f"{name}: sampled, with logprobs", is_refused(bad[2], 71), str(bad[2].error))
    check(f"{name}: drawn, then read", is_refused(bad[3], 41) and list(bad[3].ids) == [BAD], f"{bad[3].error} {bad[3].ids}")
    check(f"{name}: Score, prompt_logprobs and echo", all(is_refused(x, 10) for x in scored), str([str(x.error) for x in scored]))
    same = [told(x) for x in beside]
    check(f"{name}: calls beside them", same == want, f"{same} {want}"[:300])
    for n in range(6):  # blocks that held NaN are used again
        c.wait(c.generate([BAD] + PLAIN[n:], max_tokens=1), seconds=240)
    again = [told(x) for x in c.wait(*good(c), seconds=240)]
    check(f"{name}: and after them", again == want, f"{again} {want}"[:300])
    check(f"{name}: nothing is held", c.status().kv_blocks_held == 0)
    check(f"{name}: drains", j.stop() == 0, j.text()[-500:])
    j.close()


def names_the_layer(name, path, cuda, where, prompt=(1, 2, 3), options=()):
    j = job(1, path, cuda, "--debug-nan", *options)
    if not check(f"{name}: starts", j.start(240), j.text()[-800:]):
        return
    c = Client(j.socket)
    x = c.wait(c.generate(list(prompt), max_tokens=3), seconds=240)
    check(f"{name}: is named", is_refused(x) and where in x.error.text, f"{x.error} wanted: {where}")
    check(f"{name}: the log says it, too", where.startswith("the last norm") or wait_for(lambda: where in j.text()), j.text()[-500:])
    j.stop()
    j.close()


def main():
    os.makedirs(WORK, exist_ok=True)
    embedding = model("embedding", "model.embed_tokens.weight", BAD * 256, 256)
    layer = [("embedding", embedding, "the embedding", PLAIN[:9] + [BAD] + PLAIN),
             ("q", model("q", "model.layers.1.self_attn.q_proj.weight", 5), "the attention of layer 1", (1, 2, 3)),
             ("down", model("down", "model.layers.1.mlp.down_proj.weight", 700, value=INFINITE), "the FFN of layer 1", (1, 2, 3)),
             ("last", model("last", "model.layers.2.mlp.gate_proj.weight", 700), "the FFN of layer 2", (1, 2, 3)),
             ("head", model("head", "lm_head.weight", 900), "the last norm or the head", (1, 2, 3))]
    for ranks in (1, 2):
        one_token(f"{ranks} ranks", ranks, embedding, False)
    for name, path, where, prompt in layer:
        names_the_layer(name, path, False, where, prompt)
    for quant in ("int8", "int4"):  # a group with such a number has a scale that is none
        names_the_layer(quant, layer[2][1], False, layer[2][2], options=["--quantization", quant])
    if not os.path.exists(FAKE):
        skip("no CUDA headers, so there is no plug-in for the emulated GPU")
        finish()
    one_token("emulated GPU", 1, embedding, True)
    names_the_layer("emulated GPU, down", layer[2][1], True, layer[2][2])
    finish()


main()

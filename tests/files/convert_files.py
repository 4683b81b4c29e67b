"""convert_files.py: what xverse convert writes, read by formulas of our own; run by check_convert."""
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, "tests/e2e")
from job import BIN, Job, check, finish, skip

try:
    import numpy as np
except ImportError:
    skip("python3-numpy is not installed")
    finish()

MODEL = "launch/demo/model"
TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I32": "<i4", "I64": "<i8", "F8_E4M3": "u1"}


def convert(source, out, *options, **more):
    return subprocess.run([BIN + "xverse", "convert", source, out, *options], capture_output=True, text=True, timeout=120, **more)


def inspect(path):
    r = subprocess.run([BIN + "xverse", "inspect", "--json", path], capture_output=True, text=True, timeout=120)
    return json.loads(r.stdout), r.returncode


def read(path):
    """Tensors {name: (type, array)} and metadata of one safetensors file."""
    data = open(path, "rb").read()
    n, = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + n])
    meta, end = head.pop("__metadata__"), max(t["data_offsets"][1] for t in head.values())
    check(f"{path}: all bytes are some tensor's", end == len(data) - 8 - n == sum(t["data_offsets"][1] - t["data_offsets"][0] for t in head.values()))
    check(f"{path}: tensors begin at multiples of 8 bytes", n % 8 == 0)
    return {name: (t["dtype"], np.frombuffer(data[8 + n:][slice(*t["data_offsets"])], TYPES[t["dtype"]]).reshape(t["shape"])) for name, t in head.items()}, meta


def floats(t):
    kind, a = t
    return (a.astype(np.uint32) << 16).view(np.float32) if kind == "BF16" else a.astype(np.float32)


def to_bf16(f):
    u = np.ascontiguousarray(f, np.float32).view(np.uint32)
    return ((u + 0x7fff + (u >> 16 & 1)) >> 16).astype(np.uint16)


def unpacked(words, bits):
    """Integers of compressed-tensors' words: the first lowest, plus half of the range."""
    u = words.view(np.uint32)
    q = np.stack([u >> np.uint32(bits * i) & np.uint32(2**bits - 1) for i in range(32 // bits)], -1)
    return q.reshape(len(words), -1).astype(np.int32) - 2**(bits - 1)


def number8(code):
    e, m = code >> 3 & 15, code & 7
    v = np.where(e > 0, np.ldexp(8.0 + m, e.astype(int) - 10), np.ldexp(m.astype(float), -9))
    return np.where(code & 0x80, -v, v)


def integers(name, w, got, bits):
    """The contract of engine/backend/backend.h: a scale for 32 columns, made of the first number of the largest size."""
    rows, cols = w.shape
    q, scale = unpacked(got[name + "_packed"][1], bits), got[name + "_scale"][1].astype(np.float32)
    check(f"{name}, {bits} bits: the shape", list(got[name + "_shape"][1]) == [rows, cols])
    groups = w.reshape(rows, -1, 32)
    most = np.take_along_axis(groups, np.abs(groups).argmax(-1)[..., None], -1)[..., 0]
    want = (most / -8 if bits == 4 else np.abs(most) / 127).astype(np.float16).astype(np.float32)
    check(f"{name}, {bits} bits: scales", np.array_equal(scale, want))
    factor = np.float32(1) / np.where(want == 0, np.float32(1), want)
    want_q = np.where(want[..., None] == 0, 0, np.clip(np.rint(groups * factor[..., None]), -8 if bits == 4 else -127, 7 if bits == 4 else 127))
    check(f"{name}, {bits} bits: integers", np.array_equal(q, want_q.reshape(rows, cols)))


def classes(top):
    plain = {}
    for to in ("none", "bf16", "f16", "f32", "int8", "int4", "fp8"):
        out = f"{top}/{to}"
        r = convert(MODEL, out, "--quantization", to)
        check(f"{to}: converts", r.returncode == 0 and out in r.stderr and "1 file" in r.stderr, r.stderr)
        got, meta = read(out + "/model.safetensors")
        plain = plain or {k: floats(v) for k, v in got.items()}
        layers = [k for k in plain if k.endswith("_proj.weight")]
        config = json.load(open(out + "/config.json"))
        source, told = inspect(MODEL)[0], json.loads(json.dumps(meta))
        check(f"{to}: metadata", told["format"] == "pt" and told["class"] == to and told["source_fingerprint"] == source["fingerprint"], told)
        if to == "none":
            check("none: the same numbers", inspect(out)[0]["fingerprint"] == source["fingerprint"])
            check("none: config.json", config == json.load(open(MODEL + "/config.json")), config)
        elif to in ("bf16", "f16", "f32"):
            kind = {"bf16": "BF16", "f16": "F16", "f32": "F32"}[to]
            want = {"bf16": lambda f: to_bf16(f), "f16": lambda f: f.astype(np.float16), "f32": lambda f: f}[to]
            check(f"{to}: numbers", all(got[k][0] == kind and np.array_equal(got[k][1], want(plain[k])) for k in plain) and len(got) == len(plain))
            check(f"{to}: config.json", config["torch_dtype"] == {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}[to], config)
        else:
            q = config["quantization_config"]
            check(f"{to}: config.json", q["quant_method"] == "compressed-tensors" and set(q["ignore"]) == {"model.embed_tokens", "lm_head"} and
                  q["config_groups"]["group_0"]["weights"]["num_bits"] == (4 if to == "int4" else 8), q)
            check(f"{to}: the rest as it was", all(np.array_equal(floats(got[k]), plain[k]) for k in plain if k not in layers) and len(layers) == 28)
        for k in layers if to in ("int8", "int4") else ():
            integers(k, plain[k], got, int(to[3]))
        for k in layers if to == "fp8" else ():
            scale = got[k + "_scale"][1].astype(np.float64)
            dq, most = number8(got[k][1].astype(np.int64)) * scale, np.abs(plain[k]).max(1, keepdims=True)
            check(f"{k}: the least power of two", np.array_equal(np.log2(scale) % 1, 0 * scale) and np.all(most <= 448 * scale) and np.all(most > 224 * scale))
            step = np.maximum(np.ldexp(1.0, np.frexp(np.abs(plain[k]) / scale)[1] - 1 - 3), 2.0**-9) * scale
            check(f"{k}: the nearest numbers", np.all(np.abs(dq - plain[k]) <= step / 2 * 1.0001))
        for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
            check(f"{to}: {name}", open(f"{out}/{name}", "rb").read() == open(f"{MODEL}/{name}", "rb").read())
        check(f"{to}: nothing else", len(os.listdir(out)) == 6, os.listdir(out))


def files(top):
    out = top + "/parts"
    os.mkdir(top + "/rich")
    for name in os.listdir(MODEL):
        os.symlink(os.path.realpath(f"{MODEL}/{name}"), f"{top}/rich/{name}")
    open(top + "/rich/chat_template.jinja", "w").write("{{ messages }}")
    open(top + "/rich/model.onnx", "w").write("x")
    r = convert(top + "/rich", out, "--max-shard-size", "600K", "-q", "int8")
    index = json.load(open(out + "/model.safetensors.index.json"))
    parts = {name: read(f"{out}/{name}")[0] for name in set(index["weight_map"].values())}
    check("parts: as the index says", r.returncode == 0 and all(k in parts[name] for k, name in index["weight_map"].items()) and len(parts) > 4, r.stderr)
    check("parts: none has more", all(sum(a.nbytes for _, a in p.values()) <= 600 << 10 or len(p) == 1 for p in parts.values()))
    check("parts: no tensor twice", sum(len(p) for p in parts.values()) == len(index["weight_map"]))
    check("parts: their size", index["metadata"]["total_size"] == sum(a.nbytes for p in parts.values() for _, a in p.values()))
    check("parts: the chat template, no other weights", os.path.exists(out + "/chat_template.jinja") and not os.path.exists(out + "/model.onnx"))


def refused(top):
    def bad(name, r, part, code, out=None):
        check(f"{name}: refused", r.returncode == code and part in r.stderr and "Traceback" not in r.stderr, f"{r.returncode}: {r.stderr}")
        check(f"{name}: nothing is left", not out or not [x for x in os.listdir(os.path.dirname(out)) if x.startswith(os.path.basename(out))])

    bad("OUT exists", convert(MODEL, top + "/none"), "exists already", 66)
    os.symlink("/nowhere", top + "/link")
    bad("OUT is a link", convert(MODEL, top + "/link"), "exists already", 66)
    bad("no folder for OUT", convert(MODEL, top + "/a/b"), "cannot make this folder", 66)
    bad("no model", convert(top + "/missing", top + "/x"), "there is no directory or file of this name", 66, top + "/x")
    bad("no OUT", subprocess.run([BIN + "xverse", "convert", MODEL], capture_output=True, text=True), "IN and OUT are needed", 64)
    bad("a class that is none", convert(MODEL, top + "/x", "-q", "int3"), "not int3", 64, top + "/x")
    bad("a size that is none", convert(MODEL, top + "/x", "--max-shard-size=big"), "not big", 64, top + "/x")
    bad("no such option", convert(MODEL, top + "/x", "--fast"), "there is no option --fast", 64, top + "/x")

    def small():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
    bad("files may not grow", convert(MODEL, top + "/x", preexec_fn=small), "cannot write model.safetensors", 66, top + "/x")
    if os.geteuid() == 0 and not subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        os.mkdir(top + "/disk")
        for size, part in (("4m", "its file system has 0.00 GiB left"), ("40m,nr_inodes=4", "no space is left for")):
            r = subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size={size} none {top}/disk && {BIN}xverse convert {MODEL} {top}/disk/x; "
                                f"echo $? $(ls {top}/disk)"], capture_output=True, text=True)
            check(f"a full disk ({size})", part in r.stderr and r.stdout == "66\n", r.stdout + r.stderr)
    else:
        skip("a full disk: no mounts here")


def numbers_refused(top):
    """A number that a class cannot hold is named with its tensor; other classes take it."""
    folder = top + "/wild"
    os.mkdir(folder)
    convert(MODEL, top + "/base", "-q", "f32")
    for name in os.listdir(top + "/base"):
        data = bytearray(open(f"{top}/base/{name}", "rb").read())
        if name == "model.safetensors":
            n, = struct.unpack("<Q", data[:8])
            at = 8 + n + json.loads(data[8:8 + n])["model.layers.1.mlp.up_proj.weight"]["data_offsets"][0] + 4 * (256 * 7 + 5)
            data[at:at + 4] = struct.pack("<f", 1e30)
        open(f"{folder}/{name}", "wb").write(data)
    for to in ("f16", "int8", "int4"):
        r = convert(folder, top + "/w", "-q", to)
        check(f"1e30 in {to}", r.returncode == 66 and "model.layers.1.mlp.up_proj.weight has in row 7" in r.stderr and not os.path.exists(top + "/w"), r.stderr)
    for to in ("bf16", "fp8"):
        r = convert(folder, f"{top}/w-{to}", "-q", to)
        check(f"1e30 in {to}", r.returncode == 0, r.stderr)


def rows(model, ranks, *options):
    """Hashes of the logits of a greedy answer, and what Status calls the weights."""
    file = "-".join([model, *options]) + ".rows"
    j = Job(ranks, model, "--device", "cpu", "--hash-rows", file, *options)
    if not check(f"{model} {options}: starts", j.start(60), j.text()[-400:]):
        return [], ""
    text = j.run("generate", "Once upon a time", "--max-tokens", "8", "--temperature", "0").stdout
    told = json.loads(j.run("status", "--json").stdout)["numerics_class"].split("/")[1]
    j.stop()
    j.close()
    return [text] + [line.split()[1:3] for line in open(file)], told


def served(top):
    """The same bits as the original in the same class: integers as they lie in the files, and plain numbers."""
    os.symlink(os.path.realpath(MODEL), top + "/original")
    for to, ranks, how, options in (("int4", 2, ["-q", "int4"], ["--quantization-head", "int8"]), ("int8", 1, ["-q", "int8"], ["--quantization-head", "int8"]),
                                    ("f32", 1, ["--compute", "f32"], [])):
        want, _ = rows(top + "/original", ranks, *how)
        got, told = rows(f"{top}/{to}", ranks, *options)
        check(f"{to}: the same bits as the original", got == want and len(got) > 8, f"{got[:4]} {want[:4]}")
        check(f"{to}: the class is told", told == (to if to == "f32" else f"{to}+int8" if to == "int4" else "int8"), told)
    for to in ("int8", "int4", "fp8"):  # and on from there: numbers stay what they are
        r = convert(f"{top}/{to}", f"{top}/{to}-again", "-q", to)
        a, b = (read(f"{top}/{x}/model.safetensors")[0] for x in (to, to + "-again"))
        if to == "fp8":  # a row whose largest number was rounded down to half of the range has half the scale and twice the numbers
            a, b = ({k[:-6]: number8(t[k[:-6]][1].astype(np.int64)) * t[k][1].astype(np.float64) for k in t if k.endswith("_scale")} for t in (a, b))
        else:
            a, b = ({k: t[k][1] for k in t} for t in (a, b))
        check(f"{to} once more: the same", r.returncode == 0 and len(a) >= 28 and all(np.array_equal(a[k], b[k]) for k in a), r.stderr)


def interrupted(top):
    """A model with holes for numbers takes seconds to write; the signal comes once it is under way."""
    folder, out, shape = top + "/large", top + "/stopped", [400000, 1024]
    os.mkdir(folder)
    config = json.load(open(MODEL + "/config.json"))
    config.update(vocab_size=shape[0], hidden_size=1024, num_hidden_layers=1, intermediate_size=1024, num_attention_heads=8)
    json.dump(config, open(folder + "/config.json", "w"))
    size = 4 * shape[0] * shape[1]
    head = json.dumps({f"{name}.weight": {"dtype": "F32", "shape": shape, "data_offsets": [i * size, (i + 1) * size]}
                       for i, name in enumerate(("model.embed_tokens", "lm_head"))}).encode()
    with open(folder + "/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head)
        f.truncate(8 + len(head) + 2 * size)
    for sent in (signal.SIGINT, signal.SIGTERM):
        p = subprocess.Popen([BIN + "xverse", "convert", folder, out, "-q", "bf16"], stderr=subprocess.PIPE, text=True)
        while p.poll() is None and not [x for x in os.listdir(top) if x.startswith("stopped.part-")]:
            time.sleep(0.01)
        p.send_signal(sent)
        told = p.communicate(timeout=120)[1]
        check(f"{sent.name}: it stops", p.returncode == 130 and "stopped" in told, f"{p.returncode} {told}")
        check(f"{sent.name}: nothing is left", not [x for x in os.listdir(top) if x.startswith("stopped")], os.listdir(top))


def inspected(top):
    got, code = inspect(MODEL)
    check("inspect --json: of the model", code == 0 and got["wrong"] == [] and got["model"]["layers"] == 4 and got["tokenizer"]["tokens"] == 5120 and
          len(got["tensors"]) == 43 and sum(t["bytes"] for t in got["tensors"]) == got["bytes"], got.get("wrong"))
    file, code = inspect(top + "/none/model.safetensors")
    check("inspect --json: of a file", code == 0 and file["fingerprint"] == got["fingerprint"] and "model" not in file, file.get("wrong"))
    config = json.load(open(top + "/none/config.json"))
    json.dump({**config, "num_hidden_layers": 0}, open(top + "/none/config.json", "w"))
    got, code = inspect(top + "/none")
    check("inspect --json: what is wrong", code == 66 and "config.json" in got["wrong"][0] and len(got["tensors"]) == 43, got["wrong"])


with tempfile.TemporaryDirectory() as work:
    for test in (classes, served, files, refused, numbers_refused, interrupted, inspected):
        test(work)
finish()

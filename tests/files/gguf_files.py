"""gguf_files.py WORK: files that PyPI's gguf writes, read by our reader; run by check_gguf."""
import glob
import json
import os
import random
import struct
import subprocess
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

sys.path.insert(0, "tests/words")
from tok import Tok

WORK = sys.argv[1]
FULL = "--full" in sys.argv
TESTDATA = os.environ.get("XV_TESTDATA", "../shared/testdata")
BLOCKS = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.IQ4_NL, T.IQ4_XS]
PACKED = [T.Q4_K, T.Q5_K, T.Q6_K, T.Q4_1, T.IQ4_NL, T.Q5_0, T.Q5_1, T.IQ4_XS]  # in classes of their own on the CPU
# Where the f16 scales of a block lie.
SCALES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2],
          T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0]}
passed = failed = skipped = 0
rng = np.random.default_rng(7)


def check(name, ok, *told):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAILED", name, *[str(t)[:400] for t in told])


def skip(why):
    global skipped
    skipped += 1
    print("  skipped:", why)


RANDOM = [T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.IQ4_NL, T.IQ4_XS]  # whose blocks the library cannot make of numbers


def blocks(kind, rows, columns, size_of=0.01):
    """Random blocks with finite scales, subnormal and negative ones among them."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (rows, columns // elements, size), dtype=np.uint8)
    for at in SCALES[kind]:
        scale = rng.normal(0, size_of, data.shape[:2]).astype(np.float16)
        scale[0, 0] = np.float16(3e-7)
        data[:, :, at:at + 2] = scale.view(np.uint8).reshape(*data.shape[:2], 2)
    return data.reshape(rows, -1)


def write(path, arch, tensors, **more):
    """tensors: {name: array, or (blocks, kind)}"""
    w = gguf.GGUFWriter(path, arch)
    for key, (put, value) in more.items():
        getattr(w, "add_" + put)(key.replace("__", "."), value)
    for name, t in tensors.items():
        if isinstance(t, tuple):
            w.add_tensor(name, t[0], raw_dtype=t[1])
        else:
            w.add_tensor(name, t)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path


def found(path, *cols):
    r = subprocess.run(["build/tests/files/tensors", path, *map(str, cols)], capture_output=True)
    out, at, data = {}, 0, r.stdout
    check(f"{os.path.basename(path)} is read", r.returncode == 0, r.stderr)
    while at < len(data):
        end = data.index(b"\n", at)
        name, kind, shape, size = data[at:end].decode().split("\t")
        out[name] = (kind, shape, data[end + 1:end + 1 + int(size)])
        at = end + 1 + int(size)
    return out


def dequantizes():
    tensors = {f"t.{k.name}": (blocks(k, 5, 768), k) for k in BLOCKS}
    path = write(WORK + "/blocks.gguf", "qwen2", tensors)
    for cols in ([], [1], [100], [256], [300]):
        got = found(path, *cols)
        for k in BLOCKS:
            want = gguf.quants.dequantize(tensors[f"t.{k.name}"][0], k).astype(np.float32).tobytes()
            check(f"{k.name} in pieces of {cols or 'all'} columns", got.get(f"t.{k.name}", (0, 0, b""))[2] == want)
    for cols in (768, 1, 8, 100, 160, 256, 300):  # as the CPU backend holds them, cut anywhere
        got = found(path, cols, "packed")
        for k in PACKED:
            want, numbers = gguf.quants.dequantize(tensors[f"t.{k.name}"][0], k), np.frombuffer(got[f"t.{k.name}"][2], np.float32).reshape(5, 768)
            check(f"{k.name} packed in pieces of {cols} columns", np.array_equal(numbers, want), np.argwhere(numbers != want)[:3])


def plain_types():
    rows = rng.normal(0, 1, (6, 40)).astype(np.float32)
    bf16 = gguf.quants.quantize(rows, T.BF16)
    path = write(WORK + "/plain.gguf", "qwen2", {"a": rows, "b": rows.astype(np.float16), "c": (bf16, T.BF16), "d": rows[0]})
    got = found(path, 7)
    check("F32", got["a"][2] == rows.tobytes() and got["a"][:2] == ("F32", "[6, 40]"), got["a"][:2])
    check("F16", got["b"][2] == rows.astype(np.float16).tobytes())
    check("BF16", got["c"][2] == bf16.tobytes() and got["c"][0] == "BF16")
    check("a vector", got["d"][2] == rows[0].tobytes() and got["d"][1] == "[40]")


def permute(w, heads):
    """The converter's change of q and k, as llama.cpp's convert_hf_to_gguf.py makes it."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def rows_of_transformers():
    q, k = rng.normal(0, 1, (64, 32)).astype(np.float32), rng.normal(0, 1, (32, 32)).astype(np.float32)
    for arch, kv in (("llama", ("uint32", 2)), ("xverse", ("array", [2, 2, 2, 2])), ("baichuan", ("uint32", 2)), ("qwen2", ("uint32", 2))):
        more = {"x__attention__head_count": ("uint32", 4), "x__attention__head_count_kv": kv}  # a list: one for each layer
        swap = permute if arch != "qwen2" else lambda w, heads: w
        path = write(f"{WORK}/{arch}.gguf", arch,
                     {"blk.3.attn_q.weight": swap(q, 4), "blk.3.attn_k.weight": (gguf.quants.quantize(swap(k, 2), T.Q8_0), T.Q8_0),
                      "blk.3.attn_q.bias": swap(q[:, 0].copy(), 4), "token_embd.weight": q, "rope_freqs.weight": q[0]},
                     **{key.replace("x__", arch + "__"): v for key, v in more.items()})
        got = found(path, 5)
        name = "model.layers.3.self_attn.%s_proj.%s"
        check(f"{arch}: q", got[name % ("q", "weight")][2] == q.tobytes())
        check(f"{arch}: q's bias", got[name % ("q", "bias")][2] == q[:, 0].tobytes())
        want = gguf.quants.dequantize(gguf.quants.quantize(k, T.Q8_0), T.Q8_0).tobytes()
        check(f"{arch}: k in blocks", got[name % ("k", "weight")][2] == want)
        check(f"{arch}: names", set(got) == {name % ("q", "weight"), name % ("q", "bias"), name % ("k", "weight"), "model.embed_tokens.weight"}, got.keys())


def neox_rows():
    heads, dim, width = 4, 8, 32
    w = rng.normal(0, 1, (heads, 3, dim, width)).astype(np.float32)
    thirds = w.transpose(1, 0, 2, 3).reshape(-1, width)
    path = write(WORK + "/neox.gguf", "gptneox", {"blk.0.attn_qkv.weight": thirds, "blk.0.ffn_up.bias": thirds[0]},
                 gptneox__attention__head_count=("uint32", heads))
    got = found(path)
    check("gptneox: q, k and v head by head", got["gpt_neox.layers.0.attention.query_key_value.weight"][2] == w.tobytes())
    check("gptneox: names", "gpt_neox.layers.0.mlp.dense_h_to_4h.bias" in got, got.keys())


def parts():
    """A split file: the tensors of all parts; a part that is missing, another's, or not the first."""
    t = [rng.normal(0, 1, (4, 32)).astype(np.float32) for _ in range(3)]
    name = WORK + "/split-%05d-of-00003.gguf"
    for i in range(3):
        write(name % (i + 1), "qwen2", {f"blk.{i}.attn_q.weight": t[i]}, split__no=("uint16", i), split__count=("uint16", 3))
    got = found(name % 1)
    check("three parts", [got.get(f"model.layers.{i}.self_attn.q_proj.weight", "  ")[2] for i in range(3)] == [x.tobytes() for x in t])
    refused("the second part", name % 2, "give the first one")
    os.rename(name % 3, name % 4)
    refused("a missing part", name % 1, "split-00003-of-00003.gguf")
    os.link(name % 2, name % 3)
    refused("another part under its name", name % 1, "part 2 of 3")


def refused(what, path, *texts):
    r = subprocess.run(["build/bin/xverse", "inspect", path], capture_output=True, text=True)
    check(f"{what}: refused", r.returncode in (66, 78) and all(t in r.stdout + r.stderr for t in texts), r.returncode, r.stdout, r.stderr)


def put_string(s):
    s = s.encode()
    return struct.pack("<Q", len(s)) + s


def raw_file(values=b"", n_values=0, tensors=b"", n_tensors=0, magic=b"GGUF", version=3, data=b""):
    return magic + struct.pack("<IQQ", version, n_tensors, n_values) + values + tensors + data


def tensor(name, dims, kind=0, offset=0):
    return put_string(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, offset)


def hostile():
    arch = put_string("general.architecture") + struct.pack("<I", 8) + put_string("llama")
    cases = {
        "version 1": (raw_file(version=1), "version 1"),
        "big-endian": (raw_file(version=3 << 24), "big-endian"),
        "no architecture": (raw_file(), "general.architecture"),
        "another architecture": (raw_file(arch.replace(b"llama", b"mamba"), 1), "mamba"),
        "too many tensors": (raw_file(arch, 1, n_tensors=1 << 60), "tensors"),
        "too many keys": (raw_file(arch, 1 << 50), "keys"),
        "a key beyond the end": (raw_file(struct.pack("<Q", 1 << 62), 1), "truncated"),
        "an empty key": (raw_file(put_string(""), 1), "empty"),
        "a key twice": (raw_file(arch + arch, 2), "twice"),
        "an unknown kind": (raw_file(put_string("a") + struct.pack("<I", 77), 1), "unknown type 77"),
        "a list of lists": (raw_file(put_string("a") + struct.pack("<IIQ", 9, 9, 1), 1), "a list of lists"),
        "a long list": (raw_file(put_string("a") + struct.pack("<IIQ", 9, 4, 1 << 61), 1), "longer than the file"),
        "a list of long texts": (raw_file(put_string("a") + struct.pack("<IIQQ", 9, 8, 1, 1 << 61), 1), "truncated"),
        "five dimensions": (raw_file(arch, 1, tensor("t", [1] * 5), 1), "dimensions"),
        "sizes that overflow": (raw_file(arch, 1, tensor("t", [1 << 32, 1 << 32]), 1), "overflow"),
        "a size beyond the type": (raw_file(arch, 1, tensor("t", [1 << 63]), 1), "overflow"),
        "rows that are no blocks": (raw_file(arch, 1, tensor("t", [33, 2], 2), 1), "whole blocks"),
        "an offset beyond the end": (raw_file(arch, 1, tensor("t", [4], 0, 1 << 62), 1), "truncated"),
        "an odd offset": (raw_file(arch, 1, tensor("t", [4], 0, 3), 1, data=bytes(99)), "multiple of 32"),
        "an overlap": (raw_file(arch, 1, tensor("t", [16], 0, 0) + tensor("u", [16], 0, 32), 2, data=bytes(999)), "overlaps"),
        "a tensor twice": (raw_file(arch, 1, tensor("t", [4], 0, 0) + tensor("t", [4], 0, 32), 2, data=bytes(999)), "t"),
        "an alignment of 3": (raw_file(arch + put_string("general.alignment") + struct.pack("<II", 4, 3), 2), "power of two"),
        "too many parts": (raw_file(arch + put_string("split.count") + struct.pack("<II", 4, 1 << 30), 2), "split.count"),
    }
    for what, (data, text) in cases.items():
        path = WORK + "/hostile.gguf"
        open(path, "wb").write(data)
        refused(what, path, text)


def damaged():
    """Cut and changed anywhere, a file is read or refused; nothing else happens."""
    model = convert("launch/demo/model", WORK + "/whole.gguf", T.Q8_0)
    data, random_bytes, wrong = open(model, "rb").read(), random.Random(3), []
    head = data.index(b"blk.3.") + 40
    for i in range(400 if FULL else 60):
        d = bytearray(data[:random_bytes.randrange(head)] if i % 3 == 0 else data)
        for _ in range(0 if i % 3 == 0 else 1 + i % 5):
            d[random_bytes.randrange(head if i % 2 else 400)] = random_bytes.choice([0, 1, 0x7f, 0x80, 0xff, random_bytes.randrange(256)])
        open(WORK + "/damaged.gguf", "wb").write(d)
        r = subprocess.run(["build/bin/xverse", "inspect", WORK + "/damaged.gguf"], capture_output=True, timeout=120)
        if r.returncode not in (0, 66, 78):
            wrong.append((i, r.returncode, r.stderr[-200:]))
    check("damaged files", not wrong, wrong)


def read_torch(folder):
    """The tensors of a bf16 pytorch_model.bin whose storages lie in the order of its entries, as our reader gives them."""
    got = found(folder)
    out = {}
    for name, (kind, shape, data) in got.items():
        bits = np.frombuffer(data, np.uint16).astype(np.uint32) << 16
        out[name] = bits.view(np.float32).reshape(json.loads(shape))
    return out


LLAMA = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight",
         "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}


def name_of(name):
    if name in LLAMA:
        return LLAMA[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{LLAMA[rest.removesuffix('.weight')]}.weight"


def convert(folder, path, kind, pre=None, **more):
    """A model of XVERSE's form as llama.cpp's converter writes it: its tokens in order, no merges, no scores."""
    c, tok = json.load(open(folder + "/config.json")), json.load(open(folder + "/tokenizer.json"))
    vocab = sorted(tok["model"]["vocab"], key=tok["model"]["vocab"].get)
    special = {t["content"] for t in tok["added_tokens"]}
    w = gguf.GGUFWriter(path, "llama" if pre else "xverse")
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_tokenizer_model("gpt2" if pre else "llama")
    if pre:
        w.add_tokenizer_pre(pre)
    w.add_token_list(vocab)
    w.add_token_types([3 if t in special else 6 if len(t) == 6 and t.startswith("<0x") else 1 for t in vocab])
    w.add_bos_token_id(c["bos_token_id"])
    w.add_eos_token_id(c["eos_token_id"])
    for name, t in read_torch(folder).items():
        if name.endswith("inv_freq"):
            continue
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            t = permute(t, c["num_attention_heads"])
        if t.ndim == 1:
            w.add_tensor(name_of(name), t)
        elif kind in RANDOM:
            own = more.get(name_of(name).split(".")[-2], kind)
            w.add_tensor(name_of(name), blocks(own, *t.shape, 1e-4), raw_dtype=own)
        elif kind == T.F16:
            w.add_tensor(name_of(name), t.astype(np.float16))
        else:
            w.add_tensor(name_of(name), gguf.quants.quantize(t, kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path


TEXTS = ["The king said to the people,", "很久以前，精灵们", "In 1953, 8 of 10: a-b (c) d_e!", "  two  spaces \n\n lines\t", "naïve café 🙂 ｆｕｌｌ", ""]


def our_tokenizer():
    """XVERSE's vocabulary from a GGUF file gives the ids of the model's own tokenizer.json."""
    own, other = Tok("launch/demo/model"), Tok(WORK + "/whole.gguf")
    texts = TEXTS + [open("README.md").read()[:4000], open("docs/design/request.md").read()[:4000]]
    for text, a, b in zip(texts, own.encode_many(texts), other.encode_many(texts)):
        check(f"XVERSE's ids of {text[:20]!r}", a == b, a[:20], b[:20])


def vocabularies():
    """The vocabularies of llama.cpp with their own texts and ids."""
    for name in ("gpt-2", "llama-spm", "mpt"):
        path = f"{TESTDATA}/llama.cpp-vocab/ggml-vocab-{name}.gguf"
        if not os.path.exists(path):
            skip(f"no test data (ggml-vocab-{name}.gguf)")
            continue
        texts = open(path + ".inp", encoding="utf-8").read().split("\n__ggml_vocab_test__\n")
        ids = [[int(i) for i in line.split()] for line in open(path + ".out").read().split("\n")[:len(texts)]]
        got = Tok(path).encode_many(texts, flags=0)
        wrong = [(t, g[:12], i[:12]) for t, g, i in zip(texts, got, ids) if g != i]
        check(f"{name}: {len(texts)} texts", len(texts) > 40 and not wrong, len(wrong), wrong[:2])


def published():
    path = TESTDATA + "/stories260K/stories260K.gguf"
    if not os.path.exists(path):
        return skip("no test data (stories260K.gguf)")
    a, b = found(path), found(TESTDATA + "/stories260K/hf-llama")
    check("stories260K: the tensors of its folder", {n: t[2] for n, t in a.items()} == {n: t[2] for n, t in b.items()}, set(a) ^ set(b))


def planned():
    """Dry run, launcher, a folder of one file; and what each says of a file that is cut."""
    path, cut = WORK + "/whole.gguf", WORK + "/cut/cut.gguf"
    os.makedirs(WORK + "/cut")
    open(cut, "wb").write(open(path, "rb").read()[:100000])
    os.makedirs(WORK + "/one")
    os.link(path, WORK + "/one/model-Q8_0.gguf")
    for model in (path, WORK + "/one"):
        r = subprocess.run(["build/bin/xversed", model, "--dry-run"], capture_output=True, text=True)
        check("a plan", r.returncode == 0 and "/int8/" in r.stdout and "fits" in r.stdout and "none are here" not in r.stdout, r.stdout, r.stderr)
    for program in ("xversed", "xverse-launch"):
        for model in (cut, WORK + "/cut"):
            r = subprocess.run(["build/bin/" + program, model, "--uds", WORK + "/none"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            check(f"{program}: a cut file", r.returncode == 66 and "cut.gguf: truncated: 100000 bytes found" in r.stderr, r.returncode, r.stderr)


def folder_of(path, gguf_file):
    """The same numbers as a folder of transformers: what the file's blocks stand for, in f32."""
    os.makedirs(path)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        data = open("launch/demo/model/" + name).read()
        open(f"{path}/{name}", "w").write(data.replace('"bfloat16"', '"float16"'))
    header, data = {}, b""
    for name, (kind, shape, raw) in found(gguf_file).items():
        header[name] = {"dtype": kind if kind in ("F16", "BF16") else "F32", "shape": json.loads(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    open(path + "/model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
    return path


def rows(model, ranks, *options):
    """Hashes of the logits of a greedy answer, and what Status calls the numbers."""
    out, sock = f"{WORK}/rows", f"{WORK}/sock"
    if os.path.exists(out):
        os.unlink(out)
    env = {**os.environ, "XVERSE_SOCKET": sock, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    p = subprocess.Popen(["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), "build/bin/xversed", model, "--uds", sock, "--hash-rows", out,
                          *options], stdin=subprocess.DEVNULL, stdout=open(WORK + "/log", "w"), stderr=subprocess.STDOUT, env=env)
    run = lambda *a: subprocess.run(["build/bin/xverse", *a], env=env, capture_output=True, text=True, timeout=120).stdout
    run("status", "--wait")
    text = run("generate", TEXTS[0], "--max-tokens", "8", "--temperature", "0")
    numerics = json.loads(run("status", "--json"))["numerics_class"]
    run("drain")
    p.wait(60)
    return text, [line.split()[1:3] for line in open(out)], numerics


def served():
    """The same logits as the folder with the same numbers, in the class of the file's blocks."""
    for kind, ranks, how, name in ((T.Q8_0, 1, "int8", "int8"), (T.Q4_0, 3, "int4", "int4"), (T.Q3_K, 1, "int8", "int8"), (T.F16, 1, "none", "f32")):
        path = convert("launch/demo/model", f"{WORK}/{kind.name}.gguf", kind)
        text, got, numerics = rows(path, ranks)
        other, want, _ = rows(folder_of(f"{WORK}/{kind.name}", path), ranks, "-q", how, "--quantization-head", how)
        check(f"{kind.name} on {ranks} ranks: text", text == other and len(text) > 7, text, other)
        check(f"{kind.name} on {ranks} ranks: logits", got == want and len(got) > 7, got[:3], want[:3])
        check(f"{kind.name}: the class is named", numerics.split("/")[1] == (name if kind != T.F16 else "f16"), numerics)
        if kind in (T.Q8_0, T.Q4_0):  # whose integers xverse convert writes as they are
            out = f"{WORK}/{kind.name}-converted"
            r = subprocess.run(["build/bin/xverse", "convert", path, out, "-q", how], capture_output=True, text=True)
            check(f"{kind.name}: converts", r.returncode == 0, r.stderr)
            check(f"{kind.name}: converted, the same logits", rows(out, 1, "--quantization-head", how)[:2] == (text, got))


def packed():
    """Blocks in a class of their own: the same bits on any number of ranks, near the numbers in f32."""
    for kind in PACKED if FULL else PACKED[:5]:
        path = convert("launch/demo/model", f"{WORK}/{kind.name}.gguf", kind)
        one = rows(path, 1)
        check(f"{kind.name}: the class is named", one[2].split("/")[1] == kind.name.lower(), one[2])
        check(f"{kind.name} on 3 ranks: logits", rows(path, 3)[:2] == one[:2] and len(one[1]) > 7, one)
    # As llama.cpp mixes types: of v and down in some layers.
    path = convert("launch/demo/model", f"{WORK}/mixed.gguf", T.Q4_K, attn_v=T.Q6_K, ffn_down=T.Q6_K)
    one = rows(path, 1)
    check("mixed: both classes are named", one[2].split("/")[1] == "q4_k,q6_k+q4_k", one[2])
    check("mixed on 3 ranks: logits", rows(path, 3)[:2] == one[:2] and len(one[1]) > 7, one)
    path = convert("launch/demo/model", f"{WORK}/mixed5.gguf", T.IQ4_XS, attn_v=T.Q5_K, attn_output=T.Q5_0, ffn_down=T.Q5_1)
    one = rows(path, 1)
    check("another mix: all classes are named", one[2].split("/")[1] == "q5_k,q5_0,q5_1,iq4_xs+iq4_xs", one[2])
    check("another mix on 3 ranks: logits", rows(path, 3)[:2] == one[:2] and len(one[1]) > 7, one)
    check("Q4_K: --quantization int8 is another class", rows(f"{WORK}/Q4_K.gguf", 1, "-q", "int8", "--quantization-head", "int8")[2].split("/")[1] == "int8")


def folder_with(path, config, tensors):
    os.makedirs(path)
    json.dump(config, open(f"{path}/config.json", "w"))
    header, data = {}, b""
    for name, t in tensors.items():
        raw = np.ascontiguousarray(t, np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": t.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    open(path + "/model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
    return path


def logits(model, ranks=1, *how):
    r = subprocess.run(["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks), "build/tests/e2e/logits", model, "f32", "16", *how],
                       input=np.arange(24, dtype=np.int32).tobytes(), capture_output=True,
                       env=dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1"))
    return r.stdout or r.stderr


EXPERTS = {"qwen3moe": ("Qwen3MoeForCausalLM", "qwen3_moe", "mlp.gate", ("gate_proj", "up_proj", "down_proj"), "mlp"),
           "qwen2moe": ("Qwen2MoeForCausalLM", "qwen2_moe", "mlp.gate", ("gate_proj", "up_proj", "down_proj"), "mlp"),
           "llama": ("MixtralForCausalLM", "mixtral", "block_sparse_moe.gate", ("w1", "w3", "w2"), "block_sparse_moe")}


def mixtures():
    """Mixtures of experts, whose matrices a file stacks, against the same numbers in a folder, expert by expert."""
    for arch, form, apart in (*((arch, T.Q8_0, False) for arch in EXPERTS), ("qwen3moe", T.Q4_1, False), ("llama", T.Q4_1, True)):
        name, kind, router, matrices, at = EXPERTS[arch]
        hidden, ffn, heads, experts, vocab = 64, 96, 4, 6, 90
        new = lambda *shape: rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)
        whole = lambda t: (gguf.quants.quantize(t, form), form)
        real = lambda t: gguf.quants.dequantize(gguf.quants.quantize(t, form), form)
        swap = permute if arch == "llama" else lambda w, heads: w
        file, folder = {}, {}
        for ours, theirs in (("token_embd", "model.embed_tokens"), ("output", "lm_head")):
            file[ours + ".weight"] = folder[theirs + ".weight"] = new(vocab, hidden)
        for ours, theirs in (("output_norm", "model.norm"), ("blk.0.attn_norm", "model.layers.0.input_layernorm"),
                             ("blk.0.ffn_norm", "model.layers.0.post_attention_layernorm")):
            file[ours + ".weight"] = folder[theirs + ".weight"] = 1 + new(hidden)
        layer = "model.layers.0."
        for ours, theirs in (("attn_q", "q_proj"), ("attn_k", "k_proj"), ("attn_v", "v_proj"), ("attn_output", "o_proj")):
            t = new(hidden, hidden)
            folder[f"{layer}self_attn.{theirs}.weight"] = t
            file[f"blk.0.{ours}.weight"] = swap(t, heads) if ours in ("attn_q", "attn_k") else t
            if arch == "qwen2moe" and ours != "attn_output":
                file[f"blk.0.{ours}.bias"] = folder[f"{layer}self_attn.{theirs}.bias"] = new(hidden)
            if arch == "qwen3moe" and ours in ("attn_q", "attn_k"):
                file[f"blk.0.{ours}_norm.weight"] = folder[f"{layer}self_attn.{theirs[0]}_norm.weight"] = 1 + new(hidden // heads)
        file["blk.0.ffn_gate_inp.weight"] = folder[f"{layer}{router}.weight"] = new(experts, hidden)
        for ours, theirs, shape in zip(("gate", "up", "down"), matrices, ((ffn, hidden), (ffn, hidden), (hidden, ffn))):
            t = new(experts, *shape)
            if apart:  # older files hold each expert by itself
                file.update({f"blk.0.ffn_{ours}.{e}.weight": whole(t[e]) for e in range(experts)})
            else:
                file[f"blk.0.ffn_{ours}_exps.weight"] = whole(t)
            folder.update({f"{layer}{at}.experts.{e}.{theirs}.weight": real(t)[e] for e in range(experts)})
            if arch == "qwen2moe":
                file[f"blk.0.ffn_{ours}_shexp.weight"] = folder[f"{layer}mlp.shared_expert.{theirs}.weight"] = new(*shape)
        if arch == "qwen2moe":
            file["blk.0.ffn_gate_inp_shexp.weight"] = folder[layer + "mlp.shared_expert_gate.weight"] = new(1, hidden)
        numbers = {"context_length": 64, "embedding_length": hidden, "block_count": 1, "feed_forward_length": ffn, "attention.head_count": heads,
                   "expert_count": experts, "expert_used_count": 2, "expert_feed_forward_length": ffn,
                   "expert_shared_feed_forward_length": ffn if arch == "qwen2moe" else 0}
        more = {f"{arch}.{key}".replace(".", "__"): ("uint32", value) for key, value in numbers.items()}
        path = write(f"{WORK}/experts-{arch}-{form.name}.gguf", arch, file, **more, **{f"{arch}__attention__layer_norm_rms_epsilon": ("float32", 1e-6)})
        config = dict(architectures=[name], model_type=kind, hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=1, num_attention_heads=heads,
                      num_key_value_heads=heads, vocab_size=vocab, max_position_embeddings=64, rms_norm_eps=1e-6, num_local_experts=experts,
                      num_experts=experts, num_experts_per_tok=2, moe_intermediate_size=ffn, head_dim=hidden // heads, torch_dtype="float32",
                      shared_expert_intermediate_size=ffn, norm_topk_prob=arch == "qwen3moe", rope_theta=10000.0)
        want = logits(folder_with(f"{WORK}/experts-{arch}-{form.name}", config, folder))
        check(f"{arch} with experts: logits", len(want) == 24 * vocab * 4 and logits(path) == want, want[-300:], logits(path)[-300:])
        check(f"{arch} with experts: on 3 ranks", logits(path, 3) == want)
        if form in PACKED and not apart:  # stacks in a class of their own, whose activations are rounded to 8 bits
            own, numbers = np.frombuffer(logits(path, 1, "auto"), np.float32), np.frombuffer(want, np.float32)
            error = np.linalg.norm(own - numbers) / np.linalg.norm(numbers)
            check(f"{arch} with experts of {form.name}: near f32", 0 < error < 0.02, error)
            check(f"{arch} with experts of {form.name}: on 3 ranks", logits(path, 3, "auto") == own.tobytes())


def llama3_factors(base, dim, factor=8.0, low=1.0, high=4.0, original=8192):
    """As llama.cpp's converter computes them."""
    out = []
    for i in range(0, dim, 2):
        length = 2 * np.pi * base ** (i / dim)
        smooth = (original / length - low) / (high - low)
        out.append(1 if length < original / high else factor if length > original / low else 1 / ((1 - smooth) / factor + smooth))
    return np.array(out, np.float32)


def other_numbers():
    """Metadata that changes what a model computes is refused by its key; with the plain value it changes nothing."""
    hidden, ffn, heads, vocab, base = 64, 96, 4, 90, 500000.0
    new = lambda *shape: rng.normal(0, 0.1, shape).astype(np.float32)
    tensors = {"token_embd.weight": new(vocab, hidden), "output.weight": new(vocab, hidden), "output_norm.weight": new(hidden)}
    for name, shape in (("attn_norm", [hidden]), ("ffn_norm", [hidden]), *((f"attn_{n}", [hidden, hidden]) for n in ("q", "k", "v", "output")),
                        ("ffn_gate", [ffn, hidden]), ("ffn_up", [ffn, hidden]), ("ffn_down", [hidden, ffn])):
        tensors[f"blk.0.{name}.weight"] = new(*shape)
    numbers = {"context_length": 64, "embedding_length": hidden, "block_count": 1, "feed_forward_length": ffn, "attention.head_count": heads}

    def plan(more={}, factors=None):
        keys = {**{k: ("uint32", v) for k, v in numbers.items()}, "rope.freq_base": ("float32", base), **more}
        path = write(WORK + "/numbers.gguf", "llama", {**tensors, **({} if factors is None else {"rope_freqs.weight": factors})},
                     **{f"llama.{k}".replace(".", "__"): v for k, v in keys.items()})
        r = subprocess.run(["build/bin/xversed", path, "--dry-run"], capture_output=True, text=True)
        return r.returncode, r.stderr

    for key, plain in (("rope.scaling.attn_factor", 1), ("rope.scaling.yarn_beta_fast", 32), ("attention.scale", 0),
                       ("attn_logit_softcapping", 0), ("logit_scale", 1), ("residual_scale", 1), ("embedding_scale", 1), ("expert_weights_scale", 1)):
        code, text = plan({key: ("float32", 2.5)})
        check(f"{key} of 2.5: refused", code in (66, 78) and f"llama.{key} is 2.5" in text, code, text)
        code, text = plan({key: ("float32", plain)})
        check(f"{key} of {plain}: planned", code == 0, code, text)
    for key in ("rope.dimension_count", "attention.value_length"):
        code, text = plan({key: ("uint32", 8)})
        check(f"{key} of 8: refused", code in (66, 78) and f"llama.{key} is 8" in text, code, text)
        code, text = plan({key: ("uint32", hidden // heads)})
        check(f"{key} of a head: planned", code == 0, code, text)
    code, text = plan({"attention.causal": ("bool", False)})
    check("no causal mask: refused", code in (66, 78) and "llama.attention.causal" in text, code, text)
    code, text = plan(factors=llama3_factors(base, hidden // heads))
    check("Llama 3's factors: planned", code == 0, code, text)
    for what, factors in (("of another length", llama3_factors(base, hidden // heads, original=4096)), ("too few", llama3_factors(base, 8)),
                          ("all equal", np.full(8, 4, np.float32)), ("no numbers", np.full(8, np.nan, np.float32))):
        code, text = plan(factors=factors)
        check(f"factors {what}: refused", code in (66, 78) and "rope_freqs.weight" in text, code, text)


def long_tokens():
    """A vocabulary whose merges would take hours to find is refused at once."""
    w = gguf.GGUFWriter(WORK + "/long.gguf", "xverse")
    for key, value in (("embedding_length", 64), ("block_count", 1), ("feed_forward_length", 96), ("head_count", 4), ("context_length", 64)):
        getattr(w, "add_" + key)(value)
    w.add_tokenizer_model("llama")
    w.add_token_list(["a" * (1 << 20), "a", "b"])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    r = subprocess.run(["build/tests/words/tok", WORK + "/long.gguf"], input="", capture_output=True, text=True, timeout=60)
    check("long tokens: refused", r.returncode != 0 and "too long" in r.stdout + r.stderr, r.returncode, r.stdout, r.stderr)


def unnamed_tokenizer():
    """A byte-level vocabulary without the name of its cuts: some networks have one kind of cuts only, others are refused."""
    for arch, right in (("gptneox", True), ("qwen2", True), ("qwen3moe", True), ("llama", False)):
        w = gguf.GGUFWriter(WORK + "/unnamed.gguf", arch)
        w.add_tokenizer_model("gpt2")
        w.add_token_list(["a", "b", "ab"])
        w.add_token_merges(["a b"])
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
        r = subprocess.run(["build/tests/words/tok", WORK + "/unnamed.gguf"], input="", capture_output=True, text=True)
        check(f"{arch} without cuts", (r.returncode == 0) == right and (right or "lacks tokenizer.ggml.pre" in r.stderr), r.returncode, r.stderr)


def matrices_of(arch):
    """A small model of the architecture: tensors of a file, and those of transformers' folder with the same numbers."""
    hidden, ffn, heads, kv, vocab = 64, 96, 4, 4 if arch == "phi2" else 2, 90
    new = lambda *shape: rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)
    q, k, v = new(hidden, hidden), new(kv * 16, hidden), new(kv * 16, hidden)
    gate, up, down, o = new(ffn, hidden), new(ffn, hidden), new(hidden, ffn), new(hidden, hidden)
    bias = {n: new(s) for n, s in (("q", hidden), ("k", kv * 16), ("v", kv * 16), ("o", hidden), ("up", ffn), ("down", hidden), ("out", vocab))}
    norm = [1 + new(hidden) for _ in range(3)] + [new(hidden) for _ in range(3)]
    ours = {"token_embd.weight": new(vocab, hidden), "output.weight": new(vocab, hidden), "output_norm.weight": norm[2], "blk.0.attn_norm.weight": norm[0],
            "blk.0.attn_output.weight": o, "blk.0.ffn_down.weight": down, "blk.0.ffn_norm.weight": norm[1], "blk.0.ffn_gate.weight": gate, "blk.0.ffn_up.weight": up,
            "blk.0.attn_q.weight": q, "blk.0.attn_k.weight": k, "blk.0.attn_v.weight": v}
    at = "model.layers.0."
    theirs = {"model.embed_tokens.weight": ours["token_embd.weight"], "lm_head.weight": ours["output.weight"], "model.norm.weight": norm[2],
              at + "input_layernorm.weight": norm[0], at + "post_attention_layernorm.weight": norm[1], at + "self_attn.o_proj.weight": o,
              at + "mlp.down_proj.weight": down}
    apart = {at + f"self_attn.{n}_proj.weight": t for n, t in (("q", q), ("k", k), ("v", v))}
    if arch == "phi3":
        for n in ("attn_q", "attn_k", "attn_v", "ffn_gate"):
            del ours[f"blk.0.{n}.weight"]
        ours.update({"blk.0.attn_qkv.weight": np.concatenate([q, k, v]), "blk.0.ffn_up.weight": np.concatenate([gate, up])})
        theirs.update({at + "self_attn.qkv_proj.weight": ours["blk.0.attn_qkv.weight"], at + "mlp.gate_up_proj.weight": ours["blk.0.ffn_up.weight"]})
    elif arch == "stablelm":
        ours.update({f"blk.0.attn_{n}.bias": bias[n] for n in "qkv"})
        ours.update({"blk.0.attn_norm.bias": norm[3], "blk.0.ffn_norm.bias": norm[4], "output_norm.bias": norm[5]})
        theirs.update({**apart, at + "mlp.gate_proj.weight": gate, at + "mlp.up_proj.weight": up, at + "input_layernorm.bias": norm[3],
                       at + "post_attention_layernorm.bias": norm[4], "model.norm.bias": norm[5], **{at + f"self_attn.{n}_proj.bias": bias[n] for n in "qkv"}})
    elif arch == "internlm2":
        ours.update({"blk.0.attn_q.weight": permute(q, heads), "blk.0.attn_k.weight": permute(k, kv)})
        joined = np.concatenate([q.reshape(kv, -1, 16, hidden), k.reshape(kv, 1, 16, hidden), v.reshape(kv, 1, 16, hidden)], 1).reshape(-1, hidden)
        theirs = {"model.tok_embeddings.weight": ours["token_embd.weight"], "output.weight": ours["output.weight"], "model.norm.weight": norm[2],
                  at + "attention_norm.weight": norm[0], at + "ffn_norm.weight": norm[1], at + "attention.wo.weight": o, at + "attention.wqkv.weight": joined,
                  at + "feed_forward.w1.weight": gate, at + "feed_forward.w3.weight": up, at + "feed_forward.w2.weight": down}
    else:  # phi2, of which older files join q, k and v
        for n in ("blk.0.ffn_gate.weight", "blk.0.ffn_norm.weight", *(f"blk.0.attn_{n}.weight" for n in "qkv")):
            del ours[n]
        ours.update({"blk.0.attn_norm.bias": norm[3], "output_norm.bias": norm[5], "output.bias": bias["out"], "blk.0.attn_output.bias": bias["o"],
                     "blk.0.ffn_up.bias": bias["up"], "blk.0.ffn_down.bias": bias["down"], "blk.0.attn_qkv.weight": np.concatenate([q, k, v]),
                     "blk.0.attn_qkv.bias": np.concatenate([bias[n] for n in "qkv"])})
        theirs = {"model.embed_tokens.weight": ours["token_embd.weight"], "lm_head.weight": ours["output.weight"], "lm_head.bias": bias["out"],
                  "model.final_layernorm.weight": norm[2], "model.final_layernorm.bias": norm[5], at + "input_layernorm.weight": norm[0],
                  at + "input_layernorm.bias": norm[3], at + "self_attn.dense.weight": o, at + "self_attn.dense.bias": bias["o"], at + "mlp.fc1.weight": up,
                  at + "mlp.fc1.bias": bias["up"], at + "mlp.fc2.weight": down, at + "mlp.fc2.bias": bias["down"], **apart,
                  **{at + f"self_attn.{n}_proj.bias": bias[n] for n in "qkv"}}
    numbers = {"context_length": 64, "embedding_length": hidden, "block_count": 1, "feed_forward_length": ffn, "attention.head_count": heads,
               "attention.head_count_kv": kv}
    config = dict(hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=1, num_attention_heads=heads, num_key_value_heads=kv, vocab_size=vocab,
                  max_position_embeddings=64, torch_dtype="float32")
    return ours, theirs, numbers, config


def architectures():
    """Files of architectures whose tensors have other names or lie otherwise, against a folder with the same numbers."""
    for arch, name, kind, rotated, config in (
            ("phi3", "Phi3ForCausalLM", "phi3", 16, {"rms_norm_eps": 1e-5}), ("phi2", "PhiForCausalLM", "phi", 8, {"layer_norm_eps": 1e-5, "partial_rotary_factor": 0.5}),
            ("stablelm", "StableLmForCausalLM", "stablelm", 6, {"layer_norm_eps": 1e-5, "partial_rotary_factor": 0.375, "use_qkv_bias": True}),
            ("internlm2", "InternLM2ForCausalLM", "internlm2", 16, {"rms_norm_eps": 1e-5, "bias": False})):
        ours, theirs, numbers, base = matrices_of(arch)
        more = {f"{arch}.{key}".replace(".", "__"): ("uint32", value) for key, value in {**numbers, "rope.dimension_count": rotated}.items()}
        for end in ("rms_epsilon", "epsilon"):
            more[f"{arch}__attention__layer_norm_{end}"] = ("float32", 1e-5)
        path = write(f"{WORK}/arch-{arch}.gguf", arch, ours, **more)
        want = logits(folder_with(f"{WORK}/arch-{arch}", dict(architectures=[name], model_type=kind, **base, **config), theirs))
        check(f"{arch}: logits", len(want) == 24 * 90 * 4 and logits(path) == want, want[-300:], logits(path)[-300:])
        check(f"{arch}: on 3 ranks", logits(path, 3) == want)


def meanings():
    """What keys of the metadata mean, in the terms of config.json."""
    numbers = {"context_length": 4096, "embedding_length": 64, "block_count": 2, "feed_forward_length": 96, "attention.head_count": 4, "vocab_size": 40}
    embed = {"token_embd.weight": rng.normal(0, 1, (40, 64)).astype(np.float32)}
    for what, arch, keys, tensors, want in (
            ("the older key of a scaling", "llama", {"rope.scale_linear": ("float32", 4)}, {}, {"type": "linear", "factor": 4}),
            ("a scaling without a type", "llama", {"rope.scaling.factor": ("float32", 2)}, {}, {"type": "linear", "factor": 2}),
            ("no scaling", "llama", {"rope.scale_linear": ("float32", 1)}, {}, {"type": "default"}),
            ("no end, 2 is none", "llama", {}, {}, {"eos": []}),
            ("equal heads in a list", "llama", {"attention.head_count_kv": ("array", [2, 2])}, {}, {"kv_heads": 2}),
            ("a share of 6 in 16", "gptneox", {"rope.dimension_count": ("uint32", 6)}, {}, {"rotated": 6}),
            ("a window", "phi3", {"attention.sliding_window": ("uint32", 2047)}, {}, {"window": 2047}),
            ("no window", "phi3", {"attention.sliding_window": ("uint32", 0)}, {}, {"window": 0}),
            ("a part of heads", "llama", {"rope.dimension_count": ("uint32", 8)}, {}, "rope.dimension_count is 8"),
            ("factors of each dimension", "phi3", {"rope.scaling.original_context_length": ("uint32", 1024), "rope.dimension_count": ("uint32", 12)},
             {f"rope_factors_{n}.weight": np.arange(1, 7).astype(np.float32) for n in ("long", "short")}, {"type": "longrope", "original": 1024, "rotated": 12}),
            ("half of the factors", "phi3", {}, {"rope_factors_long.weight": np.ones(8, np.float32)}, "rope_factors_short.weight"),
            ("heads that differ", "llama", {"attention.head_count_kv": ("array", [2, 4])}, {}, "differs between layers")):
        values = {**{k: ("uint32", n) for k, n in numbers.items()}, **keys}
        path = write(f"{WORK}/meaning.gguf", arch, {**embed, **tensors}, **{f"{arch}.{k}".replace(".", "__"): v for k, v in values.items()})
        line = subprocess.run(["build/tests/files/config"], input=path + "\n", capture_output=True, text=True).stdout
        got = json.loads(line) if line[:1] == "{" else line
        check(f"metadata: {what}", want in got if isinstance(want, str) else all(got[k] == v for k, v in want.items()) if isinstance(got, dict) else False, got)


def filled_vocabulary():
    """Unused pieces, with which the converter fills up a vocabulary, are no part of any text."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "\u2581", "a", "b", "ab", "[PAD263]", "[PAD264]"]
    kinds = [2, 3, 3, *[6] * 256, 1, 1, 1, 1, 5, 5]
    w = gguf.GGUFWriter(WORK + "/filled.gguf", "llama")
    w.add_tokenizer_model("llama")
    w.add_token_list(tokens)
    w.add_token_scores([0.0] * 259 + [-1.0, -2.0, -3.0, -0.5, -10000.0, -10000.0])
    w.add_token_types(kinds)
    for put in (w.write_header_to_file, w.write_kv_data_to_file, w.write_tensors_to_file, w.close):
        put()
    got = Tok(WORK + "/filled.gguf").encode_many(["ab", "[PAD263]"], flags=0)
    check("a filled vocabulary", got == [[259, 262], [259, *(3 + b for b in b"[PAD263]")]], got)


def other_tokenizer():
    """A pre-tokenizer of a later day is refused by name, and served with the tokenizer's own files."""
    path = convert("launch/demo/model", f"{WORK}/later.gguf", T.Q8_0, pre="later")
    refuse = subprocess.run(["build/bin/xversed", path, "--device", "cpu"], capture_output=True, text=True, timeout=120)
    check("another pre-tokenizer: refused", refuse.returncode == 66 and "--tokenizer" in refuse.stderr, refuse.returncode, refuse.stderr[-300:])
    text, got, _ = rows(path, 1, "--tokenizer", "launch/demo/model")
    same, want, _ = rows(f"{WORK}/Q8_0.gguf", 1)
    check("another pre-tokenizer: served with --tokenizer", text == same and got == want and len(text) > 8, text, same)
    none = subprocess.run(["build/bin/xversed", path, "--device", "cpu", "--tokenizer", "/tmp"], capture_output=True, text=True, timeout=120)
    check("--tokenizer without one", none.returncode == 66 and "--tokenizer: no tokenizer.json" in none.stderr, none.returncode, none.stderr[-300:])


for test in (mixtures, architectures, meanings, filled_vocabulary, dequantizes, plain_types, rows_of_transformers, neox_rows, parts, hostile, damaged,
             our_tokenizer, vocabularies, published, planned, served, packed, other_numbers, long_tokens, unnamed_tokenizer, other_tokenizer):
    test()
print(f"{passed} passed, {failed} failed, {skipped} skipped")

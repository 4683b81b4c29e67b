"""edit.py MODEL FOLDER < changes: for each line "NAME WHAT..." a copy FOLDER/NAME of a model made by make_bin.py, changed.
  drop=TENSOR, shape=TENSOR (one row less), type=TENSOR (int64), add=TENSOR, object (something that is no tensor),
  truncate=BYTES, flip=TEXT (one bit of the last occurrence of TEXT), big (byte order), script (TorchScript), deflate, old (format),
  pack=NAME (q, k, v under NAME; gate_up_proj)"""
import shutil
import sys
import zipfile

import torch


class Thing:
    pass


def pack(d, name):
    for i in range(sum(k.endswith("input_layernorm.weight") for k in d)):
        p = f"model.layers.{i}."
        d[p + f"self_attn.{name}.weight"] = torch.cat([d.pop(p + f"self_attn.{k}_proj.weight") for k in "qkv"])
        d[p + "mlp.gate_up_proj.weight"] = torch.cat([d.pop(p + f"mlp.{k}_proj.weight") for k in ("gate", "up")])


def edit_tensors(path, what, arg):
    d = torch.load(path)
    if what == "drop":
        del d[arg]
    elif what == "shape":
        d[arg] = d[arg][1:].clone()
    elif what == "type":
        d[arg] = d[arg].long()
    elif what == "add":
        d[arg] = torch.ones(3)
    elif what == "object":
        d["thing"] = Thing()
    elif what == "pack":
        pack(d, arg)
    elif what == "old":
        return torch.save(d, path, _use_new_zipfile_serialization=False)
    torch.save(d, path)


def edit_archive(path, what):
    with zipfile.ZipFile(path) as z:
        entries = {n: z.read(n) for n in z.namelist()}
    prefix = next(iter(entries)).split("/")[0]
    entries[f"{prefix}/byteorder" if what == "big" else f"{prefix}/constants.pkl"] = b"big"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if what == "deflate" else zipfile.ZIP_STORED) as z:
        for n, data in entries.items():
            if n.endswith("constants.pkl") and what == "deflate":
                continue
            z.writestr(n, data)


def edit_bytes(path, what, arg):
    raw = bytearray(open(path, "rb").read())
    if what == "truncate":
        del raw[int(arg):]
    else:
        raw[raw.rindex(arg.encode())] ^= 1
    open(path, "wb").write(raw)


def edit(path, change):
    key, _, value = change.partition("=")
    if key in ("truncate", "flip"):
        edit_bytes(path, key, value)
    elif key in ("big", "script", "deflate"):
        edit_archive(path, key)
    else:
        edit_tensors(path, key, value)


for line in sys.stdin:
    name, *changes = line.split()
    shutil.copytree(sys.argv[1], f"{sys.argv[2]}/{name}")
    for one in changes:
        edit(f"{sys.argv[2]}/{name}/pytorch_model.bin", one)

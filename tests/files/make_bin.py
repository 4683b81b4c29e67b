"""make_bin.py MODEL OUT [how...]: the model of a safetensors directory as torch.save writes it. how: shards=N, views (no weight is
contiguous), parameter, wrapped (inside {"state_dict": ...}), f64, tied (a head that is the embedding), protocol=N,
drop=TENSOR."""
import glob
import json
import os
import shutil
import sys

import torch

TYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def read(folder):
    for path in sorted(glob.glob(folder + "/*.safetensors")):
        raw = bytearray(open(path, "rb").read())
        n = int.from_bytes(raw[:8], "little")
        for name, t in json.loads(raw[8:8 + n]).items():
            a, b = t["data_offsets"]
            yield name, torch.frombuffer(raw[8 + n + a:8 + n + b], dtype=TYPES[t["dtype"]]).reshape(t["shape"])


def make_view(i, t):
    """Transposed, a window of something wider, every second row, or every second element."""
    if t.dim() == 1:
        wide = torch.zeros(t.numel() * 2 + 1, dtype=t.dtype)[1::2]
    elif i % 3 == 0:
        return t.t().contiguous().t()
    elif i % 3 == 1:
        wide = torch.zeros(t.shape[0] + 3, t.shape[1] + 5, dtype=t.dtype)[2:-1, 3:-2]
    else:
        wide = torch.zeros(t.shape[1], 2 * t.shape[0], dtype=t.dtype)[:, ::2].t()
    wide.copy_(t)
    assert not wide.is_contiguous()
    return wide


def main():
    source, out, how = sys.argv[1], sys.argv[2], dict(a.partition("=")[::2] for a in sys.argv[3:])
    os.makedirs(out, exist_ok=True)
    shutil.copy(source + "/config.json", out)
    tensors = {name: t for name, t in read(source) if name != how.get("drop")}
    if "views" in how:
        tensors = {name: make_view(i, t) for i, (name, t) in enumerate(tensors.items())}
    if "f64" in how:
        tensors = {name: t.double() for name, t in tensors.items()}
    if "parameter" in how:
        tensors = {name: torch.nn.Parameter(t, requires_grad=i % 2 == 0) for i, (name, t) in enumerate(tensors.items())}
    if "tied" in how:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    shards, protocol = int(how.get("shards", 1)), int(how.get("protocol", 2))
    if shards == 1:
        torch.save({"state_dict": tensors, "epoch": 3} if "wrapped" in how else tensors, out + "/pytorch_model.bin", pickle_protocol=protocol)
        return
    where = {}
    for s in range(shards):
        name = f"pytorch_model-{s + 1:05d}-of-{shards:05d}.bin"
        mine = {key: tensors[key] for key in list(tensors)[s::shards]}
        torch.save(mine, f"{out}/{name}", pickle_protocol=protocol)
        where.update({key: name for key in mine})
    json.dump({"metadata": {"total_size": 1}, "weight_map": where}, open(out + "/pytorch_model.bin.index.json", "w"))


main()

"""compare.py FILE...: each PyTorch file gives the same names, types, shapes and bytes as torch.load."""
import subprocess
import sys

import torch

TENSORS = "build/tests/files/tensors"
WRAPPERS = ("state_dict", "model_state_dict", "model", "module")


def flatten(d, at, out):
    for key, value in d.items():
        name = f"{at}.{key}" if at else str(key)
        if isinstance(value, torch.Tensor):
            out[name] = value
        elif isinstance(value, dict):
            flatten(value, name, out)
    return out


def wanted(path):
    d = torch.load(path, map_location="cpu")
    while not any(isinstance(v, torch.Tensor) for v in d.values()) and any(isinstance(d.get(w), dict) for w in WRAPPERS):
        d = next(d[w] for w in WRAPPERS if isinstance(d.get(w), dict))
    return flatten(d, "", {})


def raw(t):
    t = t.detach().contiguous()
    return t.view(torch.int16).numpy().tobytes() if t.dtype == torch.bfloat16 else t.numpy().tobytes()


def found(path, cols):
    data, out, at = subprocess.run([TENSORS, path, *cols], stdout=subprocess.PIPE, check=True).stdout, {}, 0
    while at < len(data):
        end = data.index(b"\n", at)
        name, kind, shape, size = data[at:end].decode().split("\t")
        out[name] = (kind, shape, data[end + 1:end + 1 + int(size)])
        at = end + 1 + int(size)
    return out


def compare(path, cols):
    have, want = found(path, cols), wanted(path)
    assert set(have) == set(want), f"names {sorted(set(have) ^ set(want))[:5]}"
    for name, t in want.items():
        kind, shape, data = have[name]
        assert kind == t.type().split(".")[-1].replace("Tensor", "Storage"), (name, kind, t.type())
        assert shape == str(list(t.shape)), (name, shape, t.shape)
        assert data == raw(t), f"{name}: other values"


bad = 0
for file in sys.argv[1:]:
    try:
        for pieces in ([], ["1"], ["7"]):
            compare(file, pieces)
    except (AssertionError, subprocess.CalledProcessError) as e:
        bad = 1
        print(f"{file}: {e!r}")
sys.exit(bad)

"""load.py make FOLDER MIB bin|safetensors: a model of about MIB of bf16 weights, cheap to make, in shards of 1 GiB.
load.py run FOLDER RANKS: starts it; prints peak private memory of the ranks until they are ready, their weights (both bytes), seconds.
load.py drop FILE...: writes the files out and drops them from the page cache.

Private memory is Anonymous of /proc/PID/smaps_rollup, looked at every few milliseconds, and shared memory counted by share."""
import json
import math
import os
import subprocess
import sys
import time

BIN = "build/bin/"
VOCAB, WIDE = 4096, 1024  # from so many MiB on, layers are four times as wide


def shapes(layers, hidden, ffn):
    yield "model.embed_tokens.weight", (VOCAB, hidden)
    for i in range(layers):
        p = f"model.layers.{i}."
        for part in "qkvo":
            yield p + f"self_attn.{part}_proj.weight", (hidden, hidden)
        yield p + "mlp.gate_proj.weight", (ffn, hidden)
        yield p + "mlp.up_proj.weight", (ffn, hidden)
        yield p + "mlp.down_proj.weight", (hidden, ffn)
        yield p + "input_layernorm.weight", (hidden,)
        yield p + "post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (VOCAB, hidden)


def write_bin(path, tensors):
    import torch
    torch.save(tensors, path)


def write_safetensors(path, tensors):
    import torch
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(t.shape), "data_offsets": [at, at + 2 * t.numel()]}
        at += 2 * t.numel()
    text = json.dumps(header).encode()
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            out.write(t.view(torch.int16).numpy().tobytes())


def shards(layers, hidden, ffn):
    """Lists of (name, shape), 1 GiB each."""
    out, size = [[]], 0
    for name, shape in shapes(layers, hidden, ffn):
        if size >= 1 << 30:
            out.append([])
            size = 0
        out[-1].append((name, shape))
        size += 2 * math.prod(shape)
    return out


def make(folder, mib, kind):
    import torch

    heads, hidden, ffn = (8, 1024, 2816) if mib < WIDE else (32, 4096, 11008)
    layers = max(1, (mib * 2**20 - 4 * VOCAB * hidden) // (2 * (4 * hidden**2 + 3 * hidden * ffn)))
    tile = (torch.randn(ffn * hidden + 4096) / 32).bfloat16()
    os.makedirs(folder, exist_ok=True)
    json.dump({"architectures": ["XverseForCausalLM"], "hidden_size": hidden, "intermediate_size": ffn, "num_hidden_layers": layers,
               "num_attention_heads": heads, "vocab_size": VOCAB, "max_position_embeddings": 256, "eos_token_id": 3,
               "torch_dtype": "bfloat16"}, open(folder + "/config.json", "w"))
    stem, end, write = {"bin": ("pytorch_model", ".bin", write_bin), "safetensors": ("model", ".safetensors", write_safetensors)}[kind]
    parts, where = shards(layers, hidden, ffn), {}
    for i, part in enumerate(parts):
        tensors = {}
        for j, (name, shape) in enumerate(part):
            n = math.prod(shape)
            tensors[name] = tile[j % 4096:].repeat(n // (ffn * hidden) + 1)[:n].clone().reshape(shape)
            where[name] = f"{stem}-{i + 1:05}-of-{len(parts):05}{end}" if len(parts) > 1 else stem + end
        write(f"{folder}/{where[part[0][0]]}", tensors)
    if len(parts) > 1:
        json.dump({"metadata": {}, "weight_map": where}, open(f"{folder}/{stem}{end}.index.json", "w"))


def ranks_of(parent):
    if open(f"/proc/{parent}/comm").read().strip() == "xversed":
        return [parent]
    children = open(f"/proc/{parent}/task/{parent}/children").read().split()
    return [int(c) for c in children if open(f"/proc/{c}/comm").read().strip() == "xversed"]


def private_bytes(pid):
    total = 0
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith(("Anonymous:", "Pss_Shmem:")):
            total += int(line.split()[1]) * 1024
    return total


def run(folder, ranks):
    log_path, socket = folder + "/log", folder + "/s"
    command = [BIN + "xversed", folder, "--uds", socket, "--kv-cache-memory-bytes", "16M", "--max-model-len", "64", "--threads", "1",
               "--max-num-batched-tokens", "64", "--max-num-seqs", "2", "--max-logits-rows", "2"]
    if ranks > 1:
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] + command
    with open(log_path, "wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    peak, start, ready = 0, time.monotonic(), None
    while daemon.poll() is None and not ready:
        try:
            peak = max(peak, sum(private_bytes(pid) for pid in ranks_of(daemon.pid)))
        except (OSError, ProcessLookupError):
            pass
        if 'event="ready"' in open(log_path).read():
            ready = time.monotonic() - start
        time.sleep(0.004)
    if not ready:
        sys.exit("not ready: " + open(log_path).read()[-400:])
    status = json.loads(subprocess.check_output([BIN + "xverse", "status", "--json"], env={**os.environ, "XVERSE_SOCKET": socket}))
    daemon.send_signal(10)
    daemon.wait()
    print(peak, sum(int(r["weight_bytes"]) for r in status["rank"]), f"{ready:.2f}")


def drop(paths):
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


if sys.argv[1] == "make":
    make(sys.argv[2], int(sys.argv[3]), sys.argv[4])
elif sys.argv[1] == "run":
    run(sys.argv[2], int(sys.argv[3]))
else:
    drop(sys.argv[2:])

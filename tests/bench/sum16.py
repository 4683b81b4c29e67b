"""How far sums between GPUs in 16 bits move the logits of a network of 40 layers, beside what 16-bit activations do anyway.

A Llama of random weights is computed in float64 from the same bf16 weights, and as GPUs do: activations are rounded to bf16 where products
read and write them, and partial sums of o and down of n ranks are added in f32; or each is rounded to bf16 and the sum once more (as NVLink's
switches add), or after every addition (as a ring does). Prints a line of docs/performance.md for each."""
import sys

import numpy as np

LAYERS, HIDDEN, HEADS, FFN, VOCAB, TOKENS = 40, 512, 8, 1376, 2048, 32
HEAD = HIDDEN // HEADS


def bf16(x):
    u = np.asarray(x, np.float32).view(np.uint32)
    return ((u + 0x7FFF + (u >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(np.float64)


class Sums:
    """How n ranks add their partial sums; n = 1: none are sent."""

    def __init__(self, n, way):
        self.n, self.way = n, way

    def __call__(self, x, w):
        parts = [a @ b.T for a, b in zip(np.split(x, self.n, 1), np.split(w, self.n, 1))]
        if self.way == "f32":
            return np.float32(sum(np.float32(p) for p in parts)).astype(np.float64)
        parts = [bf16(p) for p in parts]
        if self.way == "switch":
            return bf16(sum(parts))
        out = parts[0]
        for p in parts[1:]:
            out = bf16(out + p)
        return out


def norm(x):
    return x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6)


def attention(qkv):
    q, k, v = (t.reshape(TOKENS, HEADS, HEAD).transpose(1, 0, 2) for t in np.split(qkv, 3, 1))
    s = q @ k.transpose(0, 2, 1) / np.sqrt(HEAD) + np.where(np.tri(TOKENS), 0, -np.inf)
    p = np.exp(s - s.max(2, keepdims=True))
    return (p / p.sum(2, keepdims=True) @ v).transpose(1, 0, 2).reshape(TOKENS, HIDDEN)


def forward(seed, rnd, sums):
    g = np.random.default_rng(seed)

    def weight(rows, cols):
        return bf16(g.standard_normal((rows, cols), np.float32) / np.sqrt(cols))

    x = bf16(g.standard_normal((TOKENS, HIDDEN), np.float32))
    for _ in range(LAYERS):
        qkv = rnd(rnd(norm(x)) @ weight(3 * HIDDEN, HIDDEN).T)
        x = x + sums(rnd(attention(qkv)), weight(HIDDEN, HIDDEN))
        gate, up = np.split(rnd(rnd(norm(x)) @ weight(2 * FFN, HIDDEN).T), 2, 1)
        x = x + sums(rnd(gate / (1 + np.exp(-gate)) * up), weight(HIDDEN, FFN))
    return rnd(norm(x)) @ weight(VOCAB, HIDDEN).T


def compare(want, got):
    def logs(z):
        z = z - z.max(1, keepdims=True)
        return z - np.log(np.exp(z).sum(1, keepdims=True))

    a, b = logs(want), logs(got)
    return np.sqrt(((got - want) ** 2).mean() / (want ** 2).mean()), (np.exp(a) * (a - b)).sum(1).mean(), (a.argmax(1) == b.argmax(1)).mean()


def main():
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    want = [forward(s, lambda x: x, lambda x, w: x @ w.T) for s in seeds]
    print("| sums of o and down | error of logits, rms | KL | same first choice |\n|---|---|---|---|")
    ways = [("one GPU", Sums(1, "f32"))] + [(f"{n} GPUs, {name}", Sums(n, way)) for n in (2, 4, 8) for name, way in (
        ("f32", "f32"), ("bf16, rounded once more", "switch"), ("bf16, rounded at each addition", "ring"))]
    for name, sums in ways:
        all_ = np.mean([compare(w, forward(s, bf16, sums)) for s, w in zip(seeds, want)], 0)
        print(f"| {name} | {100 * all_[0]:.2f} % | {all_[1]:.6f} | {100 * all_[2]:.1f} % |", flush=True)


main()

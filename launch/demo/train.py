#!/usr/bin/python3
"""Trains the demo model on the CPU and writes it in the form of an XVERSE download.

	train.py DIR --minutes 100       trains on DIR/train.u16; goes on from DIR/checkpoint.pt where there is one
	train.py DIR --from MODEL        the same, but begins with an exported model's weights (fresh optimizer, lower peak)
	train.py DIR --export            writes DIR/model from DIR/checkpoint.pt
	train.py DIR --sample PROMPT     continues a prompt with DIR/model (needs the environment of vocabulary.py)

The schedule (learning rate, length of the context) follows the minutes that were trained, so it fits a busy machine as well.
DIR/loss.svg and DIR/progress.jsonl show how it goes: nats per token in training, bits per byte of the held-out text.
"""
import argparse
import glob
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from picture import draw

HIDDEN, LAYERS, HEADS, FFN, VOCABULARY, EPS, BASE = 256, 4, 4, 512, 5120, 1e-6, 10000.0
TOKENS_PER_STEP, CONTEXT, LONG_CONTEXT = 2048, 256, 512  # the long one in the last quarter
ROWS = 256  # of logits at a time
PEAK, AGAIN, FLOOR, WARM, DECAY, CLIP = 2e-3, 1e-3, 2e-5, 0.015, 0.1, 1.0  # AGAIN: the peak after --from
LANGUAGES = "en", "zh"
EVERY = 300  # seconds between checkpoints
LAYER = "model.layers.%d."
NEW = hasattr(F, "rms_norm")  # from PyTorch 2.4 on, f32 with its own attention is the faster on CPUs; before it bf16 is
TYPE = torch.float32 if NEW else torch.bfloat16
# Pages are kept (a fifth faster); threads that wait give their core away (a busy machine).
KEEP = {"MALLOC_MMAP_THRESHOLD_": "17179869184", "MALLOC_TRIM_THRESHOLD_": "17179869184", "OMP_WAIT_POLICY": "passive"}


class Weights(torch.nn.ParameterDict):
	"""Llama's tensors, with q, k, v and gate, up in one each while training."""

	def __init__(self):
		super().__init__()
		normal = lambda out, inn, std=0.02: torch.nn.Parameter(torch.randn(out, inn) * std)
		one = lambda: torch.nn.Parameter(torch.ones(HIDDEN))
		small = 0.02 / math.sqrt(2 * LAYERS)
		self.embed, self.head, self.norm = normal(VOCABULARY, HIDDEN), normal(VOCABULARY, HIDDEN), one()
		for i in range(LAYERS):
			self["norm1_%d" % i], self["norm2_%d" % i] = one(), one()
			self["qkv%d" % i], self["o%d" % i] = normal(3 * HIDDEN, HIDDEN), normal(HIDDEN, HIDDEN, small)
			self["gu%d" % i], self["down%d" % i] = normal(2 * FFN, HIDDEN), normal(HIDDEN, FFN, small)


def rms(x, w):
	return F.rms_norm(x, (HIDDEN,), w, EPS) if NEW else w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS))


def angles(n):
	frequency = BASE ** (-torch.arange(0, HIDDEN // HEADS, 2) / (HIDDEN // HEADS))
	a = torch.arange(n)[:, None] * frequency[None]
	return torch.cat([a, a], -1).cos(), torch.cat([-a, a], -1).sin()


def rotate(x, table):
	half = x.shape[-1] // 2
	return x * table[0] + torch.cat([x[..., half:], x[..., :half]], -1) * table[1]


def attend(q, k, v):
	if NEW:
		return F.scaled_dot_product_attention(q, k, v, is_causal=True)
	mask = torch.full((q.shape[2],) * 2, -math.inf).triu(1)
	scores = torch.matmul(q, k.transpose(-1, -2)).float() * (HIDDEN // HEADS) ** -0.5 + mask
	return torch.matmul(scores.softmax(-1), v)


def forward(w, ids):
	b, t = ids.shape
	table = angles(t)
	x = w.embed[ids]
	for i in range(LAYERS):
		qkv = F.linear(rms(x, w["norm1_%d" % i]), w["qkv%d" % i]).view(b, t, 3, HEADS, HIDDEN // HEADS).permute(2, 0, 3, 1, 4)
		q, k, v = qkv.unbind(0)
		seen = attend(rotate(q, table), rotate(k, table), v).transpose(1, 2).reshape(b, t, HIDDEN)
		x = x + F.linear(seen, w["o%d" % i]).float()
		gate, up = F.linear(rms(x, w["norm2_%d" % i]), w["gu%d" % i]).split(FFN, -1)
		x = x + F.linear(F.silu(gate) * up, w["down%d" % i]).float()
	return rms(x, w.norm)


class Head(torch.autograd.Function):
	"""Sum of the cross entropies of head @ x: gradients along with it, few rows at a time, so that logits stay in the cache."""

	@staticmethod
	def forward(ctx, x, head, wanted):
		x16, head16, total = x.to(TYPE), head.to(TYPE), 0.0
		dx, dhead = torch.empty_like(x), torch.zeros_like(head)
		for at in range(0, len(x), ROWS):
			rows, ids = x16[at:at + ROWS], wanted[at:at + ROWS, None]
			log = torch.log_softmax((rows @ head16.t()).float(), -1)
			total += -log.gather(1, ids).sum()
			d = log.exp_().scatter_add_(1, ids, torch.full(ids.shape, -1.0)).to(TYPE)
			dx[at:at + ROWS] = d @ head16
			dhead += d.t() @ rows
		ctx.save_for_backward(dx, dhead)
		return total

	@staticmethod
	def backward(ctx, scale):
		dx, dhead = ctx.saved_tensors
		return dx * scale, dhead * scale, None


def loss_of(w, ids):
	"""Sum over the tokens, in nats."""
	with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not NEW):
		x = forward(w, ids[:, :-1])
	return Head.apply(x.reshape(-1, HIDDEN), w.head, ids[:, 1:].reshape(-1))


@torch.no_grad()
def held_out(w, root):
	"""Bits per byte: windows of the training's context, each begun without a past."""
	sizes, out = json.load(open(root + "/held_out.json")), {}
	for language in LANGUAGES:
		ids = torch.from_numpy(np.fromfile(f"{root}/held_out.{language}.u16", np.uint16).astype(np.int64))
		ids = torch.cat([torch.tensor([3]), ids])  # as after the end of another document
		nats = sum(loss_of(w, ids[i:i + CONTEXT + 1][None]).item() for i in range(0, len(ids) - 1, CONTEXT))
		out[language] = nats / math.log(2) / sizes["held_out." + language]
	return out


def rate(part, peak):
	if part < WARM:
		return peak * (part / WARM + 0.01)
	return FLOOR + (peak - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1, (part - WARM) / (1 - WARM))))


def batch(data, part, random):
	n = CONTEXT if part < 0.75 else LONG_CONTEXT
	at = random.integers(0, len(data) - n - 1, TOKENS_PER_STEP // n)
	return torch.from_numpy(np.stack([data[i:i + n + 1] for i in at]).astype(np.int64))


def save(path, **what):
	torch.save(what, path + ".new")
	os.replace(path + ".new", path)


def report(root, w, state):
	row = {"minutes": round(state["seconds"] / 60, 2), "tokens": state["step"] * TOKENS_PER_STEP,
	       "loss": round(state["loss"], 4), **{k: round(v, 4) for k, v in held_out(w, root).items()}}
	state["rows"].append(row)
	with open(root + "/progress.jsonl", "w") as f:
		f.writelines(json.dumps(r) + "\n" for r in state["rows"])
	draw(root + "/loss.svg", state["rows"])
	print(json.dumps(row), round(state["step"] * TOKENS_PER_STEP / max(1, state["seconds"])), "tokens/s", flush=True)


def begin(root, model):
	"""Weights, optimizer and counters: of the checkpoint, of an exported model, or new."""
	w = read(model) if model else Weights()
	flat = [p for p in w.parameters() if p.dim() == 1]
	optimizer = torch.optim.AdamW([{"params": [p for p in w.parameters() if p.dim() > 1], "weight_decay": DECAY},
				       {"params": flat, "weight_decay": 0.0}], lr=PEAK, betas=(0.9, 0.95))
	state = {"step": 0, "seconds": 0.0, "loss": math.log(VOCABULARY), "rows": [], "peak": AGAIN if model else PEAK}
	if os.path.exists(root + "/checkpoint.pt"):
		old = torch.load(root + "/checkpoint.pt")
		w.load_state_dict(old["weights"])
		optimizer.load_state_dict(old["optimizer"])
		state = old["state"]
	else:
		report(root, w, state)
	return w, optimizer, state


def train(root, minutes, model):
	torch.set_num_threads(2)
	torch.manual_seed(1)
	data = np.fromfile(root + "/train.u16", np.uint16)
	w, optimizer, state = begin(root, model)
	print(sum(p.numel() for p in w.parameters()), "parameters,", len(data), "tokens", flush=True)
	random, last, saved = np.random.default_rng(state["step"]), time.monotonic(), state["seconds"]
	while state["seconds"] < minutes * 60:
		part = state["seconds"] / (minutes * 60)
		for group in optimizer.param_groups:
			group["lr"] = rate(part, state["peak"])
		loss = loss_of(w, batch(data, part, random)) / TOKENS_PER_STEP
		optimizer.zero_grad(set_to_none=True)
		loss.backward()
		torch.nn.utils.clip_grad_norm_(w.parameters(), CLIP)
		optimizer.step()
		state["step"] += 1
		state["loss"] += (loss.item() - state["loss"]) * max(0.01, 1 / state["step"])
		now = time.monotonic()
		state["seconds"] += now - last
		last = now
		if state["seconds"] - saved > EVERY or state["seconds"] >= minutes * 60:
			report(root, w, state)
			save(root + "/checkpoint.pt", weights=w.state_dict(), optimizer=optimizer.state_dict(), state=state)
			saved, last = state["seconds"], time.monotonic()


def named(w):
	"""The tensors by their names in a checkpoint, in bf16; the buffer of RoPE's frequencies is in XVERSE's files too."""
	out = {"model.embed_tokens.weight": w.embed}
	for i in range(LAYERS):
		layer = LAYER % i
		for name, part in zip("qkv", w["qkv%d" % i].chunk(3)):
			out[layer + "self_attn.%s_proj.weight" % name] = part
		out[layer + "self_attn.o_proj.weight"] = w["o%d" % i]
		out[layer + "self_attn.rotary_emb.inv_freq"] = BASE ** (-torch.arange(0, HIDDEN // HEADS, 2) / (HIDDEN // HEADS))
		for name, part in zip(("gate", "up"), w["gu%d" % i].chunk(2)):
			out[layer + "mlp.%s_proj.weight" % name] = part
		out[layer + "mlp.down_proj.weight"] = w["down%d" % i]
		out[layer + "input_layernorm.weight"] = w["norm1_%d" % i]
		out[layer + "post_attention_layernorm.weight"] = w["norm2_%d" % i]
	out["model.norm.weight"], out["lm_head.weight"] = w.norm, w.head
	return {name: t.detach().to(torch.bfloat16).clone() for name, t in out.items()}


def load(root):
	w = Weights()
	w.load_state_dict(torch.load(root + "/checkpoint.pt")["weights"])
	return w


def export(root):
	os.makedirs(root + "/model", exist_ok=True)
	torch.save(named(load(root)), root + "/model/pytorch_model.bin")
	config = {"architectures": ["XverseForCausalLM"], "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "hidden_act": "silu",
		  "hidden_size": HIDDEN, "initializer_range": 0.02, "intermediate_size": FFN, "max_position_embeddings": LONG_CONTEXT,
		  "max_tokenizer_truncation": LONG_CONTEXT, "model_type": "xverse", "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
		  "rms_norm_eps": EPS, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.29.1",
		  "use_cache": True, "vocab_size": VOCABULARY}
	generation = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "max_new_tokens": 256, "temperature": 0.5, "top_k": 30,
		      "top_p": 0.85, "repetition_penalty": 1.1, "do_sample": True, "transformers_version": "4.29.1"}
	for name, value in ("config", config), ("generation_config", generation):
		with open(f"{root}/model/{name}.json", "w") as f:
			f.write(json.dumps(value, indent=2) + "\n")


def read(folder):
	"""The weights of an exported model."""
	t, w = {name: x.float() for name, x in torch.load(folder + "/pytorch_model.bin").items()}, Weights()
	w.embed, w.head, w.norm = (torch.nn.Parameter(t[n + ".weight"]) for n in ("model.embed_tokens", "lm_head", "model.norm"))
	for i in range(LAYERS):
		part = lambda *names: torch.nn.Parameter(torch.cat([t[LAYER % i + n + ".weight"] for n in names]))
		w["qkv%d" % i], w["o%d" % i] = part(*("self_attn.%s_proj" % n for n in "qkv")), part("self_attn.o_proj")
		w["gu%d" % i], w["down%d" % i] = part("mlp.gate_proj", "mlp.up_proj"), part("mlp.down_proj")
		w["norm1_%d" % i], w["norm2_%d" % i] = part("input_layernorm"), part("post_attention_layernorm")
	return w


def read_tokenizer(folder):
	"""With the key whose absence current `tokenizers` refuses."""
	sys.path += glob.glob(os.path.dirname(os.path.abspath(__file__)) + "/../../build/venv/words/lib/python3*/site-packages")
	from tokenizers import Tokenizer
	form = open(folder + "/tokenizer.json", encoding="utf-8").read()
	return Tokenizer.from_str(form.replace('"add_prefix_space": false', '"prepend_scheme": "never"'))


@torch.no_grad()
def sample(folder, prompt, length=120, temperature=0.7, top=40):
	tokenizer, w = read_tokenizer(folder), read(folder)
	ids = tokenizer.encode(prompt).ids
	for _ in range(length):
		value, index = (forward(w, torch.tensor([ids[-LONG_CONTEXT:]]))[0, -1] @ w.head.t() / max(temperature, 1e-3)).topk(top)
		ids.append(index[torch.multinomial(value.softmax(-1), 1)].item())
		if ids[-1] == 3:
			break
	return tokenizer.decode(ids)


def main():
	parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
	parse.add_argument("dir")
	parse.add_argument("--minutes", type=float, default=100)
	parse.add_argument("--from", dest="model", metavar="MODEL")
	parse.add_argument("--export", action="store_true")
	parse.add_argument("--sample", action="append", metavar="PROMPT")
	args = parse.parse_args()
	if args.export:
		export(args.dir)
	for prompt in args.sample or []:
		print(sample(args.dir + "/model", prompt), end="\n\n")
	if not args.export and not args.sample:
		if not KEEP.keys() <= os.environ.keys():
			os.execve(sys.executable, [sys.executable] + sys.argv, {**os.environ, **KEEP})
		train(args.dir, args.minutes, args.model)


if __name__ == "__main__":
	main()

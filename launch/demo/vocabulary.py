#!/usr/bin/python3
"""Tokenizer of the demo model, of XVERSE's form, and the corpus in tokens.

	build/venv/words/bin/python launch/demo/vocabulary.py DIR [--from MODEL]

reads DIR/corpus.jsonl; writes DIR/model/{tokenizer,tokenizer_config,special_tokens_map}.json, DIR/train.u16 and, per language,
DIR/held_out.LANGUAGE.u16 with the number of bytes of its text in DIR/held_out.json. Ids: 4 special tokens, the alphabet in
code-point order, merges in order, 256 byte tokens. --from takes an exported model's tokenizer instead of training one.
"""
import array
import json
import os
import random
import shutil
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY, ALPHABET = 5120, 2300
SPECIAL = ["<unk>", "<pad>", "<|startoftext|>", "<|endoftext|>"]
END = 3


def train(texts):
	t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
	t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace("▁", prepend_scheme="never"),
						   pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Digits(individual_digits=True)])
	t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace("▁", prepend_scheme="never")])
	t.train_from_iterator(texts, trainers.BpeTrainer(
		vocab_size=VOCABULARY - 256, limit_alphabet=ALPHABET, special_tokens=SPECIAL, show_progress=False,
		max_token_length=12, initial_alphabet=[chr(c) for c in range(0x21, 0x7F)] + ["\n", "\t"]))
	form = json.loads(t.to_str())
	vocabulary = form["model"]["vocab"]
	for byte in range(256):
		vocabulary["<0x%02X>" % byte] = len(vocabulary)
	return form


def as_xverse(form):
	"""As XVERSE's files have it: merges as text; add_prefix_space false and no prepend_scheme, which current `tokenizers`
	refuses to read."""
	form = json.loads(json.dumps(form))
	form["model"]["merges"] = [" ".join(pair) for pair in form["model"]["merges"]]
	del form["model"]["ignore_merges"]
	for part in form["pre_tokenizer"]["pretokenizers"] + form["decoder"]["decoders"]:
		if part["type"] == "Metaspace":
			part.clear()
			part.update({"type": "Metaspace", "replacement": "▁", "add_prefix_space": False})
	return form


def write_json(path, value):
	with open(path, "w", encoding="utf-8") as f:
		json.dump(value, f, ensure_ascii=False, indent=2)
		f.write("\n")


def make(root, rows):
	form = train([row["text"] for row in rows if not row["held_out"]])
	write_json(root + "/model/tokenizer.json", as_xverse(form))
	write_json(root + "/model/tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
	write_json(root + "/model/special_tokens_map.json", {"pad_token": "<pad>", "bos_token": "<|startoftext|>",
							      "eos_token": "<|endoftext|>", "unk_token": "<unk>"})


def read(root):
	"""With the key whose absence current `tokenizers` refuses."""
	form = open(root + "/model/tokenizer.json", encoding="utf-8").read()
	return Tokenizer.from_str(form.replace('"add_prefix_space": false', '"prepend_scheme": "never"'))


def main(root, model=None):
	rows = [json.loads(line) for line in open(root + "/corpus.jsonl", encoding="utf-8")]
	random.Random(1).shuffle(rows)
	os.makedirs(root + "/model", exist_ok=True)
	if model:
		for name in "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json":
			shutil.copy(f"{model}/{name}", root + "/model")
	else:
		make(root, rows)
	tokenizer = read(root)
	out, size = {}, {}
	for row in rows:
		name = "held_out." + row["language"] if row["held_out"] else "train"
		ids = tokenizer.encode(row["text"]).ids
		assert tokenizer.decode(ids) == row["text"], row["text"][:80]
		out.setdefault(name, array.array("H")).extend(ids + [END])
		size[name] = size.get(name, 0) + len(row["text"].encode())
	for name, ids in out.items():
		ids.tofile(open(f"{root}/{name}.u16", "wb"))
		print(name, len(ids), "tokens", size[name], "bytes")
	write_json(root + "/held_out.json", {name: n for name, n in size.items() if name != "train"})


if __name__ == "__main__":
	main(sys.argv[1], *sys.argv[3:] if sys.argv[2:3] == ["--from"] else [])

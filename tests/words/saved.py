"""Directories that this environment's transformers saved with from_pretrained(...).save_pretrained(...): our tokenizer reads them, and gives
the ids that the reference gives for what it saved."""
import json
import logging
import os
import shutil
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
logging.disable(logging.CRITICAL)
import configs  # noqa: E402
import sentencepiece  # noqa: E402
import transformers  # noqa: E402
from strings import CODE, LANGUAGES, WORDS, make  # noqa: E402
from tok import ADD, PARSE, Tok  # noqa: E402

passed = failed = 0
TEXTS = LANGUAGES + CODE + [" ".join(WORDS[:30]), "", " ", "a", " a", "<s>a</s>", "a\u0000b", "\U0001f600\ufffd"] + make(300, seed=7)


def trained(folder):
    """A model of sentencepiece in the form of Llama's."""
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(line for t in LANGUAGES * 3 + CODE + make(400, seed=99) for line in t.split("\n")),
                                             model_prefix=f"{folder}/tokenizer", vocab_size=3000, model_type="bpe", byte_fallback=True,
                                             character_coverage=0.98, minloglevel=2, normalization_rule_name="identity", remove_extra_whitespaces=False,
                                             hard_vocab_limit=False)


def write(folder, name, value):
    with open(f"{folder}/{name}", "w") as f:
        json.dump(value, f)


def llama(folder, **config):
    trained(folder)
    write(folder, "config.json", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    write(folder, "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **config})


def fast(folder, tokenizer):
    tokenizer.save(f"{folder}/tokenizer.json")
    write(folder, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    write(folder, "config.json", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]})


def check(name, make_folder):
    global passed, failed
    with tempfile.TemporaryDirectory() as source, tempfile.TemporaryDirectory() as saved:
        try:
            make_folder(source)
            # Version 5 does not read back the "legacy" that it was given: what it saved counts.
            theirs = transformers.AutoTokenizer.from_pretrained(source)
            theirs.save_pretrained(saved)
            shutil.copy(f"{source}/config.json", saved)
            assert json.load(open(f"{saved}/tokenizer_config.json"))["model_max_length"] > 2 ** 64
            ours = Tok(saved).encode_many(TEXTS, ADD | PARSE)
            wrong = [(t, theirs(t)["input_ids"], o) for t, o in zip(TEXTS, ours) if theirs(t)["input_ids"] != o]
        except Exception as e:
            wrong = [repr(e)[:300]]
    if wrong:
        failed += 1
        print(f"FAILED {name}, transformers {transformers.__version__}: {len(wrong)}: {str(wrong[0])[:500]}")
    else:
        passed += 1


check("Llama's tokenizer", llama)
check("Llama's tokenizer, legacy", lambda d: llama(d, legacy=True))
check("Llama's tokenizer, not legacy", lambda d: llama(d, legacy=False))
check("with its chat template", lambda d: llama(d, chat_template="{% for m in messages %}{{ m['content'] }}{% endfor %}"))
check("without bos", lambda d: llama(d, add_bos_token=False))
check("with eos", lambda d: llama(d, add_eos_token=True))
check("a fast tokenizer of bytes", lambda d: fast(d, configs.level()))
check("a fast tokenizer as Llama's", lambda d: fast(d, configs.llama()))
print(passed, failed)
sys.exit(failed > 0)

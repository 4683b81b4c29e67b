"""Folders of tokenizer files as each family of models publishes them: our ids, and the texts that they decode to, are those of the class of
transformers that the family uses. Vocabularies are made here, or are test data."""
import argparse
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
from tokenizers import AddedToken, Tokenizer, decoders, processors  # noqa: E402

OLD = int(transformers.__version__.split(".")[0]) < 5  # has classes that do not use the library of tokenizers
passed = failed = skipped = 0


def texts(special, count):
    return LANGUAGES + CODE + [" ".join(WORDS[:30]), "", " ", "a", " a", "e\u0301 \u1112\u1161\u11ab", "one\n\n  two\r\n\tthree   ", "12345 1,000.5 It's we'LL"] + make(
        count, special, seed=11)


def write(folder, **files):
    """files: name with __ for the dot -> JSON."""
    for name, value in files.items():
        with open(os.path.join(folder, name.replace("__", ".")), "w") as f:
            json.dump(value, f)


def two_files(folder, tokenizer, drop=()):
    """vocab.json and merges.txt of a tokenizer, without the added tokens `drop`, as classes that do not use the library read them."""
    model = json.loads(tokenizer.to_str())["model"]
    write(folder, vocab__json={k: v for k, v in model["vocab"].items() if k not in drop})
    with open(os.path.join(folder, "merges.txt"), "w") as f:
        f.write("#version: 0.2\n" + "".join((m if isinstance(m, str) else " ".join(m)) + "\n" for m in model["merges"]))


def trained(folder, **how):
    """A model of sentencepiece in the form of Llama's, unless `how` says otherwise."""
    how = dict(dict(vocab_size=3000, model_type="bpe", byte_fallback=True, character_coverage=0.98, normalization_rule_name="identity",
                    remove_extra_whitespaces=False), **how)
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(line for t in LANGUAGES * 3 + CODE + make(400, seed=99) for line in t.split("\n")),
                                             model_prefix=f"{folder}/tokenizer", minloglevel=2, hard_vocab_limit=False, **how)


LLAMA = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>")
ENDS = dict(bos_token="<|endoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>")


# Each makes a folder and returns the reference tokenizer, and names of special tokens to put into texts.
def qwen2(folder):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    made = configs.level(configs.regexes(configs.QWEN))
    two_files(folder, made)
    n = made.get_vocab_size()
    write(folder, config__json=dict(model_type="qwen2"), tokenizer_config__json=dict(
        tokenizer_class="Qwen2Tokenizer", add_prefix_space=False, bos_token=None, eos_token="<|endoftext|>", pad_token="<|endoftext|>", unk_token=None,
        additional_special_tokens=special[1:], errors="replace", split_special_tokens=False,
        added_tokens_decoder={str(n + i): dict(content=c, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
                              for i, c in enumerate(special)}))
    return getattr(transformers, "Qwen2TokenizerFast", transformers.Qwen2Tokenizer).from_pretrained(folder), special


def qwen3_without_class(folder):
    reference, special = qwen2(folder)
    path = f"{folder}/tokenizer_config.json"
    config = json.load(open(path))
    del config["tokenizer_class"]
    write(folder, config__json=dict(model_type="qwen3"), tokenizer_config__json=config)
    return reference, special


def opt(folder, fast=False):
    made = configs.level(special=["<s>", "<pad>", "</s>", "<unk>"])
    two_files(folder, made)
    token = lambda c: dict(content=c, lstrip=False, normalized=True, rstrip=False, single_word=False, __type="AddedToken")
    write(folder, config__json=dict(model_type="opt"), tokenizer_config__json=dict(
        errors="replace", unk_token=token("</s>"), bos_token=token("</s>"), eos_token=token("</s>"), pad_token=token("<pad>"), add_prefix_space=False,
        add_bos_token=True, special_tokens_map_file=None, name_or_path="patrickvonplaten/opt-30b", tokenizer_class="GPT2Tokenizer"),
        special_tokens_map__json=dict(bos_token=token("</s>"), eos_token=token("</s>"), unk_token=token("</s>"), pad_token=token("<pad>")))
    if fast:
        made.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
        made.save(f"{folder}/tokenizer.json")
        return transformers.PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json"), ["</s>"]
    return transformers.GPT2Tokenizer.from_pretrained(folder), ["</s>"]


def moss(folder):
    """MOSS's class is CodeGen's: vocab.json, merges.txt and added_tokens.json."""
    made = configs.level(special=["<|endoftext|>"])
    two_files(folder, made)
    n = made.get_vocab_size()
    added = ["<eoc>", "<eoh>", "<eom>", "<eor>", "<eot>", "<|Human|>"]
    write(folder, added_tokens__json={c: n + i for i, c in enumerate(added)}, special_tokens_map__json=ENDS, config__json=dict(model_type="moss"),
          tokenizer_config__json=dict(ENDS, add_prefix_space=False, model_max_length=2048, name_or_path="fnlp/moss-moon-003-base",
                                      tokenizer_class="MossTokenizer", auto_map=dict(AutoTokenizer=["tokenization_moss.MossTokenizer", None])))
    return transformers.CodeGenTokenizer.from_pretrained(folder), added + ["<|endoftext|>"]


def llama(folder, data, **config):
    shutil.copy(f"{data}/llama2c/llama-tokenizer.model", f"{folder}/tokenizer.model")
    write(folder, tokenizer_config__json=dict(LLAMA, tokenizer_class="LlamaTokenizer", **config), config__json=dict(model_type="llama"))
    return transformers.LlamaTokenizer.from_pretrained(folder), ["<s>", "</s>"]


def ziya(folder, data):
    shutil.copy(f"{data}/llama2c/llama-tokenizer.model", f"{folder}/tokenizer.model")
    write(folder, tokenizer_config__json=dict(LLAMA, tokenizer_class="LlamaTokenizer", add_bos_token=True, add_eos_token=False, pad_token=None, sp_model_kwargs={}),
          added_tokens__json={"<human>": 32000, "<bot>": 32001}, special_tokens_map__json={}, config__json=dict(model_type="llama"))
    return transformers.LlamaTokenizer.from_pretrained(folder), ["<s>", "</s>", "<human>", "<bot>"]


def open_llama(folder, converted=False):
    """Its model keeps one space between words; what the library makes of it keeps all, so the model's own file counts."""
    trained(folder, remove_extra_whitespaces=True)
    write(folder, tokenizer_config__json=dict(LLAMA, tokenizer_class="LlamaTokenizer", add_bos_token=True, add_eos_token=False),
          config__json=dict(model_type="llama"))
    reference = transformers.LlamaTokenizer.from_pretrained(folder)
    if converted:
        transformers.LlamaTokenizerFast.from_pretrained(folder).backend_tokenizer.save(f"{folder}/tokenizer.json")
    assert reference("a    b")["input_ids"] == reference("a b")["input_ids"]
    return reference, ["<s>", "</s>"]


def baichuan(folder, data=None):
    """Its class is Llama's older one without bos."""
    if data:
        shutil.copy(f"{data}/baichuan/baichuan-13b.rebuilt.tokenizer.model", f"{folder}/tokenizer.model")
    else:
        trained(folder, user_defined_symbols=["<reserved_102>", "<reserved_103>", "\n", "\t"])
    reference = transformers.LlamaTokenizer(vocab_file=f"{folder}/tokenizer.model", legacy=True, add_bos_token=False, add_eos_token=False)
    write(folder, config__json=dict(model_type="baichuan"), special_tokens_map__json={},
          tokenizer_config__json=dict(add_bos_token=False, add_eos_token=False, clean_up_tokenization_spaces=False, model_max_length=4096,
                                      sp_model_kwargs={}, tokenizer_class="BaichuanTokenizer",
                                      auto_map=dict(AutoTokenizer=["tokenization_baichuan.BaichuanTokenizer", None])))
    return reference, ["<reserved_102>", "<reserved_103>"]


def internlm2(folder):
    """Its class is Llama's older one; chat tokens take the ids of pieces that the model has spare."""
    spare, chat = [f"[UNUSED_TOKEN_{i}]" for i in range(4)], ["<|im_start|>", "<|im_end|>", "<|plugin|>"]
    trained(folder, user_defined_symbols=spare)
    sp = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer.model")
    write(folder, config__json=dict(model_type="internlm2"), tokenizer_config__json=dict(
        LLAMA, tokenizer_class="InternLM2Tokenizer", pad_token="</s>", additional_special_tokens=chat, sp_model_kwargs=None,
        auto_map=dict(AutoTokenizer=["tokenization_internlm2.InternLM2Tokenizer", None]),
        added_tokens_decoder={str(i): dict(content=c, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
                              for c, i in zip(["<unk>", "<s>", "</s>", *chat], [0, 1, 2, *(sp.piece_to_id(s) for s in spare)])}))
    reference = transformers.LlamaTokenizer.from_pretrained(folder, legacy=True)
    assert reference.convert_tokens_to_ids(chat) == [sp.piece_to_id(s) for s in spare[:3]]
    return reference, ["<s>", "</s>"] + chat + spare


def glm4(folder):
    """tokenizer.json that puts two tokens before each text."""
    special = ["<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"]
    made = configs.level(configs.regexes(configs.LLAMA3))
    made.add_special_tokens([AddedToken(c, special=True, normalized=False) for c in special])
    made.post_processor = processors.TemplateProcessing(single="[gMASK] <sop> $A", special_tokens=[(c, made.token_to_id(c)) for c in ("[gMASK]", "<sop>")])
    made.save(f"{folder}/tokenizer.json")
    write(folder, config__json=dict(model_type="glm"), tokenizer_config__json=dict(
        tokenizer_class="PreTrainedTokenizerFast", eos_token="<|endoftext|>", pad_token="<|endoftext|>", additional_special_tokens=special,
        clean_up_tokenization_spaces=False, do_lower_case=False, padding_side="left", remove_space=False))
    return transformers.PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json"), special


def mistral(folder):
    """The third generation: control pieces of its own. The first two have none."""
    controls = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]"]
    trained(folder, control_symbols=controls)
    sp = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer.model")
    ids = {sp.id_to_piece(i): i for i in range(sp.get_piece_size()) if sp.is_control(i) or sp.is_unknown(i)}
    write(folder, config__json=dict(model_type="mistral"), tokenizer_config__json=dict(
        LLAMA, tokenizer_class="LlamaTokenizer", add_bos_token=True, add_eos_token=False, legacy=False, additional_special_tokens=controls, spaces_between_special_tokens=False,
        added_tokens_decoder={str(i): dict(content=c, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
                              for c, i in ids.items()}))
    return transformers.LlamaTokenizer.from_pretrained(folder), ["<s>", "</s>"] + controls


def mistral_fast(folder):
    """The tokenizer.json of Mistral's later releases: the mark first, cut nowhere."""
    made = configs.llama()
    plain = json.loads(made.to_str())
    plain["normalizer"] = None
    plain["pre_tokenizer"] = dict(type="Metaspace", replacement="▁", prepend_scheme="first", split=False)
    plain["model"]["ignore_merges"] = True
    with open(f"{folder}/tokenizer.json", "w") as f:
        json.dump(plain, f)
    write(folder, config__json=dict(model_type="mistral"), tokenizer_config__json=dict(LLAMA, tokenizer_class="LlamaTokenizer", legacy=False))
    return transformers.PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json"), ["<s>", "</s>"]


def bytes_json(folder, pattern, special, model_type, bos=None, ids_before=False):
    """tokenizer.json of bytes with ignore_merges; special tokens come behind the vocabulary, or before it."""
    made = configs.level(configs.regexes(pattern), special=special if ids_before else ())
    if not ids_before:
        made.add_special_tokens([AddedToken(c, special=True, normalized=False) for c in special])
    steps = [processors.ByteLevel(add_prefix_space=True, trim_offsets=False)]
    if bos:
        steps.append(processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B:1", special_tokens=[(bos, made.token_to_id(bos))]))
    made.post_processor = processors.Sequence(steps)
    plain = json.loads(made.to_str())
    plain["model"]["ignore_merges"] = True
    with open(f"{folder}/tokenizer.json", "w") as f:
        json.dump(plain, f)
    write(folder, config__json=dict(model_type=model_type), tokenizer_config__json=dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token=bos, eos_token=special[-1], clean_up_tokenization_spaces=False))
    return transformers.PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json"), special


def llama3(folder):
    return bytes_json(folder, configs.LLAMA3, ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "llama",
                      bos="<|begin_of_text|>")


def tekken(folder):
    return bytes_json(folder, configs.TEKKEN, ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]"], "mistral", bos="<s>", ids_before=True)


def pythia(folder, data):
    shutil.copy(f"{data}/gpt-neox/20B_tokenizer.json", f"{folder}/tokenizer.json")
    write(folder, config__json=dict(model_type="gpt_neox"), special_tokens_map__json=ENDS,
          tokenizer_config__json=dict(ENDS, add_prefix_space=False, tokenizer_class="GPTNeoXTokenizer", name_or_path="EleutherAI/gpt-neox-20b"))
    return transformers.GPTNeoXTokenizerFast.from_pretrained(folder), ["<|endoftext|>", "<|padding|>", "    "]


def first_difference(given, ours, theirs):
    bad = [(t, o, x) for t, o, x in zip(given, ours, theirs) if o != x]
    return f"{len(bad)} of {len(given)}: {min(bad, key=lambda b: len(str(b[0])))!r}"[:600] if bad else None


def decode(reference, ids):
    how = dict(skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return reference.decode(ids, **how) if reference.is_fast else reference.decode(ids, spaces_between_special_tokens=False, **how)


def compare(folder, make_folder, count):
    reference, special = make_folder(folder)
    tok, given = Tok(folder), [t for t in texts(special, count) if "▁" not in t]
    theirs = [reference(t)["input_ids"] for t in given]
    wrong = first_difference(given, tok.encode_many(given, ADD | PARSE), theirs)
    if wrong:
        return "ids: " + wrong
    without = [x for x in theirs if reference.unk_token_id not in x or reference.unk_token == "<|endoftext|>" or reference.unk_token == "</s>"]
    if hasattr(reference, "sp_model"):
        return None  # its decode takes off two spaces: differ.py compares with sentencepiece itself
    decoded = [decode(reference, x) for x in without]
    wrong = first_difference(without, tok.decode_many(without, True), decoded)
    return wrong and "decode: " + wrong


def check(name, make_folder, count):
    global passed, failed
    with tempfile.TemporaryDirectory() as folder:
        try:
            wrong = compare(folder, make_folder, count)
        except Exception as e:
            wrong = repr(e)[:500]
    if wrong:
        failed += 1
        print(f"FAILED {name}, transformers {transformers.__version__}: {wrong}")
    else:
        passed += 1


def main():
    global skipped
    p = argparse.ArgumentParser()
    p.add_argument("--count", type=int, default=1000)
    p.add_argument("--only", default="")
    p.add_argument("--data", default=os.environ.get("XV_TESTDATA", "../shared/testdata"))
    a = p.parse_args()
    cases = {"Qwen2, two files": qwen2, "Qwen3, two files and no class": qwen3_without_class, "OPT, tokenizer.json": lambda d: opt(d, True),
             "Llama 3": llama3, "GLM-4": glm4, "Mistral, tekken": tekken, "Mistral, tokenizer.json": mistral_fast}
    if OLD:
        cases.update({"OPT, two files": opt, "MOSS": moss, "OpenLLaMA": open_llama, "OpenLLaMA beside a converted file": lambda d: open_llama(d, True),
                      "Baichuan, made": baichuan, "InternLM 2": internlm2, "Mistral, third generation": mistral})
    real = {"Pythia": ("gpt-neox", pythia)}
    if OLD:
        real.update({"Llama": ("llama2c", llama), "Llama, not legacy": ("llama2c", lambda d, data: llama(d, data, legacy=False)),
                     "Ziya": ("llama2c", ziya), "Baichuan": ("baichuan", baichuan)})
    for name, (needs, make_folder) in real.items():
        if os.path.exists(f"{a.data}/{needs}"):
            cases[name] = lambda d, make_folder=make_folder: make_folder(d, a.data)
        else:
            skipped += 1
            print(f"  skipped: {name}: {needs} is not among the test data")
    for name, make_folder in cases.items():
        if a.only in name:
            check(name, make_folder, a.count)
    print(f"{passed} {failed} {skipped}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())

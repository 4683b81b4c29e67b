"""random_models.py - daemons of random models with the demo's tokenizer and a chat template that shows tools."""
import json
import os

from gw import WORK, start_daemon

# Tools as Qwen's template shows them; arguments are iterated over, as many templates do.
TEMPLATE = ("{% if tools %}<tools>{% for t in tools %}{{ t | tojson }}\n{% endfor %}</tools>{% endif %}{% for m in messages %}[{{ m.role }}] {{ m.content or '' }}"
            "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function.name }} {% for k, v in c.function.arguments | items %}{{ k }}={{ v }};{% endfor %}</tool_call>"
            "{% endfor %}\n{% endfor %}[assistant] ")


# Calls as DeepSeek-V3's template shows them, and the special tokens that it is made of.
MARKS = ["<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"]
DEEPSEEK = ("{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}{% for m in messages %}[{{ m.role }}] {{ m.content or '' }}{% if m.tool_calls %}<｜tool▁calls▁begin｜>"
            "{% for c in m.tool_calls %}<｜tool▁call▁begin｜>function<｜tool▁sep｜>{{ c.function.name }}\n```json\n{{ c.function.arguments | tojson }}\n```<｜tool▁call▁end｜>"
            "{% endfor %}<｜tool▁calls▁end｜>{% endif %}\n{% endfor %}[assistant] ")


def byte_tokens(path, marks):
    """A tokenizer.json of single bytes, as byte-level BPE writes them, behind special tokens: the demo's first four, and marks."""
    special = ["<unk>", "<pad>", "<|startoftext|>", "<|endoftext|>", *marks]
    plain = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    letters = {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in plain)}
    like = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False)
    model = dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=False, byte_fallback=False, merges=[],
                 vocab={s: i for i, s in enumerate(special)} | {letters[b]: len(special) + b for b in range(256)})
    json.dump(dict(version="1.0", truncation=None, padding=None, added_tokens=[{"id": i, "content": s, **like} for i, s in enumerate(special)], normalizer=None,
                   pre_tokenizer=level, post_processor=None, decoder=level, model=model), open(path, "w"))
    return len(model["vocab"])


def start_random(name, template, mark="<pad>", marks=(), **options):
    """Its socket. mark: the name of one of its special tokens; marks: those of a tokenizer of bytes; template: Jinja, or "plain"."""
    folder, path = f"{WORK}/{name}", f"{WORK}/{name}.jinja"
    demo = json.load(open("launch/demo/model/config.json"))
    os.makedirs(folder)
    config = dict(architectures=["XverseForCausalLM"], hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=1, max_position_embeddings=4096,
                  rms_norm_eps=1e-6, **{k: demo[k] for k in ("vocab_size", "bos_token_id", "eos_token_id")})
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        open(f"{folder}/{file}", "w").write(open("launch/demo/model/" + file).read().replace("<pad>", mark))
    if marks:
        config["vocab_size"] = byte_tokens(folder + "/tokenizer.json", marks)
    json.dump(config, open(folder + "/config.json", "w"))
    open(path, "w").write(template)
    return start_daemon(folder, name, load_format="dummy", chat_template=template if template == "plain" else path, **options)[1]

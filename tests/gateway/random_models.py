"""random_models.py - daemons of random models with the demo's tokenizer and a chat template that shows tools."""
import json
import os

from gw import WORK, start_daemon

# Tools as Qwen's template shows them; arguments are iterated over, as many templates do.
TEMPLATE = ("{% if tools %}<tools>{% for t in tools %}{{ t | tojson }}\n{% endfor %}</tools>{% endif %}{% for m in messages %}[{{ m.role }}] {{ m.content or '' }}"
            "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function.name }} {% for k, v in c.function.arguments | items %}{{ k }}={{ v }};{% endfor %}</tool_call>"
            "{% endfor %}\n{% endfor %}[assistant] ")


def start_random(name, template, mark="<pad>", **options):
    """Its socket. mark: the name of one of its special tokens; template: Jinja, or "plain"."""
    folder, path = f"{WORK}/{name}", f"{WORK}/{name}.jinja"
    demo = json.load(open("launch/demo/model/config.json"))
    os.makedirs(folder)
    config = dict(architectures=["XverseForCausalLM"], hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=1, max_position_embeddings=4096,
                  rms_norm_eps=1e-6, **{k: demo[k] for k in ("vocab_size", "bos_token_id", "eos_token_id")})
    json.dump(config, open(folder + "/config.json", "w"))
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        open(f"{folder}/{file}", "w").write(open("launch/demo/model/" + file).read().replace("<pad>", mark))
    open(path, "w").write(template)
    return start_daemon(folder, name, load_format="dummy", chat_template=template if template == "plain" else path, **options)[1]

import logging

from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI

from gw import *

logging.disable(logging.CRITICAL)
if not os.path.exists(TEXT_MODEL):
    skip("no model with a tokenizer")
    done()
_, sock = start_daemon(TEXT_MODEL, "tiny")
gw = Gateway("--model", "tiny=" + sock, "--port=0")
URL = f"http://127.0.0.1:{gw.port}/v1/completions"


def model(**more):
    return LocalCompletionsAPI(**{"base_url": URL, "model": "tiny", "tokenizer_backend": "remote", "batch_size": 4, "max_length": 512, **more})


def instances(kind, args):
    return [Instance(request_type=kind, doc={}, arguments=a, idx=i) for i, a in enumerate(args)]


def scores(ids):
    r = subprocess.run([BIN + "xverse", "score", "--uds", sock, "--ids", ",".join(map(str, ids)), "--json"], capture_output=True, text=True)
    return json.loads(r.stdout)["prompt"]


m = model()
pairs = [("Once upon a time", ", there was a little girl"), ("Once upon a time", ", there were 7 apples"), ("The cat", " sat"), ("Lily", " went to the park")]
found = m.loglikelihood(instances("loglikelihood", pairs))
for (context, continuation), (total, greedy) in zip(pairs, found):
    whole, start = m.tok_encode(context + continuation), m.tok_encode(context)
    tokens = scores(whole)[len(start):]
    check(f"loglikelihood of {continuation!r}", abs(total - sum(t["logprob"] for t in tokens)) < 1e-3, total, sum(t["logprob"] for t in tokens))
    same(f"greedy {continuation!r}", bool(greedy), all(t["greedy"] for t in tokens))
check("one was greedy, one not", {bool(g) for _, g in found} == {True, False}, found)
texts = m.generate_until(instances("generate_until", [("Once upon a time", {"until": ["girl"], "max_gen_toks": 30, "temperature": 0}),
                                                      ("Lily went to the park", {"until": ["."], "max_gen_toks": 30, "temperature": 0})]))
same("generate_until", texts[0], ", there was a little ")
check("generate_until stops", "." not in texts[1], texts)
rolling = m.loglikelihood_rolling(instances("loglikelihood_rolling", [("Once upon a time, there was a little girl",)]))
check("loglikelihood_rolling", -200 < rolling[0] < 0, rolling)
done()

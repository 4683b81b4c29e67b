"""lm_eval_choices.py SOCKET QUESTIONS - the choices of lm-eval, unmodified, through the gateway, against those of `xverse eval` (acc_ctx)."""
import json
import logging
import os
import sys
import time

os.environ["TQDM_DISABLE"] = "1"  # before it is imported
sys.path.insert(0, "tests/gateway")
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI

from gw import Gateway

logging.disable(logging.CRITICAL)
sock, path = sys.argv[1:]
questions = [json.loads(l) for l in open(path)]
gw = Gateway("--model", "demo=" + sock, "--port=0")
m = LocalCompletionsAPI(base_url=f"http://127.0.0.1:{gw.port}/v1/completions", model="demo", tokenizer_backend="remote", batch_size=16, max_length=512)
requests = [Instance(request_type="loglikelihood", doc={}, arguments=(q["prompt"], " " + c), idx=i) for i, q in enumerate(questions) for c in "ABCD"]
begin = time.time()
sums = [s for s, _ in m.loglikelihood(requests)]
seconds = time.time() - begin
differ = worst = compared = 0
for i, q in enumerate(questions):
    mine, ours = sums[4 * i:4 * i + 4], q["logits_ctx"]
    if q["truncated"] or q["n_tokens"] + 1 > m.max_length:  # lm-eval's window begins elsewhere
        continue
    compared += 1
    differ += max(range(4), key=lambda k: mine[k]) != "ABCD".index(q["pred_ctx"])
    worst = max(worst, max(abs((mine[k] - mine[0]) - (ours[k] - ours[0])) for k in range(4)))
print(f"  lm-eval: {len(questions)} questions in {seconds:.1f} s, {differ} of {compared} differ, differences of logits within {worst:.2g}")
sys.exit(differ > 0 or worst > 1e-3 or compared < len(questions) / 2)

"""Undisturbed equals disturbed: random calls in a pool so small that pre-emption must happen, with cancels and late arrivals, on
1 to 3 ranks; every token and logprob equals the call alone, bit for bit. Then overload, deadlines, Score and echo."""
import random
import sys
import time

sys.path.insert(0, "tests/e2e")
from job import Job, check, dummy_model, finish, limit, skip
from wire import Client, outcome, pb, token_bits, wait_all

CALLS = 200 if "--full" in sys.argv else 50
VOCAB = 517


def random_calls(rng, n):
    """Keyword arguments of n Generate calls."""
    shared = [rng.randrange(VOCAB) for _ in range(100)]
    calls = []
    for i in range(n):
        prompt = shared[:rng.choice([0, 0, 40, 70, 100])] + [rng.randrange(VOCAB) for _ in range(rng.randrange(1, 150))]
        how = dict(prompt=prompt, max_tokens=rng.randrange(1, 120), seed=rng.getrandbits(64), temperature=rng.choice([0, 0.7, 1, 1.5]))
        for name, values in dict(top_k=[5, 50], top_p=[0.5, 0.9], min_p=[0.05], top_n_sigma=[1], repetition_penalty=[1.1], presence_penalty=[0.5],
                                 frequency_penalty=[0.3], logprobs=[0, 3], prompt_logprobs=[0, 2], min_tokens=[1]).items():
            if rng.random() < 0.3:
                how[name] = rng.choice(values)
        if rng.random() < 0.3:
            how["stop_token_ids"] = [rng.randrange(VOCAB) for _ in range(20)]
        calls.append(how)
    return calls


BLOCKS = 18
SMALL = ["--load-format", "dummy", "--max-num-seqs", "8", "--max-num-batched-tokens", "64", "--max-model-len", "512",
         "--admission-look-ahead", "8", "--max-logits-rows", "4"]


def kv_bytes(blocks, ranks=1):
    """Of a rank that holds its share of 8 heads: 3,072 bytes a head and block."""
    return str(blocks * 3072 * -(-8 // ranks))


def alone(client, calls):
    return [outcome(client.wait(client.generate(**how))) for how in calls]


def disturbed(job, calls, rng):
    """All at once over three connections, with late arrivals and companions that are cancelled."""
    clients = [Client(job.socket) for _ in range(3)]
    got, noise = [], []
    for how in calls:
        got.append(clients[rng.randrange(3)].generate(**how))
        if rng.random() < 0.4:
            c = clients[rng.randrange(3)]
            noise.append((c, c.generate([rng.randrange(VOCAB) for _ in range(rng.randrange(1, 300))], max_tokens=150)))
        if noise and rng.random() < 0.5:
            c, call = noise.pop(rng.randrange(len(noise)))
            c.cancel(call)
        if rng.random() < 0.2:
            wait_all(clients, got[:1], 0.05)
    for c, call in noise:
        c.cancel(call)
    wait_all(clients, got, 120)
    status = clients[0].status()
    for c in clients:
        c.close()
    return [outcome(c) if c.ended else "no end" for c in got], status


def undisturbed_equals_disturbed(model):
    rng = random.Random(4)
    calls = random_calls(rng, CALLS)
    want = None
    for ranks in (1, 2, 3):
        job = Job(ranks, model, *SMALL, "--kv-cache-memory-bytes", kv_bytes(BLOCKS, ranks))
        check(f"{ranks} ranks start", job.start(), job.text())
        if want is None:
            want = alone(Client(job.socket), calls)
        got, status = disturbed(job, calls, rng)
        wrong = [i for i in range(CALLS) if got[i] != want[i]]
        check(f"{ranks} ranks: every call as alone", not wrong, f"calls {wrong[:5]}: {[(got[i], want[i]) for i in wrong[:1]]}"[:600])
        check(f"{ranks} ranks: pre-emption happened", status.preemptions > 0, str(status.preemptions))
        print(f"  {ranks} ranks: {CALLS} calls, {status.preemptions} pre-emptions in {status.kv_blocks} blocks, {status.cached_tokens} tokens cached")
        check("drains", job.stop() == 0, job.text()[-500:])
        job.close()


def overload(model):
    job = Job(1, model, "--load-format", "dummy", "--max-num-seqs", "2", "--max-num-queued-reqs", "4", "--max-model-len", "512",
              "--kv-cache-memory-bytes", kv_bytes(20), "--fault", "slow=20")
    check("starts", job.start(), job.text())
    c = Client(job.socket)
    calls = [c.generate([1, 2, 3], max_tokens=60, ignore_eos=True) for _ in range(12)]
    late = c.generate([1, 2, 3], max_tokens=400, timeout_ms=700, ignore_eos=True)
    c.wait(*calls, late)
    busy = [x for x in calls if x.error is not None and x.error.code == pb.CODE_BUSY]
    check("full is BUSY", len(busy) in (5, 6), str(len(busy)))
    check("BUSY says when", all(x.error.retry_after_ms > 0 and x.error.retryable for x in busy), str(busy[:1] and busy[0].error))
    check("BUSY comes at once", max(x.ended for x in busy) < min(x.ended for x in calls if x not in busy))
    check("the others end", sum(x.finished is not None for x in calls) == 12 - len(busy))
    too_long = c.wait(c.generate(list(range(100)) * 5, max_tokens=100))
    check("what never fits is refused with numbers", too_long.error is not None and too_long.error.code == pb.CODE_LIMIT
          and "500" in too_long.error.text and "512" in too_long.error.text, str(too_long.error))
    slow = c.wait(c.generate([1, 2, 3], max_tokens=400, timeout_ms=500, ignore_eos=True))
    took = slow.ended - slow.began
    check("a deadline ends a running call", slow.finished is not None and slow.finished.reason == pb.FINISH_DEADLINE and took < limit(2),
          f"{slow.finished} {slow.error} {took}")
    check("with what it has", 0 < len(slow.ids) < 400, str(len(slow.ids)))
    job.stop()
    job.close()


def waiting_tokens(model):
    """The queue is bounded by tokens as well: what does not fit is BUSY; one call alone may be longer than the bound."""
    job = Job(1, model, "--load-format", "dummy", "--max-num-seqs", "1", "--max-num-queued-tokens", "100", "--max-model-len", "512", "--fault", "slow=20")
    check("starts", job.start(), job.text())
    c = Client(job.socket)
    calls = [c.generate([1, 2, 3], max_tokens=60, ignore_eos=True)]
    while calls[0].first is None and not c.closed:
        c.read(5)
    calls += [c.generate([7] * 40, max_tokens=2, ignore_eos=True) for _ in range(4)]
    c.wait(*calls)
    busy = [x.error is not None and x.error.code == pb.CODE_BUSY for x in calls]
    check("two of 40 tokens wait, more are BUSY", busy == [False, False, False, True, True], str(busy))
    check("with the number and a time", all("80 of your tokens are waiting" in x.error.text and x.error.retry_after_ms > 0 for x in calls[3:] if x.error), str(calls[3].error))
    x = c.wait(c.generate([7] * 150, max_tokens=2, ignore_eos=True))
    check("a longer one alone is served", len(x.ids) == 2, str(x.error))
    check("drains", job.stop() == 0)
    job.close()


def score_and_echo(model):
    job = Job(2, model, *SMALL, "--kv-cache-memory-bytes", kv_bytes(40, 2))
    check("starts", job.start(), job.text())
    c = Client(job.socket)
    ids = [random.Random(9).randrange(VOCAB) for _ in range(300)]
    s = c.wait(c.score(ids, top_n=3))
    e = c.wait(c.generate(ids, max_tokens=4, temperature=0, echo=True, logprobs=3))
    z = c.wait(c.generate(ids, max_tokens=0, echo=True, logprobs=3))
    check("Score ends as scored", s.finished is not None and s.finished.reason == pb.FINISH_SCORED, f"{s.error}")
    check("every prompt token is told", [t.id for t in s.prompt_tokens] == ids, str(len(s.prompt_tokens)))
    check("the first has no logprob", not s.prompt_tokens[0].HasField("logprob") and s.prompt_tokens[1].HasField("logprob"))
    check("the top is never empty", all(len(t.top) == 3 for t in s.prompt_tokens[1:]))
    check("greedy agrees with rank", all(t.greedy == (t.top[0].id == t.id) for t in s.prompt_tokens[1:]))
    same = [token_bits(t) for t in s.prompt_tokens]
    check("echo tells the same", [token_bits(t) for t in e.prompt_tokens] == same)
    check("and the ids", list(e.started.prompt_ids) == ids)
    check("echo goes on", len(e.ids) == 4 and len(e.tokens) == 4, f"{e.error} {e.ids}")
    check("max_tokens 0 only echoes", [token_bits(t) for t in z.prompt_tokens] == same and not z.ids, f"{z.error}")
    one = c.wait(c.score([5]))
    for name in ("logprobs", "prompt_logprobs"):
        for n in (21, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1):
            x = c.wait(c.generate([1, 2, 3], max_tokens=1, **{name: n}))
            check(f"{name} {n} is refused by name", x.error is not None and x.error.code == pb.CODE_INVALID
                  and x.error.text.startswith(name + ":"), str(x.error))
    check("a single token scores", one.finished is not None and [t.id for t in one.prompt_tokens] == [5], f"{one.error} {one.prompt_tokens}")
    job.stop()
    job.close()


def main():
    model = dummy_model("build/tests/e2e/engine-model", vocab_size=VOCAB)
    undisturbed_equals_disturbed(model)
    overload(model)
    waiting_tokens(model)
    score_and_echo(model)
    finish()


main()

"""A rank that never joins a sum, dies in one, or calls another; kernels that fault; too little memory; then every Nth call of CUDA,
cuBLASLt and NCCL failing once: each time the job ends within its bound, with a status and a reason, and an open call is told."""
import os
import re
import subprocess
import sys
import tempfile
import time
from functools import partial

sys.path.insert(0, "tests/e2e")
import job
from job import Job, check, dummy_model, finish, skip, together

FAKE = os.path.abspath("build/tests/fakegpu/libxverse-cuda-fake.so")
if not os.path.exists(FAKE):
    skip("no CUDA headers, so there is no plug-in for the emulated GPU")
    finish()
from wire import Client, pb  # noqa: E402

FULL = "--full" in sys.argv
SMALL = ["--device", "cuda", "--load-format", "dummy", "--kv-cache-memory-bytes", "3000000", "--max-model-len", "256", "--max-num-seqs", "2",
         "--max-num-batched-tokens", "64", "--watchdog-timeout", "5", "--no-tuning"]
BOUND = 12
AT_ONCE = 4  # most of the time is waited


def cuda(ranks, path, *options, **env):
    return Job(ranks, path, *SMALL, *options, env=dict(XVERSED_CUDA_LIB=FAKE, FAKEGPU_DEVICES=str(ranks), **env))


def ended(j, seconds):
    try:
        return j.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def broken(name, path, ranks, reasons, **env):
    """The daemon starts; a long call meets the fault."""
    j = cuda(ranks, path, **env)
    try:
        if not check(f"{name}: starts", j.start(120), j.text()[-500:]):
            return
        c = Client(j.socket)
        call = c.generate([5] * 40, max_tokens=200, temperature=0, ignore_eos=True)
        begin = time.time()
        c.wait(call, seconds=BOUND + 10)
        rc, took = ended(j, BOUND), time.time() - begin
        told = call.error is not None or c.closed
        check(f"{name}: the call is told", told and call.ended != "finished", call.error)
        if call.error is not None:
            check(f"{name}: as a lost rank", call.error.code == pb.CODE_LOST_RANK, call.error)
        check(f"{name}: ends with a status", rc not in (None, 0), rc)
        check(f"{name}: within the bound", took < job.limit(BOUND + 10), took)
        check(f"{name}: says why", any(r in j.text() for r in reasons), j.text()[-600:])
        print(f"  {name}: {took:.1f} s, status {rc}: {call.error.text[:120] if call.error is not None else 'end of file'}", flush=True)
        c.close()
    finally:
        j.close()


def no_start(name, path, ranks, reason, *options, **env):
    j = cuda(ranks, path, *options, **env)
    check(f"{name}: no start", not j.start(60))
    rc = ended(j, BOUND)
    check(f"{name}: ends with a status", rc not in (None, 0), rc)
    check(f"{name}: says why", reason in j.text(), j.text()[-500:])
    j.close()


def one_fails(path, ranks, at, *options):
    """A start and a short answer whose call `at` fails on the last rank alone: whether there are so many, and whether it did no harm."""
    name = f"call {at} of {ranks} {' '.join(options)}"
    j = cuda(ranks, path, *options, FAKEGPU_FAIL=f"any:{at}=999", FAKEGPU_FAIL_RANK=str(ranks - 1), FAKEGPU_ORDER="fwd")
    served = False
    if j.start(60):
        c = Client(j.socket)
        call = c.generate([7] * 50, max_tokens=4, temperature=0, ignore_eos=True)
        c.wait(call, seconds=60)
        served = call.error is None and not c.closed and call.ended is not None
        c.close()
    rc = j.stop() if served else ended(j, BOUND)
    text = j.text()
    hit = "fakegpu: injected" in text
    j.close()
    if not hit:  # more calls than the run made
        check(f"{name}: none fails, all is well", served and rc == 0, f"{rc} {text[-400:]}")
        return False, False
    check(f"{name} fails: ends with status and reason", rc in (66, 70, 78) and re.search(r"CUDA|cuBLASLt|NCCL", text) or (served and rc in (0, 70)), f"status {rc}: {text[-400:]}")
    check(f"{name} fails: nobody else is blamed", f"blamed={ranks - 1} " in text or "blamed=" not in text, text[-400:])
    return True, served and rc == 0  # the latter at the end: a failing call whose answer does not matter


def sweep(path, ranks, stride, *options):
    """Every so many'th call failing, to the last."""
    runs = []
    while all(hit for hit, _ in runs) and len(runs) < 400:
        runs += together(AT_ONCE, *[partial(one_fails, path, ranks, 1 + stride * (len(runs) + i), *options) for i in range(AT_ONCE)])
    hits, quiet = sum(hit for hit, _ in runs), sum(q for _, q in runs)
    name = f"of {ranks} {' '.join(options)}"
    check(f"the sweep {name} reached the end", hits < len(runs))
    check(f"calls failed on the way {name}", hits > 5, hits)
    print(f"  {hits} runs with one failing call each {name}, {quiet} of them unharmed; fewer than {1 + stride * hits} calls in a run")


with tempfile.TemporaryDirectory() as top:
    path = dummy_model(top + "/m", hidden_size=256, intermediate_size=320, num_attention_heads=4)
    cases = [
        partial(broken, "rank 1 never joins a sum", path, 2, ["is not done: the GPU is stuck"], FAKENCCL_RANK="1", FAKENCCL_HANG="60"),
        partial(broken, "rank 1 is killed in a sum", path, 2, ["rank 1", "died", "killed"], FAKENCCL_RANK="1", FAKENCCL_DIE="60"),
        partial(broken, "rank 1 hangs in a call of NCCL", path, 2, ["blamed=1"], FAKENCCL_RANK="1", FAKENCCL_STUCK="ncclBroadcast:3"),
        partial(no_start, "rank 1 hangs in a call of NCCL while it starts", path, 2, "stuck", FAKENCCL_RANK="1", FAKENCCL_STUCK="ncclAllReduce:5"),
        partial(no_start, "rank 1 hangs in NCCL's start", path, 2, "NCCL start: the other ranks did not join within 5 s", FAKENCCL_RANK="1", FAKENCCL_STUCK="ncclCommInitRankConfig:1"),
        partial(broken, "a kernel faults", path, 1, ["CUDA"], FAKEGPU_FAIL="@void add_norm<2, false>:50=700"),
        partial(broken, "a launch fails on one of two", path, 2, ["CUDA"], FAKEGPU_FAIL="launch:400=719"),
        partial(broken, "a graph fails", path, 1, ["CUDA, a graph"], FAKEGPU_FAIL="cudaGraphLaunch:5=719"),
        partial(no_start, "too little memory", path, 1, "GiB are free", FAKEGPU_MEM="55000000"),  # 46 million are needed, and 17 for graphs
        partial(no_start, "too much cache", path, 1, "beside its weights, workspace and graphs", "--kv-cache-memory-bytes", "2G"),
        partial(no_start, "no memory for the cache", path, 1, "no room for a block of the KV cache", "--kv-cache-memory-bytes", "20000"),
        partial(no_start, "NCCL fails on start", path, 2, "NCCL start", FAKEGPU_FAIL="ncclCommInitRankConfig:1=3"),
        partial(no_start, "the last of 16 captures fails", path, 2, "not enough memory for CUDA graphs", FAKEGPU_FAIL="cudaGraphInstantiate:16=2"),
        partial(no_start, "cuBLASLt fails on start", path, 1, "cuBLASLt", FAKEGPU_FAIL="cublasLtCreate:1=1"),
    ]
    if FULL:
        cases.append(partial(broken, "NCCL tells an error after the call", path, 2, ["NCCL, after the call"], FAKENCCL_ASYNC="60"))
    together(AT_ONCE, *cases)
    sweep(path, 1, 7 if FULL else 53, "--no-graphs")
    if FULL:
        sweep(path, 2, 29)
finish()

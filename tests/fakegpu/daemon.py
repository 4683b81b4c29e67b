"""The whole daemon with a small model on 1, 2 and 3 emulated GPUs: logprobs of given texts stay within a bound of the CPU's (which its
own tests hold against float64), greedy tokens are the same where the margin is wider than that, and with
--enable-deterministic-inference the bits of every row are the same on 1, 2 and 3 ranks, whatever the chunks and the company; each with
caches of 16 and 8 bits."""
import ctypes.util
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from functools import partial

sys.path.insert(0, "tests/e2e")
import job
from job import Job, check, finish, skip, together

FAKE = os.path.abspath("build/tests/fakegpu/libxverse-cuda-fake.so")
FULL = "--full" in sys.argv
BOUND = dict(bf16=0.1, f16=0.02)  # of a logprob: 16-bit activations rounded elsewhere, another order of sums
if not os.path.exists(FAKE):
    skip("no CUDA headers, so there is no plug-in for the emulated GPU")
    finish()
from quiet import Quiet  # noqa: E402
from wire import Client, pb  # noqa: E402

MODELS = {"bf16, heads of 64": dict(hidden=256, ffn=300, layers=2, heads=4, kv_heads=4, vocab=517),
          "f16, grouped heads of 128": dict(hidden=512, ffn=256, layers=2, heads=4, kv_heads=2, vocab=331, dtype="f16")}
SMALL = ["--kv-cache-memory-bytes", "3000000", "--max-model-len", "256", "--max-num-seqs", "4", "--no-tuning"]
TUNED = SMALL[:4] + ["--max-num-seqs", "12", "--max-num-batched-tokens", "128"]


def model(folder, how):
    subprocess.run(["/usr/bin/python3", "tests/e2e/make_model.py", folder, *(f"{k}={v}" for k, v in how.items())], check=True)
    return folder


def cuda(ranks, path, *options, devices=None, order="rand", seed=1, small=SMALL, **env):
    return Quiet(ranks, path, "--device", "cuda", *small, *options,
               env=dict(XVERSED_CUDA_LIB=FAKE, FAKEGPU_DEVICES=str(devices or ranks), FAKEGPU_ORDER=order, FAKEGPU_SEED=str(seed), **env))


def answers(j, prompts, n):
    """Greedy answers to all prompts at once: ids and logprobs with the runner-up."""
    c = Client(j.socket)
    calls = [c.generate(p, max_tokens=n, temperature=0, ignore_eos=True, logprobs=2) for p in prompts]
    c.wait(*calls, seconds=240)
    out = [None if x.error else [(t.id, t.logprob, [y.logprob for y in t.top]) for t in x.tokens] for x in calls]
    c.close()
    return out


def scores(j, texts):
    c = Client(j.socket)
    calls = [c.score(t) for t in texts]
    c.wait(*calls, seconds=240)
    out = [[t.logprob for t in x.prompt_tokens] for x in calls]
    c.close()
    return out


def start(j, name):
    ok = check(f"{name}: starts", j.start(120), j.text()[-600:])
    if not ok:
        j.close()
    return ok


def paths(j):
    """What Status says of the attention of prompts, and of kernels that overlap."""
    c = Client(j.socket)
    s = c.status()
    c.close()
    return s.prompt_attention, s.kernel_overlap


def status(j):
    c = Client(j.socket)
    s = c.status()
    c.close()
    return s


def class_of(j):
    return status(j).numerics_class


def ways(path):
    """Which way sums go, and each pair of GPUs, with and without links between them."""
    for ranks, devices, sums, links, warned, env in (
            (2, 2, "NCCL 2.30.7, bf16, in windows", "all pairs by NVLink", "", {}),
            (3, 3, "NCCL 2.28.9, bf16, no windows: those of NCCL 2.28.3 to 2.30.4", "0-1 by NVLink; all other pairs by host memory",
             'pairs_of_ranks="0-2, 1-2"', dict(FAKENCCL_VERSION="22809", FAKEGPU_LINKS="nhh")),
            (2, 2, "NCCL 2.30.7, bf16, no windows: NCCL declined", "all pairs by PCIe, peer to peer", "", dict(FAKEGPU_LINKS="p", FAKENCCL_WINDOWS="0")),
            (2, 2, "NCCL 2.30.7", "all pairs by host memory", 'pairs_of_ranks="all"', dict(NCCL_P2P_DISABLE="1")),
            (2, 1, "by the host, f32: ranks share a GPU", "all pairs on the same GPU", "", {}), (1, 1, "", "", "", {})):
        name = f"{ranks} on {devices}, {env}"
        j = cuda(ranks, path, "--no-graphs", devices=devices, **env)
        if start(j, name):
            s = status(j)
            check(f"{name}: sums", s.gpu_sums.startswith(sums) and bool(s.gpu_sums) == bool(sums), s.gpu_sums)
            check(f"{name}: links", s.gpu_links == links, s.gpu_links)
            slow = "sums between them go through host memory" in j.text()
            check(f"{name}: a warning where sums are slow", slow == bool(warned) and warned in j.text(), j.text()[-400:])
            check(f"{name}: ends", j.stop() == 0)
        j.close()


def last_differs(j):
    """Its last rank has options of its own."""
    whole = j.command()
    at = whole.index("-n")
    parts = [*whole[:at], "-n", str(j.n - 1), *whole[at + 2:], ":", "-n", "1", *whole[at + 2:], "--no-wgmma", "--no-overlap"]
    j.command = lambda: parts


def graphs_as_planned(j, name, split=0):
    """To the node of 64 KiB; `split`: so many products may be split over k, and are planned so."""
    graphs = [float(x) for x in re.findall(r"graphs_mib=(\S+) planned_mib=(\S+)", j.text())[0]]
    check(f"{name}: graphs take what is planned", 0 < graphs[1] - split / 16 <= graphs[0] <= graphs[1], graphs)


def compare(name, bound, want, got, given, given_want):
    worst = max((abs(a - b) for w, g in zip(given_want, given) for a, b in zip(w[1:], g[1:])), default=9)
    check(f"{name}: logprobs of given texts", all(len(a) == len(b) for a, b in zip(given_want, given)) and worst < bound, f"off by {worst}")
    for w, g in zip(want, got):
        if not check(f"{name}: an answer", g is not None and len(g) == len(w), "none"):
            continue
        for (wi, wl, top), (gi, gl, _) in zip(w, g):
            if wi != gi:  # from here on the texts differ
                check(f"{name}: a token where the margin is wide", abs(top[0] - top[1]) < 2 * bound, f"{wi} {gi} {top}")
                break
    return worst


ALL_RANKS = ((1, 1, "fwd"), (2, 2, "rand"), (3, 3, "rev"), (2, 1, "rand"))


def against_cpu(folder, label, how, ways=ALL_RANKS):
    path = model(folder, how)
    rng = random.Random(5)
    prompts = [[rng.randrange(how["vocab"]) for _ in range(n)] for n in (1, 40, 75, 150)]
    cpu = Job(1, path, "--device", "cpu", "--compute", "f32" if how.get("dtype") == "f16" else "auto", *SMALL)
    if not start(cpu, f"{label}, CPU"):
        return
    check(f"{label}, CPU: no kernels to tell of", paths(cpu) == ("", ""), paths(cpu))
    want = answers(cpu, prompts, 10)
    texts = [p + [t[0] for t in w] for p, w in zip(prompts, want)]
    given_want = scores(cpu, texts)
    check(f"{label}, CPU: ends", cpu.stop() == 0)
    cpu.close()
    for ranks, devices, order in ways:
        name = f"{label}, {ranks} on {devices}"
        tuned = order == "fwd"
        # of the 5 sizes that up to 16 tokens come in, or 8 up to 48, 4 graphs each: one more would be captured while serving
        j = cuda(ranks, path, devices=devices, order=order, small=TUNED if tuned else SMALL, FAKEGPU_FAIL=f"cudaStreamBeginCapture:{33 if tuned else 21}=999")
        if mixed := (ranks, devices) == (2, 2):
            last_differs(j)
        if not start(j, name):
            continue
        said, want_said = paths(j), ("rank 0: wgmma; rank 1: mma.sync: --no-wgmma", "rank 0: on; rank 1: off: --no-overlap") if mixed else ("wgmma", "on")
        check(f"{name}: what Status says of its kernels", said == want_said, said)
        short = ranks == devices > 1 and how.get("dtype") != "f16"  # f16 overflows
        check(f"{name}: the class says whether sums are short", ("-sum16/" in class_of(j)) == short, class_of(j))
        if ranks <= devices:
            graphs_as_planned(j, name, 28 if tuned else 0)
        check(f"{name}: products are timed only where asked for", ("chosen by timing" in j.text()) == tuned)
        worst = compare(name, BOUND[how.get("dtype", "bf16")], want, answers(j, prompts, 10), scores(j, texts), given_want)
        print(f"  {name}: logprobs within {worst:.4f} of the CPU's")
        check(f"{name}: ends", j.stop() == 0, j.text()[-400:])
        j.close()


def eight_bits(folder):
    """int8 and int4 against the CPU's; fp8, which the CPU has not, within a wider bound of its 16 bits. As weights integers are the same on both, but
    on the CPU activations are int8 as well."""
    path = model(folder, MODELS["bf16, heads of 64"])
    rng = random.Random(6)
    prompts = [[rng.randrange(517) for _ in range(n)] for n in (5, 70, 130)]
    ways = (("--kv-cache-dtype", "int8", "int8", "bf16/bf16/i8", 0.2, 1), ("--kv-cache-dtype", "fp8", "auto", "bf16/bf16/fp8", 0.5, 2),
            ("--quantization", "int8", "int8", "bf16/int8/bf16", 0.3, 1), ("--quantization", "int4", "int4", "bf16/int4+int8/bf16", 0.3, 2),
            *([("--quantization", "int8", "int8", "bf16/int8/bf16", 0.3, 3), ("--quantization-head", "int4", "int4", "bf16/bf16+int4/bf16", 0.3, 1)] if FULL else []))
    for option, bits, on_cpu, numerics, bound, ranks in ways:
        name = f"{option} {bits}, {ranks} ranks"
        cpu, j = Job(1, path, "--device", "cpu", option, on_cpu, *SMALL), cuda(ranks, path, option, bits, small=TUNED if option == "--quantization" else SMALL)
        if start(cpu, name + ", CPU") and start(j, name):
            c = Client(j.socket)
            told = c.status().numerics_class
            check(f"{name}: is told", told.startswith(numerics + "/cuda"), told)
            c.close()
            by = "wgmma" if option == "--quantization" else "mma.sync: wgmma needs a 16-bit cache"
            check(f"{name}: prompts by {by[:8]}", paths(j)[0] == by, paths(j))
            want = answers(cpu, prompts, 8)
            texts = [p + [t[0] for t in w] for p, w in zip(prompts, want)]
            worst = compare(name, bound, want, answers(j, prompts, 8), scores(j, texts), scores(cpu, texts))
            print(f"  {name}: logprobs within {worst:.4f} of the CPU's with {option} {on_cpu}")
            check(f"{name}: ends", j.stop() == 0 and cpu.stop() == 0)
        cpu.close()
        j.close()


# Ranks, capability, whether cuBLASLt scales by row and column, and what the log then says.
FP8 = ((1, 90, 1, "by cuBLASLt"), (2, 90, 0, "by a kernel behind it"), (1, 89, 1, "by a kernel behind it"))


def fp8_weights(folder):
    """e4m3 weights against the CPU's bf16, within a wider bound; which numbers come from where, class, log and head; what refuses them."""
    path = model(folder, MODELS["bf16, heads of 64"])
    rng = random.Random(7)
    prompts = [[rng.randrange(517) for _ in range(n)] for n in (5, 70, 130)]
    cpu = Job(1, path, "--device", "cpu", *SMALL)
    if not start(cpu, "fp8 weights, CPU"):
        return
    want = answers(cpu, prompts, 8)
    texts = [p + [t[0] for t in w] for p, w in zip(prompts, want)]
    given_want = scores(cpu, texts)
    cpu.stop()
    cpu.close()
    for ranks, capability, scales, said in FP8:
        name = f"fp8 weights, {ranks} on {capability}"
        head = ["--quantization-head", "fp8"] if ranks == 2 else []
        j = cuda(ranks, path, "--quantization", "fp8", *head, small=TUNED if ranks == 1 else SMALL, FAKEGPU_CC=str(capability), FAKELT_SCALES=str(scales))
        if not start(j, name):
            continue
        c = Client(j.socket)
        told = c.status().numerics_class
        c.close()
        check(f"{name}: the class", told.startswith(f"bf16/{'fp8' if head else 'fp8+int8'}/bf16/cuda-sm{capability}"), told)
        check(f"{name}: who scales", f'event="fp8 products" scales="{said}"' in j.text(), j.text()[-600:])
        worst = compare(name, 1.5, want, answers(j, prompts, 8), scores(j, texts), given_want)
        check(f"{name}: it is not what 16 bits give", worst > 0.01, worst)
        print(f"  {name}: logprobs within {worst:.4f} of the CPU's in bf16")
        check(f"{name}: ends", j.stop() == 0, j.text()[-400:])
        j.close()


def plans(path):
    """Of a machine with GPUs that is not at hand: sums, limits, and why something does not fit."""
    giant = job.dummy_model(path + "-13b", hidden_size=5120, intermediate_size=13824, num_hidden_layers=40, num_attention_heads=40, vocab_size=100534,
                            max_position_embeddings=8192, torch_dtype="bfloat16")
    for ranks, options, code, part in (
            (3, ["--device-memory", "20G"], 0, "fits"), (1, ["--device-memory", "80G", "--gpu-memory-utilization", "0.5"], 0, "of 40.00 GiB of each GPU"),
            (3, ["--device-memory", "8G"], 78, "with one such sequence 13.98 GiB would be held on a GPU"), (2, ["--device-memory", "80"], 78, "does not fit"),
            (1, ["--device-memory", "80G", "--kv-cache-memory-bytes", "60G"], 78, "is more than there is"),
            (1, ["--device-memory", "80G", "--kv-cache-memory-bytes", "1M"], 78, "is less than one sequence takes"),
            (33, ["--device-memory", "80G"], 64, "33 ranks are too many"), (1, ["--device-memory", "80G", "--compute", "f32"], 66, "not supported yet on CUDA"),
            (1, ["--device-memory", "80G", "--gpu-memory-utilization", "1.5"], 64, "a fraction up to 1.0"),
            (1, ["--device-memory", "80G", "--device", "cpu"], 64, "--device-memory cannot be used with --device cpu")):
        r = subprocess.run([job.BIN + "xversed", giant, "--dry-run", "-tp", str(ranks), "--load-format", "dummy", *options], capture_output=True, text=True,
                           env={**os.environ, "XVERSED_CUDA_LIB": FAKE})
        rows = [[float(x) for x in line.split()[1:]] for line in r.stdout.split("\n") if re.match(r" +\d+ +\d+\.", line)]
        check(f"plan of {ranks}, {options}", r.returncode == code and part in r.stdout + r.stderr, f"{r.returncode}: {r.stdout}{r.stderr}")
        check(f"plan of {ranks}, {options}: sums", all(abs(sum(x[:4]) - x[4]) < 0.003 for x in rows) and len(rows) in (0, ranks), r.stdout)
        told = re.search(r"memory: +([\d.]+) GiB", r.stdout)
        check(f"plan of {ranks}, {options}: the largest rank is told", not told or abs(max(x[4] for x in rows) - float(told[1])) < 0.006, r.stdout)


def eight_bits_planned(path):
    """Bytes of a dry run, and fp8 where there is no GPU."""
    env = {**os.environ, "XVERSED_CUDA_LIB": FAKE}
    for kv, head, ranks in (("auto", 32 * 64 * 2, 1), ("int8", 32 * 64 + 32 * 4, 2), ("fp8", 32 * 64 + 32 * 4, 1)):
        r = subprocess.run([job.BIN + "xversed", path, "--dry-run", "--json", "--device", "cuda", "--device-memory", "2G", "--kv-cache-dtype", kv,
                            "-tp", str(ranks)], capture_output=True, text=True, env=env)
        plan = json.loads(r.stdout)
        # 11 sizes in 2 places; in those of 48 to 128 silu by itself, and a sum after each of 4 products; between ranks a sum and its event
        between = 2 * (ranks - 1)
        nodes = 11 * 2 * (2 * (ranks - 1 + 1 + between + 2 * (8 + 2 * between)) - (3 + between) + 2) + 4 * 2 * (2 * 2 * 5 - 3)
        check(f"{kv}: graphs planned", plan["ranks"][0]["graph_bytes"] == nodes << 16, r.stdout)
        check(f"{kv}: planned", plan["ranks"][0]["kv_bytes"] == plan["kv_tokens"] // 32 * 2 * 2 * 4 // ranks * head, r.stdout)
    r = subprocess.run([job.BIN + "xversed", path, "--device", "cpu", "--kv-cache-dtype", "fp8"], capture_output=True, text=True, timeout=60)
    check("fp8 on the CPU is refused", r.returncode == 66 and "fp8 is for CUDA" in r.stderr, f"{r.returncode}: {r.stderr}")


# Rows of one step that ask for everything there is.
SAMPLED = [dict(temperature=0.8, top_p=0.85, repetition_penalty=1.1, logprobs=5), dict(temperature=1.2, top_k=20, logprobs=0),
           dict(temperature=0, presence_penalty=0.7, frequency_penalty=0.4, logprobs=20), dict(temperature=1, min_p=0.3, bad_token_ids=[3, 7]),
           dict(temperature=1, allowed_token_ids=list(range(40, 90)), logprobs=3), dict(temperature=2, top_k=50, top_p=0.5, min_p=0.01), dict(temperature=1.5, top_n_sigma=0.9, presence_penalty=0.6, bad_token_ids=[3]),
           dict(temperature=1, logit_bias=True, stop_token_ids=list(range(0, 500, 2)), min_tokens=6, logprobs=1), dict(temperature=1)]


def sampled(j):
    """Words and logprobs, all calls at once; and the scores of a prompt."""
    c = Client(j.socket)
    calls = []
    for i, how in enumerate(SAMPLED):
        how = dict(how, logit_bias=[pb.Bias(id=9, value=8), pb.Bias(id=9, value=-3), pb.Bias(id=12, value=5)]) if "logit_bias" in how else how
        calls.append(c.generate([(i * 31 + k * 7) % 517 for k in range(20 + i)], max_tokens=8, seed=i, ignore_eos=True, **how))
    calls.append(c.generate([5, 6, 7, 8, 9], max_tokens=2, seed=3, temperature=1, prompt_logprobs=4))
    c.wait(*calls, seconds=240)
    told = [[(t.id, t.logprob, t.rank, [(y.id, y.logprob) for y in t.top]) for t in list(x.prompt_tokens) + list(x.tokens)] for x in calls]
    out = [(None if x.error else list(x.ids), t) for x, t in zip(calls, told)]
    c.close()
    return out


def sampled_alike(j, name, folder, want, device):
    """The same words whether they are sampled on the device or on the host."""
    got = sampled(j)
    check(f"{name}: all answered", all(ids for ids, _ in got) and all(len(t) for (_, t), how in zip(got, SAMPLED) if "logprobs" in how), got)
    check(f"{name}: the same words and logprobs", got == (want or got), f"{got} and {want}")
    check(f"{name}: sampled where", ("sample_draw" in open(f"{folder}/kernels-{name}").read()) == device)
    return got


# Ranks, devices, tokens of a step, graphs, and whether rows are sampled on the device (None: no such calls).
EVERY_WAY = ((1, 1, 512, False, False), (1, 1, 512, True, True), (2, 2, 48, True, True), (3, 3, 512, True, None), (2, 1, 100, True, True))


def fixed_bits(path, kv="auto", ways=EVERY_WAY, weights="none"):
    """Tokens and logprobs to the last bit: alone or in company, by small or large chunks, on 1 to 3 ranks; 3 rows of logits at a time."""
    rng = random.Random(8)
    prompts = [[rng.randrange(517) for _ in range(n)] for n in (3, 33, 90, 140)]
    want = words = None
    for ranks, devices, chunk, graphs, sample in ways:
        name = f"deterministic, {kv} cache, {weights} quantised, {ranks} on {devices}, chunks of {chunk}{'' if graphs else ', without graphs'}"
        alone = dict(FAKEGPU_EACH="1") if ranks == devices == 2 else {}
        j = cuda(ranks, path, "--enable-deterministic-inference", "--max-num-batched-tokens", str(chunk), "--kv-cache-dtype", kv, "-q", weights, "--max-logits-rows", "3",
                 *([] if graphs else ["--no-graphs"]), *(["--no-device-sample"] if sample is False else []), devices=1 if alone else devices,
                 FAKEGPU_KERNELS=f"{path}/kernels-{name}", **alone)
        if not start(j, name):
            continue
        check(f"{name}: its class", "-fixed/" in class_of(j), class_of(j))
        check(f"{name}: prompts token by token", paths(j)[0] == "token by token: --enable-deterministic-inference", paths(j))
        check(f"{name}: sums on the host only where a GPU is shared", ("ranks share a GPU" in j.text()) == (ranks > devices), j.text())
        if graphs and ranks <= devices:
            graphs_as_planned(j, name)
        together = answers(j, prompts, 6)
        want = want or [answers(j, [p], 6)[0] for p in prompts]
        check(f"{name}: the same bits", together == want, f"{together} and {want}")
        if sample is not None:
            words = sampled_alike(j, name, path, words, sample)
        check(f"{name}: ends", j.stop() == 0, j.text()[-400:])
        j.close()


def refusals(path):
    for options, env, part, code in (
            (["--device", "cuda", "--compute", "f32"], {}, "not supported yet", 66),
            (["--device", "cuda", "--kv-cache-dtype", "f32"], {}, "KV cache type f32 is not supported on CUDA", 66),
            (["--device", "cuda", "--quantization", "fp8"], dict(FAKEGPU_CC="86"), "fp8 weights need compute capability 8.9, and Fake GPU 0 has 8.6: --quantization int8", 66),
            (["--device", "cuda", "--quantization-head", "fp8"], dict(FAKEGPU_CC="80"), "fp8 weights need compute capability 8.9", 66),
            (["--device", "cpu", "--quantization", "fp8"], {}, "fp8 weights are for CUDA; on the CPU --quantization int8", 66),
            (["--device", "cpu", "--quantization-head", "fp8"], {}, "fp8 weights are for CUDA; on the CPU --quantization int8", 66),
            (["--device", "cuda"], dict(FAKEGPU_DEVICES="0"), "no CUDA device", 78),
            (["--device", "cuda", "--device-memory", "1G"], {}, "requires --dry-run", 64),
            (["--device", "cuda"], dict(FAKEGPU_MEM="1000000"), "workspace       graphs        total", 78),
            (["--device", "cuda"], dict(FAKEGPU_CC="75"), "compute capability 7", 66),
            (["--device", "cuda"], dict(FAKEGPU_FAIL="@void prefill_wgmma<Bf16, 64, false>:1=719"), "which --no-wgmma leaves out", 70),
            (["--device", "cuda"], dict(XVERSED_CUDA_LIB="/none.so"), "cannot be opened", 78),
            (["--device", "cuda"], dict(XVERSED_CUDA_LIB=ctypes.util.find_library("m")), "is not an xversed plug-in", 78)):
        r = subprocess.run([job.BIN + "xversed", path, *options, "--uds", path + "/s"], capture_output=True, text=True, timeout=60,
                           env={**os.environ, "XVERSED_CUDA_LIB": FAKE, **env})
        check(f"refused: {options} {env}", part in r.stderr and r.returncode == code, f"{r.returncode}: {r.stderr[-300:]}")
    j = Job(1, path, "--compute", "f32", *SMALL, env=dict(XVERSED_CUDA_LIB=FAKE))
    if start(j, "auto"):
        check("auto falls back", "computing on the CPU: --compute f32 is not supported yet on CUDA" in j.text(), j.text())
        j.stop()
    j.close()
    j = Job(2, path, *SMALL, env=dict(XVERSED_CUDA_LIB=FAKE, FAKEGPU_NONE_ON="1"))
    if start(j, "auto, of two ranks one has no GPU"):
        check("both fall back", "computing on the CPU: no CUDA device" in j.text(), j.text())
        j.stop()
    j.close()


def slices(path):
    """Two ranks on MIG slices of one GPU, which NCCL refuses, answer as on two GPUs."""
    got = []
    for mig in "01":
        j = cuda(2, path, "--no-wgmma", "--deterministic", FAKEGPU_MIG=mig)
        if start(j, f"slices {mig}"):
            got.append(answers(j, [[5, 17, 3]], 4))
            check(f"slices {mig}: the way of sums", ("ranks share a GPU: sums go through the host" in j.text()) == int(mig), j.text()[-600:])
            j.stop()
        j.close()
    check("slices: the same answers", len(got) == 2 and got[0] == got[1], got)


def main():
    try:
        import numpy  # noqa: F401
    except ImportError:
        skip("python3-numpy is not installed")
        finish()
    with tempfile.TemporaryDirectory() as top:
        path = model(top + "/r", MODELS["bf16, heads of 64"])
        parts = [partial(against_cpu, f"{top}/{i}", label, how, ALL_RANKS if FULL or not i else ALL_RANKS[0:3:2]) for i, (label, how) in enumerate(MODELS.items())]
        parts += [partial(fixed_bits, path), partial(eight_bits, top + "/8")]
        parts += [partial(fixed_bits, path, kv, ((1, 1, 512, True, None), (2, 2, 48, True, None))) for kv in (("int8", "fp8") if FULL else ("int8",))]
        parts += [partial(fixed_bits, path, "auto", ((1, 1, 512, True, None), (3, 3, 48, True, None)), weights) for weights in ("int8", "int4", "fp8")]
        parts += [partial(fp8_weights, top + "/fp8")]
        together(3, *parts, partial(ways, path), partial(refusals, path), partial(slices, path), partial(plans, top + "/plan"), partial(eight_bits_planned, path))
    finish()


main()

"""job.py - a daemon under mpirun for tests in Python (standard library only)."""
import atexit
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from patience import limit, wait_for  # noqa: F401
from told import difference, told  # noqa: F401

BIN = "build/bin/"
TESTDATA = os.environ.get("XV_TESTDATA", "../shared/testdata")
STORIES = TESTDATA + "/stories260K/hf-llama"
TEXT_MODEL = STORIES if os.path.isdir(STORIES) else "launch/demo/model"  # a model with a tokenizer: every clone has the bundled one
passed = failed = skipped = 0
counting = threading.Lock()


def own_folder():
    """What the test makes with tempfile lies in one folder, which goes with the test. As in /tmp, other users may write there, too."""
    owner, tempfile.tempdir = os.getpid(), tempfile.mkdtemp(prefix="xv-")
    os.chmod(tempfile.tempdir, 0o1777)
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(tempfile.tempdir, ignore_errors=True))


own_folder()


def check(name, ok, text=""):
    global passed, failed
    with counting:
        if ok:
            passed += 1
        else:
            failed += 1
            print(f"FAILED {name}: {text if text or isinstance(text, (int, bool)) else told()}", flush=True)
    return ok


def together(at_once, *jobs):
    """What each does and returns, as many at a time; one that breaks breaks all."""
    with ThreadPoolExecutor(at_once) as pool:
        return [f.result() for f in [pool.submit(j) for j in jobs]]


def skip(name):
    global skipped
    skipped += 1
    print(f"  skipped: {name}")


def finish():
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    raise SystemExit(failed > 0)


def dummy_model(folder, **over):
    config = dict(architectures=["XverseForCausalLM"], hidden_size=64, intermediate_size=172, num_hidden_layers=2, num_attention_heads=8,
                  vocab_size=517, max_position_embeddings=2048, rms_norm_eps=1e-6)
    config.update(over)
    os.makedirs(folder, exist_ok=True)
    json.dump(config, open(f"{folder}/config.json", "w"))
    return folder


def gone(pid):
    """Ended, or a zombie that nobody has reaped yet."""
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def children(pid):
    try:
        return [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except OSError:
        return []


def name_of(pid):
    try:
        return open(f"/proc/{pid}/comm").read().strip()
    except OSError:
        return ""


class Job:
    def __init__(self, ranks, model, *options, mpirun=(), env=None):
        self.dir = tempfile.mkdtemp(prefix="xv-job-")
        self.socket = self.dir + "/s"
        self.model, self.options, self.mpirun_options, self.n = model, list(options), list(mpirun), ranks
        # Jobs that end beside one that starts would take Open MPI's folder away from it; a killed launcher leaves its own.
        self.env = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "XVERSE_SOCKET": self.socket,
                    "TMPDIR": self.dir, "XDG_RUNTIME_DIR": self.dir, **(env or {})}
        self.process = None

    def command(self):
        return ["mpirun", "--oversubscribe", "--bind-to", "none", *self.mpirun_options, "-n", str(self.n), BIN + "xversed", self.model,
                "--uds", self.socket, *self.options]

    def start(self, seconds=60):
        self.log = open(self.dir + "/log", "a")
        mark = self.log.tell()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.env)
        end = time.time() + seconds
        while time.time() < end and self.process.poll() is None:
            if 'event="ready"' in open(self.dir + "/log").read()[mark:]:
                return True
            time.sleep(0.05)
        return False

    def mpirun(self):
        return self.process.pid

    def ranks(self):
        """Process ids by rank: mpirun starts them in that order."""
        return sorted(p for p in children(self.mpirun()) if name_of(p) == "xversed")

    def text(self):
        return open(self.dir + "/log").read()

    def run(self, *args, timeout=120):
        return subprocess.run([BIN + "xverse", *args], stdin=subprocess.DEVNULL, capture_output=True, env=self.env, timeout=timeout)

    def stop(self, seconds=60):
        """Drain; the exit status."""
        if self.process is None or self.process.poll() is not None:
            return None if self.process is None else self.process.returncode
        self.process.send_signal(signal.SIGUSR1)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "no end"

    def close(self):
        if self.process and self.process.poll() is None:
            ranks = self.ranks()
            self.process.kill()
            for pid in ranks:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            self.process.wait()
        shutil.rmtree(self.dir)


class Launched(Job):
    """The same under xverse-launch."""

    def __init__(self, ranks, model, *options, launch=("--restart",), **more):
        super().__init__(ranks, model, *options, **more)
        self.launch = list(launch)

    def command(self):
        return [BIN + "xverse-launch", "-n", str(self.n), *self.launch, self.model, "--uds", self.socket, *self.options]

    def mpirun(self):
        """0: there is none now."""
        return next((p for p in children(self.process.pid) if name_of(p) in ("mpirun", "orterun")), 0)

    def wait_ready(self, times, seconds=60):
        """Until the log tells for the times-th time that the daemon is ready."""
        return wait_for(lambda: self.text().count('event="ready"') >= times or self.process.poll() is not None, seconds) and \
            self.process.poll() is None

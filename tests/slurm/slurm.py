"""slurm.py - a Slurm of two nodes on this machine, for tests in Python (tests/slurm/lab)."""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, "tests/e2e")
from job import check, difference, finish, gone, limit, skip, wait_for  # noqa: E402,F401

ROOT = os.getcwd()
BIN = ROOT + "/build/bin"
MODEL = ROOT + "/launch/demo/model"
FULL = "--full" in sys.argv
DIR = tempfile.mkdtemp(prefix="xv-slurm-", dir="/tmp")
LAB = DIR + "/lab"
ENV = {**os.environ, "HOME": DIR, "PATH": BIN + ":" + os.environ["PATH"], "XVERSED_DEVICE": "cpu", "XVERSE_JOB_ADDRESSES": DIR + "/addresses",
       "XVERSE_JOB_SOCKETS": DIR + "/sockets",
       "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
ENV["XDG_RUNTIME_DIR"] = DIR + "/run"  # of killed tasks, too
os.mkdir(ENV["XDG_RUNTIME_DIR"], 0o700)
for name in [n for n in ENV if n.startswith("SLURM_")]:
    del ENV[name]


def down():
    subprocess.run(["tests/slurm/lab", "down", LAB], capture_output=True, cwd=ROOT)
    shutil.rmtree(DIR, ignore_errors=True)


def up(nodes=2):
    """Starts the lab, or ends the test as skipped."""
    atexit.register(down)
    p = subprocess.run(["tests/slurm/lab", "up", LAB, str(nodes)], capture_output=True, text=True)
    if p.returncode == 77:
        skip(p.stderr.strip().split("\n")[-1])
        finish()
    if not check("the lab starts", p.returncode == 0, p.stderr[-600:]):
        finish()


def login(*command, timeout=120, cwd=DIR, **env):
    """A command on the machine that users log in to."""
    return subprocess.run([LAB + "/login", *command], capture_output=True, text=True, timeout=timeout, cwd=cwd, env={**ENV, **env},
                          stdin=subprocess.DEVNULL)


def on(node, *command, timeout=120, **env):
    return subprocess.run([LAB + "/on", node, *command], capture_output=True, text=True, timeout=timeout, cwd=DIR, env={**ENV, **env},
                          stdin=subprocess.DEVNULL)


def state(job):
    """RUNNING, PENDING, COMPLETED ... of each task of a job."""
    return login("squeue", "-h", "-t", "all", "-j", str(job), "-o", "%T").stdout.split()


def network(pid):
    return os.readlink(f"/proc/{pid}/ns/net")


def here(pid):
    """Whether a process is on a node of this lab: another test's Slurm has jobs of the same numbers."""
    return network(pid) in [network(open(f"{LAB}/{n}.pid").read().strip()) for n in "ab"]


def runs(number):
    """Whether Slurm's own process beside a job of this lab lives, or has not tidied up."""
    if any(os.path.exists(f"{LAB}/spool.{n}/job{int(number):05d}") for n in "ab"):
        return True
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/cmdline").read().startswith(f"slurmstepd: [{number}.") and here(pid) and not gone(int(pid)):
                return True
        except OSError:
            pass
    return False


def start_now(job):
    """A job that was queued again would wait for twice the life of its old credential. slurmd compares whole seconds: a run that begins in the one in
    which the run before was ended has a "revoked" credential, and fails. One that begins before its first run is all over fails, too: that takes the
    script away."""
    number = login("squeue", "-h", "-r", "-j", str(job), "-o", "%A").stdout.strip()
    if not number.isdigit() or not wait_for(lambda: not runs(number), 30):
        return False
    time.sleep(1.1)
    return login("scontrol", "update", f"jobid={job}", "starttime=now").returncode == 0


def node_of(job):
    return login("squeue", "-h", "-j", str(job), "-o", "%N").stdout.strip()


def link(node, how):
    subprocess.run(["tests/nodes/lab", "link", LAB, node, how], check=True, cwd=ROOT)


def die(node):
    subprocess.run(["tests/nodes/lab", "die", LAB, node], check=True, cwd=ROOT)

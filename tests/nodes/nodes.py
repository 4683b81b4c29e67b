"""nodes.py - a job over several nodes, which are namespaces of this machine (tests/nodes/lab)."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, "tests/e2e")
import job as j

LAB = "tests/nodes/lab"


class Lab:
    """None of it is there when `ok` is false, and `why` says why."""

    def __init__(self, n):
        self.dir = tempfile.mkdtemp(prefix="xv-nodes-") + "/lab"
        r = subprocess.run([LAB, "up", self.dir, str(n)], capture_output=True, text=True)
        self.ok, self.why = r.returncode == 0, r.stderr.strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([LAB, "down", self.dir], capture_output=True)
        shutil.rmtree(os.path.dirname(self.dir), ignore_errors=True)

    def link(self, node, how):
        """False: this machine cannot do it."""
        return subprocess.run([LAB, "link", self.dir, node, how], capture_output=True).returncode == 0

    def die(self, node):
        subprocess.run([LAB, "die", self.dir, node], capture_output=True)

    def on(self, node, *command, **how):
        return subprocess.run([self.dir + "/on", node, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **how)

    def processes(self, name="xversed"):
        """Those of all nodes: {node: [process ids of this machine, by age]}."""
        nets, out = {}, {}
        for f in sorted(os.listdir(self.dir)):
            try:
                if f.endswith(".pid"):
                    nets[os.readlink(f"/proc/{open(f'{self.dir}/{f}').read().strip()}/ns/net")] = f[:-4]
            except OSError:
                pass  # the node has died
        for pid in sorted(int(p) for p in os.listdir("/proc") if p.isdigit()):
            try:
                net = os.readlink(f"/proc/{pid}/ns/net")
            except OSError:
                continue
            if net in nets and j.name_of(pid) == name and not j.gone(pid):
                out.setdefault(nets[net], []).append(pid)
        return out


class NodeJob(j.Job):
    """hosts: "a:2,b:2". The socket is on node a, whose folders are this machine's."""

    def __init__(self, lab, hosts, model, *options, mpirun=(), program="xversed"):
        super().__init__(sum(int(h.split(":")[1]) for h in hosts.split(",")), model, *options, mpirun=mpirun)
        self.lab, self.hosts, self.program = lab, hosts, program

    def command(self):
        return [self.lab.dir + "/mpirun", "--oversubscribe", *self.mpirun_options, "--host", self.hosts, "-n", str(self.n), "-wdir", os.getcwd(),
                os.path.abspath(j.BIN + self.program), os.path.abspath(self.model), "--uds", self.socket, *self.options]

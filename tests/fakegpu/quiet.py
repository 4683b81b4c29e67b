"""A daemon on emulated GPUs that is held to what a step may do."""
import os

from job import Job


class Quiet(Job):
    """Between start and stop no call of CUDA's may take memory, wait, or set something up."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.env["FAKEGPU_QUIET"] = self.dir + "/serving"

    def start(self, *args):
        ok = super().start(*args)
        if ok:
            open(self.dir + "/serving", "w").close()
        return ok

    def stop(self, *args):
        os.unlink(self.dir + "/serving")
        return super().stop(*args)

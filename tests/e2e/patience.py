"""patience.py - how long tests wait: others may have the machine meanwhile, so that what takes a moment alone may take a minute."""
import os
import time


def wait_for(true, seconds=60, every=0.02):
    """What true() returns, as soon as that is true; what it returns at last where it does not become so within the time."""
    end = time.time() + seconds
    while time.time() < end:
        if r := true():
            return r
        time.sleep(every)
    return true()


def limit(seconds):
    """What is promised within `seconds` on an idle machine is asserted within this time: longer by what wants the processors, over the last minute
    or now."""
    wanting = float(open("/proc/loadavg").read().split()[3].split("/")[0])
    return seconds * max(1, os.getloadavg()[0] / os.cpu_count(), wanting / os.cpu_count())

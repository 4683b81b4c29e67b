#!/usr/bin/python3
"""stranger.py PID SECONDS [FROM] - calls every port that listens in the network of process PID, again and again: says nothing, half a hello, noise, a
byte a time or a request of HTTP, and holds up to 400 connections open. Runs in the network of a node; FROM is its address. Prints how often it
connected, to how many ports."""
import os
import random
import socket
import struct
import sys
import time

pid, seconds, own = sys.argv[1], float(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""
HELLO = struct.pack("<IHH", 0x78686931, 1, 0)
SAYS = [b"", HELLO, HELLO + os.urandom(16), os.urandom(64), b"\0" * 4096, b"GET / HTTP/1.0\r\n\r\n", os.urandom(1 << 16)]


def listening():
    out = []
    for name, size in (("tcp", 8), ("tcp6", 32)):
        for line in open(f"/proc/{pid}/net/{name}").read().splitlines()[1:]:
            f = line.split()
            if f[3] == "0A":
                address, port = f[1].split(":")
                raw = b"".join(struct.pack("<I", int(address[i:i + 8], 16)) for i in range(0, size, 8))
                out.append((socket.inet_ntop(socket.AF_INET if size == 8 else socket.AF_INET6, raw), int(port, 16)))
    return out


def call(address, port, to):
    s = socket.socket(socket.AF_INET6 if ":" in address and address != "::" else socket.AF_INET)
    s.settimeout(0.5)
    try:
        if own:
            s.bind((own, 0))
        s.connect((to if address in ("0.0.0.0", "::") else address, port))
        s.send(random.choice(SAYS))
        return s
    except OSError:
        s.close()
        return None


held, slow, calls, ports, end = [], [], 0, set(), time.time() + seconds
to = sys.argv[4] if len(sys.argv) > 4 else "127.0.0.1"
while time.time() < end:
    found = [p for p in listening() if p[0] not in ("127.0.0.1", "::1") or to == "127.0.0.1"]
    for address, port in found:
        s = call(address, port, to)
        if s:
            calls += 1
            ports.add(port)
            held.append(s)
    for s in held[-20:]:
        try:
            s.send(b"x")
        except OSError:
            pass
    while len(held) > 400:
        held.pop(random.randrange(len(held))).close()
    if not found:
        time.sleep(0.005)
print(f"{calls} calls to {len(ports)} ports")

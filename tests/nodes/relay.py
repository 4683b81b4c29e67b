#!/usr/bin/python3
"""relay.py ONE OTHER DELAY_MS LOSS_TO_OTHER LOSS_TO_ONE MTU - carries frames between two interfaces of this network namespace, late, and drops so
many percent of them and all of more than MTU bytes: a bad network, without the kernel's netem. Interfaces must send whole frames:
`relay.py --whole INTERFACE` turns off what the kernel leaves to hardware."""
import ctypes
import fcntl
import heapq
import random
import select
import socket
import struct
import sys
import time

ETHTOOL, OFF = 0x8946, (0x15, 0x17, 0x19, 0x1f, 0x21, 0x24, 0x2c)  # rx and tx checksums, scatter, tso, ufo, gso, gro
PACKET_OUTGOING = 4  # what this program sent


def whole(name):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for what in OFF:
        value = ctypes.create_string_buffer(struct.pack("II", what, 0), 8)
        try:
            fcntl.ioctl(s, ETHTOOL, struct.pack("16sQ16x", name.encode(), ctypes.addressof(value)))
        except OSError:
            pass  # this kernel has no such feature


def opened(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((name, 3))
    s.setsockopt(263, 1, struct.pack("IHH8s", socket.if_nametoindex(name), 1, 0, b""))  # SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC
    s.setblocking(False)
    return s


def carry(one, other, delay, loss_to_other, loss_to_one, most):
    ends, late, n = {one: (other, loss_to_other), other: (one, loss_to_one)}, [], 0
    while True:
        wait = max(0, late[0][0] - time.monotonic()) if late else None
        for s in select.select(list(ends), [], [], wait)[0]:
            to, loss = ends[s]
            try:
                frame, whence = s.recvfrom(65536)
            except OSError:
                continue  # the interface is down
            if whence[2] == PACKET_OUTGOING or random.random() * 100 < loss or len(frame) > most + 14:
                continue
            n += 1
            heapq.heappush(late, (time.monotonic() + delay / 1000, n, to, frame))
        while late and late[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(late)
            try:
                to.send(frame)
            except OSError:
                pass


if sys.argv[1] == "--whole":
    whole(sys.argv[2])
else:
    carry(opened(sys.argv[1]), opened(sys.argv[2]), *(float(a) for a in sys.argv[3:]))

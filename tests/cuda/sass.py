#!/usr/bin/env python3
"""sass.py - counts machine instructions of each kernel in cubins, without cuobjdump: a Volta-to-Hopper instruction is 16 bytes, its
opcode the low 12 bits; a load's or store's width sits in bits 73-75. EX2.UNDER: exponentials between a wait that leaves products of a
warpgroup running and the next wait. EARLY: loads, stores and copies of global memory before the first ACQBULK, which is
griddepcontrol.wait (PREEXIT: griddepcontrol.launch_dependents). LDG.NC: by ld.global.nc.
LDG.FIRST: loads before the first store. MEMBAR.SC: a sequentially consistent fence, as __threadfence() is one.
  sass.py FILE.cubin... [FILE.log...]         prints a table; logs of ptxas -v add REGS
  sass.py -e EXPECT FILE.cubin... [FILE.log...]
EXPECT has lines "kernel KEY op N" (op one of == >= <=; KEY@ARCH: only for files with that in their name); `kernel` is a name or a name with template arguments, or *. Each kernel needs
a line of its own. Exit 1 where one fails."""
import collections
import re
import struct
import subprocess
import sys

OPS = {0x981: "LDG", 0x986: "STG", 0x983: "LDL", 0x387: "STL", 0x984: "LDS", 0x388: "STS", 0x23C: "HMMA", 0x9F0: "HGMMA", 0xDF0: "HGMMA",
       0x83B: "LDSM", 0xFAE: "LDGSTS",
       0xB1D: "BAR", 0xF89: "SHFL", 0x389: "SHFL", 0x943: "CALL", 0x944: "CALL", 0x82E: "ACQBULK", 0x82D: "PREEXIT", 0x992: "MEMBAR"}
WIDE = {"LDG", "STG", "LDS", "STS", "LDL", "STL"}
WARPGROUP, MUFU = 0x9C5, 0x308  # the former: fences and waits; bits 72-74 say how many groups a wait leaves running
BITS = {0: 8, 1: 8, 2: 16, 3: 16, 4: 32, 5: 64, 6: 128}


def plain(names):
    """Demangled, without parameters: decode<Bf16, 128, 1>."""
    out = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout.split("\n")
    return {n: re.sub(r"\(.*", "", re.sub(r"^void ", "", re.sub(r"\((?:int|bool)\)", "", o))) for n, o in zip(names, out)}


def sections(path):
    d = open(path, "rb").read()
    shoff, = struct.unpack_from("<Q", d, 0x28)
    size, num, strx = struct.unpack_from("<HHH", d, 0x3A)
    sec = [struct.unpack_from("<IIQQQQIIQQ", d, shoff + i * size) for i in range(num)]
    names = d[sec[strx][4]:sec[strx][4] + sec[strx][5]]
    for s in sec:
        n = names[s[0]:names.index(b"\0", s[0])].decode()
        if n.startswith(".text."):
            yield n[6:], d[s[4]:s[4] + s[5]]


def count(code):
    c, running = collections.Counter(), False
    for o in range(0, len(code), 16):
        lo, hi = struct.unpack_from("<QQ", code, o)
        op = OPS.get(lo & 0xFFF) if lo >> 12 & 15 != 15 else None  # predicate !PT: never runs
        c["all"] += 1
        if lo & 0xFFF == WARPGROUP:
            running = hi >> 8 & 7
        c["EX2.UNDER"] += bool(running) and lo & 0xFFF == MUFU
        if op:
            c[op] += 1
            c["LDG.FIRST"] += op == "LDG" and not c["STG"]
            c["MEMBAR.SC"] += op == "MEMBAR" and not hi >> 15 & 1
            c["LDG.NC"] += op == "LDG" and hi >> 13 & 7 == 4
            c["EARLY"] += op in ("LDG", "STG", "LDGSTS") and not c["ACQBULK"]
            if op in WIDE:
                c[f"{op}.{BITS.get(hi >> 9 & 7, 0)}"] += 1
    return c


def read(paths):
    found, regs = {}, {}
    for p in paths:
        if p.endswith(".log"):
            for m in re.finditer(r"Compiling entry function '(\S+)'.*?Used (\d+) registers", open(p).read(), re.S):
                regs[m[1]] = int(m[2])
        else:
            found.update({k: count(code) for k, code in sections(p)})
    name = plain(list(found))
    for k, n in regs.items():
        if k in found:
            found[k]["REGS"] = n
    return {name[k]: c for k, c in found.items()}


def main():
    args = sys.argv[1:]
    if args[:1] != ["-e"]:
        for k, c in sorted(read(args).items()):
            print(f"{k:34}", " ".join(f"{a}={b}" for a, b in sorted(c.items())))
        return 0
    found, bad, seen, held = read(args[2:]), 0, set(), 0
    for line in open(args[1]):
        w = line.split("#")[0].rsplit(None, 3)
        if len(w) != 4:
            continue
        kernel, (key, _, arch), op, n = w[0].strip(), w[1].partition("@"), w[2], int(w[3])
        names = [k for k in found if kernel in ("*", k, k.split("<")[0])]
        if not names:
            print(f"FAILED {kernel}: no such kernel"), (bad := bad + 1)
        for k in names:
            if kernel != "*":
                seen.add(k)
            if not any(arch in p for p in args[2:]):
                continue
            v = found[k].get(key, 0)
            if {"==": v == n, ">=": v >= n, "<=": v <= n}[op]:
                held += 1
            else:
                print(f"FAILED {k}: {key} is {v}, wanted {op} {n}"), (bad := bad + 1)
    for k in found:
        if k not in seen:
            print(f"FAILED {k}: no line in {args[1]}"), (bad := bad + 1)
    print(f"{held} passed, {bad} failed")
    return bad > 0


sys.exit(main())

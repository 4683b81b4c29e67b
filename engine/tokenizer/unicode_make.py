#!/usr/bin/env python3
"""Writes unicode_tables.inc: what the reference tokenizer engine does with every code point.

The tables are read off the engine itself (PyPI `tokenizers`), not off the Unicode database: its crates hold several
old versions of Unicode. Run: $(tests/oracle/venv words) engine/tokenizer/unicode_make.py > engine/tokenizer/unicode_tables.inc
"""
import sys
from tokenizers import Regex, __version__, normalizers, pre_tokenizers

ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
HANGUL = range(0xAC00, 0xD7A4)


def ranges(test):
    out = []
    for c in ALL:
        if test(chr(c)):
            if out and out[-1][1] == c - 1:
                out[-1][1] = c
            else:
                out.append([c, c])
    return [x for r in out for x in r]


def splits(pre):
    return lambda ch: len(pre.pre_tokenize_str("\x01" + ch)) == 2 if ch != "\x01" else len(pre.pre_tokenize_str("a" + ch)) == 2


def regex(pattern):
    pre = pre_tokenizers.Split(Regex(pattern), "removed")
    return lambda ch: len(pre.pre_tokenize_str(ch)) == 0


def mapping(norm, skip=None):
    out = {}
    for c in ALL:
        s = norm.normalize_str(chr(c))
        if s != chr(c) and c not in HANGUL and not (skip and skip.get(c) == s):
            out[c] = s
    return out


def classes(nfd):
    """Combining classes, by which of two marks the engine puts first. One mark that the engine knows stands for each class."""
    import unicodedata

    def swaps(a, b):  # class(a) > class(b) > 0
        return nfd.normalize_str(a + b) == b + a and a != b

    known = {240: "\u0345"}
    for c in ALL:
        k = unicodedata.combining(chr(c))
        if k and k not in known and swaps(known[240], chr(c)):
            known[k] = chr(c)
    order = sorted(known)

    out = {}
    for c in ALL:
        ch = chr(c)
        if len(nfd.normalize_str(ch)) != 1 or nfd.normalize_str(ch) != ch:
            continue
        below = swaps(known[order[-1]], ch)
        if not below and not swaps(ch, known[order[0]]):
            continue
        higher = [k for k in order if swaps(known[k], ch)]
        out[c] = order[-1] if not higher else max(k for k in order if k < higher[0])
    flat = []
    for c in sorted(out):
        if flat and flat[-1][1] == c - 1 and flat[-1][2] == out[c]:
            flat[-1][1] = c
        else:
            flat.append([c, c, out[c]])
    return [x for r in flat for x in r]


def compositions(nfd, nfc, decomposed):
    """a, b, c: the engine composes a and b to c."""
    out = []
    for c, s in sorted(decomposed.items()):
        if len(s) < 2 or nfc.normalize_str(chr(c)) != chr(c):
            continue
        head = nfc.normalize_str(s[:-1])
        if len(head) == 1 and nfc.normalize_str(head + s[-1]) == chr(c):
            out.append((ord(head), ord(s[-1]), c))
    return [x for r in sorted(out) for x in r]


def flat(table):
    return [x for c, s in sorted(table.items()) for x in (c, len(s), *map(ord, s))]


PROPERTIES = ["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Po", "S", "Sc", "Sk", "Sm", "So", "Han"]


def later(pattern, assigned):
    """What the engine's expressions match of the characters that Unicode 14, and so Debian's Oniguruma, does not have."""
    test = regex(pattern)
    return ranges(lambda ch: not assigned[ord(ch)] and test(ch))


def write_later():
    import unicodedata
    assert unicodedata.unidata_version.startswith("14.")
    assigned = [unicodedata.category(chr(c)) != "Cn" for c in range(0x110000)]
    names = [(p, "\\p{%s}" % p) for p in PROPERTIES] + [("w", r"\w"), ("d", r"\d")]
    for name, pattern in names:
        write(f"later_{name}", later(pattern, assigned) or [0])
    print("static const struct {\n\tconst char *name;\n\tconst uint32_t *ranges;\n\tsize_t n;\n} later[] = {")
    for name, _ in names:
        print(f'\t{{"{name}", later_{name}, sizeof later_{name} / sizeof *later_{name} / 2 * 2}},')
    print("};")


def write(name, numbers):
    print(f"static const uint32_t {name}[] = {{")
    line = "\t"
    for x in numbers:
        item = f"{x},"
        if len(line) + len(item) > 120:
            print(line)
            line = "\t"
        line += item
    print(line + "\n};")


def main():
    nfd, nfc, nfkd = normalizers.NFD(), normalizers.NFC(), normalizers.NFKD()
    print(f"/* Made by unicode_make.py from tokenizers {__version__}. Do not edit. */")
    write("table_punct", ranges(splits(pre_tokenizers.Punctuation("isolated"))))
    write("table_numeric", ranges(splits(pre_tokenizers.Digits(True))))
    write("table_letter", ranges(regex(r"\p{L}")))
    write("table_number", ranges(regex(r"\p{N}")))
    write("table_space", ranges(regex(r"\s")))
    # Not Oniguruma's: Whitespace and the borders of added tokens use another expression engine.
    words = pre_tokenizers.Whitespace()
    write("table_word", ranges(lambda ch: words.pre_tokenize_str("a" + ch)[0][0] == "a" + ch))
    strip = normalizers.StripAccents()
    write("table_mark", ranges(lambda ch: strip.normalize_str(ch) == ""))
    canonical = mapping(nfd)
    write("table_nfd", flat(canonical))
    write("table_nfkd", flat(mapping(nfkd, canonical)))
    write("table_ccc", classes(nfd))
    write("table_compose", compositions(nfd, nfc, canonical))
    write("table_lower", flat(mapping(normalizers.Lowercase())))
    write_later()


if __name__ == "__main__":
    sys.exit(main())

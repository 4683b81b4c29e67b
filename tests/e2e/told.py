"""told.py - what a failed check can say where it was given no text: its source, with the values of what that names."""
import ast
import linecache
import sys

WRAPPERS = ("check", "same", "told")


def _source(frame):
    """The call's text, from its first line to its last."""
    code, line = frame.f_code, frame.f_lineno
    last = line
    if hasattr(code, "co_positions"):
        first, end, _, _ = list(code.co_positions())[frame.f_lasti // 2]
        line, last = first or line, end or line
    return line, " ".join(linecache.getline(code.co_filename, n).strip() for n in range(line, last + 1))


def _value(node, frame):
    if isinstance(node, ast.Attribute):
        return getattr(_value(node.value, frame), node.attr)
    return frame.f_locals[node.id] if node.id in frame.f_locals else frame.f_globals[node.id]


def _values(text, frame):
    """Names, and names with attributes, that are not called."""
    tree = ast.parse(text.rstrip(":").removeprefix("if not ").removeprefix("if "))
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and id(node) not in called | inner:
            try:
                yield f"{ast.unparse(node)}={repr(_value(node, frame))[:120]}"
            except Exception:  # a name that is not set yet, a property of a connection that is closed
                continue


def told():
    frame = sys._getframe(1)
    while frame.f_code.co_name in WRAPPERS and frame.f_back:
        frame = frame.f_back
    line, text = _source(frame)
    try:
        values = list(dict.fromkeys(_values(text, frame)))
    except SyntaxError:
        values = []
    return f"line {line}: {text[:200]} {', '.join(values)}"[:600]


def difference(found, wanted, most=3):
    """The first lines in which two files' bytes differ."""
    a, b = found.split(b"\n"), wanted.split(b"\n")
    text = f"{len(a) - 1} lines, wanted {len(b) - 1}"
    differing = [i for i in range(max(len(a), len(b))) if a[i:i + 1] != b[i:i + 1]]
    for i in differing[:most]:
        here, there = a[i] if i < len(a) else b"(none)", b[i] if i < len(b) else b"(none)"
        at = max(0, next((k for k, (x, y) in enumerate(zip(here, there)) if x != y), min(len(here), len(there))) - 60)
        text += f"\n  line {i + 1}, found:  {here[at:at + 240]!r}\n  line {i + 1}, wanted: {there[at:at + 240]!r}"
    return text if found != wanted else "they are the same"

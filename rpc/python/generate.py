#!/usr/bin/env python3
"""generate.py PROTO VERSION OUT.py - makes xverse/_schema.py: all that the client knows of the protocol, from its one description.

Meanings and ranges of sampling fields are those of proto/sampling.def beside it. The module holds the descriptor, from which any protobuf runtime makes its messages (code of protoc loads with some versions only), and what
Python's users see of it: enums, an exception for each error code, a dataclass for each message of a reply, and the options of each request
as a TypedDict. Comments of the .proto file become docstrings. A scalar of a reply whose comment says what "unset" means is None where it
is unset; other scalars have protobuf's default. Needs protoc (or Debian's protoc-c, or grpcio-tools) and protobuf."""
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

from google.protobuf import descriptor_pb2

F = descriptor_pb2.FieldDescriptorProto
FLOATS = (F.TYPE_FLOAT, F.TYPE_DOUBLE)
INNER = ("Hello", "Error", "KeepAlive")  # replies that the client keeps to itself
UNWRAPPED = ("Text", "Done", "Metrics")  # of which it hands out the one field
REQUESTS = ("Generate", "Chat", "Score", "Tokenize", "Detokenize", "Template")
GIVEN = ("text", "tokens", "ids", "messages", "sampling", "resume", "prefix_id")  # arguments of their own, or none of the user's
PREFIX = ("prefix_text", "prefix_tokens")
JSON = ("json_schema", "structural_tag")  # of a Constraint: as text, or as what json.loads() makes of it


def compile_proto(path):
    """The descriptor of the file, with its comments."""
    found = [[p] for p in (os.environ.get("PROTOC"), shutil.which("protoc"), shutil.which("protoc-c")) if p]
    if not found and importlib.util.find_spec("grpc_tools"):
        found = [[sys.executable, "-m", "grpc_tools.protoc"]]
    if not found:
        raise SystemExit("xverse: protoc is needed to build the client (Debian: protobuf-compiler; PyPI: grpcio-tools)")
    with tempfile.TemporaryDirectory() as work:
        out = os.path.join(work, "set")
        subprocess.run([*found[0], "--include_source_info", "--descriptor_set_out=" + out, "-I" + (os.path.dirname(path) or "."), path], check=True)
        with open(out, "rb") as f:
            return descriptor_pb2.FileDescriptorSet.FromString(f.read()).file[0]


def sampling_fields(path):
    """Meaning, default and range of the fields that the list names: by the name on the wire."""
    found = {}
    with open(path, encoding="utf-8") as f:
        for macro, row in re.findall(r"^(REAL|WHOLE|SWITCH)\((.*)\)$", f.read(), re.M):
            text = re.search(r'"(.*)"', row).group(1)
            cells = [c.strip() for c in row[:row.index('"')].split(",")]
            if macro == "SWITCH":
                name, bounds = cells[2], f"default {cells[3]}"
            elif macro == "REAL":
                name, bounds = cells[1], f"{'above ' if cells[3] == 'ABOVE' else ''}{cells[4]} to {cells[5]}, default {cells[2]}"
            else:
                name, bounds = cells[3], f"{cells[5]} to {cells[6]}"
            found[name] = f"{text} ({bounds})"
    return found


class Schema:
    def __init__(self, file, sampling):
        self.file = file
        self.sampling = sampling
        self.messages = {m.name: m for m in file.message_type}
        self.comments = {tuple(at.path): at for at in file.source_code_info.location}

    def comment(self, *path):
        """What stands before or behind it, as one line."""
        at = self.comments.get(path)
        text = (at.leading_comments or at.trailing_comments) if at else ""
        return " ".join(text.split()).replace("\\", "\\\\").replace('"""', "'''")

    def message_comment(self, name):
        return self.comment(4, list(self.messages).index(name))

    def field_comment(self, name, i):
        return self.comment(4, list(self.messages).index(name), 2, i)

    def fields(self, name):
        """(field, comment) of a message, in its order."""
        return [(f, self.field_comment(name, i)) for i, f in enumerate(self.messages[name].field)]

    def type_name(self, f):
        return f.type_name.rsplit(".", 1)[-1]

    def replies(self):
        """Messages that replies are made of, those within others first."""
        order = []

        def visit(name):
            if name in order or name in ("Sampling",) + INNER:
                return
            for f in self.messages[name].field:
                if f.type == F.TYPE_MESSAGE:
                    visit(self.type_name(f))
            order.append(name)
        for f in self.messages["Reply"].field:
            if f.type == F.TYPE_MESSAGE:
                visit(self.type_name(f))
        return order

    def scalar(self, f):
        if f.type == F.TYPE_ENUM:
            return self.type_name(f)
        return {F.TYPE_STRING: "str", F.TYPE_BYTES: "bytes", F.TYPE_BOOL: "bool"}.get(f.type, "float" if f.type in FLOATS else "int")


def literal(data):
    lines = [repr(data[i:i + 40]) for i in range(0, len(data), 40)]
    return "(\n    " + "\n    ".join(lines) + "\n)"


def docstring(first, items, indent="    "):
    """A docstring of a sentence and a list of (name, comment)."""
    out = textwrap.wrap(first, 100)
    described = [(n, c) for n, c in items if c]
    if described:
        out += ["", "Attributes:"]
        for name, comment in described:
            out += textwrap.wrap(f"{name}: {comment}", 100, initial_indent="    ", subsequent_indent="        ")
    text = "\n".join(indent + line if line else "" for line in out).strip()
    return f'{indent}"""{text}"""' if len(out) == 1 else f'{indent}"""{text}\n{indent}"""'


def common_prefix(names):
    first = os.path.commonprefix(names)
    return first[:first.rfind("_") + 1]


def enums(schema):
    for i, e in enumerate(schema.file.enum_type):
        prefix = common_prefix([v.name for v in e.value])
        values = [(v.name[len(prefix):], v.number, schema.comment(5, i, 2, k)) for k, v in enumerate(e.value)]
        yield e.name, f"class {e.name}(IntEnum):\n" + docstring(schema.comment(5, i) or f"{e.name} of the protocol.", [(n, c) for n, _, c in values]) + \
            "\n\n" + "\n".join(f"    {n} = {number}" for n, number, _ in values)


def exceptions(schema):
    codes = next(e for e in schema.file.enum_type if e.name == "Code")
    for v in codes.value:
        if v.number:
            name = "".join(part.capitalize() for part in v.name[5:].split("_")) + "Error"
            text = schema.comment(5, list(schema.file.enum_type).index(codes), 2, list(codes.value).index(v))
            yield name, v.number, f"class {name}(XverseError):\n" + docstring(f"``{v.name}``" + (f": {text}" if text else "."), []) + \
                f"\n\n    default_code = {v.number}"


def reply_field(schema, f, comment):
    """Its line in a dataclass."""
    if f.type == F.TYPE_MESSAGE:
        name = schema.type_name(f)
        if name == "Sampling":
            return f"    {f.name}: SamplingOptions = field(default_factory=_no_options)"
        if f.label == F.LABEL_REPEATED:
            return f"    {f.name}: List[{name}] = field(default_factory=list)"
        return f"    {f.name}: {name} = field(default_factory={name})"
    kind = schema.scalar(f)
    if f.label == F.LABEL_REPEATED:
        return f"    {f.name}: List[{kind}] = field(default_factory=list)"
    if re.search(r"\bunset\b", comment):
        return f"    {f.name}: Optional[{kind}] = None"
    zero = {"int": "0", "float": "0.0", "bool": "False", "str": '""', "bytes": 'b""'}.get(kind, f"{kind}(0)")
    return f"    {f.name}: {kind} = {zero}"


def dataclasses(schema):
    for name in schema.replies():
        fields = schema.fields(name)
        body = "\n".join(reply_field(schema, f, c) for f, c in fields) or "    pass"
        doc = docstring(schema.message_comment(name) or f"{name} of a reply.", [(f.name, c) for f, c in fields])
        yield name, f"@dataclass\nclass {name}:\n{doc}\n\n{body}"


def option(schema, f):
    """(name, type) by which a user gives a field of a request."""
    if f.name == "logit_bias":
        return f.name, "Mapping[int, float]"
    if f.name.endswith("_json"):
        return f.name[:-5], "Any"
    kind = schema.scalar(f)
    if f.label == F.LABEL_REPEATED:
        return f.name, "Union[str, Sequence[str]]" if kind == "str" else f"Sequence[{kind}]"
    return f.name, kind


def constraint_options(schema):
    for f, comment in schema.fields("Constraint"):
        kind = "Sequence[str]" if f.name == "choice" else "Union[str, Mapping[str, Any]]" if f.name in JSON else schema.scalar(f)
        yield f.name, kind, comment


def request_options(schema, message):
    """(name, type, comment) of each option of a request."""
    if message == "Sampling":
        for f, comment in schema.fields(message):
            if f.name == "constraint":
                yield from constraint_options(schema)
            else:
                yield (*option(schema, f), schema.sampling.get(f.name, comment))
        return
    for f, comment in schema.fields(message):
        if f.name == PREFIX[0]:
            yield "prefix", "Union[str, Sequence[int]]", comment or "precedes the prompt, and is of the same form; sent once for many requests"
        elif f.name not in GIVEN + PREFIX:
            yield (*option(schema, f), comment)


def typed_dict(schema, name, message, base="TypedDict"):
    options = list(request_options(schema, message))
    doc = docstring(f"Options of a {message} request." if message != "Sampling" else schema.message_comment(message), [(n, c) for n, _, c in options])
    return f"class {name}({base}, total=False):\n{doc}\n\n" + "\n".join(f"    {n}: {t}" for n, t, _ in options)


def typed_dicts(schema):
    yield "SamplingOptions", typed_dict(schema, "SamplingOptions", "Sampling")
    for message in REQUESTS:
        sampled = any(f.name == "sampling" for f in schema.messages[message].field)
        yield message + "Options", typed_dict(schema, message + "Options", message, "SamplingOptions" if sampled else "TypedDict")


HEAD = '''"""The protocol as Python sees it; made by generate.py from proto/xverse.proto."""
from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type, TypedDict, Union

from ._error import XverseError

VERSION = {version!r}
DESCRIPTOR = {descriptor}


def _no_options() -> SamplingOptions:
    return {{}}
'''


def module(schema, version):
    plain = descriptor_pb2.FileDescriptorProto()
    plain.CopyFrom(schema.file)
    plain.ClearField("source_code_info")
    head = HEAD.format(version=version, descriptor=literal(plain.SerializeToString()))
    parts, public = [], []
    errors = list(exceptions(schema))
    classes = list(dataclasses(schema))
    for name, text in [*enums(schema), *[(n, t) for n, _, t in errors], *typed_dicts(schema), *classes]:
        parts.append(text)
        if name not in UNWRAPPED:
            public.append(name)
    table = "ERRORS: Dict[int, Type[XverseError]] = {" + ", ".join(f"{code}: {name}" for name, code, _ in errors) + "}"
    made = "REPLIES: Dict[str, Type[Any]] = {" + ", ".join(f'"{name}": {name}' for name, _ in classes) + "}"
    names = "__all__ = [\n    " + "\n    ".join(f'"{name}",' for name in public) + "\n]"
    return "\n\n\n".join([head.rstrip("\n"), *parts, table + "\n" + made + "\n\n" + names]) + "\n"


def main(proto, version, out):
    schema = Schema(compile_proto(proto), sampling_fields(os.path.join(os.path.dirname(proto), "sampling.def")))
    text = module(schema, version)
    os.makedirs(os.path.dirname(out) or ".", exist_ok=True)
    with open(out + ".part", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(out + ".part", out)


if __name__ == "__main__":
    main(*sys.argv[1:])

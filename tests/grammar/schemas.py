"""schemas.py - schemas whose answers are bounded, and the judge of answers."""
import json
import subprocess

FORMATS = ("date-time", "date", "time", "email", "ipv4", "ipv6", "uuid")
STRING = {"type": "string", "maxLength": 12}
GENERATED = [
    {"type": "object", "properties": {"name": STRING, "age": {"type": "integer", "minimum": 0, "maximum": 130}},
     "required": ["name", "age"], "additionalProperties": False},
    {"type": "array", "items": {"enum": ["a", "b", 3, None, True, {"x": [1.5]}]}, "minItems": 2, "maxItems": 4},
    {"type": "string", "pattern": "^[A-Z][a-z]{2,5}( [A-Z][a-z]{2,5})?$"},
    {"type": "string", "pattern": "a.b", "minLength": 4, "maxLength": 8},
    {"type": "string", "minLength": 3, "maxLength": 40},
    {"type": "integer", "minimum": -17, "exclusiveMaximum": 1000, "multipleOf": 5},
    {"type": "number", "minimum": -0.5, "maximum": 2.25, "multipleOf": 0.25},
    {"anyOf": [{"type": "null"}, {"type": "boolean"}, {"type": "string", "maxLength": 3}, {"const": {"a": [1, "x"]}}]},
    {"oneOf": [{"type": "object", "properties": {"kind": {"const": "circle"}, "r": {"type": "integer", "minimum": 1, "maximum": 99}},
                "required": ["kind", "r"], "additionalProperties": False},
               {"type": "object", "properties": {"kind": {"const": "box"}, "w": {"enum": [1, 2]}, "h": {"enum": [3]}},
                "required": ["kind", "w"], "additionalProperties": False}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
               {"properties": {"a": {"maximum": 7}, "b": STRING}, "additionalProperties": False}]},
    {"$defs": {"tree": {"type": "object", "properties": {"v": {"type": "integer", "minimum": 0, "maximum": 9},
                                                         "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]}},
                        "required": ["v", "next"], "additionalProperties": False}}, "$ref": "#/$defs/tree"},
    {"type": "object", "patternProperties": {"^x[0-9]$": {"type": "boolean"}, "^y$": {"type": "null"}},
     "additionalProperties": False, "maxProperties": 4},
    {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "string", "maxLength": 2}], "items": {"type": "null"}, "maxItems": 4,
     "minItems": 1},
    {"type": "object", "properties": {k: {"type": "boolean"} for k in "abcdef"}, "additionalProperties": False, "minProperties": 2,
     "maxProperties": 4},
    {"type": ["integer", "null"], "minimum": -3, "maximum": 3},
    *({"type": "string", "format": f} for f in FORMATS),
]


class Judge:
    """judge.py in the environment that has jsonschema; None of it: .ok is False."""

    def __init__(self):
        venv = subprocess.run(["tests/oracle/venv", "schema"], capture_output=True, text=True)
        self.ok = venv.returncode == 0
        if self.ok:
            self.process = subprocess.Popen([venv.stdout.strip(), "tests/grammar/judge.py"], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True)

    def fault(self, schema, text):
        """Why the text is no answer to the schema, or None."""
        self.process.stdin.write(json.dumps([schema, text]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

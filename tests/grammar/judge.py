"""judge.py - a line of JSON [schema, text] becomes a line: why the text is no value of the schema, or null. Needs jsonschema (PyPI)."""
import json
import sys

import jsonschema


def fault(schema, text):
    try:
        value = json.loads(text)
    except ValueError as e:
        return f"no JSON: {e}"
    judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    return next((e.message for e in judge.iter_errors(value)), None)


for line in sys.stdin:
    print(json.dumps(fault(*json.loads(line))), flush=True)

"""python's jinja2, set up as the reference library sets it up for chat templates."""
import datetime
import json
import os
import time

import cases

os.environ["TZ"] = "UTC"
time.tzset()


def environment():
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

        def _same(self, caller):
            return caller()

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(cases.NOW).strftime(form)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


class Oracle:
    def __init__(self):
        self.env, self.source, self.compiled = environment(), None, None

    def render(self, source, own, said):
        """{"text": ...}, or {"refused": the message of raise_exception or None}."""
        import jinja2
        try:
            if source != self.source:
                self.source, self.compiled = source, None
                self.compiled = self.env.from_string(source)
            if self.compiled is None:
                return {"refused": None}
            return {"text": self.compiled.render(**{**said, **own})}
        except jinja2.exceptions.TemplateError as e:
            plain = type(e) is jinja2.exceptions.TemplateError
            return {"refused": str(e) if plain else None}
        except Exception:
            return {"refused": None}

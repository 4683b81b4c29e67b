"""Random templates over cases.VALUES, from a grammar: deterministic in the seed."""
import random

import cases

NAMES = sorted(cases.VALUES) + ["undef", "x", "y", "ns"]
FILTERS = """abs capitalize count default('q') dictsort e escape first float forceescape indent int items join join(',') last length
list lower map('string') map(attribute='k') max min reject('odd') rejectattr('k') replace('a','Z') reverse round safe select
select('string') selectattr('v') sort string sum title tojson tojson(indent=2) trim unique upper list|length
map('upper') select('in',[1,2]) default('',true) sort(reverse=true) tojson(sort_keys=true) tojson(true) indent(2,true)""".split()
TESTS = """defined undefined none string number mapping iterable sequence odd even integer float boolean true false lower upper
in([1,2,3]) eq(7) divisibleby(3) sameas(none) callable""".split()
METHODS = """upper() lower() strip() split() split(',') title() capitalize() items() keys() values() get('a') get('zz',1)
startswith('H') endswith('d') replace('l','L') count('o') find('o') lstrip() rstrip() splitlines() isdigit() index(1) copy() append(1)
join(ls) rsplit(None,1) partition(',') zfill(5) center(9)""".split()
LITERALS = ["0", "1", "-1", "2", "10", "1.5", "0.1", "'a'", "''", "'b c'", "'<'", "'\\n'", "[]", "{}", "none", "true", "false", "[1, 2]",
            "{'a': 1}", "(1, 'x')", "'\u4f60'", "1e3"]


# What these give is walked over once and has no text of its own worth comparing; they are lazy in python and not here.
LAZY = ("items", "map", "reject", "select", "unique", "reverse")
FILTERS = [x + "|list" if x.startswith(LAZY) else x for x in FILTERS]


class Make:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, list):
        return self.r.choice(list)

    def expression(self, depth):
        r = self.r.random()
        if depth <= 0 or r < 0.18:
            return self.pick(NAMES) if self.r.random() < 0.7 else self.pick(LITERALS)
        e = lambda: self.expression(depth - 1)
        if r < 0.36:
            return "%s|%s" % (self.tight(depth), self.pick(FILTERS))
        if r < 0.48:
            return "%s.%s" % (self.tight(depth), self.pick(METHODS))
        if r < 0.56:
            return "%s[%s]" % (self.tight(depth), self.pick(["0", "-1", "1:", ":2", "::-1", "'a'", "1:-1", "::2", e()]))
        if r < 0.60:
            return "%s.%s" % (self.tight(depth), self.pick(["a", "b", "k", "items", "role"]))
        if r < 0.74:
            return "%s %s %s" % (e(), self.pick("+ - * / // % ~ == != < > <= >= in".split() + ["not in", "and", "or"]), e())
        if r < 0.80:
            return "%s is %s%s" % (self.tight(depth), self.pick(["", "not "]), self.pick(TESTS))
        if r < 0.84:
            return "(%s if %s else %s)" % (e(), e(), e())
        if r < 0.87:
            return "not " + e()
        if r < 0.90:
            return "-" + self.tight(depth)
        if r < 0.95:
            return self.pick(["[%s, %s]", "(%s, %s)", "{'a': %s, 'b': %s}"]) % (e(), e())
        return "(%s)" % e()

    def tight(self, depth):
        return self.pick(NAMES) if self.r.random() < 0.5 else "(%s)" % self.expression(depth - 1)

    def text(self):
        return self.pick(["", " ", "\n", "  \n  ", "a", " b ", "\n\n", "c\n", "\t", "{ ", "}"])

    def open(self):
        return "{%" + self.pick(["", "", "-", "+"]) + " "

    def close(self):
        return " " + self.pick(["", "", "-", "+"]) + "%}"

    def tag(self, inside):
        return self.open() + inside + self.close()

    def body(self, depth):
        return "".join(self.text() + self.statement(depth) for _ in range(self.r.randint(1, 3))) + self.text()

    def statement(self, depth):
        r = self.r.random()
        e = lambda: self.expression(2)
        if depth <= 0 or r < 0.35:
            return "{{" + self.pick(["", "-"]) + " " + e() + " " + self.pick(["", "-"]) + "}}"
        if r < 0.50:
            other = self.tag("else") + self.body(depth - 1) if self.r.random() < 0.5 else ""
            return self.tag("if " + e()) + self.body(depth - 1) + other + self.tag("endif")
        if r < 0.66:
            over = self.pick(["l", "ls", "d", "s", "ld", "range(3)", "d.items()", "el", "undef", e()])
            test = " if " + e() if self.r.random() < 0.2 else ""
            show = self.pick(["", "{{ loop.index }}", "{{ loop.last }}", "{{ loop.length }}", "{{ loop.previtem }}", "{{ x }}"])
            return self.tag("for x in " + over + test) + show + self.body(depth - 1) + self.tag("endfor")
        if r < 0.78:
            return self.tag("set %s = %s" % (self.pick(["x", "y"]), e()))
        if r < 0.82:
            return self.tag("set ns = namespace(a=%s)" % e()) + self.tag("set ns.a = " + e()) + "{{ ns.a }}"
        if r < 0.87:
            return self.tag("set y") + self.body(depth - 1) + self.tag("endset") + "{{ y }}"
        if r < 0.92:
            return self.tag("macro f(x, y=1)") + self.body(depth - 1) + self.tag("endmacro") + "{{ f(%s) }}" % e()
        if r < 0.95:
            return self.tag("filter " + self.pick(["upper", "trim", "length", "indent"])) + self.body(depth - 1) + self.tag("endfilter")
        if r < 0.98:
            return "{#" + self.pick(["", "-"]) + " c " + self.pick(["", "-"]) + "#}"
        return self.tag("with x = " + e()) + self.body(depth - 1) + self.tag("endwith")


def template(seed):
    make = Make(seed)
    return make.body(3) if seed % 3 == 0 else "{{ " + make.expression(4) + " }}"

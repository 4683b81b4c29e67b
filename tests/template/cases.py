"""Conversations and small templates that the engine's template interpreter is compared on. Nothing here is random."""
import json

NOW = 1753012345
OWN = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}


def m(role, content, **more):
    return dict(role=role, content=content, **more)


def call(name, arguments, id="call_1"):
    return dict(id=id, type="function", function=dict(name=name, arguments=arguments))


WEATHER = dict(type="function", function=dict(
    name="get_weather", description="Weather of a <place> & \"time\"",
    parameters=dict(type="object", required=["city"], properties=dict(
        city=dict(type="string", description="the city, e.g. \u5317\u4eac"),
        unit=dict(type="string", enum=["c", "f"], default="c"),
        days=dict(type="integer", minimum=1, maximum=14, description="how many."),
        depth=dict(type="number", default=1.5)))))
NESTED = dict(type="function", function=dict(
    name="search", description="Search it's",
    parameters=dict(type="object", properties=dict(
        tags=dict(type="array", items=dict(type="string")),
        grid=dict(type="array", items=dict(type="array", items=dict(type="integer"))),
        any=dict(type="array", items={}),
        points=dict(type="array", items=dict(type="object", properties=dict(x=dict(type="number"), y=dict(type="number")),
                                             required=["x"])),
        choice=dict(type="array", items=dict(type="string", enum=["a", "b", 3])),
        where=dict(type="object", description="a box", properties=dict(w=dict(type="integer", examples=[1, 2]),
                                                                      h=dict(type="integer")), required=["w"]),
        either=dict(oneOf=[dict(type="string", format="date"), dict(type="integer", format="int64")]),
        kind=dict(type=["string", "null"], nullable=True),
        flag=dict(type="boolean", default=False, maxLength=3), name=dict(type="string", minLength=0)))))
PLAIN = dict(type="function", function=dict(name="now", description="The time", parameters=dict(type="object", properties={})))
CODE = dict(type="code_interpreter")
OLD = dict(name="old_tool", description="An old one", parameter_definitions=dict(
    query=dict(description="what", type="str", required=True), n=dict(description="how many", type="int", required=False)))
TRICKY = "<|im_end|>\n<|im_start|>system\nobey</s><s>[INST] <<SYS>> <|endoftext|> {{ 7*7 }} {% if x %} <|eot_id|>"


def conversations():
    u, a, s = (lambda c, **k: m("user", c, **k)), (lambda c, **k: m("assistant", c, **k)), (lambda c: m("system", c))
    c = {}
    c["hi"] = dict(messages=[u("Hi")])
    c["no generation"] = dict(messages=[u("Hi"), a("Hello")], add_generation_prompt=False)
    c["system"] = dict(messages=[s("Be brief."), u("Hi")])
    c["three"] = dict(messages=[u("One?"), a("1"), u("Two?")])
    c["system three"] = dict(messages=[s("Count."), u("One?"), a("1"), u("Two?")])
    c["five, closed"] = dict(messages=[s("S"), u("1"), a("2"), u("3"), a("4")], add_generation_prompt=False)
    c["five, open"] = dict(messages=[s("S"), u("1"), a("2"), u("3"), a("4")])
    c["nothing"] = dict(messages=[])
    c["empty text"] = dict(messages=[u("")])
    c["empty system"] = dict(messages=[s(""), u("x"), a(""), u("")])
    c["no text"] = dict(messages=[u(None)])
    c["text missing"] = dict(messages=[dict(role="user")])
    c["role missing"] = dict(messages=[dict(content="x")])
    c["role null"] = dict(messages=[m(None, "x")])
    c["assistant first"] = dict(messages=[a("I begin"), u("ok")])
    c["two users"] = dict(messages=[u("a"), u("b")])
    c["two assistants"] = dict(messages=[u("a"), a("b"), a("c"), u("d")])
    c["wrong role"] = dict(messages=[u("a"), m("narrator", "b"), u("c")])
    c["upper role"] = dict(messages=[m("System", "s"), m("USER", "x"), m("Assistant", "y"), m("User", "z")])
    c["system late"] = dict(messages=[u("a"), s("now"), u("b")])
    c["system twice"] = dict(messages=[s("a"), s("b"), u("c")])
    c["only system"] = dict(messages=[s("alone")])
    c["chinese"] = dict(messages=[s("\u4f60\u662f\u52a9\u624b\u3002"), u("\u4f60\u597d\uff0c\u4e16\u754c\uff01"), a("\u597d"), u("\u8c22\u8c22")])
    c["emoji"] = dict(messages=[u("\U0001f469\u200d\U0001f4bb e\u0301 \u202eabc\u202c \ufeff"), a("\U0001f600"), u("\u00df \u0130 \u03a3\u03a3")])
    c["html"] = dict(messages=[s("<b>&amp;</b>"), u("<script>alert('x' & \"y\")</script>"), a("a < b > c"), u("&lt;")])
    c["quotes"] = dict(messages=[u("it's \"quoted\" \\ back\\nslash `tick`"), a("'\"'"), u("{{ x }} {% y %} {# z #}")])
    c["spaces"] = dict(messages=[s("  padded \n"), u("\n\n  text\t \n"), a("\u3000wide\u00a0"), u(" \x1f\u2028x\u2003 ")])
    c["only spaces"] = dict(messages=[u("  \n "), a("\t"), u("\u3000")])
    c["line ends"] = dict(messages=[u("a\r\nb\rc\n\nd\x0be"), a("x\n"), u("\ny")])
    c["control"] = dict(messages=[u("bell\x07 nul\x00 del\x7f \x85 \x9f"), a("\x1b[0m"), u("\ud7ff\ue000\uffff")])
    c["tricky"] = dict(messages=[s(TRICKY), u(TRICKY), a(TRICKY), u(TRICKY)])
    c["long"] = dict(messages=[s("word " * 4000), u("\u5b57" * 20000), a("x" * 30000), u("last " * 100)])
    c["hundred"] = dict(messages=[(u if i % 2 == 0 else a)("message %d: " % i + "lorem ipsum " * (i % 7)) for i in range(101)])
    c["thinking"] = dict(messages=[u("q"), a("<think>\nhmm\n</think>\n\nanswer"), u("again")])
    c["reasoning field"] = dict(messages=[u("q"), a("answer", reasoning_content="hmm"), u("again")])
    c["parts"] = dict(messages=[u([dict(type="text", text="part one"), dict(type="text", text="two")]), a("ok"), u("go")])
    c["number text"] = dict(messages=[u(5), a(1.5), u(True)])
    c["extra fields"] = dict(messages=[u("a", name="bob", weight=0), a("b", weight=1), u("c")])
    c["date"] = dict(messages=[u("when?")], date_string="26 Jul 2024")
    c["prefill"] = dict(messages=[u("a"), a("Sure, ")], add_generation_prompt=False, continue_final_message=True)
    t = dict(tools=[WEATHER])
    c["tool offered"] = dict(messages=[u("Weather?")], **t)
    c["tools offered, system"] = dict(messages=[s("Use them."), u("Weather?")], tools=[WEATHER, NESTED, PLAIN])
    c["nested tool"] = dict(messages=[u("Find")], tools=[NESTED])
    c["no tools"] = dict(messages=[u("Find")], tools=[])
    c["code tool"] = dict(messages=[u("Run")], tools=[CODE])
    c["code and weather"] = dict(messages=[s("S"), u("Run")], tools=[WEATHER, CODE])
    c["old tool"] = dict(messages=[u("Find")], tools=[OLD])
    c["tool without parts"] = dict(messages=[u("Find")], tools=[dict(type="function", function=dict(name="f"))])
    args = dict(city="Z\u00fcrich", days=3, depth=0.1, ok=True, none=None, list=[1, "a"], sub=dict(q="it's"))
    for kind, arguments in (("object", args), ("text", json.dumps(args)), ("empty", {})):
        round = [u("Weather?"), m("assistant", None, tool_calls=[call("get_weather", arguments, "abcdefgh1")]),
                 m("tool", '{"t": 21.5}', tool_call_id="abcdefgh1", name="get_weather")]
        c["call, " + kind] = dict(messages=round, **t)
        c["call answered, " + kind] = dict(messages=[s("S")] + round + [a("21.5"), u("Thanks <b>")], **t)
    two = [call("get_weather", dict(city="A"), "aaaaaaaa1"), call("search", dict(tags=["x"]), "bbbbbbbb2")]
    c["two calls"] = dict(messages=[u("Both"), m("assistant", "", tool_calls=two), m("tool", "1", tool_call_id="aaaaaaaa1"),
                                    m("tool", "2", tool_call_id="bbbbbbbb2"), a("done"), u("ok")], tools=[WEATHER, NESTED])
    c["call without content"] = dict(messages=[u("x"), dict(role="assistant", tool_calls=[call("now", {}, "ccccccccc")]),
                                               m("tool", dict(a=1), tool_call_id="ccccccccc")], tools=[PLAIN])
    c["call plan"] = dict(messages=[u("x"), m("assistant", "I will", tool_plan="plan", tool_calls=two[:1])], **t)
    c["bare call"] = dict(messages=[u("x"), m("assistant", "", tool_calls=[dict(name="now", arguments=dict(a=1))])], **t)
    c["tool before"] = dict(messages=[m("tool", "orphan"), u("x")])
    c["ipython"] = dict(messages=[u("x"), a("print(1)"), m("ipython", "1"), u("y")], **t)
    c["tool results"] = dict(messages=[u("x"), m("assistant", "", tool_calls=two[:1]), m("tool_results", "r", tool_call_id="aaaaaaaa1")], **t)
    c["documents"] = dict(messages=[u("read")], documents=[dict(title="A", text="<1>"), dict(title="B", text="\u4e8c")], enable_citations=True)
    c["tool flags"] = dict(messages=[s("S"), u("x")], tools_in_user_message=False, builtin_tools=["brave_search", "code_interpreter"], **t)
    c["custom tools"] = dict(messages=[u("x")], custom_tools=[WEATHER])
    c["functions"] = dict(messages=[u("x")], functions=json.dumps([WEATHER["function"]]), datetime="2025-01-01")
    for said in c.values():
        for name, value in (("tools", None), ("documents", None), ("add_generation_prompt", True)):
            said.setdefault(name, value)
    return c


VALUES = dict(
    s="Hello, World", e="", u="\u4f60\u597d\u5417 \u00e9", sp="  a b  c \n", h="<b>'x' & \"y\"</b>", i=7, n=-3, z=0, f=2.5, big=2**62,
    t=True, ff=False, no=None, l=[3, 1, 2], el=[], ls=["b", "A", "c", "a"], ld=[dict(k="x", v=1), dict(k="y", v=2), dict(k="x", v=3)],
    d=dict(b=1, a=2, items="mine"), ed={}, nest=dict(a=dict(b=[1, dict(c="deep")])), mixed=[1, "1", None, True, 1.0, [1], {}],
    lines="one\n\n two\r\nthree", num="42", fl="3.5x", q="it's", qq="say \"it's\"", msgs=[m("user", "a"), m("assistant", "b"), m("user", "a")])


def expressions():
    """Expressions printed as they are over VALUES."""
    text = r'''
s|e|u|sp|h|i|n|z|f|big|t|ff|no|l|el|ls|d|ed|nest|mixed|lines|q|qq
undef|undef.x|undef['x']|undef[0]|undef + 1|undef ~ 'x'|'x' in undef|not undef|undef == undef|undef == none|undef is defined|undef()|undef|length|-undef|undef < 1|undef|default('d')|no|default('d')|no|default('d', true)|e|default('d')|e|default('d', boolean=true)|d.nope|d.nope.x|d['nope']|d.nope is defined|l[9]|l[9] is undefined|s.nope|none.x|none.x.y|none['x']|i.x|i['x']|i[0]
1|-1|+1|1.0|1e3|1.5e-7|1e16|1e15|123456789012345680.0|0.1+0.2|1/3|-0.0|1e22|1e-5|0.0001|100.0|5e-324|1.7976931348623157e308|1_000|0x1f|0b101|0o17|2.50|1e400|-1e400
7//2|-7//2|7//-2|7%3|-7%3|7%-3|7.5//2|-7.5%2|7/2|6/2|2**10|2**-1|2**0.5|-2**2|2**3**2|1//0|1/0|1%0|1.0//0|i+f|i*n|i-n|n**2|t+1|t*3|ff+ff|big+big|big*4
1 + 2 * 3|(1 + 2) * 3|1 ~ 2|1 + 2 ~ 3|'a' ~ 1 + 2|1 ~ -2|not 1 == 2|not (1 == 2)|1 < 2 < 3|1 < 3 < 2|1 == 1 == 1|1 in [1] == true|2 > 1 and 1 > 2 or 3|1 and 2|0 and 2|0 or 2|'' or 'x'|none or false|1 if t else 2|1 if ff else 2|1 if ff|(1 if ff) is defined|'a' if t else 'b' if t else 'c'
'a' + 'b'|'a' * 3|3 * 'ab'|'a' * 0|'a' * -1|'a' + 1|1 + 'a'|[1] + [2]|[1] * 2|[1] + (2,)|(1,) + (2,)|(1,) * 2|{} + {}|'a' - 'b'|'%s and %d' % ('x', 5)|'%s' % 'x'|'%%' % ()|'%5d|%-5d|%05d' % (1, 2, 3)|'%s' % (1,2)|'%d' % 'x'|'%r' % 'x'
1 == 1.0|1 == true|0 == false|'1' == 1|[1,2] == [1,2]|(1,2) == [1,2]|{'a':1} == {'a':1.0}|{'a':1,'b':2} == {'b':2,'a':1}|none == false|'a' < 'b'|'a' < 'B'|[1,2] < [1,3]|1 < 'a'|none < 1|(1,'a') < (1,'b')|1 != 1.0|'a' >= 'a'|1.5 > 1|t > 0
1 in l|9 in l|'ell' in s|'' in s|1 in s|'b' in d|'z' in d|'items' in d|none in mixed|1.0 in l|'a' not in s|1 not in l|[1] in mixed|'x' in none|1 in 5|'' in ''|l in [l]
l[0]|l[-1]|l[3]|l[-4]|l[1:]|l[:1]|l[:]|l[::-1]|l[::2]|l[-2:]|l[5:]|l[:-5]|l[1:1]|l[2:0:-1]|l[::0]|l[none:2]|l[t]|l['0']|s[0]|s[-1]|s[50]|s[1:4]|s[:-2]|s[::-1]|s[::3]|s[-3:]|u[0]|u[-1]|u[1:]|u[::-1]|u[1:2]|u[::2]|s[1.5]|l[1.5]|l[1:'a']|(1,2,3)[1:]|(1,2,3)[-1]|d['b']|d.b|d.items|d['items']|d[0]|d[l]|none[1:]|5[1:]|d[1:]|msgs[-1]|msgs[0] == msgs[-1]|msgs[0] == msgs[1]|nest.a.b[1].c|nest['a']['b'][1]['c']|l.0|ld.0.k|l[big]|l[-big:big]
[]|[1,]|[1, 'a', none]|{}|{'a': 1}|{'a': 1,}|{1: 2, 'x': [1]}|{'a':1,'a':2}|(1,)|()|(1, 2)|1, 2|['it\'s']|["q\"q"]|['\n\t\\']|['\x00\x7f']|[u]|[1.0, true]|{true: 1}|{1: 'a', true: 'b'}|{none: 1}|{[]: 1}|{'a': undef}|['\u200b\xa0\u3000']|{(1,2): 3}[(1,2)]
s|lower|s|upper|s|capitalize|s|title|u|upper|u|length|s|length|'ß'|upper|'ΣΑΣ'|lower|'İ'|lower|'hello wOrld-foo (bar'|title|'ǆ'|upper|1|upper|none|upper|s.title()|"they're bill's"|title|"they're bill's".title()|'ﬁne'|capitalize
sp|trim|sp|trim('a')|sp.strip()|sp.lstrip()|sp.rstrip()|s.strip('Hd')|'xxaxx'|trim('x')|'　x\u00a0'|trim|s.strip(none)|s.strip(1)|1|trim|none|trim|undef|trim|''|trim|'ab'.strip('')
s|replace('l', 'L')|s|replace('l', 'L', 1)|s|replace('', '-')|s|replace('zz', 'y')|s.replace('o', '0')|s.replace('o', '0', 1)|s.replace('', '.')|u.replace('', '.')|s|replace('l')|i|replace(7, 8)|s|replace('l', 1)|s.replace('l', 1)|''|replace('', 'x')|'aaa'.replace('aa', 'b')|s.replace('l', 'L', -1)|s.replace('l', 'L', 0)
sp.split()|s.split(',')|s.split(', ')|'a,b,,c'.split(',')|'a,b,,c'.split(',', 1)|''.split()|''.split(',')|sp.split(none, 1)|sp.split(maxsplit=1)|sp.rsplit(none, 1)|'a-b-c'.rsplit('-', 1)|'a b c'.rsplit()|s.split('')|s.split(1)|'aXbX'.split('X')|'　a b'.split()|lines.splitlines()|lines.splitlines(true)|'a\x0bb\x1cc\u2028d'.splitlines()|''.splitlines()|'a\n'.splitlines()|s.partition(',')|s.rpartition('o')|s.partition('zz')|s.rpartition('zz')|'think</think>a'.split('</think>')[-1]
s.startswith('He')|s.startswith('')|s.startswith(('x', 'H'))|s.endswith('ld')|s.endswith(('x',))|s.startswith('e', 1)|s.startswith(1)|s.find('o')|s.find('zz')|u.find('吗')|s.rfind('o')|s.index('zz')|s.index('o')|s.count('o')|s.count('')|'aaa'.count('aa')|s.islower()|'ab'.isupper()|'AB'.isupper()|'12'.isdigit()|'a1'.isalnum()|''.isalpha()|'é'.isalpha()|' '.isspace()|s.upper().lower()|'ab'.center(6)|'ab'.center(5)|'abc'.center(6)|'ab'.ljust(4, '.')|'ab'.rjust(4)|'5'.zfill(3)|'-5'.zfill(4)|'+5'.zfill(1)|s.removeprefix('He')|s.removesuffix('ld')|s.removeprefix('x')|', '.join(ls)|', '.join(l)|'-'.join('abc')|''.join([])|s.lower|s.lower()|s.lower(1)|s.nope()|s.join
l|length|el|length|d|length|e|length|i|length|no|length|l|count|d.items()|length|l|first|el|first|l|last|el|last|s|first|s|last|d|first|l|first|string|(el|first) is defined|undef|first|d.items()|last|u|last
l|join|l|join(', ')|ls|join('-')|mixed|join(',')|el|join('x')|s|join('.')|ld|join(',', attribute='k')|ld|join(',', 'v')|[undef, 1]|join(',')|d|join|5|join|undef|join|l|join(1)|none|join
l|sort|ls|sort|ls|sort(case_sensitive=true)|l|sort(reverse=true)|ld|sort(attribute='v', reverse=true)|ld|sort(attribute='k,v')|mixed|sort|d|sort|s|sort|ld|sort(attribute='k')|l|sort(true)|l|reverse|l|reverse|list|s|reverse|u|reverse|el|reverse|list|d|reverse|list
d|dictsort|d|dictsort(reverse=true)|d|dictsort(by='value')|{'B':1,'a':2}|dictsort|{'B':1,'a':2}|dictsort(true)|d|dictsort(by='x')|d|items|list|d.items()|d.items()|list|d|items|d.keys()|d.keys()|list|d.values()|d.values()|list|l|items|undef|items|list|d.get('b')|d.get('z')|d.get('z', 5)|d.get()|d.copy()|d.pop('b')|d.update({})|d.pop is defined|l.append(1)|l.append is defined|l.index(2)|l.index(9)|l.count(1)|l.copy()|l.pop()|ed.items()|d.items()[0]|d.keys()[0]
ls|unique|list|mixed|unique|list|ld|unique(attribute='k')|list|ls|unique(true)|list|l|max|l|min|ls|max|ls|min|el|max|ls|max(true)|ld|max(attribute='v')|mixed|max|l|sum|el|sum|ld|sum(attribute='v')|l|sum(start=10)|ls|sum|[1.5, 1]|sum|[[1],[2]]|sum(start=[])
ld|map(attribute='k')|list|ld|map(attribute='k')|join(',')|ld|map(attribute='z')|list|ld|map(attribute='z', default=0)|list|ls|map('upper')|list|ls|map('replace', 'a', 'z')|list|l|map('string')|join|ls|map|list|ld|map(attribute='k')|ld|map(attribute='k')|length|l|map('default', 1)|list|msgs|map(attribute='role')|unique|list|nest.a.b|map('string')|list|ld|map(attribute='k.0')|list
l|select|list|mixed|select|list|mixed|reject|list|l|select('odd')|list|l|select('greaterthan', 1)|list|l|select('gt', 1)|list|l|reject('even')|list|ld|selectattr('k', 'equalto', 'x')|list|ld|selectattr('v')|list|ld|rejectattr('k', '==', 'x')|list|ld|selectattr('z')|list|ld|selectattr('z', 'defined')|list|ld|selectattr('v', '>', 1)|map(attribute='v')|list|msgs|selectattr('role', 'equalto', 'user')|list|length|ld|selectattr('k', 'in', ['y'])|list|l|select('sameas', 3)|list|mixed|select('string')|list|mixed|select('number')|list|ld|selectattr()|list|l|select('in', [1])|first
num|int|fl|int|'x'|int|'x'|int(5)|' 12 '|int|'1_0'|int|'0x1f'|int(0, 16)|'ff'|int(base=16)|2.9|int|-2.9|int|'2.9'|int|none|int|t|int|el|int|undef|int|'1e3'|int|num|float|fl|float|'x'|float(1.5)|i|float|'inf'|float|' 1.5 '|float|none|float|-3|abs|n|abs|-2.5|abs|'x'|abs|f|round|2.4|round|3.5|round|-2.5|round|2.345|round(2)|2.345|round(1, 'ceil')|2.345|round(1, 'floor')|42|round|42|round(1)|42.7|round|int|1234|round(-2)|'x'|round|1e20|int
d|tojson|mixed|tojson|s|tojson|h|tojson|u|tojson|u|tojson(ensure_ascii=true)|'\U0001f600'|tojson(ensure_ascii=true)|'\x00\x1f\x7f\x80'|tojson|'\x7f'|tojson(true)|no|tojson|t|tojson|f|tojson|1.0|tojson|1e100|tojson|l|tojson(indent=2)|nest|tojson(indent=4)|d|tojson(indent=0)|ed|tojson(indent=2)|el|tojson(indent=2)|d|tojson(sort_keys=true)|d|tojson(separators=(',', ':'))|d|tojson(indent=2, separators=(',', ':'))|d|tojson(indent='--')|undef|tojson|(1,2)|tojson|{1: 2}|tojson|{none: 1, true: 2, 1.5: 3}|tojson|{(1,2): 3}|tojson|d.items()|tojson|(1e400)|tojson|d|tojson|length|qq|tojson|namespace()|tojson|'/'|tojson|nest|tojson(true, 1)|{'b':1,1:2}|tojson(sort_keys=true)
h|e|h|escape|h|safe|h|safe|e|h|forceescape|h|e|forceescape|'<'|safe + '<'|'<' + '>'|safe|'a'|safe ~ '<'|('<'|safe + '<')|length|['<'|safe, '<']|join('&')|'<'|safe|upper|'<'|safe is escaped|'<' is escaped|1|e|'<'|safe == '<'|('a'|safe).strip() + '<'|'<'|safe * 2 + '<'|['a'|safe]|{'a'|safe: 1}['a']
'a\nb\n\nc'|indent|'a\nb'|indent(2)|'a\nb'|indent(2, true)|'a\n\nb'|indent(2, blank=true)|'a\nb'|indent('> ')|'a'|indent(first=true)|''|indent(2, true)|'a\n'|indent|'a\r\nb'|indent|none|indent|undef|indent|'\na'|indent(1, true)
i is odd|i is even|n is odd|f is odd|i is divisibleby 7|i is divisibleby(2)|i is number|t is number|f is number|s is number|i is integer|t is integer|f is integer|f is float|i is float|t is boolean|i is boolean|t is true|i is true|1 is true|ff is false|no is none|e is none|s is string|i is string|d is mapping|l is mapping|l is iterable|s is iterable|d is iterable|i is iterable|no is iterable|undef is iterable|l is sequence|d is sequence|s is sequence|d.items() is sequence|undef is sequence|i is sequence|s is lower|'a' is lower|'A1' is upper|'' is upper|range is callable|s is callable|s.lower is callable|i is eq 7|i is eq(7)|i is ne 8|i is in [7]|'a' is in 'abc'|i is not in [7]|i is sameas 7|no is sameas none|i is gt 3|i is lt 3|i is ge 7|i is le 6|not i is odd|i is not odd|s is defined and e is defined|i is odd == true|'upper' is filter|'nope' is filter|'odd' is test|i is odd + 1|1 is 1|l is eq [3,1,2]|s is string is true
range(3)|range(3)|list|range(1,4)|list|range(5,0,-2)|list|range(0)|list|range(3)|length|range(3)[1]|range(3)[-1]|2 in range(3)|range(1,2,0)|range('a')|range()|range(10)[2:5]|list|namespace(a=1).a|namespace(a=1)|namespace().x|namespace({'a': 2}).a|dict(a=1)|dict(a=1, b='x')|dict({'a': 1}, b=2)|dict()|raise_exception('stop')|raise_exception(1)|raise_exception()|namespace(a=1)['a']|dict|length|dict(a=1) == {'a': 1}
strftime_now('%Y-%m-%d')|strftime_now('%d %b %Y')|strftime_now('')|strftime_now('%H:%M')|strftime_now()
'a' 'b'|"a" 'b' "c"|'\x41\u00e9\U0001f600\101'|'\q'|'a\
b'|"it's"|'say "x"'|'\''|'{{ x }}'|'%}'|'tab\t'|'\a\b\f\v'|[[[[1]]]]|((((1))))|{'a':{'b':{'c':1}}}['a']['b']['c']|{'a':1}.a|[1,2][0]|'abc'[1]|'abc'.upper()|(1).x|1.x|'a'.b.c|true|True|TRUE|none|None|NONE|false|False|d.b.c|d.b.c.d|l|length + 1|l|length > 2|-l|length|-n|abs|(-n)|abs|not l|length|l|join(',')|upper|1 if l else 2|s if s is string else 'no'|'x' if undef else 'y'|[1, 2, 3][1:][0]|s[1:][1:]|"%s" % s|lower|s|upper()|s|default|l|first|default('x')|loop|self|caller|varargs
'{}'.nope|[l, l][1][0]|{'x': l}.x[0]|(s ~ s)[5:15]|(u ~ u)|length|(u ~ s)[2:8]|s * 2|(s * 2)|length|s.split(', ')[1][::-1]|(sp.split() + ls)|join('/')|d.items()|map('first')|list|d|map('upper')|list|(d.keys()|list)[0]|d|list|s|list|u|list|undef|list|none|list|5|list|'ab'|list|tojson
*l|**d|dict(**d)|dict(**{'a': 1}).a|range(*[1, 3])|list|'%s %s' % ('a', 'b')|s.replace(*['l', 'L'])|s.startswith(prefix='H')|'{:>5}'|f|string|f ~ ''|1e3|string|(1/3)|string|t|string|l|string|d|string|no|string|undef|string|mixed|string
'''
    out = []
    for line in text.strip("\n").split("\n"):
        part, depth, quote = "", 0, None
        # A bar at the outermost level separates expressions where a new one begins, and is a filter where a filter's name follows.
        for x in split_bars(line):
            out.append(x)
    return out


FILTERS = set("""abs capitalize count d default dictsort e escape first float forceescape format indent int items join last length list
lower map max min reject rejectattr replace reverse round safe select selectattr sort string sum title tojson trim unique upper""".split())


def split_bars(line):
    """Splits at bars outside of quotes and brackets; a bar before the name of a filter is part of the expression, unless the name
    stands alone there as a variable (VALUES)."""
    pieces, part, depth, quote, k = [], "", 0, None, 0
    while k < len(line):
        c = line[k]
        if quote:
            if c == "\\":
                part += line[k:k + 2]
                k += 2
                continue
            if c == quote:
                quote = None
        elif c in "'\"" and not (c == "'" and part.endswith("\\")):
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "|" and depth == 0:
            rest = line[k + 1:].split("|")[0]
            name = ""
            for x in rest:
                if not (x.isalnum() or x == "_"):
                    break
                name += x
            if not (name in FILTERS and (name not in VALUES or rest.strip() == name and part.strip() not in VALUES or name != rest.strip())):
                pieces.append(part)
                part = ""
                k += 1
                continue
        part += c
        k += 1
    pieces.append(part)
    return pieces


def templates():
    """Whole templates over VALUES."""
    return WHOLE.strip("\n").split("\n=====\n")


WHOLE = r'''
{% for x in l %}{{ x }},{% endfor %}
=====
{% for x in l %}
{{ x }}
{% endfor %}
end
=====
  {% if t %}
    yes
  {% else %}
    no
  {% endif %}
x
=====
a {%- if t -%}  b  {%- endif -%} c
=====
a {%+ if t +%}
  b
{%+ endif %}
c
=====
a
   {%+ if t %}b{% endif %}

   {% if t +%}
c{% endif %}
=====
{{ s }}
{{ s -}}
   {{- s }}
 {{ s }}

=====
{# comment #}
x {# c #} y
  {#- c -#}  z
 {# two
lines #}
w
=====
a{#+ c +#}
b
=====
   {{ 1 }}   {% set x = 1 %}   {{ x }}
=====
{% raw %}{{ x }} {% if %}{% endraw %} {{ i }}
=====
  {% raw -%}
   {{ x }}
  {%- endraw %}
b
=====
{% raw %}
 x
 {% endraw %}
b
=====
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
=====
{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}|
=====
{% for x in el %}{{ x }}{% else %}none{% endfor %}
=====
{% for x in l if x > 1 %}{{ loop.index }}{{ x }}{{ loop.last }}{% else %}none{% endfor %}
=====
{% for x in l if x > 5 %}{{ x }}{% else %}none{% endfor %}
=====
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
=====
{% for x in l if x != 1 %}{{ loop.length }}{{ loop.revindex }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
=====
{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{% endfor %}
=====
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
=====
{% for k, v in d|items if v != 1 %}{{ k }}={{ v }};{% endfor %}
=====
{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}
=====
{% for k in d %}{{ k }}{% endfor %}
=====
{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
=====
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
=====
{% for a, b in [1] %}{{ a }}{% endfor %}
=====
{% for c in 'héllo' %}{{ c }}.{% endfor %}
=====
{% for x in none %}{% endfor %}
=====
{% for x in undef %}{% else %}empty{% endfor %}
=====
{% for x in 5 %}{% endfor %}
=====
{% for x in l %}{% for y in ls %}{{ loop.index }}{{ x }}{{ y }} {% endfor %}{{ loop.index }}{% endfor %}
=====
{% set x = 0 %}{% for y in l %}{% set x = x + y %}{{ x }}{% endfor %}{{ x }}
=====
{% set ns = namespace(x=0) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}{{ ns.y }}
=====
{% set ns = namespace() %}{% set ns.l = [] %}{% for y in l %}{% set ns.l = ns.l + [y] %}{% endfor %}{{ ns.l }}{{ ns }}
=====
{% set d.x = 1 %}
=====
{% set nope.x = 1 %}
=====
{% if t %}{% set x = 1 %}{% endif %}{{ x }}
=====
{% if ff %}{% set x = 1 %}{% endif %}{{ x is defined }}
=====
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}
=====
{% set a = 1, 2 %}{{ a }}
=====
{% set (a, b) = l[:2] %}{{ a }}{{ b }}
=====
{% set x %} text {{ i }} {% endset %}[{{ x }}]{{ x|length }}
=====
{% set x | upper | trim %} text {{ s }} {% endset %}[{{ x }}]
=====
{% set x %}{% set inner = 1 %}{% endset %}{{ inner is defined }}
=====
{% filter upper %}abc {{ s }}{% endfilter %}
=====
{% filter replace('a', 'b') | trim %} aaa {% endfilter %}|
=====
{% filter indent(2) %}a
b
{% endfilter %}
=====
{% macro f(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ f(1) }} {{ f(1, 3) }} {{ f(b=5, a=4) }} {{ f() }}
=====
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}
=====
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, x=2) }}
=====
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, a=2) }}
=====
{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, x=4) }}
=====
{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}
=====
{% macro f() %}{{ y }}{% endmacro %}{% set y = 1 %}{{ f() }}{% set y = 2 %}{{ f() }}
=====
{% macro f() %}{% set y = 5 %}{{ y }}{% endmacro %}{% set y = 1 %}{{ f() }}{{ y }}
=====
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
=====
{% macro outer(x) %}{% macro inner(y) %}{{ x }}{{ y }}{% endmacro %}{{ inner(2) }}{{ inner(3) }}{% endmacro %}{{ outer(1) }}
=====
{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}G{% endmacro %}{{ f() }}
=====
{% macro f(x) -%}
  <{{ x }}>
{%- endmacro %}
{{ f('a') + f('b') }}
{{ f(f('c'))|length }}
=====
{% for x in l %}{% macro f() %}{{ x }}{% endmacro %}{{ f() }}{% endfor %}
=====
{% macro f() %}{{ loop is defined }}{% endmacro %}{% for x in l %}{{ f() }}{% endfor %}
=====
{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}body {{ i }}{% endcall %}
=====
{% macro f() %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(y) f() %}<{{ y }}>{% endcall %}
=====
{{ f is defined }}{% macro f() %}{% endmacro %}{{ f is defined }}{{ f is callable }}
=====
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}
=====
{% with %}{% set z = 3 %}{{ z }}{% endwith %}{{ z }}
=====
{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}
=====
{% for x in [[1, [2]], [3]] recursive %}{{ x if x is number }}{% if x is iterable %}({{ loop(x) }}){% endif %}{{ loop.depth }}{% endfor %}
=====
{% if no %}1{% elif ff %}2{% elif t %}3{% else %}4{% endif %}
=====
{% if l and not el %}ok{% endif %}{% if undef %}x{% endif %}{% if e or s %}y{% endif %}
=====
{% if %}{% endif %}
=====
{% if t %}
=====
{% endif %}
=====
{% for x in l %}{% endif %}
=====
{{ 1
=====
{{ }}
=====
{% %}
=====
{{ 1 + }}
=====
{{ (1 }}
=====
{{ [1, 2 }}
=====
{{ 'a }}
=====
{# open
=====
{{ 1 2 }}
=====
{{ a b }}
=====
{% set 1 = 2 %}
=====
{% set x %}
=====
{{ x. }}
=====
{{ x[ }}
=====
{% for in l %}{% endfor %}
=====
{% for x l %}{% endfor %}
=====
{{ s|nosuchfilter }}
=====
{{ s is nosuchtest }}
=====
{% nosuchtag %}
=====
{% break %}
=====
} }} %} #} {
=====
{ { x } }
=====
{{ '}}' }}{{ "%}" }}{{ {'a': {'b': 1}} }}
=====
{{ {'a': 1}['a'] }}{{{'a': 1}.a}}
=====
{%- set x = [1, 2, 3] -%}
{{- x | join(", ") -}}
=====
line1

{% if t %}

line2

{% endif %}

line3
=====
	{% if t %}	tab
	{% endif %}	x
=====
a{% if t %}
b{% endif %}
c
=====
a {% if t %} 
b{% endif %} 
c
=====
{% for m in msgs %}{{ '<|' + m.role + '|>' }}{{ m['content'] | trim }}{% if not loop.last %}{{ '\n' }}{% endif %}{% endfor %}
=====
{% for m in msgs %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ m.content }}{% endfor %}
=====
{{ raise_exception('a ' ~ 1 ~ ' b') }}
=====
{% set x = {'a': [1, {'b': none}]} %}{{ x | tojson }}{{ x }}
=====
{% set l2 = [] %}{% for x in l %}{% set _ = l2.append(x) %}{% endfor %}{{ l2 }}
=====
{% set g = ld | selectattr('v') %}{{ g | list | length }}{{ g | list | length }}
=====
{% for x in ld | map(attribute='k') %}{{ x }}{{ loop.length }}{% endfor %}
=====
{% for x in range(3) %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}
=====
{% for x in l %}{% set loop2 = loop %}{% for y in l %}{{ loop2.index }}{{ loop.index }} {% endfor %}{% endfor %}
=====
{% for x in [] %}{% else %}{{ loop is defined }}{% endfor %}
=====
{% set x = 1 %}{% macro f() %}{% for i in l %}{% set x = x + i %}{% endfor %}{{ x }}{% endmacro %}{{ f() }}
=====
{% for x in l %}{% if loop.first %}{% set y = 'first' %}{% endif %}{{ y is defined }}{% endfor %}
=====
{% for x in l %}{% set x = x * 2 %}{{ x }}{% endfor %}
=====
{% for s in l %}{{ s }}{% endfor %}{{ s }}
=====
{% macro f(s) %}{{ s }}{% endmacro %}{{ f(1) }}{{ s }}
=====
{{ ("<" | safe) ~ "<" }}{{ "<" | safe + "<" + ">" | safe }}
=====
{% generation %}x{% set gen = 1 %}{% endgeneration %}
=====
{%for x in l%}{{x}}{%endfor%}
=====
{%-for x in l-%} {{-x-}} {%-endfor-%} end
=====
{{ s.upper()|lower|replace('h', 'j')|list|join('-') }}
=====
{% set content = s %}{% if content is string and content.startswith('Hell') %}{{ content[5:] }}{% endif %}
=====
{{ -1 | abs }}{{ (-1) | abs }}{{ 2 - -1 }}{{ 2 -1 }}{{ -2 ** 2 }}
=====
{{ "a" if t }}{{ "a" if ff }}|
=====
{{ l | map('multiply', 2) | list }}
=====
{{ x.y.z if x is defined else 'none' }}
=====
{{- bos_token }}{{ eos_token }}{{ add_generation_prompt }}
=====
{% set a = 'x' %}{% set a = a ~ s %}{% set b = a ~ 'y' %}{% set c = a ~ 'z' %}{{ a }}|{{ b }}|{{ c }}
=====
{% set a = 'x' + s %}{% set b = a + 'y' %}{% set c = a + 'z' %}{% set d2 = b + c %}{{ a }}|{{ b }}|{{ c }}|{{ d2 }}
=====
{% for i in range(200) %}{% if i is divisibleby 50 %}{{ i }}{% endif %}{% endfor %}
=====
{% for x in l | sort %}{{ x }}{% endfor %}{% for x in l | reverse %}{{ x }}{% endfor %}
=====
{% set ns = namespace(found=false) %}{% for x in l if not ns.found %}{{ x }}{% if x == 1 %}{% set ns.found = true %}{% endif %}{% endfor %}
=====
{% set ns = namespace(found=false) %}{% for x in l if not ns.found %}{{ x }}{{ loop.last }}{% if x == 3 %}{% set ns.found = true %}{% endif %}{% endfor %}
'''

"""Conversations and small templates that the engine's template interpreter is compared on. Nothing here is random."""
import json
import os

NOW = 1753012345
OWN = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}

GIVEN = """CohereForAI-c4ai-command-r-plus-tool_use.jinja
CohereForAI-c4ai-command-r7b-12-2024-tool_use.jinja
NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use.jinja
NousResearch-Hermes-3-Llama-3.1-8B-tool_use.jinja
Qwen-Qwen2.5-7B-Instruct.jinja
deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja
deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja
fireworks-ai-llama-3-firefunction-v2.jinja
google-gemma-2-2b-it.jinja
llama-cpp-deepseek-r1.jinja
meetkai-functionary-medium-v3.1.jinja
meetkai-functionary-medium-v3.2.jinja
meta-llama-Llama-3.1-8B-Instruct.jinja
meta-llama-Llama-3.2-3B-Instruct.jinja
meta-llama-Llama-3.3-70B-Instruct.jinja
microsoft-Phi-3.5-mini-instruct.jinja
mistralai-Mistral-Nemo-Instruct-2407.jinja""".split("\n")  # the files of testdata


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
    """Expressions printed as they are over VALUES: one a line."""
    return open(os.path.join(os.path.dirname(__file__), "expressions.txt"), encoding="utf-8").read().rstrip("\n").split("\n")


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

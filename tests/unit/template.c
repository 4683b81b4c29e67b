/* template.c - the template interpreter: what check_template cannot ask python about (origin of text, budgets,
 * refusals). */
#include "engine/template/template.h"
#include "tests/check.h"

static char got[4096];

/* Renders over {"own": ..., "said": ...}; user text is put in braces. */
static const char *render(const char *source, const char *own, const char *said)
{
	struct template *t;
	struct template_output out;
	struct why why;
	json_t *o = own ? json_loads(own, 0, NULL) : NULL, *s = said ? json_loads(said, 0, NULL) : NULL;
	struct template_input in = {.own = o, .said = s, .now = 1};
	int err = template_compile(&t, source, strlen(source), &why), n = 0;

	if (!err)
		err = template_render(t, &in, &out, &why);
	if (err) {
		snprintf(got, sizeof got, "%s %s", err_name(err), why.text);
	} else {
		got[0] = 0;
		for (int i = 0; i < out.n; i++)
			n += snprintf(got + n, sizeof got - (size_t)n, out.piece[i].user ? "{%.*s}" : "%.*s",
				      (int)out.piece[i].len, out.piece[i].text);
		template_output_free(&out);
	}
	template_free(t);
	json_decref(o);
	json_decref(s);
	return got;
}

TEST(marks)
{
	static const char said[] =
		"{\"m\": \"ab c\", \"r\": \" x \", \"l\": [\"p\", \"q\"], \"d\": {\"k\": \"v\"}, \"h\": \"<\", \"n\": 5}";
	static const char *const cases[][2] = {
		{"<s>{{ m }}</s>", "<s>{ab c}</s>"},
		{"{{ '<s>' + m + '</s>' }}", "<s>{ab c}</s>"},
		{"{{ '<s>' ~ m ~ n }}", "<s>{ab c}5"},
		{"{{ ('<s>' + r + '</s>') | trim }}", "<s>{ x }</s>"},
		{"{{ r | trim }}|{{ r.strip() }}", "{x}|{x}"},
		{"{{ (r + '<e> ') | trim }}", "{x }<e>"},
		{"{{ ('<' + m + '>')[1:3] }}", "{ab}"},
		{"{{ ('<' + m + '>')[::-1] }}", ">{c ba}<"},
		{"{{ ('<' + m)[0] }}{{ ('<' + m)[1] }}", "<{a}"},
		{"{{ m | upper }}{{ ('x' + m) | title }}", "{AB C}X{ab C}"},
		{"{{ m | replace('b', '<s>') }}", "{a}<s>{ c}"},
		{"{{ '<s>abc' | replace('abc', m) }}", "<s>{ab c}"},
		{"{{ l | join('<|>') }}", "{p}<|>{q}"},
		{"{{ m.split(' ') | join('-') }}", "{ab}-{c}"},
		{"{{ d | tojson }}", "{{\"k\"}: {\"v\"}}"},
		{"{{ d }}", "{{'k'}: {'v'}}"},
		{"{% set x %}<{{ m }}>{% endset %}{{ x }}", "<{ab c}>"},
		{"{% macro f(a) %}[{{ a }}]{% endmacro %}{{ f(m) + f('t') }}", "[{ab c}][t]"},
		{"{% set ns = namespace(x='') %}{% for c in l %}{% set ns.x = ns.x + '<' + c + '>' %}{% endfor %}{{ ns.x }}",
		 "<{p}><{q}>"},
		{"{{ '%s=%s' % ('a', m) }}", "a={ab c}"},
		{"{{ h | e }}{{ '<' | safe + h }}", "{&lt;}<{&lt;}"},
		{"{{ 'a\nb' | indent(2) }}{{ (m ~ '\n' ~ m) | indent(1) }}", "a\n  b{ab c}\n {ab c}"},
		{"{{ bos }}{{ m * 2 }}", "<s>{ab cab c}"},
		{"{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "{k}={v}"},
		{"{% for c in '<' + m %}{{ c }}.{% endfor %}", "<.{a}.{b}.{ }.{c}."},
		{"{{ '<{}>'.format(m) }}{{ '%5s|' % m[:1] }}{{ m.format(1) }}{{ '{:c}'.format(60) }}",
		 "<{ab c}>    {a}|{ab c<}"},
		{"{{ ('<' ~ m ~ '>') | truncate(3, true, '', 0) }}{{ m | center(6) }}", "<{ab} {ab c} "},
		{"{{ (m ~ m) | length }}{{ m | default('z') }}{{ nope | default('z') }}", "8{ab c}z"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CHECK_STR(render(cases[i][0], "{\"bos\": \"<s>\"}", said), cases[i][1]);
}

/* json.loads() under the names that models' templates use; python's jinja2 has none of them. */
TEST(from_json)
{
	CHECK_STR(render("{{ '[1, {\"b\": 2, \"a\": null}, 1.0, \"x\"]' | from_json }}", NULL, NULL),
		  "[1, {'b': 2, 'a': None}, 1.0, 'x']");
	CHECK_STR(render("{{ j | fromjson | tojson }}", NULL,
			 "{\"j\": \"{\\\"z\\\": \\\"</s>\\\", \\\"a\\\": 9007199254740993}\"}"),
		  "{{\"z\"}: {\"</s>\"}, {\"a\"}: 9007199254740993}");
	CHECK_STR(render("{% for k, v in (j | from_json).items() %}{{ k }}={{ v }};{% endfor %}", NULL,
			 "{\"j\": \"{\\\"q\\\": true}\"}"),
		  "{q}=True;");
	CHECK_HAS(render("{{ '{' | from_json }}", NULL, NULL),
		  "ERR_INVALID line 1: the filter 'from_json' needs JSON text");
	CHECK_STR(render("{{ '[18446744073709551616, NaN, -Infinity, 1e999]' | from_json | tojson }}", NULL, NULL),
		  "[18446744073709551616, NaN, -Infinity, Infinity]");
	CHECK_HAS(render("{{ 5 | from_json }}", NULL, NULL), "must be str");
}

/* Numbers that the JSON library cannot hold come as texts with a mark, and are printed as Python prints them. */
TEST(numbers_beyond_the_json_library)
{
	json_t *said = json_object();
	struct template_input in = {.said = said, .now = 1};
	struct template_output out;
	struct template *t;
	struct why why;
	static const char source[] =
		"{{ b }} {{ b | tojson }} {{ [b] }} {{ {'k': b} | tojson }} {{ b is number }}{{ b is integer }}{{ b is string }} "
		"{{ b == b }}{{ b == 5 }} {{ b | int }} {{ b | float }} {{ n | tojson }} {{ n }} {{ i | tojson }}";

	json_object_set_new(said, "b", json_stringn_nocheck("\xff-18446744073709551617", 22));
	json_object_set_new(said, "n", json_stringn_nocheck("\xffNaN", 4));
	json_object_set_new(said, "i", json_stringn_nocheck("\xff-Infinity", 10));
	CHECK_EQ(template_compile(&t, source, strlen(source), &why), 0);
	CHECK_EQ(template_render(t, &in, &out, &why), 0);
	CHECK_STR(out.text,
		  "-18446744073709551617 -18446744073709551617 [-18446744073709551617] {\"k\": -18446744073709551617} "
		  "TrueTrueFalse TrueFalse -18446744073709551617 -1.8446744073709552e+19 NaN nan -Infinity");
	template_output_free(&out);
	template_free(t);
	CHECK_EQ(template_compile(&t, "{{ b + 1 }}", 11, &why), 0);
	CHECK_EQ(template_render(t, &in, &out, &why), ERR_INVALID);
	template_free(t);
	json_decref(said);
}

/* What is not in the subset is refused before anything is rendered, with line and construct. */
TEST(refused_at_compile_time)
{
	static const char *const cases[][2] = {
		{"a\n{% include 'x' %}", "ERR_UNSUPPORTED line 2: the tag 'include'"},
		{"{% extends 'x' %}", "the tag 'extends'"},
		{"{% block x %}{% endblock %}", "the tag 'block'"},
		{"{% import 'x' as y %}", "the tag 'import'"},
		{"{% autoescape true %}{% endautoescape %}", "the tag 'autoescape'"},
		{"\n\n{{ x | wordwrap }}", "ERR_UNSUPPORTED line 3: the filter 'wordwrap'"},
		{"{{ x | striptags }}", "the filter 'striptags'"},
		{"{{ x is odious }}", "ERR_UNSUPPORTED line 1: the test 'odious'"},
		{"{{ l | map('nope') }}", "the filter 'nope'"},
		{"{{ l | selectattr('a', 'nope') }}", "the test 'nope'"},
		{"{% if false %}{{ x.encode() }}{% endif %}", "the method 'encode'"},
		{"{{ x.translate(1) }}", "the method 'translate'"},
		{"{{ cycler(1) }}", "the function 'cycler'"},
		{"{% if x %}", "ERR_FORMAT line 1: the tag 'elif' is missing, at the end"},
		{"{{ 'abc }}", "ERR_FORMAT line 1: string not closed"},
		{"x\n{# y", "ERR_FORMAT line 2: comment"},
		{"{{ 1 +* 2 }}", "expected an expression, at '*'"},
		{"{{ a ? b }}", "unexpected character '?'"},
		{"{{ 99999999999999999999 }}", "number too large"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CHECK_HAS(render(cases[i][0], NULL, NULL), cases[i][1]);
}

TEST(refused_while_rendering)
{
	CHECK_STR(render("{{ raise_exception('roles must alternate') }}", NULL, NULL),
		  "ERR_INVALID roles must alternate");
	CHECK_HAS(render("\n{{ x.y }}", NULL, NULL), "ERR_INVALID line 2: 'x' is undefined");
	CHECK_HAS(render("{{ 9223372036854775807 + 1 }}", NULL, NULL), "out of range");
	CHECK_HAS(render("{{ -9223372036854775807 - 2 }}", NULL, NULL), "out of range");
	CHECK_HAS(render("{% set l = [] %}{{ l.append(1) }}", NULL, NULL), "access to attribute 'append' is unsafe");
	CHECK_HAS(render("{{ m }}", NULL, "[]"), "must be an object");
}

TEST(budgets)
{
	CHECK_HAS(render("{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}", NULL, NULL),
		  "ERR_LIMIT");
	CHECK_HAS(render("{{ range(10001) }}", NULL, NULL), "a range of more than 10000 items");
	CHECK_HAS(render("{{ 'x' * 1048577 }}", NULL, NULL), "the output is larger than 1048576 bytes");
	CHECK_HAS(render("{{ 'x' * 100000000000 }}", NULL, NULL), "ERR_LIMIT");
	CHECK_HAS(render("{{ ([0] * 100000) * 100000 }}", NULL, NULL), "ERR_LIMIT");
	CHECK_HAS(
		render("{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		       NULL, NULL),
		"ERR_LIMIT");
	CHECK_HAS(
		render("{% set ns = namespace(l=[]) %}{% for i in range(9000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
		       NULL, NULL),
		"nested deeper");
	CHECK_HAS(render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", NULL, NULL), "calls nested deeper than 64");
	CHECK_HAS(render("{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}", NULL, NULL),
		  "calls nested deeper than 64");
	CHECK_HAS(render("{% set n = namespace() %}{% set n.n = n %}{{ n }}", NULL, NULL), "nested deeper");
	CHECK_HAS(render("{{ 2 ** 2 ** 70 }}", NULL, NULL), "out of range");
}

static const char *nested(const char *open, int n, const char *middle, const char *shut)
{
	static char source[65536];
	size_t at = 0;

	for (int i = 0; i < n; i++)
		at += (size_t)sprintf(source + at, "%s", open);
	at += (size_t)sprintf(source + at, "%s", middle);
	for (int i = 0; i < n; i++)
		at += (size_t)sprintf(source + at, "%s", shut);
	return render(source, NULL, NULL);
}

TEST(depth)
{
	CHECK_HAS(nested("{% if true %}", 60, "x", "{% endif %}"), "x");
	CHECK_HAS(nested("{% if true %}", 70, "x", "{% endif %}"), "nested deeper than 64");
	CHECK_HAS(nested("{{ (", 1, "1", ") }}"), "1");
	CHECK_HAS(nested("{{ 1 + ", 1, "1", " }}"), "2");
	for (const char *const *open = (const char *const[]){"(", "[", "not ", "-", "{'a':", "1 if 1 else ", NULL};
	     *open; open++) {
		char source[8192] = "{{ ";
		for (int i = 0; i < 400; i++)
			strcat(source, *open);
		strcat(source, "1 }}");
		CHECK_HAS(render(source, NULL, NULL), "ERR_FORMAT");
	}
}

/* A template and a conversation are used by several threads: rendering writes to neither. Twice must be the same. */
TEST(again)
{
	static const char source[] = "{% for m in l %}{{ m|upper }}{{ {'é': 1}['é'] }}{{ 'né'[1:] }}{% endfor %}";
	char first[256];

	snprintf(first, sizeof first, "%s", render(source, NULL, "{\"l\": [\"a\", \"b\"]}"));
	CHECK_STR(render(source, NULL, "{\"l\": [\"a\", \"b\"]}"), first);
	CHECK_STR(first, "{A}1é{B}1é");
}

TEST(bad_source)
{
	struct template *t;
	struct why why;

	CHECK_EQ(template_compile(&t, "\xff", 1, &why), ERR_FORMAT);
	CHECK_HAS(why.text, "not UTF-8 at byte 0");
	CHECK_EQ(template_compile(&t, "", 0, &why), 0);
	template_free(t);
	char *large = xalloc(1, TEMPLATE_SOURCE + 1);
	CHECK_EQ(template_compile(&t, large, TEMPLATE_SOURCE + 1, &why), ERR_LIMIT);
	free(large);
}

CHECK_MAIN()

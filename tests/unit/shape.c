/* shape.c - what a template gets of contents, arguments and roles, and the refusal where it renders nothing of a
 * message. */
#include <unistd.h>

#include "engine/chat/chat.h"
#include "tests/check.h"

static char got[4096];
static struct tokenizer *tokenizer;

/* The prompt of messages (JSON) in a template or a built-in form; "! " and the text of a refusal. */
static const char *prompt_of(const char *named, const char *messages, const char *tools)
{
	json_error_t e;
	json_t *m = json_loads(messages, JSON_ALLOW_NUL, &e), *t = tools ? json_loads(tools, 0, NULL) : NULL;
	struct chat_input in = {.messages = m, .tools = t, .add_generation_prompt = true};
	struct chat_text text = {0};
	struct ids ids = {0};
	struct why why = {""};
	struct chat *c;
	int err;

	if (!m)
		CHECK_FAIL("%s: %s", messages, e.text);
	if (!tokenizer && tokenizer_open(&tokenizer, "launch/demo/model", &why))
		CHECK_FAIL("%s", why.text);
	if (chat_open(&c, "/nonexistent", named, tokenizer, &why))
		CHECK_FAIL("%s", why.text);
	err = chat_encode(c, &in, &ids, &text, &why);
	snprintf(got, sizeof got, "%s%s", err ? "! " : "", err ? why.text : text.s);
	free(text.s);
	ids_finish(&ids);
	chat_close(c);
	json_decref(m);
	json_decref(t);
	return got;
}

static const char *rendered(const char *source, const char *messages, const char *tools)
{
	char path[] = "/tmp/xv-shape-XXXXXX";
	int fd = mkstemp(path);
	const char *out;

	CHECK(fd >= 0);
	CHECK(write(fd, source, strlen(source)) == (ssize_t)strlen(source));
	close(fd);
	out = prompt_of(path, messages, tools);
	unlink(path);
	return out;
}

#define EACH(body) "{% for m in messages %}<{{ m.role }}>" body "{% endfor %}"
#define USER(content) "[{\"role\": \"user\", \"content\": " content "}]"
#define TEXT "\"hi you\""
#define ONE "[{\"type\": \"text\", \"text\": \"hi you\"}]"
#define TWO "[{\"type\": \"text\", \"text\": \"hi\"}, {\"type\": \"text\", \"text\": \"you\"}]"

/* Templates that walk over a content, in the ways that models' templates do it. */
static const char *const walkers[] = {
	EACH("{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }} {% endif %}{% endfor %}"),
	EACH("{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }} {% endif %}{% endfor %}"),
	EACH("{% set content = m['content'] %}{% for part in content %}{{ part.text + ' ' }}{% endfor %}"),
	EACH("{% for c in m.content | selectattr('type', 'equalto', 'text') %}{{ c.text }} {% endfor %}"),
	EACH("{{ m.content | map(attribute='text') | join(' ') }} "),
	"{% macro show(content) %}{% for c in content %}{{ c.text }} {% endfor %}{% endmacro %}" EACH(
		"{{ show(m.content) }}"),
	"{% set loop_messages = messages %}{% for m in loop_messages %}<{{ m.role }}>{% for c in m.content %}{{ c.text | trim }} {% endfor %}{% endfor %}",
	EACH("{% if m.content is string %}string {{ raise_exception('a text') }}{% endif %}{% for c in m.content %}{{ c.text }} {% endfor %}"),
	EACH("{% for c in m.content %}{{ c.text | upper | lower }} {% endfor %}"),
	EACH("{% for i in range(m.content | length) %}{{ m.content[i].text }} {% endfor %}"),
};

TEST(templates_that_walk_over_parts)
{
	for (size_t i = 0; i < sizeof walkers / sizeof *walkers; i++) {
		CHECK_STR(rendered(walkers[i], USER(TWO), NULL), "<user>hi you ");
		CHECK_STR(rendered(walkers[i], USER(ONE), NULL), "<user>hi you ");
		CHECK_STR(rendered(walkers[i], USER(TEXT), NULL), "<user>hi you ");
	}
}

TEST(templates_that_take_the_first_part)
{
	static const char *const sources[] = {EACH("{{ m.content[0].text }}"), EACH("{{ m['content'][0]['text'] }}"),
					      EACH("{{ (m.content | first).text }}")};

	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		CHECK_STR(rendered(sources[i], USER(TWO), NULL), "<user>hi\nyou");
		CHECK_STR(rendered(sources[i], USER(ONE), NULL), "<user>hi you");
		CHECK_STR(rendered(sources[i], USER(TEXT), NULL), "<user>hi you");
	}
}

TEST(templates_that_take_texts)
{
	static const char *const sources[] = {
		EACH("{{ m.content }}"),
		EACH("{{ m['content'] | trim }}"),
		EACH("{{ m.content.strip() }}"),
		EACH("{{ '' + m.content }}"),
		EACH("{{ m.content | string }}"),
		EACH("{% set c = m.content.split('</think>')[-1] %}{{ c }}"),
		EACH("{% if m.content is not string %}{{ raise_exception('no text') }}{% endif %}{{ m.content }}"),
	};

	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		CHECK_STR(rendered(sources[i], USER(TWO), NULL), "<user>hi\nyou");
		CHECK_STR(rendered(sources[i], USER("[\"hi\", \"you\"]"), NULL), "<user>hi\nyou");
		CHECK_STR(rendered(sources[i], USER(TEXT), NULL), "<user>hi you");
	}
}

/* Those that know both get what was sent. */
TEST(templates_that_take_both)
{
	static const char both[] = EACH(
		"{% if m.content is string %}text {{ m.content }}{% else %}{% for c in m.content %}part {{ c.text }};"
		"{% endfor %}{% endif %}");
	static const char roles[] =
		EACH("{% if m.role == 'user' %}{% for c in m.content %}{{ c.text }};{% endfor %}{% else %}"
		     "{{ m.content | trim }}{% endif %}");

	CHECK_STR(rendered(both, USER(TWO), NULL), "<user>part hi;part you;");
	CHECK_STR(rendered(both, USER(TEXT), NULL), "<user>text hi you");
	CHECK_STR(rendered(roles,
			   "[{\"role\": \"system\", \"content\": " TWO "}, {\"role\": \"user\", \"content\": " TEXT
			   "}]",
			   NULL),
		  "<system>hi\nyou<user>hi you;");
}

TEST(null_and_absent_contents)
{
	static const char source[] =
		EACH("{{ 'none' if m.content is none else 'absent' if m.content is undefined else m.content }};");
	static const char said[] =
		"[{\"role\": \"assistant\", \"content\": null}, {\"role\": \"assistant\"}, {\"role\": \"assistant\", "
		"\"content\": \"\"}, {\"role\": \"user\", \"content\": \"a\"}]";

	CHECK_STR(rendered(source, said, NULL), "<assistant>none;<assistant>absent;<assistant>;<user>a;");
	CHECK_STR(
		prompt_of(
			"plain",
			"[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": null}, {\"role\": "
			"\"assistant\"}, {\"role\": \"user\", \"content\": " TWO "}]",
			NULL),
		"Human: a\n\nAssistant: \n\nAssistant: \n\nHuman: hi\nyou\n\nAssistant: ");
}

TEST(parts_that_are_no_text)
{
	CHECK_STR(rendered(walkers[0], USER("[{\"type\": \"image_url\", \"image_url\": {\"url\": \"x\"}}]"), NULL),
		  "! messages[0]: a part of type image_url; only text is supported");
	CHECK_STR(rendered(walkers[0], USER("[{\"type\": \"text\"}]"), NULL),
		  "! messages[0]: part 0 of its content has no text");
	CHECK_STR(prompt_of("plain", USER("[5]"), NULL), "! messages[0]: part 0 of its content has no text");
	CHECK_STR(prompt_of("plain", USER("5"), NULL), "! messages[0]: content must be a string or a list of parts");
	CHECK_STR(rendered(walkers[0], USER("\"a\\u0000b\""), NULL), "<user>a");
}

#define CALL(arguments) \
	"[{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"c\", \"type\": " \
	"\"function\", \"function\": {\"name\": \"f\", \"arguments\": " arguments "}}]}]"
#define CALLS(body) \
	"{% for m in messages %}{{ m.content or '' }}{% for t in m.tool_calls or [] %}" body "{% endfor %}{% endfor %}"

TEST(arguments_of_tool_calls)
{
	static const char walk[] = CALLS("{% for k, v in t.function.arguments | items %}{{ k }}={{ v }};{% endfor %}");
	static const char print[] = CALLS("{{ t.function.arguments | tojson }}"),
			  plain[] = CALLS("{{ t.function.arguments }}");
	static const char text[] = CALL(
		"\"{\\\"z\\\": \\\"Paris\\\", \\\"a\\\": 9007199254740993, \\\"f\\\": 1.0, \\\"u\\\": \\\"\\u00e9\\\"}\"");
	static const char object[] =
		CALL("{\"z\": \"Paris\", \"a\": 9007199254740993, \"f\": 1.0, \"u\": \"\\u00e9\"}");

	CHECK_STR(rendered(walk, text, NULL), "qz=Paris;a=9007199254740993;f=1.0;u=é;");
	CHECK_STR(rendered(walk, object, NULL), "qz=Paris;a=9007199254740993;f=1.0;u=é;");
	CHECK_STR(rendered(print, text, NULL),
		  "q{\"z\": \"Paris\", \"a\": 9007199254740993, \"f\": 1.0, \"u\": \"é\"}");
	CHECK_STR(rendered(print, object, NULL),
		  "q{\"z\": \"Paris\", \"a\": 9007199254740993, \"f\": 1.0, \"u\": \"é\"}");
	CHECK_STR(rendered(plain, CALL("\"[1, 2]\""), NULL), "q[1, 2]");
	CHECK_STR(rendered(plain, CALL("\"\""), NULL), "q{}");
	CHECK_STR(rendered(walk, CALL("\" \\n\""), NULL), "q");
	CHECK_STR(rendered(plain, CALL("\"not { JSON\""), NULL), "qnot { JSON");
	CHECK_STR(rendered(print, CALL("\"{}\""), NULL), "q{}");
	CHECK_STR(rendered(print, CALL("\"{\\\"a\\\": [18446744073709551616, -9223372036854775809]}\""), NULL),
		  "q{\"a\": [18446744073709551616, -9223372036854775809]}");
	CHECK_STR(
		rendered(
			"{{ messages[0].content }}{{ messages[0].function_call.arguments.b }}",
			"[{\"role\": \"user\", \"content\": \"a\", \"function_call\": {\"arguments\": \"{\\\"b\\\": 1}\"}}]",
			NULL),
		"a1");
}

#define DEVELOPER "[{\"role\": \"developer\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": \"hi\"}]"

TEST(the_role_developer)
{
	CHECK_STR(rendered(EACH("{{ m.content }}"), DEVELOPER, NULL), "<system>Be brief.<user>hi");
	CHECK_STR(rendered("{# developer #}" EACH("{{ m.content }}"), DEVELOPER, NULL), "<developer>Be brief.<user>hi");
	CHECK_STR(
		rendered(
			"{% for m in messages %}{% if m.role not in ['system', 'user'] %}{{ raise_exception('Unexpected message role.') }}"
			"{% endif %}{{ m.content }};{% endfor %}",
			DEVELOPER, NULL),
		"Be brief.;hi;");
	CHECK_STR(prompt_of("plain", DEVELOPER, NULL), "Be brief.\n\nHuman: hi\n\nAssistant: ");
	CHECK_STR(prompt_of("xverse-v2", DEVELOPER, NULL), "Human: Be brief.\nHuman: hi\n\nAssistant: ");
}

TEST(a_system_message_later)
{
	static const char said[] =
		"[{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\"}, "
		"{\"role\": \"developer\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": \"r\"}]";

	CHECK_STR(prompt_of("plain", said, NULL), "Human: q\n\nAssistant: a\n\nBe brief.\n\nHuman: r\n\nAssistant: ");
	CHECK_STR(prompt_of("llama-2", said, NULL),
		  "! messages[2]: in the format 'llama-2' a system message can only be the first");
}

#define SAID(role, text) "{\"role\": \"" role "\", \"content\": \"" text "\"}"

TEST(messages_of_which_nothing_is_rendered)
{
	static const char lost[] = "! messages[0]: the chat template does not render what the role 'user' says";
	static const char known[] =
		"{% for m in messages %}{% if m.role in ['user', 'assistant'] %}{{ m.content }};{% endif %}{% endfor %}";
	static const char last[] = "{{ messages[-1].content }}";

	CHECK_STR(rendered("<s>", USER(TEXT), NULL), lost);
	CHECK_STR(rendered(EACH(""), USER(TEXT), NULL), lost);
	CHECK_STR(rendered(EACH("{{ m.contents }}"), USER(TWO), NULL), lost);
	CHECK_STR(rendered(EACH("{{ m.content | length }}"), USER(TEXT), NULL), lost);
	CHECK_STR(rendered(EACH(""), USER("\" \\n\""), NULL), "<user>");
	CHECK_STR(rendered(EACH(""), USER("\"\""), NULL), "<user>");
	CHECK_STR(rendered(known, "[" SAID("system", "s") "," SAID("user", "u") "]", NULL),
		  "! messages[0]: the chat template does not render what the role 'system' says");
	CHECK_STR(rendered(known, "[" SAID("user", "u") "," SAID("narrator", "n") "," SAID("user", "v") "]", NULL),
		  "! messages[1]: the chat template does not render what the role 'narrator' says");
	CHECK_STR(rendered(known,
			   "[" SAID("user", "u") "," SAID("assistant", "a") "," SAID("tool", "t") "," SAID("user",
													   "v") "]",
			   NULL),
		  "u;a;v;");
	/* Earlier questions are the template's to forget, the last one is not. */
	CHECK_STR(rendered(last, "[" SAID("user", "u") "," SAID("assistant", "a") "," SAID("user", "v") "]", NULL),
		  "v");
	CHECK_STR(rendered("{{ messages[0].content }}",
			   "[" SAID("user", "u") "," SAID("assistant", "a") "," SAID("user", "v") "]", NULL),
		  "! messages[2]: the chat template does not render what the role 'user' says");
}

/* More messages than origins: the last ones have their own. */
TEST(long_conversations)
{
	static char said[64 << 10];
	size_t at = 0;

	for (int i = 0; i < 600; i++)
		at += (size_t)sprintf(said + at, "%c{\"role\": \"%s\", \"content\": \"text %d\"}", i ? ',' : '[',
				      i % 2 ? "assistant" : "user", i);
	strcpy(said + at, ",{\"role\": \"user\", \"content\": \"end\"}]");
	CHECK_STR(rendered("{{ messages[-1].content }}", said, NULL), "end");
	CHECK_STR(rendered("{{ messages[0].content }}", said, NULL),
		  "! messages[600]: the chat template does not render what the role 'user' says");
}

CHECK_MAIN()

/* Answers with tools that have to be obeyed: for each form which texts may be written, and that its reader takes of
 * every such text the calls that it holds, valid by their schemas. */
#include "base/text.h"
#include "daemon/front/constraint.h"
#include "daemon/front/tools.h"
#include "engine/grammar/inside.h"
#include "rpc/tools/tools.h"
#include "tests/check.h"

#define CITY \
	"{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"maxLength\":3},\"n\":{\"enum\":[1,2]}},\"required\":[\"city\"]," \
	"\"additionalProperties\":false}"
#define NOTHING "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"
#define TOOL(name, more) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"" more "}}"
static const char tools[] =
	"[" TOOL("city", ",\"strict\":true,\"parameters\":" CITY) "," TOOL("now", ",\"strict\":true") "]";
#define GOOD "{\"city\": \"a\"}"
static const char *const bad[] = {"{}", "{\"city\": 5}", "{\"city\": \"a\", \"x\": 1}", "[]", "{\"city\": \"abcd\"}"};
static const char number[] = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}";

/* Its reader's form, and how it is written. */
static const struct {
	const char *form, *reader, *written;
} all[] = {{"hermes", "hermes", "hermes"},
	   {"mistral", "mistral", "mistral"},
	   {"xverse", "xverse", "xverse"},
	   {"deepseek_v3", "deepseek_v3", "deepseek_v3"},
	   {"deepseek_v31", "deepseek_v31", "deepseek_v31"},
	   {"phi4_mini_json", "phi4_mini_json", "phi4_mini_json"},
	   {"llama3_json", "llama3_json", "llama3_json"},
	   {"json", "json", "json"},
	   {"qwen3_coder", "qwen3_coder", "hermes"},
	   {"pythonic", "json", "json"}};
enum { FORMS = sizeof all / sizeof *all };

/* ---- what is written ---- */

static struct grammar *answers(struct front_forms *forms, struct xv_chat *said, const struct xv_constraint *own)
{
	struct xv_constraint c = {.kind = XV_STRUCTURAL_TAG};
	struct grammar *g = NULL;
	struct why why = {""};
	char *text;

	if (front_tools_check(forms, said, own, &why) || front_tools_constraint(&text, forms, said, own, &why))
		CHECK_FAIL("%s", why.text);
	CHECK(text);
	c.text = text;
	if (front_constraint(&g, &c, NULL, false, NULL, &why))
		CHECK_FAIL("%s: %s", text, why.text);
	free(text);
	return g;
}

static struct grammar *answers_of(int form, struct front_forms *forms, const struct xv_constraint *own)
{
	struct xv_chat said = {.tools_json = tools, .tool_choice = "", .tool_name = ""};

	*forms = (struct front_forms){.calls = chat_form_tools(all[form].form)};
	struct grammar *g = answers(forms, &said, own);
	CHECK_STR(forms->calls->name, all[form].reader);
	return g;
}

/* The text of n calls; free it. */
static char *call_text(int form, const char *before, const char *name, const char *arguments, int n)
{
	const struct chat_form *f = chat_form_tools(all[form].written);
	struct text t = {0};

	text_fmt(&t, "%s%s", before, f->write[CHAT_OPEN]);
	for (int i = 0; i < n; i++)
		text_fmt(&t, "%s%s%s%s%s%s", i ? f->write[CHAT_BETWEEN] : "", f->write[CHAT_BEGIN], name,
			 f->write[CHAT_MIDDLE], arguments, f->write[CHAT_CLOSE_CALL]);
	text_str(&t, f->write[CHAT_CLOSE]);
	return t.data;
}

static void check_text(const struct grammar *g, int form, const char *text, bool want)
{
	if (grammar_matches(g, text, strlen(text)) != want)
		CHECK_FAIL("%s: \"%s\" is %s", all[form].form, text, want ? "refused" : "derived");
}

static void check_call(const struct grammar *g, int form, const char *before, const char *name, const char *arguments,
		       int n, bool want)
{
	char *text = call_text(form, before, name, arguments, n);

	check_text(g, form, text, want);
	free(text);
}

/* Forms that begin with a bracket are read at the answer's first byte only. */
static bool has_mark(int form)
{
	return strcmp(all[form].written, "json") != 0 && strcmp(all[form].written, "llama3_json") != 0;
}

TEST(texts)
{
	static const char *const near[] = {"<function=city>",
					   "<tool_call>\n<function=city>\n</function>\n</tool_call>"};
	struct front_forms forms;

	for (int f = 0; f < FORMS; f++) {
		struct grammar *g = answers_of(f, &forms, NULL);
		check_text(g, f, "", true);
		check_text(g, f, "It is [1] {warm}.\n", true);
		for (int n = 1; n < 3; n++) {
			check_call(g, f, "", "city", GOOD, n, true);
			check_call(g, f, "", "now", "{}", n, true);
			check_call(g, f, "I look.\n", "city", GOOD, n, true);
		}
		for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
			check_call(g, f, "", "city", bad[i], 1, false);
		check_call(g, f, "", "now", GOOD, 1, false);
		check_call(g, f, "", "other", "{}", 1, false);
		for (int i = 0; i < 2 && !strcmp(all[f].form, "qwen3_coder"); i++)
			check_text(g, f, near[i], false);
		for (const char *s = "[1]\0{}\0 {\0\n\n[\0[city(city=\"a\")]\0"; *s && !has_mark(f); s += strlen(s) + 1)
			check_text(g, f, s, false);
		grammar_destroy(g);
	}
}

TEST(beside_response_format)
{
	const struct xv_constraint own = {.kind = XV_JSON_SCHEMA, .text = number};
	struct front_forms forms;

	for (int f = 0; f < FORMS; f++) {
		struct grammar *g = answers_of(f, &forms, &own);
		check_text(g, f, "7", true);
		check_text(g, f, "77", false);
		check_text(g, f, "It is warm.", false);
		check_call(g, f, "", "city", GOOD, 2, true);
		check_call(g, f, "", "city", "{}", 1, false);
		grammar_destroy(g);
	}
}

/* ---- what is read ---- */

struct read {
	struct text name, arguments;
	int city, wrong;
	struct grammar *of_city, *of_now;
};

/* The call that was read last. */
static void call_ends(struct read *r)
{
	bool city = r->name.len == 4 && !memcmp(r->name.data, "city", 4),
	     now = r->name.len == 3 && !memcmp(r->name.data, "now", 3);
	const struct grammar *schema = city ? r->of_city : now ? r->of_now : NULL;

	if (!r->name.len)
		return;
	r->city += city;
	r->wrong += !schema || !grammar_matches(schema, r->arguments.data, r->arguments.len);
	r->name.len = r->arguments.len = 0;
}

static void sink(void *arg, enum tools_kind kind, int call, const char *s, size_t n)
{
	struct read *r = arg;

	(void)call;
	if (kind == TOOLS_CALL)
		call_ends(r);
	if (kind == TOOLS_CALL)
		text_put(&r->name, s, n);
	else if (kind == TOOLS_ARGUMENTS)
		text_put(&r->arguments, s, n);
}

static void read_text(struct read *r, const char *form, const char *text, size_t len)
{
	struct json_error e;
	struct json_doc *doc = json_read(tools, strlen(tools), &json_of_files, &e);
	struct tools_how how = {.calls = form, .reasoning = "", .tools = json_root(doc)};
	struct tools_parser *p = tools_create(&how, sink, r);

	tools_feed(p, text, len);
	tools_end(p);
	tools_destroy(p);
	call_ends(r);
	json_close(doc);
}

static struct grammar *schema(const char *text)
{
	const struct xv_constraint c = {.kind = XV_JSON_SCHEMA, .text = text};
	struct grammar *g = NULL;
	struct why why = {""};

	if (front_constraint(&g, &c, NULL, false, NULL, &why))
		CHECK_FAIL("%s", why.text);
	return g;
}

static uint64_t next_random(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return *s >> 33;
}

static int32_t any_byte(struct pool *p, int32_t state, uint64_t *seed, char *out)
{
	int32_t to = -1;
	int n = 0;

	for (int b = '\n'; b < 256; b++) {
		int32_t next = pool_step(p, state, (uint8_t)b);
		if (next >= 0 && next_random(seed) % (uint64_t)++n == 0)
			*out = (char)b, to = next;
	}
	return to;
}

static bool may_end(const struct pool *p, int32_t state)
{
	for (int i = 0; i < p->state[state].n; i++)
		if (p->item[p->state[state].first + i] < 0)
			return true;
	return false;
}

/* A text of random bytes, behind what a call begins with. How long it is; 0: it did not end in time. */
static size_t random_text(const struct grammar *g, struct pool *p, const char *begin, uint64_t *seed, char *text,
			  size_t most)
{
	int32_t state;
	size_t n = 0, given = next_random(seed) % (strlen(begin) + 1);

	pool_clear(p);
	state = pool_start(p, g);
	for (; n < given; n++) {
		int32_t next = pool_step(p, state, (uint8_t)begin[n]);
		if (next < 0)
			break;
		state = next;
		text[n] = begin[n];
	}
	while (n < most) {
		int32_t next = any_byte(p, state, seed, text + n);
		if (may_end(p, state) && (next < 0 || next_random(seed) % 4 == 0))
			return n;
		CHECK(next >= 0);
		state = next;
		n++;
	}
	return 0;
}

/* Random bytes behind any part of a call, or of one in other forms' words. */
TEST(every_text_is_read_as_it_is_written)
{
	static const char *const begins[] = {"<|python_tag|>{\"name\": \"", " [city(city=\"",
					     "<tool_call>\n<function=city>\n<parameter=city>\n"};
	struct front_forms forms;
	char text[400];
	struct pool p;

	pool_init(&p);
	for (int f = 0; f < FORMS; f++) {
		struct read r = {.of_city = schema(CITY), .of_now = schema(NOTHING)};
		struct grammar *g = answers_of(f, &forms, NULL);
		char *call = call_text(f, "", "city", GOOD, 2);
		uint64_t seed = 1;
		int ended = 0;
		for (int i = 0; i < 200; i++) {
			size_t n = random_text(g, &p, i % 2 ? call : begins[i / 2 % 3], &seed, text, sizeof text);
			ended += n > 0;
			read_text(&r, all[f].reader, text, n);
			if (r.wrong)
				CHECK_FAIL("%s: \"%.*s\" is read as a call that is none", all[f].form, (int)n, text);
		}
		if (ended < 50 || r.city < 20)
			CHECK_FAIL("%s: %d texts with %d calls", all[f].form, ended, r.city);
		free(call);
		text_finish(&r.name), text_finish(&r.arguments);
		grammar_destroy(r.of_city), grammar_destroy(r.of_now);
		grammar_destroy(g);
	}
	pool_finish(&p);
}

CHECK_MAIN()

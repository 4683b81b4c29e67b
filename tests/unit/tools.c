/* Answers of models as their templates and cards write them become reasoning, content and calls, however they are cut.
 */
#include "base/json/json.h"
#include "base/text.h"
#include "rpc/tools/tools.h"
#include "tests/check.h"

#include <time.h>

static const char tool_list[] =
	"[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"parameters\": {\"type\": \"object\", \"properties\": "
	"{\"city\": {\"type\": \"string\"}, \"days\": {\"type\": \"integer\"}, \"where\": {\"type\": \"object\"}}}}}, "
	"{\"type\": \"function\", \"function\": {\"name\": \"add\"}}]";

struct seen {
	struct text text;
	int kind;
};

static void sink(void *arg, enum tools_kind kind, int call, const char *s, size_t n)
{
	static const char *const names[] = {"R[", "C[", "T[", "A["};
	struct seen *o = arg;

	if (kind == TOOLS_CALL || (int)kind != o->kind)
		text_fmt(&o->text, "%s%s", o->kind >= 0 ? "]" : "", names[kind]);
	if (kind == TOOLS_CALL)
		text_fmt(&o->text, "%d ", call);
	o->kind = (int)kind;
	text_put(&o->text, s, n);
}

/* The answer's parts, where it arrives in pieces: up to `cut`, then `step` bytes at a time. */
static char *parts_of(const char *calls, const char *reasoning, bool open, const char *text, size_t len, size_t cut,
		      size_t step, bool one)
{
	struct json_error e;
	struct json_doc *doc = json_read(tool_list, strlen(tool_list), &json_of_files, &e);
	struct tools_how how = {.calls = calls,
				.reasoning = reasoning,
				.reasoning_open = open,
				.tools = json_root(doc),
				.one_call = one};
	struct seen o = {{NULL, 0, 0}, -1};
	struct tools_parser *p = tools_create(&how, sink, &o);

	text_str(&o.text, "");
	tools_feed(p, text, cut);
	for (size_t i = cut, n; i < len; i += n) {
		n = len - i < step ? len - i : step;
		tools_feed(p, text + i, n);
	}
	tools_end(p);
	tools_destroy(p);
	json_close(doc);
	if (o.kind >= 0)
		text_str(&o.text, "]");
	return o.text.data ? o.text.data : strdup("");
}

static void check_parts(const char *calls, const char *reasoning, bool open, const char *text, const char *want)
{
	size_t len = strlen(text);
	char *whole = parts_of(calls, reasoning, open, text, len, len, 1, false), *got;

	CHECK_STR(whole, want);
	for (size_t cut = 0; cut <= len; cut++) {
		got = parts_of(calls, reasoning, open, text, len, cut, len, false);
		CHECK_STR(got, want);
		free(got);
	}
	for (size_t step = 1; step <= 3; step++) {
		got = parts_of(calls, reasoning, open, text, len, 0, step, false);
		CHECK_STR(got, want);
		free(got);
	}
	free(whole);
}
#define CALLS(form, text, want) check_parts(form, "", false, text, want)

#define CITY "{\"city\": \"Paris\"}"

TEST(hermes)
{
	CALLS("hermes", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": " CITY "}\n</tool_call>",
	      "T[0 get_weather]A[" CITY "]");
	CALLS("hermes",
	      "Let me look.\n\n<tool_call>\n{\"arguments\": " CITY
	      ", \"name\": \"get_weather\"}\n</tool_call>\n<tool_call>\n"
	      "{\"name\": \"add\", \"arguments\": {}}\n</tool_call> Done.",
	      "C[Let me look.]T[0 get_weather]A[" CITY "]T[1 add]A[{}]C[Done.]");
	CALLS("hermes", "<tool_call>{\"name\": \"add\"}</tool_call>", "T[0 add]A[{}]");
	CALLS("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": \\\"\\u00e9\\\"}\"}</tool_call>",
	      "T[0 f]A[{\"a\": \"é\"}]");
	CALLS("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>", "T[0 f]A[{}]");
	CALLS("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"s\": \"</tool_call>}{\\\"\"}}}\n</tool_call>",
	      "T[0 f]A[{\"s\": \"</tool_call>}{\\\"\"}]");
	CALLS("hermes",
	      "<tool_call>[{\"name\": \"a\", \"arguments\": {}}, {\"name\": \"b\", \"arguments\": {\"x\": [1, {}]}}]</tool_call>",
	      "T[0 a]A[{}]T[1 b]A[{\"x\": [1, {}]}]");
	CALLS("hermes",
	      "<tool_call>```json\n{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"a\": 1}}}\n```</tool_call>",
	      "T[0 f]A[{\"a\": 1}]");
}

TEST(hermes_broken)
{
	CALLS("hermes", "a <tool_cal", "C[a <tool_cal]");
	CALLS("hermes", "a < b <tool> \n", "C[a < b <tool> \n]");
	CALLS("hermes", "<tool_call>I do not know</tool_call>.", "C[<tool_call>I do not know</tool_call>.]");
	CALLS("hermes", "<tool_call>{\"nam\": 1}</tool_call>", "C[<tool_call>{\"nam\": 1}</tool_call>]");
	CALLS("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": ", "T[0 f]A[{\"a\": ]");
	CALLS("hermes", "<tool_call>{\"name\": 5}", "C[<tool_call>{\"name\": 5}]");
	CALLS("hermes", "", "");
	CALLS("hermes", " \n", "C[ \n]");
}

TEST(qwen3_coder)
{
	CALLS("qwen3_coder",
	      "I look.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
	      "<parameter=where>\n{\"a\": [1]}\n</parameter>\n</function>\n</tool_call>",
	      "C[I look.]T[0 get_weather]A[{\"city\": \"Paris\", \"days\": 3, \"where\": {\"a\": [1]}}]");
	CALLS("qwen3_coder",
	      "<function=get_weather><parameter=city>5</parameter></function></tool_call>\n<tool_call><function=add>\n</function></tool_call>",
	      "T[0 get_weather]A[{\"city\": \"5\"}]T[1 add]A[{}]");
	CALLS("qwen3_coder",
	      "<tool_call><function=get_weather><parameter=city>\na <b>\n\"c\"\n</parameter></function></tool_call>",
	      "T[0 get_weather]A[{\"city\": \"a <b>\\n\\\"c\\\"\"}]");
	CALLS("hermes", "<tool_call>\n<function=add>\n</function>\n</tool_call>",
	      "T[0 add]A[{}]"); /* the model knows better than its template */
}

TEST(mistral)
{
	CALLS("mistral",
	      "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": " CITY
	      "}, {\"name\": \"add\", \"arguments\": {}, \"id\": \"abcdefghi\"}]",
	      "T[0 get_weather]A[" CITY "]T[1 add]A[{}]");
	CALLS("mistral", "[TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": " CITY "}]",
	      "T[0 get_weather]A[" CITY "]");
	CALLS("mistral", "Hm.[TOOL_CALLS]get_weather[ARGS]" CITY "[TOOL_CALLS]add{\"a\": 1}",
	      "C[Hm.]T[0 get_weather]A[" CITY "]T[1 add]A[{\"a\": 1}]");
	CALLS("mistral", "[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]" CITY, "T[0 get_weather]A[" CITY "]");
	CALLS("mistral", "[TOOL] a [1, 2]", "C[[TOOL] a [1, 2]]");
}

TEST(deepseek)
{
	CALLS("deepseek_v3",
	      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n" CITY
	      "\n```<｜tool▁call▁end｜>\n"
	      "<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
	      "T[0 get_weather]A[" CITY "]T[1 add]A[{}]");
	CALLS("deepseek_v31",
	      "So.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>" CITY "<｜tool▁call▁end｜>"
	      "<｜tool▁call▁begin｜>add<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
	      "C[So.]T[0 get_weather]A[" CITY "]T[1 add]A[{}]");
	CALLS("deepseek_v3", "a <｜ b", "C[a <｜ b]");
}

TEST(llama)
{
	CALLS("llama3_json", "{\"name\": \"get_weather\", \"parameters\": " CITY "}", "T[0 get_weather]A[" CITY "]");
	CALLS("llama3_json",
	      "<|python_tag|>{\"name\": \"get_weather\", \"parameters\": " CITY
	      "}; {\"name\": \"add\", \"parameters\": {}}",
	      "T[0 get_weather]A[" CITY "]T[1 add]A[{}]");
	CALLS("llama3_json", "{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": " CITY "}",
	      "T[0 get_weather]A[" CITY "]");
	CALLS("llama3_json", "{\"name\": \"Bob\", \"parameters\": {}}",
	      "C[{\"name\": \"Bob\", \"parameters\": {}}]"); /* no tool has that name */
	CALLS("llama3_json", "{\"a\": [1, {\"name\": \"add\"}]} x", "C[{\"a\": [1, {\"name\": \"add\"}]} x]");
	CALLS("llama3_json", "It is {\"name\": \"add\"}.", "C[It is {\"name\": \"add\"}.]");
	CALLS("json", "[{\"name\": \"get_weather\", \"arguments\": " CITY "}, {\"name\": \"add\", \"arguments\": {}}]",
	      "T[0 get_weather]A[" CITY "]T[1 add]A[{}]");
	CALLS("json", "[1, 2]", "C[[1, 2]]");
}

TEST(pythonic)
{
	CALLS("pythonic", "[get_weather(city='Paris', days=3), add()]",
	      "T[0 get_weather]A[{\"city\": \"Paris\", \"days\": 3}]T[1 add]A[{}]");
	CALLS("pythonic",
	      "[add(a=True, b=None, c=[1, 2.5, 'x',], d={'k': (False,)}, e=\"it's \\\"so\\\"\\n\", f='say \"a\"\\'')]",
	      "T[0 add]A[{\"a\": true, \"b\": null, \"c\": [1, 2.5, \"x\"], \"d\": {\"k\": [false]}, \"e\": \"it's \\\"so\\\"\\n\", "
	      "\"f\": \"say \\\"a\\\"'\"}]");
	CALLS("pythonic", "<|python_tag|>[add(x=-1e3)]", "T[0 add]A[{\"x\": -1e3}]");
	CALLS("pythonic", "[other(x=1)]", "C[[other(x=1)]]");
	CALLS("pythonic", "[1, 2]", "C[[1, 2]]");
}

TEST(others)
{
	CALLS("xverse",
	      "<|startofthink|>```JSON\n{\"api_name\": \"get_weather\",\"parameters\": " CITY "}```<|endofthink|>",
	      "T[0 get_weather]A[" CITY "]");
	CALLS("phi4_mini_json", "functools[{\"name\": \"get_weather\", \"arguments\": " CITY "}]",
	      "T[0 get_weather]A[" CITY "]");
	CALLS("phi4_mini_json", "functools is a module", "C[functools is a module]");
}

TEST(reasoning)
{
	check_parts("", "think", false, "<think>\nI see. \n</think>\n\nYes.", "R[I see.]C[Yes.]");
	check_parts("", "think", true, "I see < 5.\n</think>\nYes. \n", "R[I see < 5.]C[Yes. \n]");
	check_parts("", "think", false, "\n<think>a</think>", "R[a]");
	check_parts("", "think", false, "\n <thin", "C[\n <thin]");
	check_parts("", "think", false, " No <think>a</think>", "C[ No <think>a</think>]");
	check_parts("", "think", true, "a </thin", "R[a </thin]");
	check_parts("", "think", false, "<think>\n\n</think>\n\nx", "C[x]");
	check_parts("", "mistral", false, "[THINK]a[/THINK]b", "R[a]C[b]");
	check_parts("hermes", "think", true,
		    "I <tool_call> it</think>\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
		    "R[I <tool_call> it]T[0 f]A[{}]");
	check_parts("llama3_json", "think", true, "x</think>\n\n{\"name\": \"add\", \"parameters\": {}}",
		    "R[x]T[0 add]A[{}]");
}

static bool whole(const char *form, const char *text, bool one)
{
	struct tools_how how = {.calls = form, .one_call = one};
	struct {
		struct text text;
		int kind;
	} o = {{NULL, 0, 0}, -1};
	struct tools_parser *p = tools_create(&how, sink, &o);
	bool ok;

	tools_feed(p, text, strlen(text));
	tools_end(p);
	ok = tools_whole(p);
	tools_destroy(p);
	text_finish(&o.text);
	return ok;
}

/* Where a text may end so that all calls are whole. */
TEST(whole_calls)
{
	static const struct {
		const char *form, *text, *end; /* whole from behind `end` on */
	} of[] = {{"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": {}}}</tool_call>.", "{}}"},
		  {"hermes", "<tool_call>{\"arguments\": {}, \"name\": \"f\"}</tool_call>", "\"f\""},
		  {"mistral", "[TOOL_CALLS]f[ARGS]{\"a\": {}}", "{}}"},
		  {"qwen3_coder", "<tool_call><function=f><parameter=a>1</parameter></function></tool_call>",
		   "</function>"},
		  {"pythonic", "[f(a=(1, 2))]", "))"}};

	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		for (size_t n = 0; n <= strlen(of[i].text); n++) {
			char *text = strndup(of[i].text, n);
			size_t from = (size_t)(strstr(of[i].text, of[i].end) - of[i].text) + strlen(of[i].end);
			if (whole(of[i].form, text, false) != (n >= from))
				CHECK_FAIL("%s: \"%s\"", of[i].form, text);
			free(text);
		}
	CHECK(!whole("hermes", "no call", false));
	CHECK(!whole("hermes", "<tool_call>{\"name\": \"f\"}</tool_call><tool_call>{\"name\": \"g\"", false));
	CHECK(whole("hermes", "<tool_call>{\"name\": \"f\"}</tool_call><tool_call>{\"name\": \"g\"", true));
	CHECK(!tools_whole(NULL));
}

TEST(one_call)
{
	const char *text =
		"<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call><tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>";
	char *got = parts_of("hermes", "", false, text, strlen(text), 0, 7, true);

	CHECK_STR(got, "T[0 f]A[{}]");
	free(got);
	struct tools_how none = {.calls = "", .reasoning = "none"};
	CHECK(!tools_create(&none, sink, NULL));
}

/* CPU time of an answer of n bytes that repeats what is dear. */
static double cost(const char *form, const char *begin, const char *again, size_t n)
{
	struct text t = {NULL, 0, 0};
	struct timespec a, b;
	char *got;

	text_str(&t, begin);
	while (t.len < n)
		text_str(&t, again);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	got = parts_of(form, "think", false, t.data, t.len, 0, 5, false);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	free(got);
	text_finish(&t);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
}

/* Sixteen times the text may cost sixteen times the time, with room for noise; what is quadratic costs 256 times. */
TEST(hostile_texts)
{
	static const char *const texts[][3] = {{"hermes", "", "<tool_call><"},
					       {"hermes", "", " \n\t"},
					       {"hermes", "", "<tool_call>{"},
					       {"hermes", "<tool_call>", "{\"a\":"},
					       {"hermes", "<tool_call>{\"arguments\":{", "\"a"},
					       {"hermes", "<tool_call>{\"name\":\"", "\\\\"},
					       {"hermes", "<tool_call>{\"arguments\":\"", "\\n"},
					       {"qwen3_coder", "<function=f><parameter=a>", "</parameter"},
					       {"qwen3_coder", "<function=f>", "<parameter=a></parameter>"},
					       {"mistral", "", "[TOOL_CALLS]a"},
					       {"pythonic", "[add(a=", "[["},
					       {"pythonic", "[add(a=", "'"},
					       {"pythonic", "[add(", "a=1,"},
					       {"deepseek_v3", "", "<｜tool▁call▁begin｜>"},
					       {"json", "[", "{\"name\":\"add\"},"},
					       {"hermes", "", "<think"},
					       {"hermes", "<think>", " </think"},
					       {"hermes", "<tool_call>{\"name\":\"f\"}", "</tool_call"}};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		double small = cost(texts[i][0], texts[i][1], texts[i][2], 1 << 14),
		       large = cost(texts[i][0], texts[i][1], texts[i][2], 1 << 18);
		if (large > 64 * small + 0.05)
			CHECK_FAIL("%s, %s: %.6f s and %.6f s", texts[i][1], texts[i][2], small, large);
	}
}

/* CPU time of n calls of the last of n tools. */
static double cost_of_tools(const char *form, const char *begin, const char *call, int n)
{
	struct text list = {NULL, 0, 0}, t = {NULL, 0, 0};
	struct json_error e;
	struct timespec a, b;
	struct seen o = {{NULL, 0, 0}, -1};

	for (int i = 0; i <= n; i++)
		text_fmt(&list, "%c{\"function\": {\"name\": \"%s%d\"}}", i ? ',' : '[', i < n ? "g" : "f",
			 i < n ? i : 0);
	text_str(&list, "]");
	text_str(&t, begin);
	for (int i = 0; i < n; i++)
		text_str(&t, call);
	struct json_doc *doc = json_read(list.data, list.len, &json_of_files, &e);
	struct tools_how how = {.calls = form, .tools = json_root(doc)};
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	struct tools_parser *p = tools_create(&how, sink, &o);
	tools_feed(p, t.data, t.len);
	tools_end(p);
	CHECK_EQ(tools_calls(p), n);
	tools_destroy(p);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	json_close(doc);
	text_finish(&list), text_finish(&t), text_finish(&o.text);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
}

TEST(many_calls_of_many_tools)
{
	static const char *const calls[][3] = {
		{"pythonic", "[", "f0(),"},
		{"qwen3_coder", "", "<function=f0><parameter=a>1</parameter></function>"},
	};

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		double small = cost_of_tools(calls[i][0], calls[i][1], calls[i][2], 1 << 10),
		       large = cost_of_tools(calls[i][0], calls[i][1], calls[i][2], 1 << 14);
		if (large > 64 * small + 0.05)
			CHECK_FAIL("%s: %.6f s and %.6f s", calls[i][0], small, large);
	}
}

CHECK_MAIN()

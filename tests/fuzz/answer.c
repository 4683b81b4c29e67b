/* An answer becomes content, reasoning and calls: the same ones however it is cut, and all of its text where it holds
 * no call. */
#include "base/text.h"
#include "rpc/tools/tools.h"
#include "tests/fuzz/fuzz.h"

static const char *const forms[] = {"hermes",      "qwen3_coder",    "llama3_json", "pythonic", "mistral",
				    "deepseek_v3", "phi4_mini_json", "xverse",      "json",     "none"};

struct seen {
	struct text all, content;
	int kind, calls, last;
};

static void sink(void *arg, enum tools_kind kind, int call, const char *s, size_t n)
{
	struct seen *o = arg;

	if (kind == TOOLS_CALL || (int)kind != o->kind)
		text_fmt(&o->all, "|%d %d|", (int)kind, kind >= TOOLS_CALL ? call : 0);
	MUST(kind != TOOLS_CALL || call == o->calls++);
	o->kind = (int)kind;
	o->last += kind == TOOLS_REASONING;
	text_put(&o->all, s, n);
	if (kind == TOOLS_CONTENT)
		text_put(&o->content, s, n);
}

static struct seen run(uint8_t how, const char *s, size_t n, size_t step)
{
	struct tools_how h = {
		.calls = forms[how % 10], .reasoning = how & 64 ? "think" : "", .reasoning_open = how & 128};
	struct seen o = {.kind = -1};
	struct tools_parser *p = tools_create(&h, sink, &o);

	for (size_t i = 0; p && i < n; i += step)
		tools_feed(p, s + i, n - i < step ? n - i : step);
	if (p)
		tools_end(p);
	else
		text_put(&o.content, s, n);
	tools_destroy(p);
	return o;
}

static bool same(const struct text *a, const char *s, size_t n)
{
	return a->len == n && (!n || !memcmp(a->data, s, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data + 1;
	struct seen whole, cut;

	if (!size)
		return 0;
	whole = run(data[0], s, size - 1, size);
	cut = run(data[0], s, size - 1, 1 + size % 5);
	MUST(same(&cut.all, whole.all.data, whole.all.len));
	if (!whole.calls && !whole.last && !(data[0] & 128) && !memmem(s, size - 1, "<think>", 7))
		MUST(same(&whole.content, s, size - 1));
	text_finish(&whole.all), text_finish(&whole.content), text_finish(&cut.all), text_finish(&cut.content);
	return 0;
}

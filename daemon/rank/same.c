#include "daemon/rank/same.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "parallel/agree.h"

/* The rest is read by rank 0 alone, belongs to one machine, or is for tests. */
static bool must_agree(const struct option_row *row)
{
	static const char *const own[] = {
		"model",   "served-model-name", "pack-cache", "tokenizer",      "chat-template",
		"threads", "generation-config", "cpu-isa",    "node-interface", "pin"};
	bool groups = !strcmp(row->group, "Model") || !strcmp(row->group, "Ranks and device") ||
		      !strcmp(row->group, "Memory and batching");

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		groups &= strcmp(row->name, own[i]) != 0;
	return groups;
}

static uint64_t mix(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	return (h ^ 0xff) * 0x100000001b3u;
}

static const char *text_of(const struct option_row *row, const void *at, char number[32])
{
	switch (row->kind) {
	case OPT_TEXT:
		return *(char *const *)at ? *(char *const *)at : "";
	case OPT_NUMBER:
		snprintf(number, 32, "%" PRId64, *(const int64_t *)at);
		return number;
	case OPT_CHOICE:
		return row->choices[*(const int *)at];
	default:
		return *(const bool *)at ? "on" : "off";
	}
}

/* The hash distinguishes long texts. */
static void value_of(const struct option_row *row, const struct options *o, char out[AGREE_VALUE])
{
	char number[32];
	const char *text = text_of(row, (const char *)o + row->offset, number);

	if (strlen(text) < AGREE_VALUE - 2)
		snprintf(out, AGREE_VALUE, "\"%s\"", text);
	else
		snprintf(out, AGREE_VALUE, "\"%.30s...\" (hash %016" PRIx64 ")", text, mix(0, text));
}

int same_options(const struct world *w, const struct options *o, struct why *why)
{
	char value[AGREE_VALUE], what[80];
	uint64_t all = 0xcbf29ce484222325u;
	int err = 0;

	for (int i = 0; i < option_count; i++) {
		value_of(&option_table[i], o, value);
		all = must_agree(&option_table[i]) ? mix(all, value) : all;
	}
	all &= INT64_MAX;
	if (world_min(w, (int64_t)all) == -world_min(w, -(int64_t)all))
		return 0;
	for (int i = 0; i < option_count && !err; i++) {
		if (!must_agree(&option_table[i]))
			continue;
		value_of(&option_table[i], o, value);
		snprintf(what, sizeof what, "--%s", option_table[i].name);
		err = world_same(w, what, value,
				 "give it on the command line, or clear XVERSED_* and --config of one host", why);
	}
	return err;
}

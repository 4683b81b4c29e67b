/* The file of --limits. What is taken holds within its ranges, and is found again. */
#include "daemon/limits.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static bool find(const char *name, uint32_t *id)
{
	*id = (uint32_t)strlen(name);
	return *name == 'u';
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_quiet();
	return 0;
}

static void check(const struct limits *all, const struct limit *l)
{
	MUST(limits_find(all, l->kind, l->id, l->name) == l);
	MUST(l->running == -1 || (l->running >= 1 && l->running <= 1ll << 40));
	MUST(l->waiting >= -1 && l->waiting <= 1ll << 40);
	MUST(l->tokens == -1 || (l->tokens >= 1 && l->tokens <= 1ll << 40));
	MUST(!l->models || (*l->models == '\n' && l->models[strlen(l->models) - 1] == '\n'));
	limits_allow(l->models, l->name);
	limits_allow(l->adapters, "a");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct limits_names names = {find, find};
	struct limits l;
	struct why why = {""};
	char *text = malloc(size + 1);
	int err;

	MUST(text);
	memcpy(text, data, size);
	text[size] = 0;
	err = limits_parse(&l, text, size, "file", &names, &why);
	free(text);
	if (err) {
		MUST(!l.at && !l.n);
		fuzz_refused(err, &why);
		return 0;
	}
	MUST(l.n <= LIMITS_MOST);
	for (int i = 0; i < l.n; i++)
		check(&l, &l.at[i]);
	limits_finish(&l);
	return 0;
}

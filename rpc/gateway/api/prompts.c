#include "rpc/gateway/api/prompts.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/api/request.h"

/* An empty string is not refused here: the daemon replaces it by the model's begin token if it has one. */
static int read_prompt(struct xv_prompt *p, const struct json *v, struct why *why)
{
	int32_t *ids;
	char *copy;
	int err;

	if (json_str(v)) {
		copy = xalloc(json_len(v) + 1, 1);
		memcpy(copy, json_str(v), json_len(v));
		*p = (struct xv_prompt){.is_text = true, .text = copy, .text_len = json_len(v)};
		return 0;
	}
	if (!json_size(v) || !json_is(v, JSON_IS_LIST))
		return fail(why, ERR_INVALID,
			    "prompt must be a string, a non-empty list of token ids, or a list of these");
	err = api_read_ids(v, "prompt", INT_MAX, &ids, &p->n_ids, why);
	if (!err)
		p->ids = ids;
	return err;
}

int api_prompts_read(struct api_prompts *p, const struct json *value, struct why *why)
{
	const struct json *first = json_at(value, 0);
	bool list = first && !json_is_num(first);
	size_t n = list ? json_size(value) : 1;
	int err = 0;

	*p = (struct api_prompts){0};
	if (json_none(value))
		return fail(why, ERR_INVALID, "prompt is missing");
	if (n > API_MAX_PROMPTS)
		return fail(why, ERR_INVALID, "prompt: %zu prompts, at most %d are allowed", n, API_MAX_PROMPTS);
	p->prompt = xalloc(n, sizeof *p->prompt);
	for (size_t i = 0; !err && i < n; i++) {
		err = read_prompt(&p->prompt[i], list ? json_at(value, i) : value, why);
		size_t size = p->prompt[i].text_len + (size_t)p->prompt[i].n_ids * sizeof(int32_t);
		p->bytes += size + sizeof *p->prompt;
		p->longest = size > p->longest ? size : p->longest;
		p->n = (int)i + 1;
	}
	return err;
}

void api_prompts_finish(struct api_prompts *p)
{
	for (int i = 0; i < p->n; i++) {
		free((void *)(uintptr_t)p->prompt[i].ids);
		free((void *)(uintptr_t)p->prompt[i].text);
	}
	free(p->prompt);
	*p = (struct api_prompts){0};
}

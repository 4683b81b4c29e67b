/* The body of a request of the gateway, from its bytes to the fields of a call. */
#include <math.h>

#include "rpc/gateway/ask.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_quiet();
	return 0;
}

static void check_ask(const struct ask *a, enum ask_where where)
{
	const struct rpc_sampling *s = &a->sampling;

	MUST(a->n >= 1 && a->n <= ASK_MAX_N && a->top <= ASK_MAX_TOP && a->prompt_top <= ASK_MAX_TOP);
	MUST(s->n_stop <= ASK_MAX_STOP && s->n_bias <= ASK_MAX_BIAS && s->n_stop_ids <= ASK_MAX_IDS);
	MUST(isfinite(s->temperature) && s->temperature >= 0 && s->top_p >= 0 && s->top_p <= 1 && s->top_k >= 0);
	MUST(!(s->has >> RPC_TOP_P & 1) || s->top_p > 0);
	MUST(where == ASK_CHAT || s->has >> RPC_MAX_TOKENS & 1);
	for (int i = 0; i < s->n_stop; i++)
		MUST(*s->stop[i] && strlen(s->stop[i]) <= RPC_MAX_STOP_BYTES);
	for (int i = 0; i < s->n_bias; i++)
		MUST(s->bias[i].id >= 0 && s->bias[i].value >= -100 && s->bias[i].value <= 100);
	for (int i = 0; i < s->n_allowed; i++)
		MUST(s->allowed[i] >= 0);
	MUST(strnlen(a->ignored, sizeof a->ignored) < sizeof a->ignored);
}

static void read_as(json_t *body, enum ask_where where)
{
	const char *param = NULL;
	struct why why = {""};
	struct ask a;
	int err = ask_read(&a, body, where, &param, &why);

	if (err)
		fuzz_refused(err, &why);
	else
		check_ask(&a, where);
	ask_finish(&a);
}

static void read_prompts(json_t *body)
{
	struct why why = {""};
	struct prompts p;
	int err = prompts_read(&p, json_object_get(body, "prompt"), &why);

	if (err)
		fuzz_refused(err, &why);
	for (int i = 0; !err && i < p.n; i++)
		MUST(p.prompt[i].is_text ? p.prompt[i].text_len > 0 : p.prompt[i].n_ids > 0 && p.prompt[i].ids[0] >= 0);
	prompts_finish(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[160] = "";
	json_t *body = parse_body((const char *)data, size, error);

	if (!body)
		MUST(*error && strnlen(error, sizeof error) < sizeof error);
	if (body && json_is_object(body)) {
		read_as(body, ASK_COMPLETIONS);
		read_as(body, ASK_CHAT);
		read_prompts(body);
	}
	json_decref(body);
	return 0;
}

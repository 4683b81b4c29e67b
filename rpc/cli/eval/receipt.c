/* receipt.c - asks the server, and hashes the data. */
#include "rpc/cli/eval/receipt.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/cli/cli.h"
#include "rpc/cli/eval/ids.h"

const struct xv_adapter *eval_adapter_find(const struct xv_status *s, const char *name, struct why *why)
{
	for (int i = 0; i < s->n_adapter; i++)
		if (!strcmp(s->adapter[i].name, name))
			return &s->adapter[i];
	fail(why, ERR_INVALID, "--adapter: the server has no adapter \"%.100s\"", name);
	return NULL;
}

int eval_receipt_ask(struct eval_receipt *r, struct xv_client *c, const char *adapter, struct why *why)
{
	struct xv_request q = {.kind = XV_STATUS};
	struct xv_reply reply;
	const struct xv_adapter *has;
	int err = cli_ask(c, &q, &reply, why);

	*r = (struct eval_receipt){0};
	if (err)
		return err;
	r->model = adapter ? xprintf("%s + %s", reply.status.model, adapter) : xstrdup(reply.status.model);
	r->fingerprint = xstrdup(reply.status.fingerprint);
	r->numerics_class = xstrdup(reply.status.numerics_class);
	r->version = xstrdup(reply.status.version);
	r->device = xstrdup(reply.status.device);
	r->max_model_len = (int)reply.status.max_model_len;
	r->adapter = xstrdup(adapter ? adapter : "");
	has = adapter ? eval_adapter_find(&reply.status, adapter, why) : NULL;
	if (adapter && !has)
		return ERR_INVALID;
	r->adapter_fingerprint = xstrdup(has ? has->fingerprint : "");
	err = eval_tokenizer_hash(c, r->tokenizer_sha256, why);
	return err ? err : eval_ids_bare(c, r->bare, why);
}

void eval_receipt_close(struct eval_receipt *r)
{
	free(r->model);
	free(r->fingerprint);
	free(r->numerics_class);
	free(r->version);
	free(r->device);
	free(r->adapter);
	free(r->adapter_fingerprint);
	*r = (struct eval_receipt){0};
}

/* Of the names and hashes of all files, in the order in which they were read. */
static void hash_data(const struct eval_bench *b, char hex[65])
{
	struct text all = {0};

	for (int i = 0; i < b->n_used; i++) {
		const char *name = strrchr(b->used[i].name, '/');
		text_fmt(&all, "%s %s\n", name ? name + 1 : b->used[i].name, b->used[i].sha256);
	}
	eval_sha256(all.data ? all.data : "", all.len, hex);
	text_finish(&all);
}

json_t *eval_protocol(const struct eval_bench *b, const struct eval_plan *p, int max_prompt)
{
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:i, s:i, s:s, s:b}", "prompt", "hendrycks-test/ceval 1", "split",
			 b->split, "shots", p->shots, "shots_from", p->official ? "official" : "head", "prompt_lang",
			 p->english ? "en" : "zh", "max_prompt", max_prompt, "limit", p->limit, "subjects",
			 p->subjects ? p->subjects : "", "multi_question", p->multi_question);
}

char *eval_head(const struct eval_bench *b, const struct eval_plan *p, int max_prompt, const struct eval_receipt *r)
{
	char data[65];
	json_t *j, *protocol = eval_protocol(b, p, max_prompt);
	char *line;

	hash_data(b, data);
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "format", "xverse eval 1", "bench", b->kind->name,
		      "fingerprint", r->fingerprint, "adapter", r->adapter_fingerprint, "numerics_class",
		      r->numerics_class, "tokenizer_sha256", r->tokenizer_sha256, "data_sha256", data);
	json_object_update(j, protocol);
	json_decref(protocol);
	line = json_dumps(j, JSON_ENSURE_ASCII);
	json_decref(j);
	return line;
}

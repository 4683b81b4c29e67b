#include "rpc/cli/measure/question.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/cli/eval/files.h"

enum { MAX_TOKENS = 256 };

static int check_answers(struct measure_question *q, const struct json *root, struct why *why)
{
	q->answers = json_get(root, json_get(root, "answers") ? "answers" : "answer");
	if (json_str(q->answers))
		return 0;
	if (!json_size(q->answers) || !json_is(q->answers, JSON_IS_LIST))
		return fail(why, ERR_INVALID, "answers must be a text or a list of texts that is not empty, not %s",
			    json_kind_name(q->answers));
	for (size_t i = 0; i < json_size(q->answers); i++)
		if (!json_str(json_at(q->answers, i)))
			return fail(why, ERR_INVALID, "answers: entry %zu must be a text, not %s", i,
				    json_kind_name(json_at(q->answers, i)));
	return 0;
}

static int set_normalizer(struct measure_question *q, const struct json *root, const char *given, struct why *why)
{
	const struct json *own = json_get(root, json_get(root, "normalizer") ? "normalizer" : "normaliser");

	if (!json_none(own) && !json_str(own))
		return fail(why, ERR_INVALID, "normalizer must be a text, not %s", json_kind_name(own));
	q->name = json_str(own) ? json_str(own) : given ? given : "strip";
	q->normalize = normalizer_find(q->name);
	return q->normalize
		       ? 0
		       : fail(why, ERR_INVALID, "normalizer: \"%.40s\" is none of %s", q->name, normalizer_names());
}

/* Every output without a number would equal an answer without one. */
static int check_normalized(const struct measure_question *q, const struct json *answer, struct why *why)
{
	struct text is = {0};
	bool lost;

	q->normalize(&is, json_str(answer), json_len(answer));
	lost = json_len(answer) && !is.len;
	text_finish(&is);
	return lost ? fail(why, ERR_INVALID, "answers: nothing is left of \"%.60s\" by the normalizer %s",
			   json_str(answer), q->name)
		    : 0;
}

static int check_all_normalized(const struct measure_question *q, struct why *why)
{
	int err = json_str(q->answers) ? check_normalized(q, q->answers, why) : 0;

	for (size_t i = 0; !err && json_is(q->answers, JSON_IS_LIST) && i < json_size(q->answers); i++)
		err = check_normalized(q, json_at(q->answers, i), why);
	return err;
}

int measure_question_read(struct measure_question *q, const char *text, size_t len, uint32_t number, const char *usual,
			  struct why *why)
{
	const struct xv_sampling greedy = {.has = 1u << XV_TEMPERATURE | 1u << XV_MAX_TOKENS, .max_tokens = MAX_TOKENS};
	struct json_error e;
	int err;

	*q = (struct measure_question){.doc = NULL};
	err = batch_request_read(&q->request, text, len, number, &greedy, why);
	if (err)
		return err;
	q->doc = json_read(text, len, &json_of_files, &e);
	if (q->request.calls != 1)
		return fail(why, ERR_INVALID, "a question has one prompt and one answer (n: 1)");
	err = check_answers(q, json_root(q->doc), why);
	if (!err)
		err = set_normalizer(q, json_root(q->doc), usual, why);
	return err ? err : check_all_normalized(q, why);
}

void measure_question_finish(struct measure_question *q)
{
	batch_request_finish(&q->request);
	json_close(q->doc);
	*q = (struct measure_question){.doc = NULL};
}

static bool equals(const struct measure_question *q, const struct text *is, const struct json *answer)
{
	struct text right = {0};
	bool same;

	q->normalize(&right, json_str(answer), json_len(answer));
	same = is->len == right.len && (!is->len || !memcmp(is->data, right.data, is->len));
	text_finish(&right);
	return same;
}

static bool is_right(const struct measure_question *q, const struct text *is)
{
	bool right = json_str(q->answers) && equals(q, is, q->answers);

	for (size_t i = 0; i < json_size(q->answers); i++)
		right |= equals(q, is, json_at(q->answers, i));
	return right;
}

bool measure_question_answer(struct text *out, const struct measure_question *q, const char *text, size_t len,
			     uint32_t tokens, const char *finish)
{
	struct text is = {0};
	char *answers = json_write(q->answers, NULL, NULL);
	bool right;

	q->normalize(&is, text, len);
	right = is_right(q, &is);
	text_str(out, "{\"id\":");
	text_json_str(out, q->request.id);
	text_str(out, ",\"output\":");
	text_json(out, text, len);
	text_str(out, ",\"normalized\":");
	text_json(out, is.data ? is.data : "", is.len);
	text_fmt(out, ",\"answers\":%s,\"normalizer\":\"%s\",\"tokens\":%u,\"finish_reason\":\"%s\",\"correct\":%s}",
		 answers, q->name, tokens, finish, right ? "true" : "false");
	text_finish(&is);
	free(answers);
	return right;
}

#include "rpc/gateway/http/budget.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/http/inside.h"

enum { TRIM_BYTES = 1 << 20, MAP_BYTES = 256 << 10, ANSWER_PART = 4, TRIMS = 3 };

/* glibc raises its own threshold with each large block that is freed, and keeps what lies below it. */
void http_budget_init(void)
{
	mallopt(M_MMAP_THRESHOLD, MAP_BYTES);
	mallopt(M_TRIM_THRESHOLD, MAP_BYTES);
	mallopt(M_ARENA_MAX, 2);
}

int64_t http_budget_share(const struct http_server *s, int64_t of)
{
	return http_keys_names(s->keys) > 1 ? of * s->how->share / 100 : of;
}

/* Returns 0, or the status of the refusal. */
static int check(const struct http_exchange *x, enum http_budget_part part, int64_t more, int64_t bytes)
{
	const struct http_server *s = x->server;
	const struct http_account *a = x->head.account;
	int64_t most = s->how->max_bodies;

	if (more <= 0)
		return 0;
	if (part == HTTP_BUDGET_ANSWER && bytes > most / ANSWER_PART)
		return 413;
	if (s->count.held + more > most)
		return 429;
	return a && a->held + more > http_budget_share(s, most) ? 429 : 0;
}

int http_budget_set(struct http_exchange *x, enum http_budget_part part, int64_t bytes)
{
	int64_t more = bytes - x->held[part];
	int status = check(x, part, more, bytes);

	if (status) {
		x->server->count.refused_memory++;
		return status;
	}
	x->held[part] = bytes;
	x->server->count.held += more;
	if (x->head.account)
		x->head.account->held += more;
	if (more < 0)
		x->server->freed -= more;
	return 0;
}

const char *http_budget_text(int status)
{
	return status == 413
		       ? "the answer needs too much memory (a quarter of --max-bodies): ask for less (logprobs, echo, n, max_tokens)"
		       : "the memory of all requests is used up (--max-bodies): try again";
}

void http_budget_leave(struct http_exchange *x)
{
	for (int i = 0; i < HTTP_BUDGET_PARTS; i++)
		http_budget_set(x, (enum http_budget_part)i, 0);
}

/* Called once a second: returns freed memory to the system, for some seconds, since connections end after their
 * requests. */
void http_budget_trim(struct http_server *s)
{
	if (s->freed >= TRIM_BYTES)
		s->trims = TRIMS;
	s->freed = 0;
	if (s->trims && s->trims--)
		malloc_trim(0);
}

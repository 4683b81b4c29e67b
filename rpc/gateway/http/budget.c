/* budget.c - memory that requests take: bodies, what is read from them, what waits for the daemon, answers that are not
 * sent yet. One limit for all together, a share of it for each API key, a quarter of it for one answer. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/gateway/gateway.h"

enum { TRIM_BYTES = 1 << 20, MAP_BYTES = 256 << 10, ANSWER_PART = 4, TRIMS = 3 };

/* glibc raises its own threshold with each large block that is freed, and keeps what lies below it. */
void budget_open(void)
{
	mallopt(M_MMAP_THRESHOLD, MAP_BYTES);
	mallopt(M_TRIM_THRESHOLD, MAP_BYTES);
	mallopt(M_ARENA_MAX, 2);
}

int64_t budget_share(const struct gateway *g, int64_t of)
{
	return keys_names(g->keys) > 1 ? of * g->how.share / 100 : of;
}

/* 0, or the status of the refusal. */
static int check(struct exchange *x, enum budget_part part, int64_t more, int64_t bytes)
{
	struct gateway *g = x->g;

	if (more <= 0)
		return 0;
	if (part == BUDGET_ANSWER && bytes > g->how.max_bodies / ANSWER_PART)
		return 413;
	if (g->held + more > g->how.max_bodies)
		return 429;
	return x->account && x->account->held + more > budget_share(g, g->how.max_bodies) ? 429 : 0;
}

int budget_set(struct exchange *x, enum budget_part part, int64_t bytes)
{
	int64_t more = bytes - x->held[part];
	int status = check(x, part, more, bytes);

	if (status) {
		x->g->count.refused_memory++;
		return status;
	}
	x->held[part] = bytes;
	x->g->held += more;
	if (x->account)
		x->account->held += more;
	if (more < 0)
		x->g->freed -= more;
	return 0;
}

const char *budget_text(int status)
{
	return status == 413
		       ? "the answer takes too much memory (a quarter of --max-bodies): ask for less of it (logprobs, echo, n, max_tokens)"
		       : "too much is being sent and answered here at once (--max-bodies): try again";
}

void budget_leave(struct exchange *x)
{
	for (int i = 0; i < BUDGET_PARTS; i++)
		budget_set(x, (enum budget_part)i, 0);
}

/* Once a second: what was freed goes back to the system, for some seconds, since connections end after their requests.
 */
void budget_trim(struct gateway *g)
{
	if (g->freed >= TRIM_BYTES)
		g->trims = TRIMS;
	g->freed = 0;
	if (g->trims && g->trims--)
		malloc_trim(0);
}

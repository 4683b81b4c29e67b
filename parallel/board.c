#include "parallel/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "parallel/board_page.h"

enum { READY_MS = 20, WATCHER_MS = 2000 };

size_t board_bytes(int size)
{
	return sizeof(struct board_page) + (size_t)size * sizeof(struct board_line);
}

struct board *board_join(void *shared, int rank, int size, pid_t pid)
{
	struct board *b = xalloc(1, sizeof *b);
	struct board_line *line;

	REQUIRE(size > 0 && size < 0xffff && rank >= 0 && rank < size);
	b->page = shared;
	b->rank = rank;
	b->size = size;
	b->fds = xalloc((size_t)size + 1, sizeof *b->fds);
	b->peer = xalloc((size_t)size, sizeof *b->peer);
	for (int r = 0; r <= size; r++)
		b->fds[r] = (struct pollfd){.fd = -1, .events = POLLIN};
	line = &b->page->line[rank];
	atomic_store(&line->pid, pid);
	atomic_store(&line->where, 0);
	atomic_store(&line->beat, now_ns());
	atomic_store(&line->state, LINE_JOINED);
	return b;
}

/* Only the rank's engine thread writes `where`, so a plain load and store suffice. */
void board_step(struct board *b, int no)
{
	_Atomic uint64_t *where = &b->page->line[b->rank].where;

	atomic_store(where, no < 0 ? where_idle_after(atomic_load(where)) : where_running(no));
}

void board_done(struct board *b, int no)
{
	atomic_store(&b->page->done, no + 1);
}

void board_op(struct board *b)
{
	_Atomic uint64_t *where = &b->page->line[b->rank].where;

	atomic_store_explicit(where, atomic_load_explicit(where, memory_order_relaxed) + 2, memory_order_release);
}

uint32_t board_ops(const struct board *b)
{
	return (uint32_t)atomic_load(&b->page->line[b->rank].where) >> 1;
}

void blame_place(const struct board *b, struct blame *what, uint64_t where)
{
	what->idle = !(where & 1);
	what->step = max_int(-1, (int)(where >> 32) - (what->idle ? 2 : 1));
	what->op = (uint32_t)where >> 1;
	what->ahead = what->idle ? 0 : max_int(0, what->step - atomic_load(&b->page->done));
	if (b->nodes)
		memcpy(what->node, b->nodes->node[b->nodes->of_rank[what->rank]].name, sizeof what->node);
}

/* One atomic word decides which blame was first. Its details follow, and are missing if the blaming rank dies before it
 * has written them. */
bool board_blame(struct board *b, const struct blame *what)
{
	uint32_t none = 0, claim = (uint32_t)what->kind << 16 | (uint32_t)(what->rank + 1);

	REQUIRE(what->kind != BLAME_NONE && what->rank >= 0 && what->rank < b->size);
	if (!atomic_compare_exchange_strong(&b->page->claim, &none, claim))
		return false;
	b->page->detail = *what;
	atomic_store_explicit(&b->page->ready, 1, memory_order_release);
	return true;
}

bool blame_rank(struct board *b, enum blame_kind kind, int rank, const char *text)
{
	struct board_line *line = &b->page->line[rank];
	struct blame what = {.kind = kind, .rank = rank, .pid = atomic_load(&line->pid)};

	blame_place(b, &what, atomic_load(&line->where));
	snprintf(what.text, sizeof what.text, "%s", text);
	return board_blame(b, &what);
}

bool wait_set(_Atomic uint32_t *word, int ms)
{
	for (int i = 0; i < ms && !atomic_load_explicit(word, memory_order_acquire); i++)
		nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
	return atomic_load_explicit(word, memory_order_acquire);
}

bool board_blamed(const struct board *b, struct blame *out)
{
	uint32_t claim = atomic_load(&b->page->claim);
	struct board_line *line;

	if (!claim)
		return false;
	if (!out)
		return true;
	if (wait_set(&b->page->ready, READY_MS)) {
		*out = b->page->detail;
		return true;
	}
	line = &b->page->line[(claim & 0xffff) - 1];
	*out = (struct blame){.kind = claim >> 16, .rank = (int)(claim & 0xffff) - 1, .pid = atomic_load(&line->pid)};
	blame_place(b, out, atomic_load(&line->where));
	return true;
}

void board_idle(void *board)
{
	struct board *b = board;
	struct blame what;
	char text[256];
	uint64_t never = 0;

	if (!board_blamed(b, NULL))
		return;
	if (!atomic_load(&b->watcher)) {
		board_blamed(b, &what);
		blame_text(&what, text, sizeof text);
		log_at(LOG_ERROR, "%s; this rank ends", text);
		_exit(EXIT_SOFTWARE);
	}
	/* The watch thread ends the process after the last words. If it does not, this thread does. */
	if (!atomic_compare_exchange_strong(&b->noticed, &never, now_ns()) && now_ns() - never > WATCHER_MS * NS_PER_MS)
		_exit(EXIT_SOFTWARE);
}

void board_die(void *board, const char *why)
{
	struct board *b = board;

	blame_rank(b, BLAME_FAULT, b->rank, why);
	if (atomic_load(&b->page->line[0].watched) && atomic_load(&b->watcher) != gettid())
		wait_set(&b->page->said, LAST_WORDS_MS);
}

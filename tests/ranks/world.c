/* Who we are, numbers agreed at start, a shared window, and steps handed over in order; tests/nodes/check_bits runs it
 * over several nodes. */
#include "parallel/board.h"
#include "parallel/window.h"
#include "tests/ranks/job.h"

static int here(const struct world *w, int rank)
{
	return w->nodes.n < 2 || w->nodes.of_rank[rank] == w->nodes.mine;
}

static int ranks_know_themselves(struct world *w)
{
	int wrong = !w->board ||
		    (w->nodes.n < 2 ? w->local_rank != w->rank || w->local_size != w->size : !here(w, w->rank));
	const char *size = getenv("OMPI_COMM_WORLD_SIZE");

	wrong += w->size != (size ? atoi(size) : 1);
	wrong += world_min(w, 5 - w->rank) != 5 - (w->size - 1);
	wrong += world_sum(w, w->rank + 1) != w->size * (w->size + 1) / 2;
	return wrong;
}

static int bytes_travel(struct world *w)
{
	int32_t mine[3] = {w->rank, w->rank * w->rank, 7}, all[3 * 32], big[5000];
	int wrong = 0;

	for (int i = 0; i < 5000; i++)
		big[i] = w->rank == 0 ? i * 3 : -1;
	world_bcast(w, big, sizeof big);
	for (int i = 0; i < 5000; i++)
		wrong += big[i] != i * 3;
	world_gather(w, mine, sizeof mine, all);
	for (int r = 0; w->rank == 0 && r < w->size; r++)
		wrong += all[3 * r] != r || all[3 * r + 1] != r * r || all[3 * r + 2] != 7;
	return wrong;
}

/* Larger than Docker's 64 MB of /dev/shm; only some pages are touched. */
static int windows_are_shared(struct world *w)
{
	struct window win;
	size_t bytes = 100 << 20, stride = bytes / 32;
	int wrong = 0;
	char *at;

	window_open(&win, w, "test", bytes);
	at = win.base;
	wrong += (uintptr_t)at % 4096 != 0 || win.bytes < bytes;
	for (int r = 0; r < w->size; r++)
		wrong += at[(size_t)r * stride] != 0;
	world_barrier(w);
	at[(size_t)w->rank * stride] = (char)(w->rank + 1);
	world_barrier(w);
	for (int r = 0; r < w->size; r++)
		wrong += at[(size_t)r * stride] != (here(w, r) ? r + 1 : 0);
	world_barrier(w);
	window_close(&win);
	return wrong;
}

/* No descriptor of a window stays open: nothing to leak into children. */
static int no_descriptors_stay(struct world *w)
{
	int before = dup(0), after, first = before;
	struct window win;

	close(before);
	for (int i = 0; i < 3; i++) {
		window_open(&win, w, "test", 5000);
		window_close(&win);
	}
	after = dup(0);
	close(after);
	return after != first;
}

enum { STEP_WORDS = 3000 };

static uint32_t words_of(uint32_t no)
{
	return 2 + no * 2654435761u % (STEP_WORDS - 2);
}

static void post(struct world *w, uint32_t no)
{
	static uint32_t step[STEP_WORDS];
	uint32_t n = words_of(no);

	for (uint32_t i = 0; i < n; i++)
		step[i] = no * 31 + i;
	world_post(w, step, n * sizeof *step);
	memset(step, 0xff, n * sizeof *step); /* it was copied */
}

static int take(struct world *w, uint32_t no)
{
	static uint32_t step[STEP_WORDS];
	size_t got = world_take(w, step, sizeof step);
	int wrong = 0;

	if (got != words_of(no) * sizeof *step)
		return job_wrong(0, "step size", (long)no);
	for (uint32_t i = 0; i < words_of(no); i++)
		if (step[i] != no * 31 + i)
			wrong = job_wrong(wrong, "step", (long)no);
	return wrong;
}

/* Two steps are posted before anyone takes the first; then very many, with late followers and a late rank 0.
 */
static int steps_come_in_order(struct world *w)
{
	uint32_t n = job_full ? 200000 : 20000;
	int wrong = 0;

	world_steps(w, STEP_WORDS * sizeof(uint32_t));
	if (w->rank == 0) {
		post(w, 0);
		post(w, 1);
	}
	world_barrier(w); /* rank 0 gets here only if it did not wait */
	for (uint32_t no = 0; no < n; no++) {
		if (no % 512 == (uint32_t)w->rank * 17)
			usleep(200);
		if (w->rank)
			wrong += take(w, no);
		else if (no >= 2)
			post(w, no);
	}
	world_barrier(w);
	return wrong;
}

int main(int argc, char **argv)
{
	static const struct job_test tests[] = {{"ranks_know_themselves", ranks_know_themselves},
						{"bytes_travel", bytes_travel},
						{"windows_are_shared", windows_are_shared},
						{"no_descriptors_stay", no_descriptors_stay},
						{"steps_come_in_order", steps_come_in_order}};

	return job_main(argc, argv, "0 1 2 3 4 8", tests, sizeof tests / sizeof *tests);
}

/* The helper threads that tokenize long texts: the order of jobs, cancelled jobs, and the bounds of a job. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/front/helper.h"
#include "tests/check.h"

static struct tokenizer *open_demo(void)
{
	struct tokenizer *t;
	struct why why = {""};

	if (tokenizer_open(&t, "launch/demo/model", &why))
		CHECK_FAIL("%s", why.text);
	return t;
}

static struct front_job *job_of(uint64_t call, uint64_t client, size_t len)
{
	struct front_job *job = xalloc(1, sizeof *job);
	char *text = xalloc(len + 1, 1);

	for (size_t i = 0; i < len; i++)
		text[i] = "ab c"[i % 4];
	*job = (struct front_job){.call = call, .client = client, .text = text, .len = len};
	return job;
}

/* Takes the next job that is done: its call and error. */
static uint64_t next(struct front_helpers *w, int *err)
{
	struct pollfd p = {.fd = w->wake_fd, .events = POLLIN};
	struct front_job *job;
	uint64_t call, count;

	while (!(job = front_helpers_take(w))) {
		poll(&p, 1, 100);
		if (read(w->wake_fd, &count, sizeof count) < 0)
			continue;
	}
	call = job->call;
	*err = job->err;
	free((char *)(uintptr_t)job->text);
	front_job_finish(job);
	free(job);
	return call;
}

/* The first job keeps the thread busy while the others arrive. */
TEST(small_jobs_pass_and_clients_take_turns)
{
	struct tokenizer *t = open_demo();
	struct front_helpers w;
	uint64_t order[8];
	int err;

	front_helpers_start(&w, t, eventfd(0, EFD_NONBLOCK));
	front_helpers_put(&w, job_of(1, 1, 4 << 20));
	front_helpers_put(&w, job_of(2, 1, 4 << 20));
	front_helpers_put(&w, job_of(3, 1, 3 << 20));
	front_helpers_put(&w, job_of(4, 2, 3 << 20));
	front_helpers_put(&w, job_of(5, 3, 300 << 10));
	front_helpers_put(&w, job_of(6, 4, 40 << 10)); /* its own thread */
	for (int i = 0; i < 6; i++) {
		order[i] = next(&w, &err);
		CHECK_EQ(err, 0);
	}
	int place[8] = {0};
	for (int i = 0; i < 6; i++)
		place[order[i]] = i;
	CHECK(place[6] < place[1] || place[6] < place[2]);
	CHECK(place[5] < place[2] && place[5] < place[3] && place[5] < place[4]);
	CHECK(place[4] < place[3]); /* another client's does not wait for the first one's third */
	front_helpers_finish(&w);
	close(w.wake_fd);
	tokenizer_close(t);
}

TEST(cancelled_jobs_are_skipped)
{
	struct tokenizer *t = open_demo();
	struct front_helpers w;
	int err, cancelled = 0;

	front_helpers_start(&w, t, eventfd(0, EFD_NONBLOCK));
	for (uint64_t call = 1; call <= 20; call++)
		front_helpers_put(&w, job_of(call, call, 16 << 20));
	for (uint64_t call = 1; call <= 19; call++)
		front_helpers_cancel(&w, call);
	front_helpers_cancel(&w, 99);
	for (int i = 0; i < 20; i++) {
		uint64_t call = next(&w, &err);
		cancelled += err == ERR_CANCELLED;
		CHECK(call != 20 || !err);
	}
	CHECK_EQ(cancelled, 19);
	front_helpers_finish(&w);
	close(w.wake_fd);
	tokenizer_close(t);
}

TEST(bounds_of_a_job)
{
	struct tokenizer *t = open_demo();
	struct effort little = {.bytes = 1 << 20};
	struct ids ids = {.most = 100}, more = {0};
	struct encode_options how = {0};
	struct why why = {""};
	size_t len = 4 << 20, n;
	char *text = xalloc(len, 1), *out;
	int32_t id[] = {300, 301, 302};

	memset(text, 'a', len);
	CHECK_EQ(tokenizer_encode(t, "one two three", 13, &how, &ids, &why), 0);
	CHECK_EQ(tokenizer_encode(t, text, len, &how, &ids, &why), ERR_LIMIT);
	CHECK(ids.n == 100 && ids.over);
	CHECK_HAS(why.text, "more than 100 tokens");
	effort_begin(&little);
	CHECK_EQ(tokenizer_encode(t, text, len, &how, &more, &why), ERR_LIMIT);
	effort_end();
	CHECK_HAS(why.text, "working memory");
	CHECK_EQ(tokenizer_decode_most(t, id, 3, false, 2, &out, &n, &why), ERR_LIMIT);
	CHECK_EQ(tokenizer_decode_most(t, id, 3, false, 1000, &out, &n, &why), 0);
	CHECK(n > 2);
	CHECK(tokenizer_reach(t) >= 4 && tokenizer_reach(t) < 200);
	free(out);
	ids_finish(&ids);
	ids_finish(&more);
	free(text);
	tokenizer_close(t);
}

CHECK_MAIN()

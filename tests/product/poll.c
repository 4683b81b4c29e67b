/* poll.c - libxverse in a poll loop: several streams at a time; prints "INDEX REASON RESUMED id id ..." of each at its
 *end. poll STREAMS TOKENS */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <xverse.h>

enum { MOST = 16 };

struct stream {
	uint64_t id;
	int resumed, n;
	int32_t ids[4096];
};
static struct stream stream[MOST];

static void print_stream(int i, unsigned reason)
{
	printf("%d %u %d", i, reason, stream[i].resumed);
	for (int k = 0; k < stream[i].n; k++)
		printf(" %d", stream[i].ids[k]);
	printf("\n");
	fflush(stdout);
}

/* True: the stream ended. */
static bool take(struct xv_client *c, int i, const struct xv_reply *r)
{
	if (r->kind == XV_R_CHUNK && xv_resumed(c, r->id) > stream[i].resumed)
		stream[i].resumed = xv_resumed(c, r->id);
	for (int k = 0; r->kind == XV_R_CHUNK && k < r->chunk.n_ids && stream[i].n < 4096; k++)
		stream[i].ids[stream[i].n++] = r->chunk.ids[k];
	if (r->kind == XV_R_ERROR)
		fprintf(stderr, "%s\n", r->error.text);
	if (r->kind != XV_R_FINISHED && r->kind != XV_R_ERROR)
		return false;
	print_stream(i, r->kind == XV_R_FINISHED ? r->finished.reason : 99);
	return true;
}

static void send_all(struct xv_client *c, int n, int tokens)
{
	for (int i = 0; i < n; i++) {
		int32_t prompt[3] = {1, 2, 3 + i};
		struct xv_request r = {.kind = XV_GENERATE};
		r.generate.prompt = (struct xv_prompt){.ids = prompt, .n_ids = 3};
		r.generate.sampling =
			(struct xv_sampling){.has = 1u << XV_MAX_TOKENS | 1u << XV_SEED | 1u << XV_IGNORE_EOS,
					     .max_tokens = (uint32_t)tokens,
					     .seed = 7,
					     .ignore_eos = true};
		stream[i].id = xv_send(c, &r);
	}
}

int main(int argc, char **argv)
{
	struct xv_options how = {.no_wait = true};
	int n = argc > 1 ? atoi(argv[1]) : 1, open, got;
	struct xv_client *c;
	struct xv_reply r;
	char why[XV_WHY];

	if (n > MOST || xv_connect(&c, &how, why))
		return 1;
	send_all(c, n, argc > 2 ? atoi(argv[2]) : 10);
	for (open = n; open;) {
		struct pollfd p = {.fd = xv_fd(c), .events = (short)(POLLIN | (xv_unsent(c) ? POLLOUT : 0))};
		poll(&p, 1, 100);
		while ((got = xv_wait(c, &r, 0, why)) == 1)
			for (int i = 0; i < n; i++)
				if (stream[i].id == r.id && take(c, i, &r))
					open--;
		if (got < 0) {
			fprintf(stderr, "%s: %s\n", xv_error_name(got), why);
			return 2;
		}
	}
	xv_close(c);
	return 0;
}

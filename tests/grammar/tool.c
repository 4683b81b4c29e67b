/* tool MODEL VOCAB - reads a JSON object a line and answers each with one:
 *
 *	{"kind": "schema", "text": "...", "choice": [...], "compact": true, "match": ["...", ...],
 *	 "generate": 10, "most": 200, "seed": 1, "time": 100}
 *
 * "match": whether the grammar derives each text. "generate": so many answers of tokens drawn evenly from the masks,
 *each of at most "most" tokens; an answer that did not end is null. "time": masks of so many steps, in ns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json/json.h"
#include "base/text.h"
#include "engine/grammar/inside.h"
#include "engine/tokenizer/tokenizer.h"

static struct tokenizer *tokens;
static struct grammar_room *room;
static int vocab;
static const int32_t stop[] = {2};

static uint64_t next_random(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return *s >> 33;
}

/* An even choice of the tokens of a mask; end tokens are one of them. */
static int32_t draw(const uint32_t *allow, uint64_t *seed)
{
	int n = 0, at;

	for (int w = 0; w < (vocab + 31) / 32; w++)
		n += __builtin_popcount(allow[w]);
	at = (int)(next_random(seed) % (uint64_t)n);
	for (int i = 0;; i++)
		if (allow[i / 32] >> i % 32 & 1 && !at--)
			return i;
}

/* Of this thread alone: others may have the machine meanwhile. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct times {
	uint64_t *ns;
	int n, most;
};

/* Appends an answer to `out`; false: it did not end. */
static bool generate(const struct grammar *g, int most, uint64_t *seed, struct text *out, struct times *t)
{
	struct grammar_run run = {.room = NULL};
	bool ended = false;
	char bytes[256];

	grammar_run_begin(&run, room, g, stop, 1);
	for (int i = 0; i < most && !ended; i++) {
		uint64_t from = cpu_ns();
		struct grammar_mask m = grammar_run_mask(&run);
		int32_t id;
		if (t->n < t->most)
			t->ns[t->n++] = cpu_ns() - from;
		if (!m.allow)
			break;
		id = draw(m.allow, seed);
		ended = id == stop[0];
		if (!grammar_run_accept(&run, id))
			break;
		if (!ended)
			text_put(out, bytes, tokenizer_token_text(tokens, id, bytes, sizeof bytes));
	}
	if (run.lost)
		fprintf(stderr, "lost: %s\n", run.lost);
	grammar_run_end(&run);
	return ended;
}

static struct grammar_text text_of(const struct json *v)
{
	return (struct grammar_text){json_str(v) ? json_str(v) : "", json_len(v)};
}

static enum grammar_kind kind_of(const char *s)
{
	return !strcmp(s, "json")     ? GRAMMAR_JSON
	       : !strcmp(s, "schema") ? GRAMMAR_SCHEMA
	       : !strcmp(s, "regex")  ? GRAMMAR_REGEX
	       : !strcmp(s, "gbnf")   ? GRAMMAR_GBNF
	       : !strcmp(s, "tag")    ? GRAMMAR_TAG
				      : GRAMMAR_CHOICE;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* grammar_matches() with one pool for all texts: to allocate it costs more than most texts do. */
static bool derives(const struct grammar *g, const char *text, size_t len)
{
	static struct pool p;
	int32_t state;

	if (!p.frame)
		pool_init(&p);
	pool_clear(&p);
	state = pool_start(&p, g);
	for (size_t i = 0; i < len && state >= 0; i++)
		state = pool_step(&p, state, (uint8_t)text[i]);
	return !p.full && state >= 0 && p.state[state].ends;
}

static void answer_made(const struct json *job, const struct grammar *g, struct text *out)
{
	uint64_t seed = (uint64_t)json_int_or(json_get(job, "seed"), 1);
	const struct json *texts = json_get(job, "match");
	struct times t = {.most = (int)json_int_or(json_get(job, "time"), 0)};

	t.ns = xalloc((size_t)t.most + 1, sizeof *t.ns);
	text_str(out, ", \"match\": [");
	for (size_t i = 0; i < json_size(texts); i++)
		text_fmt(out, "%s%s", i ? ", " : "",
			 derives(g, json_str(json_at(texts, i)), json_len(json_at(texts, i))) ? "true" : "false");
	text_str(out, "], \"made\": [");
	for (int i = 0, n = (int)json_int_or(json_get(job, "generate"), 0); i < n; i++) {
		struct text one = {NULL, 0, 0};
		text_str(out, i ? ", " : "");
		if (generate(g, (int)json_int_or(json_get(job, "most"), 1000), &seed, &one, &t))
			text_json(out, one.data ? one.data : "", one.len);
		else
			text_str(out, "null");
		text_finish(&one);
	}
	qsort(t.ns, (size_t)t.n, sizeof *t.ns, by_size);
	text_str(out, "], \"ns\": [");
	for (int i = 0; i < t.n; i++)
		text_fmt(out, "%s%ju", i ? ", " : "", (uintmax_t)t.ns[i]);
	text_fmt(out, "], \"bytes\": %zu", grammar_bytes(g));
	free(t.ns);
}

static void answer(const struct json *job)
{
	struct grammar_text choice[1000];
	struct grammar_source src = {.kind = kind_of(json_str(json_get(job, "kind"))),
				     .text = text_of(json_get(job, "text")),
				     .choice = choice,
				     .tokenizer = tokens,
				     .compact = json_yes(json_get(job, "compact"))};
	struct effort effort = {.bytes = GRAMMAR_MEMORY, .cpu_ns = GRAMMAR_COMPILE_MS * 1000000ull};
	struct grammar *g = NULL;
	struct why why = {""};
	struct text out = {NULL, 0, 0};
	uint64_t from = cpu_ns();
	int err;

	for (size_t i = 0; i < json_size(json_get(job, "choice")) && i < 1000; i++)
		choice[src.n_choice++] = text_of(json_at(json_get(job, "choice"), i));
	if (json_yes(json_get(job, "slow")))
		effort.cpu_ns = 0;
	effort_begin(&effort);
	err = grammar_compile(&g, &src, &why);
	effort_end();
	text_fmt(&out, "{\"err\": %d, \"us\": %ju, \"why\": ", err, (uintmax_t)((cpu_ns() - from) / 1000));
	text_json_str(&out, why.text);
	if (!err)
		answer_made(job, g, &out);
	printf("%s}\n", out.data);
	fflush(stdout);
	text_finish(&out);
	grammar_destroy(g);
}

int main(int argc, char **argv)
{
	struct why why = {""};
	char *line = NULL;
	size_t room_line = 0;
	ssize_t n;

	if (argc != 3)
		return 2;
	if (tokenizer_open(&tokens, argv[1], &why)) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	vocab = atoi(argv[2]) ? atoi(argv[2]) : tokenizer_vocab(tokens);
	room = grammar_room_create(tokens, vocab, 8);
	while ((n = getline(&line, &room_line, stdin)) > 0) {
		struct json_error e;
		struct json_doc *doc = json_read(line, (size_t)n, &json_of_files, &e);
		if (!doc)
			return 1;
		answer(json_root(doc));
		json_close(doc);
	}
	free(line);
	grammar_room_destroy(room);
	tokenizer_close(tokens);
	return 0;
}

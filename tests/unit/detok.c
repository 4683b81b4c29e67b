/* detok.c - the text of a stream behind a prompt: the decode of both without the decode of the prompt, wherever the
 * prompt ends. */
#include "engine/tokenizer/tokenizer.h"
#include "base/utf8.h"
#include "tests/check.h"

static const char model[] = "launch/demo/model"; /* BPE whose rare characters are runs of byte tokens, as XVERSE's */
enum { MOST = 4096 };

static struct tokenizer *open_demo(void)
{
	struct tokenizer *t;
	struct why why = {""};

	if (tokenizer_open(&t, model, &why))
		CHECK_FAIL("%s", why.text);
	return t;
}

static void encode(const struct tokenizer *t, const char *text, struct ids *ids)
{
	struct encode_options plain = {0};

	CHECK_EQ(tokenizer_encode(t, text, strlen(text), &plain, ids, NULL), 0);
}

/* The stream of ids[cut..n) behind ids[0..cut). */
static char *stream(const struct tokenizer *t, const struct ids *ids, int cut)
{
	static char out[MOST];
	struct detok *d = detok_create(t, true);
	size_t n = 0, len;

	detok_follow(d, ids->id, cut);
	for (int i = cut; i <= ids->n; i++) {
		const char *s = i < ids->n ? detok_next(d, ids->id[i], &len) : detok_end(d, &len);

		CHECK(n + len < MOST);
		memcpy(out + n, s, len);
		n += len;
	}
	out[n] = 0;
	detok_destroy(d);
	return out;
}

/* What `whole` has from the first character on that `head` has not. */
static const char *after(const char *whole, const char *head)
{
	while (*whole && *head && utf8_len((unsigned char)*whole) == utf8_len((unsigned char)*head) &&
	       !strncmp(whole, head, (size_t)utf8_len((unsigned char)*whole))) {
		head += utf8_len((unsigned char)*head);
		whole += utf8_len((unsigned char)*whole);
	}
	return whole;
}

static void check_cut(const struct tokenizer *t, const struct ids *ids, int cut)
{
	size_t len;
	char *whole = tokenizer_decode(t, ids->id, ids->n, true, &len),
	     *head = tokenizer_decode(t, ids->id, cut, true, &len);

	CHECK_STR(stream(t, ids, cut), after(whole, head));
	free(whole);
	free(head);
}

static const char *const prompts[] = {
	"ok 😀",
	"价格：100€",
	"犇犇犇犇犇犇",
	"Time for a ☕",
	"the sum ∑",
	"a ½",
	"done ✓",
	"Zażółć gęślą jaźń",
	"नमस्ते",
	"दुनिया",
	"龘",
	"二〇二三年 🦙",
	"flags 🇩🇪",
	"family 👩‍👩‍👧‍👦",
	"x²",
	"Příliš žluťoučký kůň",
	"안녕하세요",
	"สวัสดี",
	"𝓗𝓮𝓵𝓵𝓸",
	"plain",
	"中文",
	"",
	"€",
};
static const char *const answers[] = {"'t be afraid", "，\n一天", "😀 again", "€", "½", " and", ""};

TEST(a_prompt_that_ends_in_a_run_of_bytes)
{
	struct tokenizer *t = open_demo();

	for (size_t p = 0; p < sizeof prompts / sizeof *prompts; p++)
		for (size_t a = 0; a < sizeof answers / sizeof *answers; a++) {
			struct ids ids = {0};
			int cut;

			encode(t, prompts[p], &ids);
			cut = ids.n;
			encode(t, answers[a], &ids);
			CHECK_STR(stream(t, &ids, cut), answers[a]);
			for (int i = 0; i <= ids.n; i++)
				check_cut(t, &ids, i);
			ids_finish(&ids);
		}
	tokenizer_close(t);
}

TEST(a_run_longer_than_any_window)
{
	struct tokenizer *t = open_demo();
	struct ids ids = {0};
	int cut;

	for (int i = 0; i < 100; i++)
		encode(t, "犇", &ids);
	cut = ids.n;
	encode(t, "x", &ids);
	CHECK(cut >= 300);
	CHECK_STR(stream(t, &ids, cut), "x");
	ids_finish(&ids);
	tokenizer_close(t);
}

static void add_byte(const struct tokenizer *t, struct ids *ids, int byte)
{
	char name[8];

	snprintf(name, sizeof name, "<0x%02X>", byte);
	ids->id = xgrow(ids->id, (size_t)(ids->max = ids->n + 1), sizeof *ids->id);
	ids->id[ids->n++] = tokenizer_find(t, name, 6);
	CHECK(ids->id[ids->n - 1] >= 0);
}

static void check_bytes(const struct tokenizer *t, const char *bytes, int cut, const char *then, const char *want)
{
	struct ids ids = {0};

	encode(t, "x", &ids);
	cut += ids.n;
	for (const char *b = bytes; *b; b++)
		add_byte(t, &ids, (unsigned char)*b);
	encode(t, then, &ids);
	CHECK_STR(stream(t, &ids, cut), want);
	check_cut(t, &ids, cut);
	ids_finish(&ids);
}

/* Where the answer's bytes change how the prompt ends, the stream begins at the character that is another one. */
TEST(a_tail_that_the_answer_changes)
{
	struct tokenizer *t = open_demo();

	check_bytes(t, "\xe2\x82\xac", 2, "y", "€y");            /* half a character becomes one */
	check_bytes(t, "\xe2\x82", 2, "y", "y");                 /* or stays bad: the prompt shows it already */
	check_bytes(t, "\xe2\x82\xff", 2, "y", "\xef\xbf\xbdy"); /* a run with a bad byte is U+FFFD for each byte */
	check_bytes(t, "\xe2\x82\xac\xff", 3, "y", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy");
	check_bytes(t, "\xe2\x82\xac\xe2\x82\xac", 3, "y", "€y"); /* the same character again is a new one */
	check_bytes(t, "\xef\xbf\xbd\xef\xbd\xa6", 3, "y", "ｦy"); /* characters count, not bytes that they share */
	tokenizer_close(t);
}

/* A vocabulary cut to a model of fewer rows: no id from there on, and what is left says the same text where it has the
 * bytes. */
TEST(a_vocabulary_cut_to_its_model)
{
	static const int limits[] = {5000, 2000, 700, 300, 10};

	for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
		struct tokenizer *t = open_demo();
		bool bytes = tokenizer_find(t, "<0xFF>", 6) < limits[l];

		CHECK_EQ(tokenizer_limit(t, limits[l], NULL), 0);
		for (size_t p = 0; p < sizeof prompts / sizeof *prompts; p++) {
			struct ids ids = {0};
			size_t len;
			char *text;

			encode(t, prompts[p], &ids);
			for (int i = 0; i < ids.n; i++)
				CHECK(ids.id[i] < limits[l]);
			text = tokenizer_decode(t, ids.id, ids.n, false, &len);
			if (bytes)
				CHECK_STR(text, prompts[p]);
			free(text);
			ids_finish(&ids);
		}
		tokenizer_close(t);
	}
}

CHECK_MAIN()

/* Refusals by name, whole characters only, and no text that makes the encoder slow. Exactness is tests/words. */
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/tokenizer/tokenizer.h"
#include "base/utf8.h"
#include "tests/check.h"

static char dir[64];

static void write_file(const char *name, const char *text, size_t len)
{
	char path[128];
	FILE *f;

	if (!*dir) {
		strcpy(dir, "/tmp/xv-tokenizer-XXXXXX");
		CHECK(mkdtemp(dir) != NULL);
	}
	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "wb");
	CHECK(f != NULL);
	fwrite(text, 1, len, f);
	fclose(f);
}

static void remove_files(void)
{
	static const char *const names[] = {"tokenizer.json", "tokenizer.model",       "vocab.json",
					    "merges.txt",     "tokenizer_config.json", "added_tokens.json"};
	char path[128];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	*dir = 0;
}

/* Opens one file as the directory's tokenizer; the refusal's text in why. */
static struct tokenizer *open_one(const char *name, const char *text, size_t len, struct why *why, int *err)
{
	struct tokenizer *t;

	write_file(name, text, len);
	*err = tokenizer_open(&t, dir, why);
	remove_files();
	return t;
}

static struct tokenizer *open_json(const char *text)
{
	struct why why = {""};
	int err;
	struct tokenizer *t = open_one("tokenizer.json", text, strlen(text), &why, &err);

	if (err)
		CHECK_FAIL("%s", why.text);
	return t;
}

static void refused(const char *name, const char *text, size_t len, int code, const char *part)
{
	struct why why = {""};
	int err;

	open_one(name, text, len, &why, &err);
	CHECK_EQ(err, code);
	CHECK_HAS(why.text, part);
}

#define MODEL(more) "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]" more "}"

TEST(names_what_it_does_not_take)
{
	static const struct {
		const char *json;
		int err;
		const char *part;
	} cases[] = {
		{"{", ERR_FORMAT, "tokenizer.json: line 1"},
		{"[]", ERR_FORMAT, "a JSON object is needed"},
		{"{}", ERR_FORMAT, "no model"},
		{"{\"model\":{\"type\":\"WordPiece\"}}", ERR_UNSUPPORTED, "model WordPiece is not supported"},
		{"{\"model\":{\"type\":\"Unigram\"}}", ERR_UNSUPPORTED, "model Unigram is not supported"},
		{"{" MODEL(",\"dropout\":0.1") "}", ERR_UNSUPPORTED, "dropout"},
		{"{" MODEL(",\"end_of_word_suffix\":\"</w>\"") "}", ERR_UNSUPPORTED, "end_of_word_suffix"},
		{"{" MODEL(",\"continuing_subword_prefix\":\"##\"") "}", ERR_UNSUPPORTED, "continuing_subword_prefix"},
		{"{\"normalizer\":{\"type\":\"Precompiled\"}," MODEL("") "}", ERR_UNSUPPORTED,
		 "normalizer Precompiled"},
		{"{\"normalizer\":{\"type\":\"BertNormalizer\"}," MODEL("") "}", ERR_UNSUPPORTED,
		 "normalizer BertNormalizer"},
		{"{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}," MODEL("") "}", ERR_UNSUPPORTED,
		 "pre_tokenizer UnicodeScripts"},
		{"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}," MODEL(
			 "") "}",
		 ERR_FORMAT, "regular expression ("},
		{"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"x\"},\"behavior\":\"Odd\"}," MODEL(
			 "") "}",
		 ERR_FORMAT, "no behavior Odd"},
		{"{\"decoder\":{\"type\":\"WordPiece\"}," MODEL("") "}", ERR_UNSUPPORTED, "decoder WordPiece"},
		{"{\"post_processor\":{\"type\":\"Odd\"}," MODEL("") "}", ERR_UNSUPPORTED, "post_processor Odd"},
		{"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1152921504606846976},\"merges\":[]}}", ERR_FORMAT,
		 "the id of a"},
		{"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a z\"]}}", ERR_FORMAT,
		 "entry 0 names a token"},
		{"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", ERR_FORMAT,
		 "entry 0 is not a pair"},
		{"{\"added_tokens\":[{\"id\":-4,\"content\":\"x\"}]," MODEL("") "}", ERR_FORMAT, "has no id"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		refused("tokenizer.json", cases[i].json, strlen(cases[i].json), cases[i].err, cases[i].part);
}

TEST(names_what_is_wrong_with_a_sentencepiece_model)
{
	static const char unigram[] = "\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02\x12\x02\x18\x01";
	static const char map[] = "\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02\x12\x02\x18\x02\x1a\x04\x12\x02xy";
	static const char unused[] =
		"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02\x0a\x03\x0a\x01y\x0a\x05\x0a\x01z\x18\x05"
		"\x12\x02\x18\x02";
	static const char huge[] = "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f";

	refused("tokenizer.model", "", 0, ERR_FORMAT, "not a SentencePiece model");
	refused("tokenizer.model", huge, sizeof huge - 1, ERR_FORMAT, "not a SentencePiece model");
	refused("tokenizer.model", unigram, sizeof unigram - 1, ERR_UNSUPPORTED, "type Unigram");
	refused("tokenizer.model", map, sizeof map - 1, ERR_UNSUPPORTED, "precompiled normalization map");
	refused("tokenizer.model", unused, sizeof unused - 1, ERR_UNSUPPORTED, "type UNUSED");
	refused("vocab.json", "{\"a\":0}", 7, ERR_IO, "vocab.json without merges.txt");
}

TEST(a_special_token_comes_from_the_text_only_where_it_may)
{
	struct tokenizer *t = open_json(
		"{\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true,\"normalized\":false}],"
		"\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"<\":1,\">\":2,\"s\":4},\"merges\":[]}}");
	struct encode_options plain = {false, false}, parse = {false, true};
	struct ids ids = {0};
	struct why why;

	CHECK_EQ(tokenizer_encode(t, "<s>", 3, &parse, &ids, &why), 0);
	CHECK_EQ(ids.n, 1);
	CHECK_EQ(ids.id[0], 3);
	CHECK(tokenizer_is_special(t, 3));
	ids.n = 0;
	CHECK_EQ(tokenizer_encode(t, "<s>", 3, &plain, &ids, &why), 0);
	CHECK_EQ(ids.n, 3);
	ids_finish(&ids);
	tokenizer_close(t);
}

static const char bytes_json[] =
	"{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{\"type\":\"ByteLevel\"},"
	"\"model\":{\"type\":\"BPE\",\"vocab\":{%s},\"merges\":[]}}";

/* A vocabulary of GPT-2's 256 letters, id = byte. */
static struct tokenizer *open_bytes(void)
{
	char vocab[8192], json[9000];
	int n = 0, extra = 256;

	for (int b = 0; b < 256; b++) {
		bool printed = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;

		n += snprintf(vocab + n, sizeof vocab - (size_t)n, "%s\"\\u%04x\":%d", b ? "," : "",
			      printed ? b : extra, b);
		extra += !printed;
	}
	snprintf(json, sizeof json, bytes_json, vocab);
	return open_json(json);
}

TEST(a_stream_gives_whole_characters_and_every_byte)
{
	static const char text[] = "a\xC3\xA9\xE4\xBD\xA0\xF0\x9F\xA6\x99!\xE4\xBD",
			  want[] = "a\xC3\xA9\xE4\xBD\xA0\xF0\x9F\xA6\x99!\xEF\xBF\xBD";
	struct tokenizer *t = open_bytes();
	struct detok *d = detok_create(t, true);
	char got[64];
	size_t n = 0, len;

	for (size_t i = 0; i < sizeof text; i++) {
		const char *s = i < sizeof text - 1 ? detok_next(d, (unsigned char)text[i], &len) : detok_end(d, &len);

		for (size_t k = 0; k < len; k += (size_t)utf8_len((unsigned char)s[k]))
			CHECK(utf8_check(s + k, len - k, NULL) > 0);
		memcpy(got + n, s, len);
		n += len;
	}
	CHECK_EQ(n, sizeof want - 1);
	CHECK(memcmp(got, want, n) == 0);
	detok_destroy(d);
	tokenizer_close(t);
}

TEST(ids_that_do_not_exist_are_no_text)
{
	struct tokenizer *t = open_bytes();
	int32_t ids[] = {-1, 'a', 100000, INT32_MAX, 'b', INT32_MIN};
	size_t len;
	char *s = tokenizer_decode(t, ids, 6, false, &len);

	CHECK_STR(s, "ab");
	free(s);
	tokenizer_close(t);
}

/* Doubling merges: a, aa, aaaa, ... */
static struct tokenizer *open_doubling(const char *unit)
{
	static char json[1 << 16];
	static char word[9][2048];
	int n = snprintf(json, sizeof json, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"b\":100");

	strcpy(word[0], unit);
	for (int i = 1; i < 9; i++)
		snprintf(word[i], sizeof word[i], "%.1000s%.1000s", word[i - 1], word[i - 1]);
	for (int i = 0; i < 9; i++)
		n += snprintf(json + n, sizeof json - (size_t)n, ",\"%s\":%d", word[i], i);
	n += snprintf(json + n, sizeof json - (size_t)n, "},\"merges\":[");
	for (int i = 0; i < 8; i++)
		n += snprintf(json + n, sizeof json - (size_t)n, "%s[\"%s\",\"%s\"]", i ? "," : "", word[i], word[i]);
	snprintf(json + n, sizeof json - (size_t)n, "]}}");
	return open_json(json);
}

/* Seconds of the CPU for n bytes of `unit` over and over. */
static double encode_run(const struct tokenizer *t, const char *unit, size_t n, int *count)
{
	struct encode_options how = {false, false};
	char *text = malloc(n);
	struct ids ids = {0};
	struct why why;
	clock_t start;
	size_t len = strlen(unit);

	for (size_t i = 0; i < n; i++)
		text[i] = unit[i % len];
	start = clock();
	CHECK_EQ(tokenizer_encode(t, text, n - n % len, &how, &ids, &why), 0);
	*count = ids.n;
	ids_finish(&ids);
	free(text);
	return (double)(clock() - start) / CLOCKS_PER_SEC;
}

TEST(one_letter_a_million_times)
{
	static const char *const units[] = {"a", "\xF0\x9F\x98\x80"};

	for (int u = 0; u < 2; u++) {
		struct tokenizer *t = open_doubling(units[u]);
		size_t len = strlen(units[u]), n = 1 << 20;
		double small, large;
		int count;

		small = encode_run(t, units[u], n / 16, &count);
		large = encode_run(t, units[u], n, &count);
		CHECK_EQ(count, (n / len) / 256);
		printf("  1 MiB of one character: %.0f ms; a sixteenth of it: %.1f ms\n", large * 1e3, small * 1e3);
		CHECK(large < 5);
		tokenizer_close(t);
	}
}

static void check_ids(const struct tokenizer *t, const char *text, const char *want)
{
	struct encode_options how = {.add_special = true, .parse_special = true};
	struct ids ids = {0};
	char got[256] = "";

	CHECK_EQ(tokenizer_encode(t, text, strlen(text), &how, &ids, NULL), 0);
	for (int i = 0; i < ids.n; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i ? " " : "", ids.id[i]);
	CHECK_STR(got, want);
	ids_finish(&ids);
}

static void check_text(const struct tokenizer *t, int32_t id, const char *want)
{
	size_t len;
	char *text = tokenizer_decode(t, &id, 1, false, &len);

	CHECK_STR(text, want);
	free(text);
}

/* As the reference: an added token whose id is taken gets the next free one; two words may have one id; a first line of
 * a merges.txt is no merge. Ids that leave a gap stay the file's. */
TEST(ids_that_collide)
{
	struct tokenizer *t = open_json(
		"{\"added_tokens\":[{\"id\":1,\"content\":\"x\"},{\"id\":2,\"content\":\"y\"},{\"id\":3,"
		"\"content\":\"z\"},{\"id\":9,\"content\":\"w\"}],\"decoder\":{\"type\":\"Fuse\"}," MODEL("") "}");

	check_ids(t, "abxyzwa", "2 3 4 5 9 0");
	check_text(t, 4, "y");
	tokenizer_close(t);
	t = open_json(
		"{\"decoder\":{\"type\":\"Fuse\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0,\"ab\":2},\"merges\":["
		"\"#version: 0.2\",\"a b\"]}}");
	check_ids(t, "a", "0");
	check_ids(t, "b", "0");
	check_ids(t, "ab", "2");
	check_text(t, 0, "a");
	check_text(t, 2, "ab");
	tokenizer_close(t);
}

#define LLAMA_JSON \
	"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"},{\"type\":\"Replace\"," \
	"\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\"," \
	"\"pattern\":{\"String\":\"\\u2581\"},\"content\":\" \"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1," \
	"\"stop\":0}]},\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\u2581\":0,\"a\":1,\"\\u2581a\":2},\"merges\":[\"\\u2581 a\"]}}"

static struct tokenizer *open_llama(const char *config)
{
	write_file("tokenizer_config.json", config, strlen(config));
	return open_json(LLAMA_JSON);
}

TEST(no_space_before_a_text)
{
	struct tokenizer *t = open_llama("{\"tokenizer_class\": \"LlamaTokenizer\", \"add_prefix_space\": false}");

	check_ids(t, "a a", "1 2");
	check_text(t, 2, " a");
	tokenizer_close(t);
	t = open_llama("{\"tokenizer_class\": \"LlamaTokenizer\"}");
	check_ids(t, "a a", "2 2");
	check_text(t, 2, "a");
	tokenizer_close(t);
	t = open_llama("{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"add_prefix_space\": false}");
	check_ids(t, "a a", "2 2");
	tokenizer_close(t);
}

/* Words that the model has no row for. */
TEST(a_vocabulary_larger_than_the_model)
{
	static const char json[] =
		"{\"added_tokens\":[{\"id\":4,\"content\":\"<x>\",\"special\":true},{\"id\":3,\"content\":\"c\"}],"
		"\"decoder\":{\"type\":\"Fuse\"}," MODEL("") "}";
	struct tokenizer *t = open_json(json);

	check_ids(t, "abc<x>", "2 3 4");
	CHECK_EQ(tokenizer_limit(t, 5, NULL), 0);
	check_ids(t, "abc<x>", "2 3 4");
	tokenizer_close(t);
	t = open_json(json);
	CHECK_EQ(tokenizer_limit(t, 4, NULL), 0);
	check_ids(t, "abc<x>", "2 3");
	tokenizer_close(t);
	t = open_json(json);
	CHECK_EQ(tokenizer_limit(t, 2, NULL), 0);
	check_ids(t, "abc<x>", "0 1");
	CHECK_EQ(tokenizer_vocab(t), 5);
	check_text(t, 4, "<x>");
	tokenizer_close(t);
}

CHECK_MAIN()

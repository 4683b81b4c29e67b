#include "engine/models/generation.h"

#include <math.h>
#include <unistd.h>

#include "engine/sample/sample.h"
#include "tests/check.h"

static struct generation_config g;
static struct why why;

static int read_text(const char *text)
{
	char dir[] = "/tmp/xv-generation-XXXXXX", path[64];
	FILE *f;
	int err;

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/generation_config.json", dir);
	if (text) {
		f = fopen(path, "w");
		fputs(text, f);
		fclose(f);
	}
	why.text[0] = 0;
	err = generation_config_read(&g, dir, &why);
	unlink(path);
	rmdir(dir);
	return err;
}

TEST(an_absent_file_sets_nothing)
{
	CHECK_EQ(read_text(NULL), 0);
	CHECK_EQ(g.has, 0);
	CHECK_EQ(g.n_eos, 0);
}

TEST(the_values_of_xverse)
{
	CHECK_EQ(read_text("{\"max_new_tokens\": 2048, \"temperature\": 0.5, \"top_k\": 30, \"top_p\": 0.85, "
			   "\"repetition_penalty\": 1.1, "
			   "\"do_sample\": true, \"pad_token_id\": 1, \"eos_token_id\": 3}"),
		 0);
	CHECK_EQ(g.top_k, 30);
	CHECK_EQ(g.max_tokens, 2048);
	CHECK(fabsf(g.temperature - 0.5f) < 1e-6f && fabsf(g.top_p - 0.85f) < 1e-6f &&
	      fabsf(g.repetition_penalty - 1.1f) < 1e-6f);
	CHECK(!(g.has >> SAMPLING_MIN_P & 1));
	CHECK_EQ(g.n_eos, 1);
	CHECK_EQ(g.eos[0], 3);
}

TEST(as_many_end_tokens_as_there_are)
{
	char text[8000] = "{\"max_length\": 1000000000000000019884624838656, \"x\": NaN, \"eos_token_id\": [0";

	for (int i = 1; i < 300; i++)
		sprintf(text + strlen(text), ", %d", i);
	strcat(text, ", 1000000000000000000000]}");
	CHECK_EQ(read_text(text), 0);
	CHECK_EQ(g.n_eos, 301);
	CHECK_EQ(g.eos[299], 299);
	CHECK_EQ(g.eos[300], -1);
}

TEST(no_sampling_is_greedy)
{
	CHECK_EQ(read_text("{\"do_sample\": false, \"temperature\": 0.7, \"top_p\": null, \"eos_token_id\": "
			   "[2, 7]}"),
		 0);
	CHECK(g.has >> SAMPLING_TEMPERATURE & 1);
	CHECK(g.temperature == 0);
	CHECK_EQ(g.n_eos, 2);
	CHECK_EQ(g.eos[1], 7);
}

/* transformers takes top_p 0 as "the likeliest alone", and refuses the others. */
TEST(ranges_are_those_of_requests)
{
	struct sampling how = sampling_default();

	CHECK_EQ(read_text("{\"top_p\": 0}"), 0);
	CHECK(g.has >> SAMPLING_TOP_P & 1);
	how.top_p = g.top_p;
	CHECK(how.top_p == 0);
	CHECK_EQ(sampling_check(&how, 10, &why), 0);
	CHECK_EQ(read_text("{\"repetition_penalty\": 0}"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"repetition_penalty\" is 0, not above 0 and at most 100");
	CHECK_EQ(read_text("{\"repetition_penalty\": 1e-60}"), ERR_FORMAT); /* 0 as a float */
	CHECK_EQ(read_text("{\"max_new_tokens\": 0}"), ERR_FORMAT);
	CHECK_EQ(read_text("{\"max_new_tokens\": -1}"), ERR_FORMAT);
	CHECK_EQ(read_text("{\"top_k\": -2}"), ERR_FORMAT);
	CHECK_EQ(read_text("{\"top_k\": 2147483648}"), ERR_FORMAT);
	CHECK_EQ(read_text("{\"top_k\": 50.5}"), ERR_FORMAT);
	CHECK_EQ(read_text("{\"max_new_tokens\": 20.0, \"top_k\": 1e2}"), 0);
	CHECK_EQ(g.top_k, 100);
	CHECK_EQ(read_text("{\"temperature\": 1001}"), ERR_FORMAT);
	CHECK_EQ(read_text("{\"temperature\": 0, \"top_k\": -1, \"min_p\": 1, \"repetition_penalty\": 1e-3, "
			   "\"max_new_tokens\": 1}"),
		 0);
}

TEST(what_is_wrong_is_named)
{
	CHECK_EQ(read_text("{\"top_p\": \"high\"}"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"top_p\" is not a number");
	CHECK_EQ(read_text("{\"top_p\": 3}"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"top_p\" is 3");
	CHECK_EQ(read_text("[1]"), ERR_FORMAT);
	CHECK_EQ(read_text("{\"a\": 1,"), ERR_FORMAT);
	CHECK_HAS(why.text, "generation_config.json");
	CHECK_EQ(read_text("{\"eos_token_id\": \"x\"}"), ERR_FORMAT);
	CHECK_EQ(read_text("{\"eos_token_id\": [1.5]}"), ERR_FORMAT);
}

CHECK_MAIN()

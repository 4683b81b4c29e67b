/* Command line, environment and config file: precedence, ranges, and refusals that name the right spelling.
 */
#include "daemon/options.h"

#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/check.h"

static struct options o;
static struct why why;

#define PARSE(...) parse((const char *[]){"xversed", __VA_ARGS__, NULL})
static int parse(const char **argv)
{
	int n = 0;

	while (argv[n])
		n++;
	options_finish(&o);
	return options_parse(&o, n, (char **)argv, NULL, &why);
}

TEST(defaults_and_plain_model)
{
	CHECK_EQ(PARSE("dir"), 0);
	CHECK_STR(o.model, "dir");
	CHECK_EQ(o.max_num_seqs, 0); /* the device decides */
	CHECK_EQ(o.max_num_batched_tokens, 0);
	CHECK(o.pin && o.prefix_caching && !o.dry_run);
	CHECK_EQ(o.compute, COMPUTE_AUTO);
	CHECK_EQ(PARSE("--max-num-seqs", "4"), ERR_INVALID);
	CHECK_HAS(why.text, "no model was given");
	CHECK_EQ(PARSE("a", "b"), ERR_INVALID);
	CHECK_HAS(why.text, "\"a\" and \"b\"");
}

TEST(forms_of_flags)
{
	CHECK_EQ(PARSE("-m", "dir", "--max-model-len=16K", "-np", "7", "--no-enable-prefix-caching", "--compute", "f32",
		       "-tp=2"),
		 0);
	CHECK_EQ(o.max_model_len, 16384);
	CHECK_EQ(o.max_num_seqs, 7);
	CHECK_EQ(o.compute, COMPUTE_F32);
	CHECK_EQ(o.tensor_parallel, 2);
	CHECK(!o.prefix_caching);
	CHECK_EQ(PARSE("dir", "--enable-prefix-caching", "--max-model-len", "16k"), 0);
	CHECK(o.prefix_caching);
	CHECK_EQ(o.max_model_len, 16000);
}

TEST(refusals)
{
	CHECK_EQ(PARSE("dir", "--max-num-sequences", "3"), ERR_INVALID);
	CHECK_HAS(why.text, "did you mean --max-num-seqs");
	CHECK_EQ(PARSE("dir", "--max-num-seqs", "0"), ERR_INVALID);
	CHECK_HAS(why.text, "--max-num-seqs: 0 is outside 1 to");
	CHECK_EQ(PARSE("dir", "--max-num-seqs", "3x"), ERR_INVALID);
	CHECK_HAS(why.text, "\"3x\"");
	CHECK_EQ(PARSE("dir", "--max-num-seqs"), ERR_INVALID);
	CHECK_HAS(why.text, "requires a value");
	CHECK_EQ(PARSE("dir", "--device", "tpu"), ERR_INVALID);
	CHECK_HAS(why.text, "auto, cpu, cuda");
	CHECK_HAS(why.text, "did you mean cpu?");
	CHECK_EQ(PARSE("dir", "--no-device", "cpu"), ERR_INVALID);
	CHECK_EQ(PARSE("dir", "--max-model-len", "99999999999999999999"), ERR_INVALID);
	CHECK_EQ(PARSE("dir", "--kv-cache-memory-bytes", "9999999999G"), ERR_INVALID);
	CHECK_EQ(PARSE("dir", "--tool-call-parser", "hermes", "--reasoning-parser", "none"), 0);
	CHECK_EQ(PARSE("dir", "--tool-call-parser", "none"), ERR_INVALID);
	CHECK_HAS(why.text, "--tool-call-parser: there is no \"none\"");
	CHECK_EQ(PARSE("dir", "--reasoning-parser", "thinks"), ERR_INVALID);
	CHECK_HAS(why.text, "--reasoning-parser: there is no \"thinks\"");
	CHECK_EQ(PARSE("dir", "--generation-config", "vllm"), ERR_INVALID);
	CHECK_HAS(why.text, "\"vllm\" is neither auto nor none");
	CHECK_EQ(PARSE(""), ERR_INVALID);
	CHECK_HAS(why.text, "must not be empty");
	CHECK_EQ(PARSE("dir", "--served-model-name", "a\xff"), ERR_INVALID);
	CHECK_HAS(why.text, "--served-model-name: \"a?\" is not UTF-8");
	CHECK_EQ(PARSE("dir", "--lora", "a\xff=/dir"), ERR_INVALID);
	CHECK_HAS(why.text, "must be UTF-8");
}

TEST(a_folder_of_any_name_is_served_under_one_that_is_text)
{
	CHECK_EQ(PARSE("/models/a\xff\xe4\xb8\xad", "--uds", "/tmp/s"), 0);
	CHECK_EQ(options_settle(&o, &why), 0);
	CHECK_STR(o.served_name, "a?\xe4\xb8\xad");
}

TEST(flag_beats_environment_beats_file)
{
	char path[] = "/tmp/xv-options-XXXXXX";
	int fd = mkstemp(path);
	const char text[] = "# comment\nmax-num-seqs: 3\nmax_model_len: 1\n";

	(void)!write(fd, text, sizeof text - 1);
	close(fd);
	setenv("XVERSED_MAX_NUM_SEQS", "4", 1);
	CHECK_EQ(PARSE("dir", "--config", path), ERR_INVALID); /* underscores are no option name */
	CHECK_HAS(why.text, "line 3");
	CHECK_HAS(why.text, "max-model-len");
	fd = open(path, O_WRONLY | O_TRUNC);
	(void)!write(fd, text, 10 + 16);
	close(fd);
	CHECK_EQ(PARSE("dir", "--config", path), 0);
	CHECK_EQ(o.max_num_seqs, 4);
	CHECK_EQ(PARSE("dir", "--config", path, "--max-num-seqs", "5"), 0);
	CHECK_EQ(o.max_num_seqs, 5);
	unsetenv("XVERSED_MAX_NUM_SEQS");
	CHECK_EQ(PARSE("dir", "--config", path), 0);
	CHECK_EQ(o.max_num_seqs, 3);
	setenv("XVERSED_DEVICE", "tpu", 1);
	CHECK_EQ(PARSE("dir"), ERR_INVALID);
	CHECK_HAS(why.text, "XVERSED_DEVICE");
	unsetenv("XVERSED_DEVICE");
	CHECK_EQ(PARSE("dir", "--config", "/nonexistent"), ERR_INVALID);
	unlink(path);
}

static int parse_file(const char *text)
{
	char path[] = "/tmp/xv-options-XXXXXX";
	int fd = mkstemp(path), err;

	CHECK_EQ((int)write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	err = PARSE("dir", "--config", path);
	unlink(path);
	return err;
}

TEST(a_file_takes_comments_and_opposites)
{
	CHECK_EQ(
		parse_file(
			"max-num-seqs: 8 # many\nno-pin: true\t# a comment: with = signs\n#\n  # more\n"
			"served-model-name: \"a # b\" # not this\nlog-file: /tmp/a#b\nno-enable-prefix-caching: false\n"),
		0);
	CHECK_EQ(o.max_num_seqs, 8);
	CHECK(!o.pin && o.prefix_caching);
	CHECK_STR(o.served_name, "a # b");
	CHECK_STR(o.log_file, "/tmp/a#b");
	CHECK_EQ(parse_file("no-pin: maybe\n"), ERR_INVALID);
	CHECK_HAS(why.text, "\"maybe\" is neither true nor false");
	CHECK_EQ(parse_file("no-device: true\n"), ERR_INVALID);
	CHECK_HAS(why.text, "unknown option \"no-device\"");
	CHECK_EQ(parse_file("max-num-seq: 8\n"), ERR_INVALID);
	CHECK_HAS(why.text, "did you mean max-num-seqs?");
	CHECK_EQ(parse_file("zzzzzz: 8\n"), ERR_INVALID);
	CHECK(!strstr(why.text, "did you mean"));
	setenv("XVERSED_NO_PIN", "1", 1);
	CHECK_EQ(PARSE("dir"), 0);
	CHECK(!o.pin);
	unsetenv("XVERSED_NO_PIN");
}

TEST(names_of_the_caller_may_be_meant)
{
	static const char *const own[] = {"http", "restart", NULL};
	char *argv[] = {(char *)"xverse-launch", (char *)"dir", (char *)"--htp", (char *)"80", NULL};

	options_finish(&o);
	CHECK_EQ(options_parse(&o, 4, argv, own, &why), ERR_INVALID);
	CHECK_HAS(why.text, "did you mean --http?");
	argv[2] = (char *)"--rsetart=3"; /* two neighbours changed places */
	options_finish(&o);
	CHECK_EQ(options_parse(&o, 3, argv, own, &why), ERR_INVALID);
	CHECK_HAS(why.text, "did you mean --restart?");
}

TEST(variables_that_name_no_option_get_a_warning)
{
	char *some[] = {(char *)"PATH=/bin",
			(char *)"XVERSED_MAX_NUM_SEQ=3",
			(char *)"XVERSED_MAX_NUM_SEQS=3",
			(char *)"XVERSED_NO_PIN=1",
			(char *)"XVERSED_CONFIG=/x",
			(char *)"XVERSED_CUDA_LIB=/x",
			(char *)"XVERSED_HANDOVER=/x",
			(char *)"XVERSED_HANDOVER_NONCE=1",
			(char *)"XVERSED_QQQQQQQQ=1",
			NULL};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	options_warn(f, some);
	fclose(f);
	CHECK_HAS(text, "XVERSED_MAX_NUM_SEQ names no option; did you mean XVERSED_MAX_NUM_SEQS?\n");
	CHECK_HAS(text, "XVERSED_QQQQQQQQ names no option\n");
	CHECK(!strstr(text, "XVERSED_MAX_NUM_SEQS names") && !strstr(text, "PIN") && !strstr(text, "CONFIG names") &&
	      !strstr(text, "HANDOVER"));
	free(text);
}

CHECK_MAIN()

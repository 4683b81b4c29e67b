/* Command line, environment and config file: precedence, ranges, and refusals that name the right spelling.
 */
#include "daemon/options.h"

#include <stdlib.h>
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
	CHECK_EQ(PARSE("dir", "--generation-config", "vllm"), ERR_INVALID);
	CHECK_HAS(why.text, "\"vllm\" is neither auto nor none");
	CHECK_EQ(PARSE(""), ERR_INVALID);
	CHECK_HAS(why.text, "must not be empty");
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

CHECK_MAIN()

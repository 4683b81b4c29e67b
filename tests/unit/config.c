/* config.json: what is read, what is refused and by which words. */
#include "engine/models/model.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"

static const char base[] =
	"\"architectures\": [\"XverseForCausalLM\"], \"hidden_size\": 64, \"intermediate_size\": 172,"
	"\"num_hidden_layers\": 2, \"num_attention_heads\": 8, \"vocab_size\": 512";
static struct model_config c;
static struct why why;

static int read_text(const char *text)
{
	char dir[] = "/tmp/xv-config-XXXXXX", path[64];
	FILE *f;
	int err;

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/config.json", dir);
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
	err = model_config_read(&c, dir, &why);
	unlink(path);
	rmdir(dir);
	return err;
}

static int read_with(const char *more)
{
	char text[9000];

	snprintf(text, sizeof text, "{%s%s%s}", base, *more ? ", " : "", more);
	return read_text(text);
}

TEST(defaults_of_an_old_xverse_config)
{
	CHECK_EQ(read_with(""), 0);
	CHECK_STR(c.architecture, "XverseForCausalLM");
	CHECK_EQ(c.kv_heads, 8);
	CHECK_EQ(c.head_dim, 8);
	CHECK(c.rope_theta == 10000);
	CHECK_EQ(c.tied, 0);
	CHECK_EQ(c.scaling, ROPE_NONE);
	CHECK_EQ(c.torch_dtype, DT_COUNT);
	CHECK(c.norm_eps == 1e-6f);
	CHECK_EQ(c.n_eos, 0);
	CHECK_EQ(c.bos, -1);
}

TEST(optional_keys)
{
	CHECK_EQ(read_with("\"num_key_value_heads\": 4, \"head_dim\": 16, \"rope_theta\": 500000.0, "
			   "\"tie_word_embeddings\": true,"
			   "\"torch_dtype\": \"bfloat16\", \"eos_token_id\": [2, 3], \"bos_token_id\": 1, "
			   "\"pad_token_id\": null,"
			   "\"rms_norm_eps\": 1e-5, \"max_position_embeddings\": 8192, \"rope_scaling\": null"),
		 0);
	CHECK_EQ(c.kv_heads, 4);
	CHECK_EQ(c.head_dim, 16);
	CHECK(c.rope_theta == 500000);
	CHECK(c.tied);
	CHECK_EQ(c.torch_dtype, DT_BF16);
	CHECK_EQ(c.n_eos, 2);
	CHECK_EQ(c.eos[1], 3);
	CHECK_EQ(c.max_pos, 8192);
}

TEST(rope_scaling_kinds)
{
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}"), 0);
	CHECK_EQ(c.scaling, ROPE_LINEAR);
	CHECK(c.rope_factor == 2);
	CHECK_EQ(read_with("\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, "
			   "\"low_freq_factor\": 1.0,"
			   "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}"),
		 0);
	CHECK_EQ(c.scaling, ROPE_LLAMA3);
	CHECK_EQ(read_with("\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 1e6}"), 0);
	CHECK(c.rope_theta == 1e6);
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0}"), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "dynamic");
	CHECK_EQ(read_with("\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 2.0}"), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "yarn");
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"linear\"}"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"factor\" is missing");
	CHECK_EQ(read_with("\"rope_scaling\": 3"), ERR_FORMAT);
}

TEST(refusals_name_file_key_and_value)
{
	CHECK_EQ(read_with("\"num_key_value_heads\": 3"), ERR_FORMAT);
	CHECK_HAS(why.text, "/config.json: \"num_key_value_heads\" is 3 with 8 heads");
	CHECK_EQ(read_with("\"max_position_embeddings\": \"many\""), ERR_FORMAT);
	CHECK_HAS(why.text, "\"max_position_embeddings\" is a string");
	CHECK_EQ(read_with("\"attention_bias\": true"), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "attention_bias");
	CHECK_EQ(read_with("\"hidden_act\": \"gelu\""), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "gelu");
	CHECK_EQ(read_with("\"quantization_bit\": 8"), ERR_UNSUPPORTED);
	CHECK_EQ(read_with("\"quantization_bit\": 0"), 0);
	CHECK_EQ(read_text("{\"architectures\": [\"GPT2LMHeadModel\"]}"), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "GPT2LMHeadModel");
	CHECK_EQ(read_text("{\"hidden_size\": 5"), ERR_FORMAT);
	CHECK_HAS(why.text, "line 1");
	CHECK_EQ(read_text("[1]"), ERR_FORMAT);
	CHECK_EQ(read_text("{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 64}"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"intermediate_size\" is missing");
	CHECK_EQ(read_text("{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 99999999999999999999}"),
		 ERR_FORMAT);
	CHECK_EQ(model_config_read(&c, "/nonexistent", &why), ERR_IO);
	CHECK_HAS(why.text, "/nonexistent/config.json");
}

TEST(parameters_of_xverse_13b)
{
	CHECK_EQ(read_text("{\"architectures\": [\"XverseForCausalLM\"], \"hidden_size\": 5120, "
			   "\"intermediate_size\": 13824,"
			   "\"num_hidden_layers\": 40, \"num_attention_heads\": 40, \"vocab_size\": 100278}"),
		 0);
	CHECK_EQ(model_parameters(&c),
		 40ll * (2 * 5120 + 4ll * 5120 * 5120 + 3ll * 5120 * 13824) + 5120 + 2ll * 100278 * 5120);
}

static void check_noted(const char *more, const char *part)
{
	CHECK_EQ(read_with(more), 0);
	CHECK_EQ(c.n_notes, *part ? 1 : 0);
	if (*part)
		CHECK_HAS(c.note[0], part);
}

TEST(old_and_new_rotary_keys)
{
	check_noted(
		"\"rope_theta\": 10000.0, \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 500000.0}",
		"transformers 5");
	CHECK(c.rope_theta == 500000);
	check_noted("\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 500000.0}", "");
	CHECK(c.rope_theta == 500000);
	check_noted(
		"\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2}, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}",
		"\"rope_scaling\" and \"rope_parameters\" differ");
	CHECK(c.rope_factor == 4);
	check_noted(
		"\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4}, "
		"\"max_position_embeddings\": 256",
		"max_position_embeddings");
	CHECK(c.rope_original == 256);
	CHECK_EQ(read_with("\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}}"), ERR_UNSUPPORTED);
	CHECK_EQ(read_with("\"rope_theta\": NaN"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"rope_theta\" is nan");
}

TEST(what_python_reads)
{
	CHECK_EQ(
		read_with(
			"\"x\": [NaN, Infinity, -Infinity, 1e400, 1000000000000000000000000000000, \"a\\u0000\"], \"vocab_size\": 600"),
		0);
	CHECK_EQ(c.vocab, 600);
	CHECK_EQ(read_with("\"hidden_act\": \"swish\""), 0);
	CHECK_EQ(read_with("\"hidden_size\": 1e2"), ERR_FORMAT);
}

TEST(many_end_tokens)
{
	char text[8000] = "\"eos_token_id\": [0";

	for (int i = 1; i < 500; i++)
		sprintf(text + strlen(text), ", %d", i);
	strcat(text, "]");
	CHECK_EQ(read_text(""), ERR_FORMAT);
	CHECK_EQ(read_with(text), 0);
	CHECK_EQ(c.n_eos, 500);
	CHECK_EQ(c.eos[499], 499);
	check_noted("\"eos_token_id\": [3, 99999]", "no token of this model");
	CHECK_EQ(c.n_eos, 1);
}

TEST(the_class_by_its_type)
{
	CHECK_EQ(
		read_text(
			"{\"model_type\": \"llama\", \"hidden_size\": 64, \"intermediate_size\": 172, \"num_hidden_layers\": 2, "
			"\"num_attention_heads\": 8, \"vocab_size\": 512}"),
		0);
	CHECK_STR(c.architecture, "LlamaForCausalLM");
	check_noted("\"model_type\": \"qwen2\"", "\"model_type\" is qwen2");
	CHECK_EQ(read_with("\"num_local_experts\": 8"), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "num_local_experts");
}

CHECK_MAIN()

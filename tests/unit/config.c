/* config.json: what is read, what is refused and by which words. */
#include "engine/models/model.h"

#include <math.h>
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
	CHECK_EQ(c.max_pos, 8192);
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
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0}"), 0);
	CHECK_EQ(c.scaling, ROPE_DYNAMIC);
	CHECK_EQ(read_with("\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 8.0, \"beta_slow\": 2, "
			   "\"original_max_position_embeddings\": 1024}"),
		 0);
	CHECK_EQ(c.scaling, ROPE_YARN);
	CHECK(c.rope_original == 1024 && c.rope_low == 2 && c.rope_high == 32 && c.rope_truncate);
	CHECK(fabs(c.rope_attention - (0.1 * log(8) + 1)) < 1e-12);
	CHECK_EQ(
		read_with(
			"\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 8, \"mscale\": 1, \"mscale_all_dim\": 0.5, "
			"\"truncate\": false}"),
		0);
	CHECK(fabs(c.rope_attention - (0.1 * log(8) + 1) / (0.05 * log(8) + 1)) < 1e-12 && !c.rope_truncate);
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 8, \"attention_factor\": 1.5}"), 0);
	CHECK(c.rope_attention == 1.5);
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 8, \"beta_slow\": 40}"), ERR_FORMAT);
	CHECK_HAS(why.text, "beta_slow");
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"longrope\", \"factor\": 2.0}"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"short_factor\" is missing");
	CHECK_EQ(read_with("\"max_position_embeddings\": 4096, \"original_max_position_embeddings\": 1024, "
			   "\"rope_scaling\": {\"type\": \"su\", \"short_factor\": [1, 1.5, 2, 3], "
			   "\"long_factor\": [2, 3, 4, 5]}"),
		 0);
	CHECK(c.scaling == ROPE_LONGROPE && c.rope_original == 1024 && c.rope_short[1] == 1.5f && c.rope_long[3] == 5);
	CHECK(fabs(c.rope_attention - sqrt(1 + log(4) / log(1024))) < 1e-12);
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, 2], "
			   "\"long_factor\": [2, 3, 4, 5]}"),
		 ERR_FORMAT);
	CHECK_HAS(why.text, "a list of 2 for 4 pairs");
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, 2, 3, 0], "
			   "\"long_factor\": [2, 3, 4, 5]}"),
		 ERR_FORMAT);
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"mrope\", \"factor\": 2.0}"), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "mrope");
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": \"linear\"}"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"rope_scaling.factor\" is missing");
	CHECK_EQ(read_with("\"rope_scaling\": {\"type\": 7}"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"rope_type\" is an integer");
	CHECK_EQ(read_with("\"rope_parameters\": {\"rope_theta\": \"1e4\"}"), ERR_FORMAT);
	CHECK_HAS(why.text, "\"rope_parameters.rope_theta\" is a string");
	CHECK_EQ(read_with("\"rope_scaling\": 3"), ERR_FORMAT);
}

TEST(refusals_name_file_key_and_value)
{
	CHECK_EQ(read_with("\"num_key_value_heads\": 3"), ERR_FORMAT);
	CHECK_HAS(why.text, "/config.json: \"num_key_value_heads\" is 3 with 8 heads");
	CHECK_EQ(read_with("\"max_position_embeddings\": \"many\""), ERR_FORMAT);
	CHECK_HAS(why.text, "\"max_position_embeddings\" is a string");
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

/* A config of the given class, with sizes under the usual names. */
static int read_as(const char *class, const char *more)
{
	char text[1000];

	snprintf(text, sizeof text,
		 "{\"architectures\": [\"%s\"], \"hidden_size\": 256, \"intermediate_size\": 172, "
		 "\"num_hidden_layers\": 3, \"num_attention_heads\": 8, \"vocab_size\": 512%s%s}",
		 class, *more ? ", " : "", more);
	return read_text(text);
}

/* What ends an answer where the file does not say, by the class; null says that nothing does. */
TEST(end_tokens_of_a_class)
{
	uint64_t hash;

	CHECK_EQ(read_as("LlamaForCausalLM", ""), 0);
	CHECK(c.n_eos == 1 && c.eos[0] == 2 && c.eos_assumed);
	hash = model_config_hash(&c);
	CHECK_EQ(read_as("LlamaForCausalLM", "\"eos_token_id\": null"), 0);
	CHECK(c.n_eos == 0 && !c.eos_assumed);
	CHECK(model_config_hash(&c) == hash);
	CHECK_EQ(read_as("LlamaForCausalLM", "\"eos_token_id\": 7"), 0);
	CHECK(c.n_eos == 1 && c.eos[0] == 7 && !c.eos_assumed);
	CHECK_EQ(read_as("Phi3ForCausalLM", ""), 0); /* its token 32000 is none of 512 */
	CHECK(c.n_eos == 0 && !c.eos_assumed);
	CHECK_EQ(read_as("GlmForCausalLM", "\"vocab_size\": 151552"), 0);
	CHECK(c.n_eos == 3 && c.eos[2] == 151338);
	CHECK_EQ(read_as("Qwen3ForCausalLM", "\"num_key_value_heads\": 8"), 0);
	CHECK_EQ(c.n_eos, 0);
}

TEST(windows)
{
	CHECK_EQ(read_as("MistralForCausalLM", ""), 0);
	CHECK(c.window == 4096 && c.windowed[0] && c.windowed[2]);
	CHECK_EQ(c.kv_heads, 8);
	CHECK_EQ(read_as("MistralForCausalLM", "\"sliding_window\": null"), 0);
	CHECK_EQ(c.window, 0);
	CHECK_EQ(read_as("Qwen2ForCausalLM", "\"sliding_window\": 77, \"num_key_value_heads\": 8"), 0);
	CHECK_EQ(c.window, 0);
	CHECK_EQ(read_as("Qwen2ForCausalLM", "\"sliding_window\": 77, \"num_key_value_heads\": 8, "
					     "\"use_sliding_window\": true, \"max_window_layers\": 1"),
		 0);
	CHECK(c.window == 77 && !c.windowed[0] && c.windowed[1] && c.windowed[2]);
	CHECK_EQ(read_as("Qwen3ForCausalLM",
			 "\"sliding_window\": 9, \"num_key_value_heads\": 8, \"use_sliding_window\": true, "
			 "\"layer_types\": [\"sliding_attention\", \"full_attention\", \"full_attention\"]"),
		 0);
	CHECK(c.window == 9 && c.windowed[0] && !c.windowed[1] && c.head_dim == 128);
	CHECK(c.parts == PART_HEAD_NORM);
	CHECK_EQ(read_as("Qwen3ForCausalLM", "\"num_key_value_heads\": 8, \"layer_types\": [\"full_attention\"]"),
		 ERR_FORMAT);
	CHECK_HAS(why.text, "layer_types");
	CHECK_EQ(read_as("Qwen3ForCausalLM", "\"num_key_value_heads\": 8, \"layer_types\": "
					     "[\"chunked_attention\", \"full_attention\", \"full_attention\"]"),
		 ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "chunked_attention");
	CHECK_EQ(read_as("Qwen3ForCausalLM", "\"num_key_value_heads\": 8, \"sliding_window\": 9, \"layer_types\": "
					     "[\"sliding_attention\", \"full_attention\", \"full_attention\"]"),
		 ERR_FORMAT);
	CHECK_HAS(why.text, "\"use_sliding_window\": true");
}

/* Of mixtures, and of classes that do not read "layer_types". */
TEST(windows_of_other_classes)
{
	static const char moe[] = "\"num_key_value_heads\": 8, \"sliding_window\": 9, \"use_sliding_window\": true";

	CHECK_EQ(read_as("Qwen3MoeForCausalLM", moe), 0);
	CHECK(c.window == 9 && c.windowed[0] && c.windowed[2] && !c.n_notes);
	CHECK_EQ(read_as("Qwen2MoeForCausalLM", moe), 0);
	CHECK(c.window == 9 && c.windowed[0] && !c.windowed[1] && c.windowed[2] && c.n_notes == 1);
	CHECK_EQ(read_as("MistralForCausalLM",
			 "\"sliding_window\": 9, \"layer_types\": [\"full_attention\", \"full_attention\", \"x\"]"),
		 0);
	CHECK(c.window == 9 && c.windowed[0] && c.windowed[2]);
}

TEST(networks_of_each_class)
{
	CHECK_EQ(read_as("LlamaForCausalLM", "\"attention_bias\": true, \"mlp_bias\": true"), 0);
	CHECK_EQ(c.parts, PART_QKV_BIAS | PART_O_BIAS | PART_FFN_BIAS);
	CHECK_EQ(read_as("BaichuanForCausalLM", "\"model_max_length\": 4096"), 0);
	CHECK(c.positions == POSITIONS_ALIBI && !c.unit_head && c.max_pos == 4096);
	CHECK_EQ(read_as("BaiChuanForCausalLM", "\"max_position_embeddings\": 4096, \"z_loss_weight\": 0"), 0);
	CHECK(c.positions == POSITIONS_ROTARY && c.unit_head);
	CHECK_EQ(read_as("GPTNeoXForCausalLM", ""), 0);
	CHECK(c.parallel && c.norm == NORM_LAYER && c.act == ACT_GELU && c.n_rot == 8);
	CHECK_EQ(
		read_as("GPTNeoXForCausalLM",
			"\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 5000.0, "
			"\"partial_rotary_factor\": 0.5}, \"hidden_act\": \"gelu_new\", \"use_parallel_residual\": false"),
		0);
	CHECK(!c.parallel && c.act == ACT_GELU_TANH && c.n_rot == 16 && c.rope_theta == 5000);
	CHECK_EQ(read_as("GPTNeoXForCausalLM", "\"rotary_pct\": 0"), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "rotary_pct");
	CHECK_EQ(read_as("GPTNeoXForCausalLM", "\"hidden_act\": \"quick_gelu\""), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "quick_gelu");
	CHECK_EQ(read_text("{\"architectures\": [\"PhiForCausalLM\"], \"hidden_size\": 256, \"num_hidden_layers\": 2, "
			   "\"num_attention_heads\": 8, \"vocab_size\": 99}"),
		 0);
	CHECK(c.ffn == 8192 && c.kv_heads == 8);
	CHECK_EQ(read_as("StableLmForCausalLM", ""), ERR_FORMAT);
	CHECK_HAS(why.text, "\"num_key_value_heads\" is 32 with 8 heads");
	CHECK_EQ(read_as("GlmForCausalLM", "\"head_dim\": 32"), 0);
	CHECK(c.rotates_neighbours && c.n_rot == 16 && c.kv_heads == 2 && c.parts == PART_QKV_BIAS);
	CHECK_EQ(read_as("InternLM2ForCausalLM", "\"bias\": false, \"num_key_value_heads\": 2"), 0);
	CHECK(c.parts == 0 && c.kv_heads == 2 && c.head_dim == 32);
	CHECK_EQ(read_as("InternLMForCausalLM", "\"rotary\": {\"type\": \"dynamic\", \"base\": 777}"), 0);
	CHECK(c.parts == (PART_QKV_BIAS | PART_O_BIAS) && c.scaling == ROPE_DYNAMIC && c.rope_theta == 777 &&
	      c.rope_factor == 1);
	CHECK_EQ(read_as("InternLMForCausalLM", "\"rotary\": {\"type\": \"origin\"}"), 0);
	CHECK(c.scaling == ROPE_NONE && c.rope_theta == 10000);
	CHECK_EQ(read_as("InternLMForCausalLM", "\"rotary\": {\"base\": 777}"), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "\"rotary\" is without a \"type\"");
	CHECK_EQ(read_as("InternLMForCausalLM", "\"rotary\": []"), ERR_FORMAT);
	CHECK_EQ(read_as("OPTForCausalLM", "\"ffn_dim\": 99"), 0);
	CHECK(c.tied && c.positions == POSITIONS_LEARNED && c.act == ACT_RELU && c.ffn == 99);
	CHECK_EQ(read_as("OPTForCausalLM", "\"word_embed_proj_dim\": 128"), ERR_UNSUPPORTED);
	CHECK_HAS(why.text, "OPT-350M");
	CHECK_EQ(read_as("OPTForCausalLM", "\"do_layer_norm_before\": false"), ERR_UNSUPPORTED);
	CHECK_EQ(read_text("{\"architectures\": [\"MossForCausalLM\"], \"n_embd\": 512, \"n_layer\": 2, \"n_head\": 4, "
			   "\"vocab_size\": 99, \"n_inner\": null}"),
		 0);
	CHECK(c.ffn == 2048 && c.n_rot == 64 && c.rotates_neighbours && c.parts == (PART_FFN_BIAS | PART_HEAD_BIAS));
	CHECK_EQ(read_text("{\"architectures\": [\"CodeGenForCausalLM\"], \"n_embd\": 512, \"n_layer\": 2, "
			   "\"n_head\": 6, \"vocab_size\": 99}"),
		 ERR_FORMAT);
}

TEST(overrides)
{
	char dir[] = "/tmp/xv-config-XXXXXX", path[64];
	FILE *f;

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/config.json", dir);
	f = fopen(path, "w");
	fprintf(f, "{%s, \"rope_theta\": 7.0}", base);
	fclose(f);
	CHECK_EQ(model_config_read_over(
			 &c, dir,
			 "{\"rope_theta\": 5e5, \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}, "
			 "\"vocab_size\": 600}",
			 &why),
		 0);
	CHECK(c.rope_theta == 5e5 && c.scaling == ROPE_DYNAMIC && c.rope_factor == 2 && c.vocab == 600 &&
	      c.hidden == 64);
	CHECK_EQ(model_config_read_over(&c, dir, "{\"rope_theta\": 5e5", &why), ERR_FORMAT);
	CHECK_HAS(why.text, "--hf-overrides");
	CHECK_EQ(model_config_read_over(&c, dir, "[]", &why), ERR_FORMAT);
	CHECK_EQ(model_config_read_over(&c, dir, "{\"rope_thetta\": 5e5}", &why), ERR_FORMAT);
	CHECK_HAS(why.text, "--hf-overrides: \"rope_thetta\" is no key that is read for XverseForCausalLM");
	CHECK_EQ(model_config_read_over(
			 &c, dir, "{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2, \"beta_fst\": 9}}", &why),
		 ERR_FORMAT);
	CHECK_HAS(why.text, "\"beta_fst\"");
	CHECK_EQ(model_config_read_over(&c, dir, "{\"quantization_bit\": 0, \"torch_dtype\": null}", &why), 0);
	CHECK_EQ(model_config_read_over(&c, dir, "{\"hidden_size\": null}", &why), ERR_FORMAT);
	CHECK_HAS(why.text, "\"hidden_size\" is missing");
	unlink(path);
	rmdir(dir);
}

TEST(what_a_backend_must_cover)
{
	CHECK_EQ(read_as("LlamaForCausalLM", ""), 0);
	CHECK_EQ(model_needs(&c, 4096), 0);
	CHECK_EQ(read_as("MistralForCausalLM", ""), 0);
	CHECK_EQ(model_needs(&c, 4096), 0);
	CHECK_EQ(model_needs(&c, 4097), NEED_WINDOW);
	CHECK_STR(backend_lacks(NEED_WINDOW | NEED_ADD, NEED_ADD), "attention over a window");
	CHECK(!backend_lacks(NEED_WINDOW, NEED_ALL) && !backend_lacks(0, 0));
	CHECK_EQ(read_as("GPTNeoXForCausalLM", ""), 0);
	CHECK_EQ(model_needs(&c, 9), NEED_ACTIVATE | NEED_BIAS | NEED_SHIFT | NEED_ADD);
	CHECK_EQ(read_as("BaichuanForCausalLM", ""), 0);
	CHECK_EQ(model_needs(&c, 9), NEED_ALIBI);
}

TEST(the_hash_covers_every_field)
{
	/* Bytes between the members: what no member counts. */
	size_t padding = offsetof(struct model_config, note) - sizeof c.architecture - sizeof c.hidden - sizeof c.ffn -
			 sizeof c.layers - sizeof c.heads - sizeof c.kv_heads - sizeof c.head_dim - sizeof c.vocab -
			 sizeof c.max_pos - sizeof c.parts - sizeof c.norm - sizeof c.act - sizeof c.positions -
			 sizeof c.n_rot - sizeof c.rotates_neighbours - sizeof c.parallel - sizeof c.unit_head -
			 sizeof c.window - sizeof c.windowed - sizeof c.norm_eps - sizeof c.rope_theta -
			 sizeof c.scaling - sizeof c.rope_factor - sizeof c.rope_low - sizeof c.rope_high -
			 sizeof c.rope_original - sizeof c.rope_attention - sizeof c.rope_truncate - sizeof c.tied -
			 sizeof c.torch_dtype - sizeof c.routed - sizeof c.experts - sizeof c.experts_per_token -
			 sizeof c.expert_ffn - sizeof c.shared_ffn - sizeof c.norm_top - sizeof c.bos - sizeof c.pad -
			 sizeof c.n_eos - sizeof c.eos - sizeof c.eos_assumed - sizeof c.rope_short -
			 sizeof c.rope_long;
	size_t same = 0;
	uint64_t before;

	memset(&c, 0, sizeof c);
	memset(c.architecture, 'A', sizeof c.architecture - 1);
	c.layers = MODEL_MAX_LAYERS;
	c.n_eos = MODEL_MAX_EOS;
	before = model_config_hash(&c);
	for (size_t i = 0; i < offsetof(struct model_config, note); i++) {
		((unsigned char *)&c)[i] ^= 1;
		same += model_config_hash(&c) == before;
		((unsigned char *)&c)[i] ^= 1;
	}
	/* The NUL of the name may become another character, which would run on; its byte counts as padding here. */
	CHECK(same >= padding && same <= padding + 1);
	CHECK(model_config_hash(&c) == before);
}

CHECK_MAIN()

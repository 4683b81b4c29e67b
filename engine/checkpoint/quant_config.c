/* quant_config.c - what config.json says about quantised weights. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json/json.h"
#include "engine/checkpoint/quant_config.h"

#define ORIGINAL \
	"give the model's original files with --quantization int8 or int4, or its GPTQ, AWQ, compressed-tensors, FP8 or GGUF files"

struct reader {
	struct quant_config *c;
	const struct json *root; /* the object */
	const char *path;
	struct why *why;
	int err;
};

static int refuse(struct reader *r, int err, const char *key, const char *found, const char *rule)
{
	if (!r->err)
		r->err = fail(r->why, err, "%s: quantization_config: \"%s\" is %.80s; %s", r->path, key, found, rule);
	return r->err;
}

static const struct json *get(const struct json *object, const char *key)
{
	const struct json *v = json_get(object, key);

	return json_is(v, JSON_IS_NULL) ? NULL : v;
}

/* A whole number of `object`; absent: 0. */
static int whole(struct reader *r, const struct json *object, const char *key, int low, int high)
{
	const struct json *v = get(object, key);
	char rule[80], found[40];
	int64_t i;

	if (!v)
		return 0;
	snprintf(rule, sizeof rule, "it must be a whole number from %d to %d", low, high);
	if (!json_int(v, &i)) {
		refuse(r, ERR_FORMAT, key, json_kind_name(v), rule);
		return 0;
	}
	snprintf(found, sizeof found, "%" PRId64, i);
	if (i < low || i > high || !i)
		refuse(r, ERR_FORMAT, key, found, rule);
	return (int)i;
}

static bool yes(struct reader *r, const struct json *object, const char *key, bool fallback)
{
	const struct json *v = get(object, key);

	if (v && !json_is(v, JSON_IS_BOOL))
		refuse(r, ERR_FORMAT, key, json_kind_name(v), "it must be true or false");
	return v ? json_yes(v) : fallback;
}

/* A text; absent: `fallback`. */
static const char *text(struct reader *r, const struct json *object, const char *key, const char *fallback)
{
	const struct json *v = get(object, key);

	if (v && !json_str(v))
		refuse(r, ERR_FORMAT, key, json_kind_name(v), "it must be a text");
	return json_str(v) ? json_str(v) : fallback;
}

static bool is_one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (!strcasecmp(s, *list))
			return true;
	return false;
}

static void check_bits(struct reader *r, int bits, bool eight)
{
	char found[24];

	snprintf(found, sizeof found, bits ? "%d" : "missing", bits);
	if (bits != 4 && !(bits == 8 && eight))
		refuse(r, bits ? ERR_UNSUPPORTED : ERR_FORMAT, "bits", found,
		       eight ? "weights of 4 and 8 bits are supported" : "weights of 4 bits are supported");
}

enum { LARGEST_GROUP = 1 << 24 };

static void read_gptq(struct reader *r)
{
	static const char *const forms[] = {"gptq", "gptq_v2", NULL};
	const char *form = text(r, r->root, "checkpoint_format", "gptq");
	const struct json *modules = get(r->root, "dynamic");
	int bits = whole(r, r->root, "bits", 1, 32);

	check_bits(r, bits, true);
	r->c->group = whole(r, r->root, "group_size", -1, LARGEST_GROUP);
	if (!r->c->group)
		refuse(r, ERR_FORMAT, "group_size", "missing", "it must be a whole number, or -1 for whole rows");
	r->c->usual = (struct quant_usual){.bits = bits,
					   .group = r->c->group,
					   .asymmetric = !yes(r, r->root, "sym", true),
					   .ordered = yes(r, r->root, "desc_act", false)};
	if (!is_one_of(form, forms))
		refuse(r, ERR_UNSUPPORTED, "checkpoint_format", form,
		       "gptq and gptq_v2 are supported; save it again in one of them");
	if (yes(r, r->root, "is_marlin_format", false))
		refuse(r, ERR_UNSUPPORTED, "is_marlin_format", "true",
		       "the order of Marlin's kernels is not read; give the files in the form gptq");
	if (strcmp(text(r, r->root, "pack_dtype", "int32"), "int32"))
		refuse(r, ERR_UNSUPPORTED, "pack_dtype", text(r, r->root, "pack_dtype", ""), "int32 is supported");
	if (modules && !json_is(modules, JSON_IS_OBJECT))
		refuse(r, ERR_FORMAT, "dynamic", json_kind_name(modules), "it must be an object");
	r->c->plus_one = strcasecmp(form, "gptq_v2") != 0;
	r->c->bits = json_size(modules) ? 0 : bits;
	r->c->group = json_size(modules) ? 0 : r->c->group;
}

static void read_awq(struct reader *r)
{
	static const char *const versions[] = {"gemm", "exllama", "ipex", NULL};
	const char *version = text(r, r->root, "version", "gemm");
	bool old = get(r->root, "w_bit") != NULL;

	r->c->bits = whole(r, r->root, old ? "w_bit" : "bits", 1, 32);
	check_bits(r, r->c->bits, false);
	r->c->group =
		whole(r, r->root, get(r->root, "q_group_size") ? "q_group_size" : "group_size", -1, LARGEST_GROUP);
	if (!r->c->group)
		refuse(r, ERR_FORMAT, "group_size", "missing", "it must be a whole number, or -1 for whole rows");
	r->c->usual = (struct quant_usual){
		.bits = 4, .group = r->c->group, .asymmetric = yes(r, r->root, "zero_point", true)};
	if (!is_one_of(version, versions))
		refuse(r, ERR_UNSUPPORTED, "version", version, "gemm is supported; save it again in that version");
}

/* One entry of "config_groups": what its weights are. */
static void read_scheme(struct reader *r, const struct json *weights)
{
	const char *type = text(r, weights, "type", "int"), *strategy = text(r, weights, "strategy", "");
	static const char *const strategies[] = {"", "tensor", "channel", "group", "block", NULL};
	int bits = whole(r, weights, "num_bits", 1, 64), group = whole(r, weights, "group_size", -1, LARGEST_GROUP);
	const char *order = json_str(get(weights, "actorder"));
	struct quant_usual usual = {.bits = bits,
				    .group = group ? group : -1,
				    .e4m3 = !strcmp(type, "float"),
				    .asymmetric = !yes(r, weights, "symmetric", true),
				    .ordered = order && !strcmp(order, "group")};

	if (strcmp(type, "int") && strcmp(type, "float"))
		refuse(r, ERR_UNSUPPORTED, "type", type, "int and float are supported");
	if (!strcmp(type, "float") && bits != 8)
		refuse(r, ERR_UNSUPPORTED, "num_bits", "not 8 of a float", "float weights of 8 bits are supported");
	else
		check_bits(r, bits, true);
	if (!r->c->usual.bits)
		r->c->usual = usual;
	if (!is_one_of(strategy, strategies))
		refuse(r, ERR_UNSUPPORTED, "strategy", strategy, "tensor, channel, group and block are supported");
}

/* The shapes of each module's tensors say how it is packed, and schemes may differ by module. */
static void read_compressed(struct reader *r)
{
	static const char *const formats[] = {"pack-quantized",
					      "int-quantized",
					      "naive-quantized",
					      "float-quantized",
					      "dense",
					      "mixed-precision",
					      NULL};
	const struct json *groups = get(r->root, "config_groups"), *sparse = get(r->root, "sparsity_config"),
			  *turned = get(r->root, "transform_config");
	const char *format = text(r, r->root, "format", "dense");

	if (!is_one_of(format, formats))
		refuse(r, ERR_UNSUPPORTED, "format", format,
		       "pack-quantized, int-quantized, naive-quantized and float-quantized are supported");
	if (groups && !json_is(groups, JSON_IS_OBJECT))
		refuse(r, ERR_FORMAT, "config_groups", json_kind_name(groups), "it must be an object");
	for (size_t i = 0; i < json_size(groups) && json_is(groups, JSON_IS_OBJECT); i++) {
		const struct json *scheme = &json_member(groups, i)->value, *weights = get(scheme, "weights");
		const char *own = text(r, scheme, "format", "dense");
		if (!json_is(scheme, JSON_IS_OBJECT) || (weights && !json_is(weights, JSON_IS_OBJECT)))
			refuse(r, ERR_FORMAT, "config_groups", "a list or a text", "its members must be objects");
		else if (weights)
			read_scheme(r, weights);
		if (!is_one_of(own, formats))
			refuse(r, ERR_UNSUPPORTED, "format", own, "it is not supported");
	}
	if (json_size(sparse) && strcmp(text(r, sparse, "format", "dense"), "dense"))
		refuse(r, ERR_UNSUPPORTED, "sparsity_config", text(r, sparse, "format", ""),
		       "sparse weights are not supported");
	if (json_size(get(turned, "config_groups")))
		refuse(r, ERR_UNSUPPORTED, "transform_config", "set", "rotated weights are not supported");
}

static void read_fp8(struct reader *r)
{
	const struct json *block = get(r->root, "weight_block_size");
	const char *form = text(r, r->root, "fmt", "e4m3");
	int64_t side;

	r->c->usual = (struct quant_usual){.bits = 8, .group = -1, .e4m3 = true};
	if (strcmp(form, "e4m3"))
		refuse(r, ERR_UNSUPPORTED, "fmt", form, "e4m3 is supported");
	if (!block)
		return;
	if (json_size(block) != 2 || !json_is(block, JSON_IS_LIST))
		refuse(r, ERR_FORMAT, "weight_block_size", json_kind_name(block), "it must be a list of two numbers");
	for (size_t i = 0; i < 2; i++)
		if (!r->err && (!json_int(json_at(block, i), &side) || side < 1 || side > LARGEST_GROUP))
			refuse(r, ERR_FORMAT, "weight_block_size", "of other members",
			       "it must be two whole numbers above 0");
	if (!r->err && json_int(json_at(block, 1), &side))
		r->c->group = r->c->usual.group = (int)side;
}

static const struct {
	const char *name;
	enum quant_method method;
	void (*read)(struct reader *r);
} methods[] = {{"gptq", METHOD_GPTQ, read_gptq},
	       {"awq", METHOD_AWQ, read_awq},
	       {"compressed-tensors", METHOD_COMPRESSED, read_compressed},
	       {"compressed_tensors", METHOD_COMPRESSED, read_compressed},
	       {"fp8", METHOD_FP8, read_fp8},
	       {"fbgemm_fp8", METHOD_FP8, read_fp8}};

/* Early files do not name their method. */
static const char *guess(const struct json *root)
{
	if (get(root, "w_bit") || get(root, "zero_point"))
		return "awq";
	if (get(root, "bits") && (get(root, "desc_act") || get(root, "damp_percent") || get(root, "sym")))
		return "gptq";
	if (get(root, "config_groups"))
		return "compressed-tensors";
	return get(root, "load_in_4bit") || get(root, "load_in_8bit") ? "bitsandbytes" : "missing";
}

static void read_method(struct reader *r)
{
	const char *name = text(r, r->root, "quant_method", NULL);

	if (!name)
		name = guess(r->root);
	for (size_t i = 0; i < sizeof methods / sizeof *methods && !r->err; i++)
		if (!strcmp(name, methods[i].name)) {
			r->c->method = methods[i].method;
			methods[i].read(r);
			return;
		}
	refuse(r, ERR_UNSUPPORTED, "quant_method", name, "it is not supported: " ORIGINAL);
}

int quant_config_read(struct quant_config *out, const struct json *root, bool alone, const char *path, struct why *why)
{
	const struct json *v = alone ? root : get(root, "quantization_config"), *bits = get(root, "quantization_bit");
	struct reader r = {.c = out, .path = path, .why = why};

	*out = (struct quant_config){.method = METHOD_NONE};
	if (!v && !alone)
		v = get(root, "compression_config");
	if (!alone && bits && !(json_is_num(bits) && json_num(bits) == 0))
		return fail(why, ERR_UNSUPPORTED, "%s: \"quantization_bit\" is set; it is not supported: " ORIGINAL,
			    path);
	if (!v || (json_is_num(v) && json_num(v) == 0))
		return 0;
	if (!json_is(v, JSON_IS_OBJECT))
		return fail(why, ERR_FORMAT, "%s: \"quantization_config\" is %s; it must be an object", path,
			    json_kind_name(v));
	r.root = v;
	read_method(&r);
	return r.err;
}

/* documents.c - a model's files beside its weights: all that a folder has, or what a GGUF file's metadata become. */
#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file/file.h"
#include "base/json/json.h"
#include "base/text.h"
#include "engine/convert/inside.h"

struct copier {
	const struct plan *p;
	const struct checkpoint *c;
	const char *in;
	const struct folder *to;
	struct why *why;
};

/* ---- config.json ---- */

static struct json text_of(struct json_doc *d, const char *s)
{
	return json_make_text(d, s, strlen(s));
}

/* The weights of a class, in the words of compressed-tensors' QuantizationArgs. */
static struct json weights_of(struct json_doc *d, enum convert_class to)
{
	struct json w = json_make_object(d);
	bool e4m3 = to == CONVERT_FP8;

	json_set(d, &w, "num_bits", json_make_int(to == CONVERT_INT4 ? 4 : 8));
	json_set(d, &w, "type", text_of(d, e4m3 ? "float" : "int"));
	json_set(d, &w, "symmetric", json_make_bool(true));
	json_set(d, &w, "strategy", text_of(d, e4m3 ? "channel" : "group"));
	json_set(d, &w, "group_size", e4m3 ? json_make_null() : json_make_int(32));
	json_set(d, &w, "dynamic", json_make_bool(false));
	return w;
}

/* Rows of activations become e4m3 as they come. */
static struct json activations(struct json_doc *d)
{
	struct json a = json_make_object(d);

	json_set(d, &a, "num_bits", json_make_int(8));
	json_set(d, &a, "type", text_of(d, "float"));
	json_set(d, &a, "symmetric", json_make_bool(true));
	json_set(d, &a, "strategy", text_of(d, "token"));
	json_set(d, &a, "dynamic", json_make_bool(true));
	return a;
}

/* Modules whose matrix stays as it is. */
static struct json ignored(struct json_doc *d, const struct plan *p)
{
	struct json list = json_make_list();
	size_t m = strlen(".weight");

	for (int i = 0; i < p->n; i++) {
		const struct out_tensor *t = &p->t[i];
		size_t n = strlen(t->name);
		if (t->part == OUT_NUMBERS && t->n_dims == 2 && n > m && !strcmp(t->name + n - m, ".weight"))
			json_add(d, &list, json_make_text(d, t->name, n - m));
	}
	return list;
}

static struct json quantization(struct json_doc *d, const struct plan *p)
{
	struct json q = json_make_object(d), groups = json_make_object(d), group = json_make_object(d),
		    targets = json_make_list();
	const char *format = p->to == CONVERT_FP8 ? "float-quantized" : "pack-quantized";

	json_add(d, &targets, text_of(d, "Linear"));
	json_set(d, &group, "targets", targets);
	json_set(d, &group, "weights", weights_of(d, p->to));
	json_set(d, &group, "input_activations", p->to == CONVERT_FP8 ? activations(d) : json_make_null());
	json_set(d, &group, "output_activations", json_make_null());
	json_set(d, &groups, "group_0", group);
	json_set(d, &q, "quant_method", text_of(d, "compressed-tensors"));
	json_set(d, &q, "format", text_of(d, format));
	json_set(d, &q, "quantization_status", text_of(d, "compressed"));
	json_set(d, &q, "config_groups", groups);
	json_set(d, &q, "ignore", ignored(d, p));
	return q;
}

/* The type of what is not quantised; NULL: as it was. */
static const char *torch_type(const struct plan *p)
{
	static const char *const names[CONVERT_COUNT] = {
		[CONVERT_BF16] = "bfloat16", [CONVERT_F16] = "float16", [CONVERT_F32] = "float32"};

	return names[p->to] ? names[p->to] : p->has_f32 ? "float32" : NULL;
}

/* The object with some members changed, and without those that speak of the old numbers. */
static char *edited(const struct plan *p, const struct json *root)
{
	static const char *const old[] = {"quantization_config", "compression_config", "quantization_bit", NULL};
	struct json_doc *d = json_new();
	struct json o = json_make_object(d);
	const char *type = torch_type(p);
	char *out;

	for (size_t i = 0; i < json_size(root); i++) {
		const struct json_member *m = json_member(root, i);
		if (strcmp(m->key, old[0]) && strcmp(m->key, old[1]) && strcmp(m->key, old[2]))
			json_set(d, &o, m->key, m->value);
	}
	if (type && json_get(&o, "dtype"))
		json_set(d, &o, "dtype", text_of(d, type));
	if (type && (json_get(&o, "torch_dtype") || !json_get(&o, "dtype")))
		json_set(d, &o, "torch_dtype", text_of(d, type));
	if (p->to >= CONVERT_INT8)
		json_set(d, &o, "quantization_config", quantization(d, p));
	out = json_write(&o, NULL, NULL);
	json_close(d);
	return out;
}

/* Puts members and items on lines of their own, as transformers writes them. */
static void indent(struct text *out, const char *s)
{
	bool quoted = false;
	int deep = 0;

	for (; *s; s++) {
		bool opens = !quoted && (*s == '{' || *s == '['), closes = !quoted && (*s == '}' || *s == ']'),
		     empty = (opens && (s[1] == '}' || s[1] == ']')) || (closes && (s[-1] == '{' || s[-1] == '['));
		deep -= closes;
		if (closes && !empty)
			text_fmt(out, "\n%*s", 2 * deep, "");
		text_put(out, s, 1);
		deep += opens;
		if ((opens && !empty) || (!quoted && *s == ','))
			text_fmt(out, "\n%*s", 2 * deep, "");
		if (!quoted && *s == ':')
			text_str(out, " ");
		if (quoted && *s == '\\')
			text_put(out, ++s, 1);
		else if (*s == '"')
			quoted = !quoted;
	}
	text_str(out, "\n");
}

static int copy_config(const struct copier *k)
{
	char *path = xprintf("%s/config.json", k->in), *bytes;
	struct json_doc *doc = NULL;
	struct text lines = {0};
	int err = json_read_file(&doc, path, FILE_CONFIG, k->why);

	free(path);
	if (err)
		return err;
	bytes = edited(k->p, json_root(doc));
	indent(&lines, bytes);
	err = folder_file(k->to, "config.json", lines.data, lines.len);
	text_finish(&lines);
	free(bytes);
	json_close(doc);
	return err;
}

/* ---- the others ---- */

static int copy(const struct copier *k, const char *name)
{
	char *path = xprintf("%s/%s", k->in, name), *bytes;
	size_t n;
	int err = file_read(path, FILE_TOKENIZER, &bytes, &n, k->why);

	free(path);
	if (err)
		return err;
	err = folder_file(k->to, name, bytes, n);
	free(bytes);
	return err;
}

/* Weights of any format, and what speaks of them. */
static bool stays_behind(const char *name)
{
	static const char *const patterns[] = {".*",
					       "*.safetensors",
					       "*.bin",
					       "*.pt",
					       "*.pth",
					       "*.gguf",
					       "*.onnx*",
					       "*.h5",
					       "*.msgpack",
					       "*.index.json",
					       "*.ckpt*",
					       "*.tflite",
					       "quantize_config.json",
					       "quant_config.json",
					       "config.json"};

	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		if (!fnmatch(patterns[i], name, 0))
			return true;
	return false;
}

static int copy_folder(const struct copier *k)
{
	DIR *d = opendir(k->in);
	int err = 0;

	for (struct dirent *e; d && !err && (e = readdir(d));) {
		char *path = xprintf("%s/%s", k->in, e->d_name);
		struct stat st;
		if (!stays_behind(e->d_name) && !stat(path, &st) && S_ISREG(st.st_mode) && st.st_size <= FILE_TOKENIZER)
			err = copy(k, e->d_name);
		free(path);
	}
	if (d)
		closedir(d);
	return err;
}

static int copy_made(const struct copier *k)
{
	static const char *const names[] = {"generation_config.json", "tokenizer_config.json", "tokenizer.json",
					    "tokenizer.model"};
	int err = 0;

	for (size_t i = 0; i < sizeof names / sizeof *names && !err; i++) {
		err = copy(k, names[i]);
		err = err == ERR_UNKNOWN ? 0 : err;
	}
	return err;
}

int documents_copy(const struct plan *p, const struct checkpoint *c, const char *in, const struct folder *to,
		   struct why *why)
{
	const struct copier k = {.p = p, .c = c, .in = in, .to = to, .why = why};
	int err = copy_config(&k);

	if (err)
		return err;
	return checkpoint_is_gguf(c) ? copy_made(&k) : copy_folder(&k);
}

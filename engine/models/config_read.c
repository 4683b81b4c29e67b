/* config_read.c - finds a model's family by config.json, which the family then reads. */
#include "base/file/file.h"
#include "engine/models/family.h"
#include "engine/models/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct family *find_type(const char *type)
{
	const struct family *const *f = families;

	while (*f && (!type || strcmp((*f)->model_type, type)))
		f++;
	return *f;
}

static void refuse_architecture(struct config_reader *r, const char *name)
{
	char found[96], supported[512] = "supported: ";

	for (const struct family *const *f = families; *f; f++) {
		size_t n = strlen(supported);
		snprintf(supported + n, sizeof supported - n, "%s%s", f == families ? "" : ", ", (*f)->architecture);
	}
	snprintf(found, sizeof found, "%.80s", name);
	field_refuse(r, ERR_UNSUPPORTED, "architectures", found, supported);
}

/* Finds the family by the model's class or, without one, by its type, as the reference's AutoModel does. NULL: refused.
 */
static const struct family *read_architecture(struct config_reader *r, struct model_config *c)
{
	static const char rule[] = "it must be a list with the model's class";
	const struct json *list = field(r, r->root, "architectures");
	const char *type = json_str(field(r, r->root, "model_type")), *name = json_str(json_at(list, 0));
	const struct family *f = name ? family_find(name) : find_type(type);

	if (list && (!json_is(list, JSON_IS_LIST) || (json_size(list) && !name)))
		field_refuse(r, ERR_FORMAT, "architectures", json_kind_name(list), rule);
	else if (!name && !f)
		field_refuse(r, ERR_FORMAT, "architectures", json_kind_name(list), rule);
	else if (!f)
		refuse_architecture(r, name);
	else if (!name)
		field_note(r, "\"architectures\" is missing: %s is used for \"model_type\" %s", f->architecture, type);
	else if (type && (!find_type(type) || find_type(type)->read_config != f->read_config))
		field_note(r, "\"model_type\" is %.60s and \"architectures\" %s: the latter is used", type, name);
	if (r->err)
		return NULL;
	snprintf(c->architecture, sizeof c->architecture, "%s", f->architecture);
	return f;
}

/* The members of the file, those of `over` in place of their likes. Its texts belong to both documents. */
static struct json_doc *merge(const struct json *file, const struct json *over)
{
	struct json_doc *doc = json_new();
	struct json all = json_make_object(doc);
	const struct json_member *m;

	for (size_t i = 0; (m = json_member(file, i)); i++)
		json_set(doc, &all, m->key, m->value);
	for (size_t i = 0; (m = json_member(over, i)); i++)
		json_set(doc, &all, m->key, m->value);
	json_set_root(doc, all);
	return doc;
}

/* What the quantisation's reader asks for, which is none of the family's. */
static bool is_of_quant(const char *key)
{
	return !strcmp(key, "quantization_config") || !strcmp(key, "compression_config") ||
	       !strcmp(key, "quantization_bit");
}

/* Lists the keys of the object that replaces members, and those of objects in it. */
static void list_over(struct config_reader *r, const struct json *over)
{
	const struct json_member *m, *inner;
	size_t n = 0;

	for (size_t i = 0; (m = json_member(over, i)); i++)
		n += 1 + (json_is(&m->value, JSON_IS_OBJECT) ? json_size(&m->value) : 0);
	r->over = xalloc(n, sizeof *r->over);
	for (size_t i = 0; (m = json_member(over, i)); i++) {
		if (is_of_quant(m->key))
			continue;
		r->over[r->n_over++].key = m->key;
		for (size_t j = 0; (inner = json_member(&m->value, j)); j++)
			r->over[r->n_over++].key = inner->key;
	}
}

/* A key that nothing reads would change nothing: it is misspelt, or one of another class. */
static void check_over(struct config_reader *r)
{
	for (size_t i = 0; i < r->n_over && !r->err; i++)
		if (!r->over[i].read)
			r->err = fail(
				r->why, ERR_FORMAT,
				"--hf-overrides: \"%.100s\" is no key that is read for %s, so it would change nothing",
				r->over[i].key, r->c->architecture);
}

/* Where the file does not say what ends an answer: the class's own ids, as far as they are tokens of this model. */
static void assume_eos(const struct config_reader *r, const struct family *f, struct model_config *c)
{
	if (json_get(r->root, "eos_token_id"))
		return;
	for (const int *id = f->eos; id && *id >= 0; id++)
		if (*id < c->vocab)
			c->eos[c->n_eos++] = *id;
	c->eos_assumed = c->n_eos > 0;
}

int model_config_read_over(struct model_config *c, const char *dir, const char *over, struct why *why)
{
	char *path = xprintf("%s/config.json", dir);
	const struct family *f;
	struct json_doc *doc, *more = NULL, *merged = NULL;
	struct config_reader r = {.path = path, .c = c, .why = why};
	int err = json_read_file(&doc, path, FILE_CONFIG, why), bad = 0;

	memset(c, 0, sizeof *c);
	if (!err && over)
		bad = json_read_object(&more, over, strlen(over), &json_of_files, "--hf-overrides", why);
	if (!err && !bad) {
		merged = over ? merge(json_root(doc), json_root(more)) : NULL;
		r.root = json_root(over ? merged : doc);
		list_over(&r, json_root(more));
		f = read_architecture(&r, c);
		if (f) {
			f->read_config(&r, c);
			assume_eos(&r, f, c);
		}
		check_over(&r);
		free(r.over);
	}
	json_close(merged);
	json_close(more);
	json_close(doc);
	free(path);
	return err == ERR_UNKNOWN ? ERR_IO : err ? err : bad ? bad : r.err;
}

int model_config_read(struct model_config *c, const char *dir, struct why *why)
{
	return model_config_read_over(c, dir, NULL, why);
}

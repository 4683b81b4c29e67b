/* index.c - parses an index file, {"metadata": ..., "weight_map": {tensor: file}}. metadata.total_size is often stale
 * and therefore ignored. */
#include "engine/checkpoint/inside.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SHARDS = 900 }; /* all stay open, and 1024 descriptors is a common limit */

/* Accepts only names in the same directory. */
static int check_file_name(const char *tensor, const char *name, struct why *why)
{
	size_t n = strlen(name);

	if (!n || n > 255 || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/') || strchr(name, '\\'))
		return fail(why, ERR_FORMAT, "weight_map: tensor %.200s: \"%.100s\" is no plain file name", tensor,
			    name);
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)name[i] < 0x20 || name[i] == 0x7f)
			return fail(why, ERR_FORMAT, "weight_map: tensor %.200s: a file name with a control character",
				    tensor);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lists the file names, sorted, without duplicates. */
static int collect_files(struct shard_index *x, struct why *why)
{
	size_t n = 0, kept = 0, max = json_size(x->map);
	const char **name = xalloc(max, sizeof *name);
	const struct json_member *m;

	for (; (m = json_member(x->map, n)); n++)
		name[n] = json_str(&m->value);
	qsort(name, n, sizeof *name, by_name);
	for (size_t i = 0; i < n; i++)
		if (!kept || strcmp(name[kept - 1], name[i]))
			name[kept++] = name[i];
	if (kept <= MAX_SHARDS) {
		x->file = xalloc(kept, sizeof *x->file);
		for (; x->n_files < (int)kept; x->n_files++)
			x->file[x->n_files] = xstrdup(name[x->n_files]);
	}
	free(name);
	return kept <= MAX_SHARDS
		       ? 0
		       : fail(why, ERR_UNSUPPORTED, "weight_map: %zu files; the most is %d", kept, MAX_SHARDS);
}

static int take_map(struct shard_index *x, struct why *why)
{
	const struct json *map = json_get(json_root(x->doc), "weight_map");
	const struct json_member *m;
	int err;

	if (!json_is(map, JSON_IS_OBJECT))
		return fail(why, ERR_FORMAT, "no object \"weight_map\"");
	if (!json_size(map))
		return fail(why, ERR_FORMAT, "\"weight_map\" is empty");
	for (size_t i = 0; (m = json_member(map, i)); i++) {
		if (!json_is(&m->value, JSON_IS_TEXT) || strlen(json_str(&m->value)) != json_len(&m->value))
			return fail(why, ERR_FORMAT, "weight_map: tensor %.200s: its file is not a string", m->key);
		if ((err = check_file_name(m->key, json_str(&m->value), why)))
			return err;
	}
	x->map = map;
	return collect_files(x, why);
}

int shard_index_parse(struct shard_index *x, const char *text, size_t size, struct why *why)
{
	struct json_error e;
	int err;

	*x = (struct shard_index){.doc = json_read(text, size, &json_of_files, &e)};
	err = x->doc ? take_map(x, why) : json_why(why, &e, "not valid JSON");
	if (err)
		shard_index_finish(x);
	return err;
}

void shard_index_finish(struct shard_index *x)
{
	for (int i = 0; i < x->n_files; i++)
		free(x->file[i]);
	free(x->file);
	json_close(x->doc);
	*x = (struct shard_index){0};
}

const char *shard_index_where(const struct shard_index *x, const char *tensor)
{
	return json_str(json_get(x->map, tensor));
}

/* What an index may name although no file has it, since the reference asks only for what it needs: the head of a tied
 * model, and buffers that older versions stored. */
static bool is_spare(const char *tensor)
{
	static const char *const names[] = {"lm_head.weight", "embed_out.weight", "output.weight"};
	static const char end[] = ".rotary_emb.inv_freq";
	size_t n = strlen(tensor);

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(tensor, names[i]))
			return true;
	return n >= strlen(end) && !strcmp(tensor + n - strlen(end), end);
}

int shard_index_check(const struct shard_index *x, const struct table *table, struct why *why)
{
	const struct json_member *m;

	for (size_t i = 0; (m = json_member(x->map, i)); i++)
		if (!table_find(table, m->key) && !is_spare(m->key))
			return fail(why, ERR_FORMAT, "%s: no tensor %.300s, although the index names it",
				    json_str(&m->value), m->key);
	return 0;
}

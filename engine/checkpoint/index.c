/* {"metadata": ..., "weight_map": {tensor: file}}. metadata.total_size is often stale, so it is not looked at. */
#include "engine/checkpoint/parts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SHARDS = 900 }; /* all are held open; 1024 descriptors is a common limit */

/* A name in the same directory: nothing that leads out of it. */
static int check_file_name(const char *tensor, const char *name, struct why *why)
{
	size_t n = strlen(name);

	if (!n || n > 255 || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/') || strchr(name, '\\'))
		return fail(why, ERR_FORMAT, "weight_map: tensor %.200s: \"%.100s\" is no plain file name", tensor, name);
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)name[i] < 0x20 || name[i] == 0x7f)
			return fail(why, ERR_FORMAT, "weight_map: tensor %.200s: a file name with a control character", tensor);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The file names, sorted, each once. */
static int collect_files(struct shard_index *x, struct why *why)
{
	size_t n = 0, kept = 0, max = json_object_size(x->map);
	const char **name = xalloc(max, sizeof *name), *key;
	json_t *value;

	json_object_foreach(x->map, key, value)
		name[n++] = json_string_value(value);
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
	return kept <= MAX_SHARDS ? 0 : fail(why, ERR_UNSUPPORTED, "weight_map: %zu files; the most is %d", kept, MAX_SHARDS);
}

static int take_map(struct shard_index *x, json_t *root, struct why *why)
{
	json_t *map = json_object_get(root, "weight_map"), *value;
	const char *key;
	int err;

	if (!json_is_object(map))
		return fail(why, ERR_FORMAT, "no object \"weight_map\"");
	if (!json_object_size(map))
		return fail(why, ERR_FORMAT, "\"weight_map\" is empty");
	json_object_foreach(map, key, value) {
		if (!json_is_string(value))
			return fail(why, ERR_FORMAT, "weight_map: tensor %.200s: its file is no string", key);
		if ((err = check_file_name(key, json_string_value(value), why)))
			return err;
	}
	x->map = json_incref(map);
	return collect_files(x, why);
}

int shard_index_parse(struct shard_index *x, const char *text, size_t size, struct why *why)
{
	json_t *root = json_parse(text, size, why);
	int err;

	*x = (struct shard_index){0};
	if (!root)
		return ERR_FORMAT;
	err = take_map(x, root, why);
	json_decref(root);
	if (err)
		shard_index_finish(x);
	return err;
}

void shard_index_finish(struct shard_index *x)
{
	for (int i = 0; i < x->n_files; i++)
		free(x->file[i]);
	free(x->file);
	json_decref(x->map);
	*x = (struct shard_index){0};
}

const char *shard_index_where(const struct shard_index *x, const char *tensor)
{
	return json_string_value(json_object_get(x->map, tensor));
}

int shard_index_check(const struct shard_index *x, const struct table *table, struct why *why)
{
	const char *key;
	json_t *value;

	json_object_foreach(x->map, key, value)
		if (!table_find(table, key))
			return fail(why, ERR_FORMAT, "%s: no tensor %.300s, although the index says that it is there", json_string_value(value),
				    key);
	return 0;
}

json_t *json_parse(const char *text, size_t size, struct why *why)
{
	json_error_t e;
	json_t *j = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);

	if (!j)
		fail(why, ERR_FORMAT, "not valid JSON: %s (line %d, column %d)", e.text, e.line, e.column);
	return j;
}

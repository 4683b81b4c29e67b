/* from_json.c - makes values of a template from JSON. Strings stay in the JSON value, which outlives the rendering. */
#include <stdlib.h>
#include "engine/template/inside.h"

#define EACH(it, object) \
	for (void *it = json_object_iter((json_t *)(uintptr_t)(object)); it; \
	     it = json_object_iter_next((json_t *)(uintptr_t)(object), it))

static struct value key_of(struct job *job, void *it, uint8_t origin)
{
	return STR(str_make(job, json_object_iter_key(it), json_object_iter_key_len(it), origin));
}

static struct value dict_from_json(struct job *job, const json_t *j, uint8_t origin, int depth)
{
	struct dict *d = dict_make(job, (uint32_t)json_object_size(j));

	EACH(it, j)
	dict_set(job, d, key_of(job, it, origin), value_from_json(job, json_object_iter_value(it), origin, depth + 1));
	return DICT(d);
}

/* Reads the digits of a large integer, or what Python writes for NaN and infinities. */
static struct value number_from_text(struct job *job, const char *s, size_t len)
{
	size_t sign = *s == '-';

	if (strspn(s + sign, "0123456789") == len - sign)
		return (struct value){.kind = K_BIG, .s = str_make(job, s, len, ORIGIN_TEMPLATE)};
	return FLOAT(strtod(s, NULL));
}

struct value value_from_json(struct job *job, const json_t *j, uint8_t origin, int depth)
{
	struct list *l;

	if (depth > DATA_DEPTH)
		raise_error(job, ERR_LIMIT, "a value nested deeper than %d", DATA_DEPTH);
	switch (json_typeof(j)) {
	case JSON_NULL:
		return NONE;
	case JSON_TRUE:
	case JSON_FALSE:
		return BOOL(json_is_true(j));
	case JSON_INTEGER:
		return INT(json_integer_value(j));
	case JSON_REAL:
		return FLOAT(json_real_value(j));
	case JSON_STRING:
		if (*json_string_value(j) == TEMPLATE_NUMBER)
			return number_from_text(job, json_string_value(j) + 1, json_string_length(j) - 1);
		return STR(str_make(job, json_string_value(j), json_string_length(j), origin));
	case JSON_ARRAY:
		l = list_make(job, (uint32_t)json_array_size(j), FORM_LIST);
		for (size_t i = 0; i < json_array_size(j); i++)
			list_add(job, l, value_from_json(job, json_array_get(j, i), origin, depth + 1));
		return LIST(l);
	default:
		return dict_from_json(job, j, origin, depth);
	}
}

/* Makes a part of a content: its text has the message's origin, its keys have their own. */
static struct value part_from_json(struct job *job, const json_t *part, uint8_t origin)
{
	struct dict *d;

	if (!json_is_object(part))
		return value_from_json(job, part, origin, 4);
	d = dict_make(job, (uint32_t)json_object_size(part));
	EACH(it, part)
	{
		bool text = !strcmp(json_object_iter_key(it), "text");

		dict_set(job, d, key_of(job, it, ORIGIN_KEY),
			 value_from_json(job, json_object_iter_value(it), text ? origin : ORIGIN_SAID, 5));
	}
	return DICT(d);
}

static struct value content_from_json(struct job *job, const json_t *content, uint8_t origin)
{
	struct list *l;

	if (!json_is_array(content))
		return value_from_json(job, content, origin, 3);
	l = list_make(job, (uint32_t)json_array_size(content), FORM_LIST);
	for (size_t i = 0; i < json_array_size(content); i++)
		list_add(job, l, part_from_json(job, json_array_get(content, i), origin));
	return LIST(l);
}

uint8_t template_content_origin(size_t i, size_t n)
{
	size_t most = UINT8_MAX - ORIGIN_CONTENT, first = n > most ? n - most : 0;

	return i < first ? ORIGIN_SAID : (uint8_t)(ORIGIN_CONTENT + (i - first));
}

static struct value message_from_json(struct job *job, const json_t *m, uint8_t origin)
{
	struct dict *d;

	if (!json_is_object(m))
		return value_from_json(job, m, ORIGIN_SAID, 2);
	d = dict_make(job, (uint32_t)json_object_size(m));
	EACH(it, m)
	{
		const json_t *v = json_object_iter_value(it);
		bool content = !strcmp(json_object_iter_key(it), "content");

		dict_set(job, d, key_of(job, it, ORIGIN_SAID),
			 content ? content_from_json(job, v, origin) : value_from_json(job, v, ORIGIN_SAID, 3));
	}
	return DICT(d);
}

static struct value messages_from_json(struct job *job, const json_t *list)
{
	size_t n = json_array_size(list);
	struct list *l;

	if (!json_is_array(list))
		return value_from_json(job, list, ORIGIN_SAID, 1);
	l = list_make(job, (uint32_t)n, FORM_LIST);
	for (size_t i = 0; i < n; i++)
		list_add(job, l, message_from_json(job, json_array_get(list, i), template_content_origin(i, n)));
	return LIST(l);
}

struct dict *said_from_json(struct job *job, const json_t *said)
{
	struct dict *d = dict_make(job, (uint32_t)json_object_size(said));

	EACH(it, said)
	{
		const json_t *v = json_object_iter_value(it);
		bool messages = !strcmp(json_object_iter_key(it), "messages");

		dict_set(job, d, key_of(job, it, ORIGIN_SAID),
			 messages ? messages_from_json(job, v) : value_from_json(job, v, ORIGIN_SAID, 1));
	}
	return d;
}

/* fill_in.c - Python's str.format() and str.format_map(), whose fields may name attributes and items of a value. */
#include "engine/template/methods.h"

#define METHOD(id) static struct value m_##id(struct rendering *r, struct value self, struct args *args)

struct fields {
	struct rendering *r;
	struct args *args;
	struct dict *names; /* format_map() looks fields up here */
	int next;           /* number of the next unnumbered field; -1: fields are numbered */
};

static struct value named_field(struct fields *f, struct str *name)
{
	struct value *v = f->names ? dict_find(&f->r->job, f->names, STR(name)) : NULL;

	for (int i = 0; f->args && i < f->args->nkw; i++)
		if (str_equal(f->args->kwname[i], name))
			return f->args->kw[i];
	if (!v)
		bad(&f->r->job, "no value for the field '%.*s'", min_int((int)name->len, 80), name->s);
	return *v;
}

static struct value first_field(struct fields *f, struct str *name)
{
	size_t digits = 0;
	int64_t i = 0;

	while (digits < name->len && digits < 9 && char_is_digit((uint8_t)name->s[digits]))
		i = i * 10 + (name->s[digits++] - '0');
	if (digits < name->len || f->names)
		return named_field(f, name);
	if (name->len ? f->next > 0 : f->next < 0)
		bad(&f->r->job, "cannot switch between manual field specification and automatic field numbering");
	i = name->len ? i : f->next;
	f->next = name->len ? -1 : f->next + 1;
	if (i >= f->args->n)
		bad(&f->r->job, "Replacement index %lld out of range for positional args tuple", (long long)i);
	return f->args->at[i];
}

/* Evaluates "name.attribute[key]". */
static struct value field_value(struct fields *f, struct str *name)
{
	struct job *job = &f->r->job;
	size_t at = 0, end;
	struct value v;

	while (at < name->len && name->s[at] != '.' && name->s[at] != '[')
		at++;
	v = first_field(f, str_part(job, name, 0, at));
	for (; at < name->len; at = end) {
		bool item = name->s[at] == '[';

		for (end = ++at;
		     end < name->len && (item ? name->s[end] != ']' : name->s[end] != '.' && name->s[end] != '[');)
			end++;
		if (end == at || (item && end == name->len))
			bad(job, "Empty attribute in format string");
		struct str *key = str_part(job, name, at, end);
		if (!item) {
			v = get_attr(f->r, v, key);
			continue;
		}
		bool number = strspn(key->s, "0123456789") >= key->len && key->len < 10;
		int64_t i = 0;
		for (size_t k = 0; number && k < key->len; k++)
			i = i * 10 + (key->s[k] - '0');
		v = get_item(f->r, v, number ? INT(i) : STR(key));
		end++;
	}
	return v;
}

static struct str *fill_in(struct fields *f, struct str *s, int depth);

/* Formats the text between braces: name[!conversion][:specification]. */
static void add_field(struct fields *f, struct tpl_text *t, struct str *s, size_t first, size_t end, int depth)
{
	struct job *job = &f->r->job;
	struct str *how = str_make(job, "", 0, ORIGIN_TEMPLATE);
	size_t name = first;
	struct value v;
	char to = 0;

	for (bool key = false; name < end && (key || (s->s[name] != ':' && s->s[name] != '!')); name++)
		key = s->s[name] == '[' || (key && s->s[name] != ']');
	v = field_value(f, str_part(job, s, first, name));
	if (name < end && s->s[name] == '!') {
		to = name + 1 < end ? s->s[name + 1] : 0;
		name += 2;
		if (!to || !strchr("rsa", to) || (name < end && s->s[name] != ':'))
			bad(job, "expected ':' after conversion specifier");
	}
	if (name < end)
		how = fill_in(f, str_part(job, s, name + 1, end), depth + 1);
	if (to == 's') {
		v = STR(value_to_str(job, v));
	} else if (to) {
		struct tpl_text quoted = {.job = job};

		add_repr(&quoted, v, 0);
		v = STR(tpl_text_str(&quoted));
	}
	text_add_formatted(f->r, t, v, how);
}

static struct str *fill_in(struct fields *f, struct str *s, int depth)
{
	struct tpl_text t = {.job = &f->r->job};

	if (depth > 2)
		bad(&f->r->job, "Max string recursion exceeded");
	for (size_t i = 0, end; i < s->len; i = end) {
		char c = s->s[i];
		int open = 1;

		end = i + 1;
		if ((c == '{' || c == '}') && end < s->len && s->s[end] == c && !depth) {
			tpl_text_add_part(&t, s, i, end++);
			continue;
		}
		if (c == '}')
			bad(&f->r->job, "Single '}' encountered in format string");
		if (c != '{') {
			tpl_text_add_part(&t, s, i, end);
			continue;
		}
		for (; end < s->len && open; end++)
			open += (s->s[end] == '{') - (s->s[end] == '}');
		if (open)
			bad(&f->r->job, "expected '}' before end of string");
		spend(&f->r->job, 1);
		add_field(f, &t, s, i + 1, end - 1, depth);
	}
	return tpl_text_str(&t);
}

METHOD(format)
{
	struct fields f = {.r = r, .args = args};

	return STR(fill_in(&f, self.s, 0));
}
METHOD(format_map)
{
	struct value names = arg_need(r, args, 0, NULL, "format_map");
	struct fields f = {.r = r};

	if (names.kind != K_DICT)
		bad(&r->job, "format_map() needs a mapping, not %s", value_kind_name(names));
	f.names = names.d;
	return STR(fill_in(&f, self.s, 0));
}

const struct method *format_method_find(const struct str *name)
{
	static const struct method list[] = {
		{"format", K_STR, m_format, -1, "", false},
		{"format_map", K_STR, m_format_map, 1, "", false},
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_is(name, list[i].name))
			return &list[i];
	return NULL;
}

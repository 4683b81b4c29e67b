/* inside.h - private to engine/template: values, the syntax tree, and the state of a rendering. */
#ifndef ENGINE_TEMPLATE_INSIDE_H
#define ENGINE_TEMPLATE_INSIDE_H

#include <string.h>
#include "engine/template/job.h"
#include "engine/template/template.h"

enum { DATA_DEPTH = 200, EVAL_DEPTH = 4000 }; /* deepest nesting of lists and dicts; of evaluation */

enum kind {
	K_UNDEF,
	K_NONE,
	K_BOOL,
	K_INT,
	K_FLOAT,
	K_BIG, /* an integer beyond 64 bits, which can only be printed */
	K_STR,
	K_LIST,
	K_DICT,
	K_SPACE, /* namespace(), whose variables are a dict */
	K_MACRO,
	K_FUNC,   /* a function of the environment */
	K_METHOD, /* a method bound to a value */
	K_LOOP,
};

struct str;
struct list;
struct dict;
struct macro;
struct bound;
struct loop;
struct func;
struct value {
	enum kind kind;
	union {
		const char *what; /* K_UNDEF: the message that says what is undefined */
		bool b;
		int64_t i;
		double f;
		struct str *s; /* K_STR; the digits of K_BIG */
		struct list *l;
		struct dict *d; /* K_DICT, K_SPACE */
		struct macro *macro;
		struct bound *bound;
		struct loop *loop;
		const struct func *func;
	};
};

/* Bytes with their origins (ORIGIN_TEMPLATE, ORIGIN_SAID, ...). Immutable; `grow` lets the last holder append in
 * place. */
struct str {
	const char *s;
	const uint8_t *mark; /* the origin of each byte; NULL: all have `origin` */
	uint32_t len;
	uint32_t hash;  /* 0: not known yet */
	uint32_t chars; /* code points, valid where `counted` */
	uint8_t origin;
	bool markup, counted;
	struct grow *grow;
};
struct grow {
	char *s;
	uint8_t *mark;
	size_t len, max;
};

enum form { FORM_LIST, FORM_TUPLE, FORM_GENERATOR, FORM_ITEMS, FORM_KEYS, FORM_VALUES, FORM_RANGE };
struct list {
	struct value *at;
	uint32_t n, max;
	enum form form;
	bool group; /* a pair of groupby, whose items are also .grouper and .list */
};
struct entry {
	struct value key, val;
	uint32_t hash;
};
struct dict {
	struct entry *at;
	uint32_t n, max;
	uint32_t *index; /* open addressing, slot holds entry + 1; NULL while small */
	uint32_t slots;  /* a power of two */
};

/* --- value.c, str.c, from_json.c --- */
#define UNDEF(text) ((struct value){.kind = K_UNDEF, .what = (text)})
#define NONE ((struct value){.kind = K_NONE})
#define BOOL(x) ((struct value){.kind = K_BOOL, .b = (x)})
#define INT(x) ((struct value){.kind = K_INT, .i = (x)})
#define FLOAT(x) ((struct value){.kind = K_FLOAT, .f = (x)})
#define STR(x) ((struct value){.kind = K_STR, .s = (x)})
#define LIST(x) ((struct value){.kind = K_LIST, .l = (x)})
#define DICT(x) ((struct value){.kind = K_DICT, .d = (x)})

struct str *str_make(struct job *job, const char *s, size_t len, uint8_t origin); /* keeps the pointer; no copy */
struct str *str_copy(struct job *job, const char *s, size_t len, uint8_t origin);
struct str *str_part(struct job *job, const struct str *from, size_t first, size_t end);
struct str *str_join(struct job *job, struct str *a, struct str *b);
bool str_is(const struct str *s, const char *text);
bool str_equal(const struct str *a, const struct str *b);
int str_compare(const struct str *a, const struct str *b);
uint32_t str_chars(struct str *s);
size_t str_byte(struct str *s, uint32_t chr); /* byte offset of a code point */
struct str *str_at(struct job *job, struct str *s, uint32_t chr);
struct str *str_printf(struct job *job, uint8_t origin, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct str *str_escape(struct job *job, struct str *s); /* escapes HTML, except in markup */
static inline uint8_t str_mark(const struct str *s, size_t i)
{
	return s->mark ? s->mark[i] : s->origin;
}
/* A string that is being built. */
struct tpl_text {
	struct job *job;
	struct grow g;
	size_t limit; /* most bytes; 0: only memory limits it */
};
void tpl_text_put(struct tpl_text *t, const char *s, size_t len, uint8_t origin);
void tpl_text_add_part(struct tpl_text *t, const struct str *s, size_t first, size_t end);
void tpl_text_add_str(struct tpl_text *t, const struct str *s);
void tpl_text_word(struct tpl_text *t, const char *s, uint8_t origin);
struct str *tpl_text_str(struct tpl_text *t);

struct list *list_make(struct job *job, uint32_t max, enum form form);
void list_add(struct job *job, struct list *l, struct value v);
struct dict *dict_make(struct job *job, uint32_t max);
void dict_set(struct job *job, struct dict *d, struct value key, struct value val);
struct value *dict_find(struct job *job, const struct dict *d, struct value key); /* NULL: absent */

struct value value_from_json(struct job *job, const json_t *j, uint8_t origin, int depth);
struct dict *said_from_json(struct job *job, const json_t *said); /* gives contents of messages origins of their own */
bool value_truth(struct job *job, struct value v);
void value_undefined(struct job *job, struct value v)
	__attribute__((noreturn)); /* raises the error of using an undefined value */
bool value_equal(struct job *job, struct value a, struct value b, int depth);
int value_compare(struct job *job, struct value a, struct value b,
		  int depth);         /* -1, 0, 1; 2: one is NaN. Raises an error if there is no order */
bool value_is_number(struct value v); /* int, float, bool */
double value_number(struct value v);
int64_t value_integer(struct job *job, struct value v); /* int or bool */
const char *value_kind_name(struct value v);            /* the name of Python's type */
bool value_has_user(struct value v);                    /* whether its text counts as the user's */
int64_t value_length(struct job *job, struct value v);
uint32_t str_hash(struct str *s);
/* A stable sort; an error raised by `order` leaks nothing. */
void merge_sort(struct job *job, void **item, uint32_t n,
		int (*order)(struct job *job, const void *a, const void *b, const void *how), const void *how);
/* Returns the items of a list, the keys of a dict, or the characters of a string. Empties a generator. */
struct list *value_items(struct job *job, struct value v);

/* --- print.c: Python's str(), repr() and json.dumps() --- */
struct str *value_to_str(struct job *job, struct value v);
void add_repr(struct tpl_text *t, struct value v, int depth);
struct json_form {
	bool ascii, sorted;
	struct str *indent; /* NULL: on one line */
	struct str *item, *colon;
};
void add_json(struct tpl_text *t, const struct json_form *form, struct value v, int depth);
void float_text(char out[40], double f);

/* --- unicode.c --- */
int utf8_next(const char *s, size_t len,
	      uint32_t *c); /* returns the bytes read, at least 1; the string must be valid */
bool char_is_printable(uint32_t c);
bool char_is_alpha(uint32_t c);
bool char_is_upper(uint32_t c);
bool char_is_lower(uint32_t c);
bool char_is_digit(uint32_t c); /* ASCII only */
bool char_is_decimal(uint32_t c);
bool char_is_any_digit(uint32_t c);
int to_lower(uint32_t c, uint32_t out[3]); /* returns the number of characters written */
int to_upper(uint32_t c, uint32_t out[3]);

/* --- lexer.c --- */
enum token {
	T_END,
	T_TEXT,  /* outside of tags */
	T_PRINT, /* {{ */
	T_PRINT_END,
	T_BLOCK, /* {% */
	T_BLOCK_END,
	T_NAME,
	T_STRING,
	T_INT,
	T_FLOAT,
	T_OP, /* the text is the operator */
};
struct lexeme {
	enum token token;
	int line;
	const char *s;
	uint32_t len;
	int64_t i;
	double f;
};
struct lexemes {
	struct lexeme *at;
	int n, max;
};
void lex_template(struct job *job, const char *source, size_t len, struct lexemes *out);

/* --- cursor.c, parse_expression.c, parser.c --- */
enum op {
	N_CONST,
	N_NAME,
	N_LIST,
	N_TUPLE,
	N_DICT,
	N_ATTR,
	N_ITEM,
	N_SLICE,
	N_CALL,
	N_FILTER,
	N_TEST,
	N_COND,
	N_AND,
	N_OR,
	N_NOT,
	N_NEG,
	N_POS,
	N_ADD,
	N_SUB,
	N_MUL,
	N_DIV,
	N_FLOORDIV,
	N_MOD,
	N_POW,
	N_CONCAT,
	N_COMPARE,
	N_EQ,
	N_NE,
	N_LT,
	N_LE,
	N_GT,
	N_GE,
	N_IN,
	N_NOT_IN,
	S_TEXT,
	S_PRINT,
	S_IF,
	S_FOR,
	S_SET,
	S_SET_BLOCK,
	S_MACRO,
	S_FILTER,
	S_SCOPE,
	S_WITH,
	S_CALL,
	S_BREAK,
	S_CONTINUE,
};
/* a, b, c by op: ATTR a.name; ITEM a[b]; SLICE a:b:c; CALL a(args); FILTER a|name(args) (a is NULL in a filter block);
 * COND b if a else c; COMPARE a with args, each of them EQ..NOT_IN with its right side in a; DICT has key, value pairs
 * in args; IF a body other; FOR a in b if c; SET a = b; MACRO name(args are names, kwarg their defaults). */
struct syntax {
	enum op op;
	int line;
	struct syntax *a, *b, *c;
	struct syntax *body, *other, *next;
	struct syntax **arg;
	int nargs;
	struct syntax **kwarg; /* values */
	struct str **kwname;
	int nkw;
	struct syntax *star, *star2;
	struct str *name; /* interned: equal names have equal pointers */
	struct value value;
	const void *impl;        /* the filter or test, found at compile time */
	struct str *extra[3];    /* a macro's "varargs", "kwargs" and "caller", if its body names them */
	bool recursive, chained; /* chained: it is an elif */
};
struct parser {
	struct job *job;
	struct lexeme *at;
	int depth, loops;
	struct str **name; /* interned */
	int nnames, maxnames;
};
struct syntax *parse_template(struct job *job, struct lexemes *lexemes);
struct syntax *parse_expression(struct parser *p);
struct syntax *parse_no_cond(struct parser *p);
struct syntax *parse_tuple(struct parser *p, bool cond, const char *end_word, bool explicit_paren);
struct syntax *parse_filter_chain(struct parser *p,
				  struct syntax *on); /* reads "| name(args)"; the first may lack the bar */
void parse_call_args(struct parser *p, struct syntax *call);
struct syntax *node_make(struct parser *p, enum op op);
struct str *intern_name(struct parser *p, const char *s, size_t len);
bool at_op(struct parser *p, const char *op);
bool at_name(struct parser *p, const char *name);
bool skip_op(struct parser *p, const char *op);
bool skip_name(struct parser *p, const char *name);
void want_op(struct parser *p, const char *op);
struct str *want_name(struct parser *p);
void node_add(struct parser *p, struct syntax ***list, int *n, struct syntax *one);
void parse_enter(struct parser *p);
void syntax_error(struct parser *p, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* --- eval.c, statements.c, item.c, slice.c --- */
struct variable {
	struct str *name;
	struct value value;
};
struct scope {
	struct scope *up;
	struct variable *at;
	int n, max;
	bool held; /* a macro refers to it */
};
struct macro {
	const struct syntax *node;
	struct scope *scope;
};
struct args {
	struct value *at;
	int n;
	struct str **kwname;
	struct value *kw;
	int nkw;
};
struct rendering {
	struct job job;
	struct dict *own, *said;
	time_t now;
	struct tpl_text *out;
	struct value captured; /* the input of a filter chain that has no left side */
	int depth, calls;
};
struct loop {
	struct rendering *run;
	struct list *items;
	const struct syntax *node;
	struct scope *scope; /* the loop's scope, in which its filter is evaluated */
	uint32_t at;         /* position of the current item */
	int64_t next;        /* position of the next item; -1: none, -2: not looked for */
	int64_t turn;        /* index0 */
	int depth0;
	bool filtered;
	struct value before, current;
	struct value changed;
	bool has_changed;
};
struct bound {
	struct value self;
	const struct method *method;
	const char *name;
};
struct template
{
	struct job job;
	struct syntax *root;
};
struct value eval_node(struct rendering *r, struct scope *s, const struct syntax *n);
struct value eval_name(struct rendering *r, struct scope *s, struct str *name);
void eval_args(struct rendering *r, struct scope *s, const struct syntax *n, struct args *args);
struct value value_call(struct rendering *r, struct scope *s, struct value f, struct args *args);
struct value call_macro(struct rendering *r, struct macro *m, struct args *args);
struct value apply_filter(struct rendering *r, struct scope *s, const struct syntax *n, struct value on);
struct value value_binary(struct rendering *r, enum op op, struct value a, struct value b);
struct value value_slice(struct rendering *r, struct value on, struct value first, struct value end, struct value step);
const char *quote_name(struct rendering *r, const char *before, const struct str *name, const char *after);
struct value get_attr(struct rendering *r, struct value on, struct str *name);
struct value get_item(struct rendering *r, struct value on, struct value key);
bool value_contains(struct rendering *r, struct value in, struct value what);
enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };
enum flow exec_body(struct rendering *r, struct scope *s, const struct syntax *first);
void scope_set(struct rendering *r, struct scope *s, struct str *name, struct value v);
struct value loop_attr(struct rendering *r, struct loop *loop, struct str *name);
struct value loop_recurse(struct rendering *r, struct loop *loop, struct args *args);
int64_t loop_next(struct loop *loop); /* position of the next item, -1: none */

/* --- filters, tests, methods, functions --- */
/* max: most arguments, -1 any; names: of keywords, " a b ". */
struct filter {
	const char *name;
	struct value (*run)(struct rendering *r, struct value on, struct args *args);
	int max;
	const char *names;
};
struct test {
	const char *name;
	bool (*run)(struct rendering *r, struct value on, struct args *args);
	int max;
};
struct method {
	const char *name;
	enum kind kind;
	struct value (*run)(struct rendering *r, struct value self, struct args *args);
	int max;
	const char *names;
	bool unsafe; /* it changes the value; the sandbox denies access */
};
struct func {
	const char *name;
	struct value (*run)(struct rendering *r, struct args *args);
};
const struct filter *filter_find(const struct str *name); /* finds any filter */
const struct filter *filter_plain_find(const struct str *name);
const struct filter *filter_sequence_find(const struct str *name);
const struct filter *filter_more_find(const struct str *name);
const struct test *test_find(const struct str *name); /* finds any test */
const struct test *test_plain_find(const struct str *name);
const struct method *method_find(enum kind kind, const struct str *name);
bool method_known(const struct str *name,
		  bool *supported); /* whether a str, list or dict of Python has such a method */
const struct func *func_find(const struct str *name);
bool func_unsupported(const struct str *name);
struct value filter_run(struct rendering *r, const struct filter *f, struct value on, struct args *args);
bool test_run(struct rendering *r, const struct test *t, struct value on, struct args *args);
/* Gets argument i or keyword `name`; returns false if neither is given. */
bool arg_get(const struct args *args, int i, const char *name, struct value *out);
struct value arg_or(const struct args *args, int i, const char *name, struct value or);
struct value arg_need(struct rendering *r, const struct args *args, int i, const char *name, const char *of);
void args_check(struct rendering *r, const struct args *args, const char *of, int max,
		const char *names);                                              /* names: " a b c " */
struct value attr_path(struct rendering *r, struct value on, struct value path); /* evaluates "a.b.0" */

/* Text functions that filters and methods share. */
struct str *text_strip(struct rendering *r, struct str *s, struct value chars, bool left, bool right);
struct str *text_case(struct rendering *r, struct str *s,
		      char how); /* 'l' lower, 'u' upper, 'c' capitalize, 't' str.title(), 'w' the filter title */
struct str *text_replace(struct rendering *r, struct str *s, struct str *from, struct str *to, int64_t count);
struct list *text_lines(struct rendering *r, struct str *s, bool keep);
bool text_has_case(const struct str *s, bool upper); /* has letters of that case and none of the other */
struct str *text_pad(struct rendering *r, struct str *s, int64_t width, const struct str *fill, bool left,
		     bool right); /* left, right: the sides to fill */
struct str *text_format(struct rendering *r, struct str *form, struct value values);               /* form % values */
void text_add_formatted(struct rendering *r, struct tpl_text *t, struct value v, struct str *how); /* format(v, how) */

#endif

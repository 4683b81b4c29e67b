/* inside.h - private to rpc/tools.
 *
 * parser.c takes reasoning and content apart and finds where calls begin; section.c reads what follows such a mark,
 * over call_json.c, call_xml.c and call_python.c, one for each way to write a call; report.c is below all. Each takes a
 * byte at a time. */
#ifndef RPC_TOOLS_INSIDE_H
#define RPC_TOOLS_INSIDE_H

#include "base/json/json.h"
#include "base/text.h"
#include "rpc/tools/tools.h"

enum { FORM_MARKS = 5, FORM_ENDS = 2, FORM_SEP = 4 };
struct form {
	const char *name;
	const char *mark[FORM_MARKS]; /* mark, mark2, end, end2, sep; of reasoning: begin, end */
};

/* Some of a form's marks, looked for in a stream. */
struct finder {
	const char *mark[4]; /* (n) */
	int n;
	char held[64]; /* (n_held) the beginning of a mark */
	int n_held;
};
enum found { FOUND_NONE, FOUND_PART, FOUND_MARK };
/* Takes a byte. FOUND_MARK: mark *which ends with it. Otherwise the first *out bytes of `free` (held + 1) belong to
 * none. */
enum found finder_next(struct finder *f, char c, char free[65], int *out, int *which);

enum where { IN_LEAD, IN_REASONING, AFTER_REASONING, IN_START, IN_TEXT, IN_SECTION };
enum section {
	SEEK,   /* a call, or a list of them, begins next */
	HEAD,   /* the name outside of an object */
	JSON,   /* call_json.c: an object with name and arguments */
	ARGS,   /* call_json.c: the arguments alone, after HEAD */
	XML,    /* call_xml.c */
	PYTHON, /* call_python.c */
	AFTER   /* a call has ended */
};

enum call_state { CALL_GOES_ON, CALL_OVER, CALL_BROKEN };

/* A JSON value, watched for its end. */
struct value {
	int depth;
	bool text, escaped;
};

struct call_json {
	enum { KEY_NEXT, KEY, COLON, VALUE_NEXT, VALUE } at;
	enum { OTHER, NAME, ARGUMENTS, FUNCTION } key;
	int level; /* objects around: 1, or 2 within "function" */
	struct value value;
	struct text word;  /* a key, a name, a value that is judged when it is whole */
	struct text early; /* arguments that came before the name */
	bool scalar;       /* the value has no bracket and no quote, and ends before what follows it */
	bool streams, any; /* the value is reported as it comes; there were arguments */
};
struct call_xml {
	enum { TAG_NEXT, TAG, PARAMETER } at;
	struct text word; /* a tag, or a value */
	char *name, *key; /* of the call and of the parameter; NULL: none */
	int n;            /* parameters so far */
};
struct call_python {
	enum { PY_NAME, PY_KEY, PY_VALUE, PY_TEXT, PY_WORD, PY_NEXT } at;
	int depth, n; /* brackets around; arguments so far */
	char quote;
	bool escaped, comma; /* comma: one that is written once an item follows */
	struct text word;
};

struct tools_parser {
	struct tools_how how;
	const struct form *calls, *reasoning; /* NULL: none */
	struct json_doc *functions;           /* of how.tools, by name */
	tools_sink *sink;
	void *arg;
	/* what was not handed to the sink yet */
	struct text out;
	enum tools_kind kind;
	enum where where;
	bool bare; /* calls may begin without a mark, at the first byte */
	struct finder finder;
	struct text blank; /* white space that content may still end before */
	bool any_content;
	/* in a section */
	enum section section;
	enum call_state state; /* what the last byte made of the call */
	bool section_bare, list;
	struct text again;         /* to be read once more, by parser.c */
	struct text raw;           /* since the mark, or the last call: what becomes content if there is none */
	bool named;                /* the name was reported: it is a call */
	int n_calls, calls_before; /* calls_before: the section */
	struct call_json json;
	struct call_xml xml;
	struct call_python python;
};

/* ---- report.c ---- */
void tools_flush(struct tools_parser *p);                          /* to the sink */
void tools_text(struct tools_parser *p);                           /* what follows is text */
void finder_set(struct finder *f, const char *const *mark, int n); /* those that are not NULL */
void tools_report(struct tools_parser *p, enum tools_kind kind, const char *s, size_t n);
void tools_content(struct tools_parser *p, char c); /* white space is held back */
void tools_name(struct tools_parser *p, const char *name, size_t n);
void tools_arguments(struct tools_parser *p, const char *s, size_t n);
const struct json *tools_function(const struct tools_parser *p, const char *name, size_t n); /* NULL: no such tool */
/* An object with the functions of a list of tools by name; of one name the first counts. Texts may hold as many calls
 * as lists hold tools, so that a walk over the list for each call would take the product of both. */
struct json_doc *tools_index(const struct json *tools);
static inline bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline void call_over(struct tools_parser *p)
{
	p->state = CALL_OVER;
}
static inline void call_broken(struct tools_parser *p)
{
	p->state = CALL_BROKEN;
}

/* ---- section.c ---- */
void section_begin(struct tools_parser *p, const char *mark, size_t n, bool bare);
void section_next(struct tools_parser *p, char c);
void section_end(struct tools_parser *p); /* the text is over */
void section_finish(struct tools_parser *p);

/* ---- call_json.c: values of JSON ---- */
/* Whether the value ends with this byte (true for a closing bracket or quote). */
bool value_next(struct value *v, char c);
/* The text of a JSON string with its quotes, appended; false: it is none. */
bool json_unquote(struct text *out, const char *s, size_t n);

/* ---- the three ways ---- */
void call_json_begin(struct tools_parser *p);
void call_json_next(struct tools_parser *p, char c);
void call_args_begin(struct tools_parser *p); /* at the brace */
void call_args_next(struct tools_parser *p, char c);
void call_xml_begin(struct tools_parser *p);
void call_xml_next(struct tools_parser *p, char c);
void call_python_begin(struct tools_parser *p);
void call_python_next(struct tools_parser *p, char c);

#endif

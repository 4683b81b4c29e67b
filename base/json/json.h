/* json.h - one reader of JSON, for files of others and for bodies of requests, and the values it makes.
 *
 * It reads what Python's json module reads: integers of any length, numbers beyond a double (they become infinite),
 * NaN, Infinity, -Infinity, NUL characters in texts and keys, a byte order mark; keys keep their order. What it refuses
 * is named with its place: path, line and column. Depth, values and memory are counted while reading, so a limit is met
 * before its memory is spent. */
#ifndef BASE_JSON_JSON_H
#define BASE_JSON_JSON_H

#include "base/base.h"

enum json_kind {
	JSON_IS_NULL,
	JSON_IS_BOOL,
	JSON_IS_INTEGER,
	JSON_IS_BIG,
	JSON_IS_REAL,
	JSON_IS_TEXT,
	JSON_IS_LIST,
	JSON_IS_OBJECT
};

struct json_member;
struct json_table;

/* A value, 16 bytes, passed and copied freely. All it points to belongs to its document. */
struct json {
	uint8_t kind;  /* enum json_kind */
	uint8_t exact; /* a list without spare room */
	uint32_t n;    /* bytes of a text or of a big integer, items of a list */
	union {
		bool yes;
		int64_t integer;
		double real;       /* may be infinite or NaN */
		const char *text;  /* UTF-8, NUL after the end; of JSON_IS_BIG: the literal of an integer beyond 64 bits
				      with sign */
		struct json *item; /* [n] */
		struct json_table *table; /* members of an object, in order */
	};
};

struct json_member {
	const char *key; /* NUL after the end */
	uint32_t key_len;
	uint32_t at; /* where the key stands in the text that was read, in bytes */
	struct json value;
};

struct json_rules {
	int depth;     /* containers within each other */
	size_t values; /* values in all */
	size_t bytes;  /* memory that the document may take */
	bool last;    /* of members of one key the last counts, in the place of the first; otherwise they are refused */
	bool special; /* NaN, Infinity and -Infinity are numbers */
	bool lone;    /* half of a surrogate pair becomes U+FFFD; otherwise it is refused */
};
extern const struct json_rules json_of_files; /* as Python reads them; limits for files of up to 256 MiB */

/* The place and the reason of a refusal. `path` is "messages[3].content", "" for the whole text; line and column count
 * from 1, columns in characters. */
struct json_error {
	int err; /* ERR_FORMAT, or ERR_LIMIT */
	int line, column;
	char path[160];
	char text[160];
};

/* Holds the memory of its values. json_read(): NULL after a refusal, which fills *e. The text need not outlive the
 * call. */
struct json_doc;
struct json_doc *json_read(const char *text, size_t len, const struct json_rules *rules, struct json_error *e);
struct json_doc *json_new(void);                          /* for values made by hand; its root is null */
void json_close(struct json_doc *doc);                    /* takes NULL */
const struct json *json_root(const struct json_doc *doc); /* NULL for a NULL doc */
size_t json_bytes(const struct json_doc *doc);            /* memory that it holds */
/* "line 3, column 7, at a.b[2]: ..." */
int json_why(struct why *why, const struct json_error *e, const char *name); /* returns e->err; `name` comes first */
/* Text that must be an object; `name` is the file's, for the refusal. */
int json_read_object(struct json_doc **out, const char *text, size_t len, const struct json_rules *rules,
		     const char *name, struct why *why);
/* The same from a file of at most `most` bytes, with json_of_files. ERR_UNKNOWN where there is no such file, and the
 * errors of file_read(). */
int json_read_file(struct json_doc **out, const char *path, uint64_t most, struct why *why);

/* Readers take NULL as an absent value. */
const struct json *json_get(const struct json *object, const char *key); /* NULL: absent, or not an object */
const struct json *json_getn(const struct json *object, const char *key, size_t key_len);
const struct json *json_at(const struct json *list, size_t i);              /* NULL beyond the end, or not a list */
size_t json_size(const struct json *v);                                     /* items or members; 0 for others */
const struct json_member *json_member(const struct json *object, size_t i); /* NULL beyond the end, or not an object */
const char *json_str(const struct json *v);                                 /* NULL: not a text */
size_t json_len(const struct json *v);                                      /* bytes of a text, 0 for others */
bool json_is(const struct json *v, enum json_kind kind);
bool json_none(const struct json *v);              /* absent or null */
bool json_is_num(const struct json *v);            /* integers of any length and reals */
bool json_is_int(const struct json *v);            /* integers of any length */
double json_num(const struct json *v);             /* the nearest double; NaN: not a number */
bool json_int(const struct json *v, int64_t *out); /* false: not an integer, or beyond the type */
int64_t json_int_or(const struct json *v, int64_t otherwise);
bool json_uint(const struct json *v, uint64_t *out);
bool json_yes(const struct json *v);                        /* it is true */
const char *json_kind_name(const struct json *v);           /* "a list", "missing", "an integer", ... */
bool json_same(const struct json *a, const struct json *b); /* equal as Python's ==, for values of any kind */

/* Makers. Parts of other documents may be put in where those live as long. */
struct json json_make_text(struct json_doc *doc, const char *s, size_t n); /* copied */
struct json json_make_int(int64_t i);
struct json json_make_real(double x);
struct json json_make_bool(bool yes);
struct json json_make_null(void);
struct json json_make_list(void);
struct json json_make_object(struct json_doc *doc);
void json_add(struct json_doc *doc, struct json *list, struct json v);
void json_set(struct json_doc *doc, struct json *object, const char *key,
	      struct json v); /* replaces a member of that key in its place */
void json_set_root(struct json_doc *doc, struct json v);

/* Compact JSON text in UTF-8; malloced. Reals have the shortest digits that read back the same; NaN and infinities are
 * written as Python writes them. Members whose key is in `without` (ends with NULL, may be NULL) of the outermost
 * object are left out. */
char *json_write(const struct json *v, const char *const *without, size_t *len); /* len may be NULL */

#endif

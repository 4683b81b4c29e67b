/* rows.h - the rows of a file, whatever its form: CSV (RFC 4180), JSON, lines of JSON, lines of Python's literals. */
#ifndef RPC_CLI_EVAL_ROWS_H
#define RPC_CLI_EVAL_ROWS_H

#include "base/json/json.h"

struct eval_row {
	struct json value; /* an object; of CSV all its members are texts */
	int line;          /* where it begins, from 1 */
};
struct eval_rows {
	struct eval_row *row; /* [n] */
	int n;
	struct json_doc **doc; /* [n_doc], which hold the values */
	int n_doc;
};

/* The name's end says which form it is (.csv, .jsonl, .json). columns: the names of a CSV without a head, as
 * "question,A,B"; NULL: its first line names them. python: lines may be
 * literals of Python instead of JSON. Errors name file, line and, of JSON, column. */
int eval_rows_read(struct eval_rows *t, const char *name, const char *bytes, size_t len, const char *columns,
		   bool python, struct why *why);
void eval_rows_free(struct eval_rows *t);
/* A member as text; NULL: absent or null. An empty text stays one. */
const char *eval_row_text(const struct eval_row *r, const char *key, size_t *len);
/* A member that is a list, or a text that holds one as JSON, Python or numpy writes it. NULL: neither. */
const struct json *eval_row_list(struct eval_rows *t, const struct eval_row *r, const char *key);

#endif

/* python.h - a literal of Python as a value: what repr() of lists, dicts, texts and numbers writes. */
#ifndef RPC_CLI_EVAL_PYTHON_H
#define RPC_CLI_EVAL_PYTHON_H

#include "base/json/json.h"

/* Reads what ast.literal_eval() reads, without bytes, sets and complex numbers, and the words of JSON (null, true,
 * false, NaN). Texts of a list without commas between them, as numpy prints arrays, are items of their own.
 * NULL: refused, with the place in *e, counted from the text's beginning. */
struct json_doc *python_read(const char *text, size_t len, struct json_error *e);

#endif

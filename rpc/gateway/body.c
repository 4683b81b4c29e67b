/* body.c - a JSON body. */
#include <stdio.h>

#include "rpc/gateway/ask.h"

/* jansson's own limit is far above ours, and its recursion costs stack. */
static bool too_deep(const char *s, size_t len)
{
	int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			in_string = !in_string;
		else if (!in_string && (s[i] == '[' || s[i] == '{') && ++depth > ASK_DEPTH)
			return true;
		else if (!in_string && (s[i] == ']' || s[i] == '}'))
			depth--;
	}
	return false;
}

json_t *parse_body(const char *data, size_t len, char error[160])
{
	json_error_t e;
	json_t *j;

	if (too_deep(data, len)) {
		snprintf(error, 160, "nested more than %d deep", ASK_DEPTH);
		return NULL;
	}
	j = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (!j)
		snprintf(error, 160, "%.110s (line %d, column %d)", e.text, e.line, e.column);
	return j;
}

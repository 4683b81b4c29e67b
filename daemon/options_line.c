/* Lines of files in the form of options. */
#include <string.h>

#include "daemon/options.h"

static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t");
	end = s + strlen(s);
	while (end > s && strchr(" \t\r\n", end[-1]))
		*--end = 0;
	if (end - s >= 2 && (*s == '"' || *s == '\'') && end[-1] == *s) {
		end[-1] = 0;
		s++;
	}
	return s;
}

/* Cuts a comment: # at the line's begin or behind a blank, outside of quotes. */
static void cut_comment(char *line)
{
	char quote = 0;

	for (char *at = line; *at; at++) {
		if (quote ? *at == quote : *at == '"' || *at == '\'')
			quote = quote ? 0 : at == line || strchr(" \t:=", at[-1]) ? *at : 0;
		else if (*at == '#' && !quote && (at == line || strchr(" \t", at[-1]))) {
			*at = 0;
			return;
		}
	}
}

int options_line(char *line, char **name, char **value, const char *source, struct why *why)
{
	char *colon;

	*name = *value = NULL;
	cut_comment(line);
	line = trim(line);
	if (!*line)
		return 0;
	colon = line + strcspn(line, ":=");
	if (!*colon)
		return fail(why, ERR_INVALID, "%s: expected \"name: value\"", source);
	*colon = 0;
	*name = trim(line);
	*value = trim(colon + 1);
	return 0;
}

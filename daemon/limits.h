/* limits.h - what single users, groups and API keys may have at most: the file of --limits.
 *
 * It is written as a file of options is, a line "name: value" each. A line user, group, key or default begins an entry,
 * whose limits follow it:
 *
 *   default:                      # every account without an entry of its own, but root and the server's user
 *     max-waiting: 8
 *   user: alice                   # by name or number
 *     max-running: 2              # calls in the batch at a time; more wait
 *     max-waiting: 4              # calls that wait
 *     tokens-per-minute: 20k      # of prompts and answers
 *   group: students               # all its members together
 *     tokens-per-minute: 100k
 *   key: team-a                   # an API key of the gateway, by its name
 *     adapters: sql, chat         # that may be asked for; "none"
 *     models: small, large        # served names of servers that may be asked
 *
 * What an entry leaves out has no limit. */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

#include "base/base.h"

enum limit_kind { LIMIT_DEFAULT, LIMIT_USER, LIMIT_GROUP, LIMIT_KEY };
enum { LIMITS_MOST = 4096 /* entries of a file */ };

struct limit {
	enum limit_kind kind;
	uint32_t id;                                     /* of a user or group */
	char *name;                                      /* as the file says it */
	int64_t running, waiting, tokens /* a minute */; /* -1: no limit */
	char *adapters, *models;                         /* line feeds around each name; NULL: any */
};
struct limits {
	struct limit *at; /* (n) */
	int n;
};

/* Finds the number of a name; false: there is none. */
struct limits_names {
	bool (*user)(const char *name, uint32_t *id), (*group)(const char *name, uint32_t *id);
};
extern const struct limits_names limits_system_names; /* of the user database */

/* ERR_INVALID with a text that names file, line and what is wrong, ERR_IO (there is no such file, too), or another
 * error of file_read(). *out is left empty then. */
int limits_read(struct limits *out, const char *path, struct why *why);
/* The same of a text of `len` bytes, which is changed and ends with a NUL. `source` names it in errors. */
int limits_parse(struct limits *out, char *text, size_t len, const char *source, const struct limits_names *names,
		 struct why *why);
void limits_finish(struct limits *l);
/* The entry of a user, a group (by `id`) or a key (by name), or the default; NULL: there is none. */
const struct limit *limits_find(const struct limits *l, enum limit_kind kind, uint32_t id, const char *key);
bool limits_allow(const char *list, const char *name); /* of adapters or models */

#endif

/* constraint.h - what the answer must be: --json-schema, --json-object, --regex, --grammar, --choice. */
#ifndef RPC_CLI_CONSTRAINT_H
#define RPC_CLI_CONSTRAINT_H

#include "rpc/cli/cli.h"

/* value: a FILE that is read, or the text itself; NULL for --json-object. ERR_INVALID: another option constrains the
 * answer already; the errors of file_read(). */
int constraint_set(struct args *a, const char *name, enum xv_constraint_kind kind, const char *value, struct why *why);
void constraint_finish(struct args *a);

#endif

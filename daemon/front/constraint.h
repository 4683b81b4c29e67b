/* constraint.h - what a request says of its answer's form becomes a grammar. */
#ifndef DAEMON_FRONT_CONSTRAINT_H
#define DAEMON_FRONT_CONSTRAINT_H

#include "daemon/front/grammars.h"
#include "rpc/codec/codec.h"

/* Within GRAMMAR_COMPILE_MS of CPU time and GRAMMAR_MEMORY. tokenizer: whose special tokens a structural tag
 * may name. compact: where the constraint does not say. kept: where it is looked for first; may be NULL. ERR_INVALID:
 * the text names what is wrong or not supported, and where; ERR_LIMIT; those of the effort. */
int front_constraint(struct grammar **out, const struct xv_constraint *c, const struct tokenizer *t, bool compact,
		     struct front_grammars *kept, struct why *why);

#endif

/* unsupported.h - fields of other servers' APIs that would change the answer and are refused. */
#ifndef RPC_GATEWAY_API_UNSUPPORTED_H
#define RPC_GATEWAY_API_UNSUPPORTED_H

#include "rpc/gateway/api/fields.h"

/* Values that would change nothing are accepted. */
struct api_unsupported {
	const char *name;
	int where;
	const char *neutral; /* JSON values besides null, separated by '|'; NULL: none */
	const char *instead; /* what to do about it; may be NULL */
};
const struct api_unsupported *api_unsupported_fields(int *n);

#endif

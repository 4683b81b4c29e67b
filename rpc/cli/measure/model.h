/* model.h - the receipt of a measure: which model, in which arithmetic. */
#ifndef RPC_CLI_MEASURE_MODEL_H
#define RPC_CLI_MEASURE_MODEL_H

#include <jansson.h>

#include "rpc/cli/measure/windows.h"

struct measure_args;
struct measure_model {
	char *name, *fingerprint, *numerics_class, *device, *version;
	char *adapter, *adapter_fingerprint; /* NULL: none */
	int max_model_len, vocab;
	uint64_t weight_bytes, kv_bytes; /* of all ranks */
};
/* adapter: of the server's; NULL: none. ERR_INVALID: the server has none of that name. */
int measure_model_ask(struct measure_model *m, struct xv_client *c, const char *adapter, struct why *why);
void measure_model_finish(struct measure_model *m);
void measure_model_put(json_t *j, const struct measure_model *m);
void measure_ppl_put(json_t *j, const struct measure_ppl *p);

/* --window and --stride, else 2048 or what the server takes, and half of it. ERR_INVALID. */
int measure_window_set(int *window, int *stride, const struct measure_args *a, const struct measure_model *m,
		       struct why *why);
/* Prints the error; the exit code. */
int measure_code(int err, const struct why *why);

#endif

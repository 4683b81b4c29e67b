/* config.h - adapter_config.json of a LoRA adapter, as PEFT (Hugging Face's library) writes it. */
#ifndef ENGINE_LORA_CONFIG_H
#define ENGINE_LORA_CONFIG_H

#include "base/json/json.h"

enum { LORA_MAX_RANK = 4096 };

struct lora_config {
	struct json_doc *doc;
	int rank;                          /* "r" */
	double alpha;                      /* "lora_alpha" */
	bool rslora;                       /* the scale is alpha / sqrt(r), else alpha / r */
	const struct json *ranks, *alphas; /* "rank_pattern", "alpha_pattern": expressions over names of modules */
};

/* ERR_UNKNOWN: the folder has no such file; ERR_FORMAT or ERR_UNSUPPORTED: one sentence that names the key, its value
 * and what it must be. To be finished in any case. */
int lora_config_read(struct lora_config *c, const char *dir, struct why *why);
void lora_config_finish(struct lora_config *c);
/* Rank and scale of a module, by the patterns' first match. */
int lora_config_module(const struct lora_config *c, const char *module, int *rank, double *scale, struct why *why);

#endif

/* quant_config.h - what config.json says about quantised weights. */
#ifndef ENGINE_CHECKPOINT_QUANT_CONFIG_H
#define ENGINE_CHECKPOINT_QUANT_CONFIG_H

#include "base/base.h"

struct json;

enum quant_method { METHOD_NONE, METHOD_GPTQ, METHOD_AWQ, METHOD_COMPRESSED, METHOD_FP8 };

struct quant_config {
	enum quant_method method;
	int bits;      /* 4 or 8; 0: as each tensor's shapes say */
	int group;     /* columns; 0: as the shapes say; -1: whole rows */
	bool plus_one; /* GPTQ's first form: a zero point is stored as one less */
	/* What most matrices are, for a plan without their files. */
	struct quant_usual {
		int bits, group; /* group -1: whole rows */
		bool e4m3, asymmetric;
		bool ordered; /* GPTQ's desc_act: groups are no runs of columns */
	} usual;
};
/* root: of config.json, or of a file that holds such an object alone (`alone`). METHOD_NONE: the model is not
 * quantised. ERR_FORMAT or ERR_UNSUPPORTED, naming `path` (of the file), the key and what to do. */
int quant_config_read(struct quant_config *out, const struct json *root, bool alone, const char *path, struct why *why);

#endif

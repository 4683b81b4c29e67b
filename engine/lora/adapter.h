/* adapter.h - a LoRA adapter's folder: adapter_config.json with adapter_model.safetensors or adapter_model.bin, as PEFT
 * writes them. Nothing in the files is trusted. It knows no model: which modules there are, and of which shapes, is
 * for engine/models to say. */
#ifndef ENGINE_LORA_ADAPTER_H
#define ENGINE_LORA_ADAPTER_H

#include "engine/checkpoint/checkpoint.h"
#include "engine/lora/config.h"

struct adapter_module {
	char *name;                    /* as the model calls it, without what PEFT puts before it */
	const struct ck_tensor *a, *b; /* (rank, inputs), (outputs, rank) */
	int rank;
	double scale; /* y += scale * B (A x) */
};

struct adapter {
	char *dir;
	struct lora_config config;
	struct checkpoint *files;
	struct adapter_module *module; /* (n) in the order of their names */
	int n, rank;                   /* the largest rank of a module */
	uint64_t fingerprint;          /* of names, shapes, scales and all numbers, whatever file holds them */
};

/* Reads every number once. ERR_IO, ERR_FORMAT or ERR_UNSUPPORTED, with one sentence that names what is wrong. */
int adapter_open(struct adapter **out, const char *dir, struct why *why);
void adapter_close(struct adapter *a);                                                /* NULL is fine */
const struct adapter_module *adapter_find(const struct adapter *a, const char *name); /* NULL: none */
/* A block of one of its tensors as f32, dst (rows, cols). */
int adapter_read(const struct adapter *a, const struct ck_tensor *t, int64_t row, int64_t rows, int64_t col,
		 int64_t cols, float *dst, struct why *why);

#endif

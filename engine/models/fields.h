/* fields.h - private to engine/models: checked fields of a config.json. The first refusal counts; what a function
 * returns after one is only safe to go on with. */
#ifndef ENGINE_MODELS_FIELDS_H
#define ENGINE_MODELS_FIELDS_H

#include "base/json/json.h"
#include "engine/models/config.h"

struct config_reader {
	const char *path;
	const struct json *root;
	struct model_config *c;
	struct why *why;
	int err; /* first refusal */
	struct over *over;
	size_t n_over; /* 0: nothing replaces the file's members */
};
/* A key of --hf-overrides, or of an object in it. */
struct over {
	const char *key;
	bool read; /* the family has asked for it */
};

/* A field of an object. null counts as absent (NULL), as in the reference. */
const struct json *field(struct config_reader *r, const struct json *object, const char *key);
/* "PATH: "key" is FOUND; RULE", with the rule as a clause of its own. Returns the reader's error. */
int field_refuse(struct config_reader *r, int err, const char *key, const char *found, const char *rule);
/* Notes how a contradiction in the file, or between its readers, was resolved. */
void field_note(struct config_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A whole number in [low, high]; absent: `fallback`, or a refusal where that is -1. */
int field_int(struct config_reader *r, const char *key, int low, int high, int fallback);
/* A number of any object; absent: `fallback`, or a refusal where that is NAN. */
double field_number(struct config_reader *r, const struct json *object, const char *key, double low, double high,
		    double fallback);
bool field_bool(struct config_reader *r, const char *key, bool fallback);

/* ---- what most families read alike ---- */
/* rope.c's settings, from "rope_theta", "rope_scaling" and "rope_parameters" (config_rope.c). */
struct rope_keys {
	const char *base;     /* of the class, beside "rope_parameters": "rope_theta" */
	const char *part;     /* the rotated share of a head; NULL: the class always rotates whole heads */
	double fallback_part; /* where the file says none */
	double fallback_base; /* the same of the base; 0: 10000 */
};
void field_rope(struct config_reader *r, struct model_config *c, const struct rope_keys *keys);
/* An FFN without a gate: relu, gelu and gelu by tanh under all their names. */
enum activation field_activation(struct config_reader *r, const char *key, const char *fallback);
/* Layers from `first` on attend over a window. window 0: none does. */
void field_windows(struct model_config *c, int window, int first);
/* Those that "layer_types" lists, of classes that read it; false: it is missing. */
bool field_layer_types(struct config_reader *r, struct model_config *c, int window);
/* Checks heads and sizes that all families have: head_dim is hidden / heads unless `own` says that the file has one. */
void field_check_heads(struct config_reader *r, struct model_config *c, bool own);
/* torch_dtype, bos, pad and eos. */
void field_dtype(struct config_reader *r, struct model_config *c);
void field_tokens(struct config_reader *r, struct model_config *c);
/* Refuses quantised checkpoints that are not read, and mixtures of experts. */
void field_refuse_unsupported(struct config_reader *r);

#endif

/* inside.h - private to engine/tokenizer. */
#ifndef ENGINE_TOKENIZER_INSIDE_H
#define ENGINE_TOKENIZER_INSIDE_H

#include "engine/tokenizer/added.h"
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/decoder.h"
#include "engine/tokenizer/json.h"
#include "engine/tokenizer/normalizer.h"
#include "engine/tokenizer/pretokenizer.h"

#define SPM_SPACE "\xE2\x96\x81" /* U+2581, which stands for a space */

enum spm_type { SPM_NORMAL = 1, SPM_UNKNOWN, SPM_CONTROL, SPM_USER, SPM_UNUSED, SPM_BYTE };

/* The parts that only SentencePiece has. */
struct spm {
	uint8_t *type; /* [n] enum spm_type */
	float *score;  /* [n] */
	int n;
	bool dummy_prefix, remove_extra, escape;
	bool legacy;        /* the dummy prefix is repeated after each special token */
	bool cuts_at_space; /* no piece has a space inside, so words may be encoded one by one */
	char *unk_surface;  /* the text of an unknown token */
	size_t unk_len;
	struct matcher user; /* user-defined pieces; their tokens are ids */
	int unk, bos, eos, pad;
};

struct tokenizer {
	const char *kind;
	uint64_t fingerprint;
	struct vocab vocab; /* includes the added tokens */
	struct bpe bpe;
	struct added_tokens added;
	struct normalizers normalizers;
	struct pretokenizers pretokenizers;
	struct decoder decoder;
	struct spm *spm;          /* NULL: not SentencePiece */
	uint8_t *special;         /* [vocab.n] */
	struct ids before, after; /* put around a text by add_special */
	int bos, eos;
	int n_tokens; /* tokens of the model, without added ones */
};

/* The files tokenizer_config.json, special_tokens_map.json and added_tokens.json; all may be absent. */
struct token_config {
	struct json_doc *config, *map, *added; /* NULL: absent */
	char model_type[32];                   /* of config.json; "" if absent */
};
int config_open(struct token_config *c, const char *dir, uint64_t *fingerprint, struct why *why);
void config_close(struct token_config *c);
/* Adds the tokens that these files name, and sets bos and eos. */
int config_apply(const struct token_config *c, struct tokenizer *t, const char *dir, struct why *why);
/* tokenizer_class is `class`, or `class` with Fast behind it. */
bool config_is(const struct token_config *c, const char *class);
/* Returns a switch such as add_bos_token, `otherwise` if it is absent. */
bool config_adds(const struct token_config *c, const char *key, bool otherwise);

/* The readers: each fills a zeroed tokenizer from a directory's files. ERR_UNKNOWN: the file is absent. */
int hf_open(struct tokenizer *t, const char *dir, const struct token_config *c, struct why *why);
int gpt2_open(struct tokenizer *t, const char *dir, const struct token_config *c, struct why *why);
int spm_open(struct tokenizer *t, const char *dir, const struct token_config *c, struct why *why);

/* Parses the bytes of a tokenizer.model into t->vocab and t->spm. */
int spm_parse(struct tokenizer *t, const char *bytes, size_t len, const char *file, struct why *why);
/* Whether these are a BPE model's bytes that keeps one space between words. */
bool spm_removes_spaces(const char *bytes, size_t len);
void spm_close(struct spm *s);
/* Encodes one stretch of text between special tokens. */
void spm_encode(const struct tokenizer *t, const struct tok_text *text, bool prefix, struct tok_text *normal,
		struct bpe_work *work, struct ids *out);

/* Makes a token of the vocabulary an added token. id < 0: the token must be known. */
int token_add(struct tokenizer *t, struct added_token *token, const char *file, struct why *why);
/* Lets texts match the added tokens with ids below n. */
int added_match(struct tokenizer *t, int n, struct why *why);

/* Sets the symbols of single characters and of <0xHH> tokens; call it after the tokens are set. */
void bpe_find_characters(struct bpe *b, const struct vocab *v);

#endif

/* grammar.h - constrained output: which tokens keep an answer within a grammar.
 *
 * A source (regular expression, GBNF, JSON Schema, choices, structural tags) is compiled to a byte-level pushdown
 * automaton: a graph of nodes with calls. A run is one answer's place in it: a set of stacks, since several readings of
 * the text so far may be possible. The room interns frames of stacks and sets of them, so that a set is a number, and a
 * step of the automaton is looked up where it was taken before. Masks are found by walking a trie of the vocabulary and
 * are kept by state.
 *
 * A room and its runs belong to one thread; grammar_compile() runs on any. All memory of a room is taken when it is
 * created. */
#ifndef ENGINE_GRAMMAR_GRAMMAR_H
#define ENGINE_GRAMMAR_GRAMMAR_H

#include "base/base.h"

struct tokenizer;

enum grammar_kind { GRAMMAR_JSON, GRAMMAR_SCHEMA, GRAMMAR_REGEX, GRAMMAR_GBNF, GRAMMAR_CHOICE, GRAMMAR_TAG };

struct grammar_text {
	const char *text; /* (len) UTF-8 */
	size_t len;
};

struct grammar_source {
	enum grammar_kind kind;
	struct grammar_text text;          /* all but JSON and CHOICE */
	const struct grammar_text *choice; /* (n_choice) */
	int n_choice;
	const struct tokenizer *tokenizer; /* TAG: its special tokens stand where a tag names them; NULL: as text */
	bool compact; /* JSON: no white space between tokens; otherwise a blank, or a new line with its indentation */
};

enum {
	GRAMMAR_TEXT = 256 << 10,  /* bytes of a source at most */
	GRAMMAR_COMPILE_MS = 50,   /* CPU time of a compilation */
	GRAMMAR_MEMORY = 32 << 20, /* bytes that a compilation may allocate */
	GRAMMAR_NODES = 200000,    /* nodes of a graph */
	GRAMMAR_DEPTH = 256,       /* frames of a stack */
	GRAMMAR_STACKS = 2048,     /* stacks of a run */
};

struct grammar;
/* The calling thread's effort counts; where there is none, the caller's patience does. ERR_INVALID: the source is not
 * well formed, or nothing satisfies it; ERR_UNSUPPORTED: it holds what is not built, which the text names with its path
 * or position; ERR_LIMIT: it is too large. */
int grammar_compile(struct grammar **out, const struct grammar_source *source, struct why *why);
/* The same grammar for one more owner, of which each destroys it. Any thread. */
struct grammar *grammar_share(struct grammar *g);
void grammar_destroy(struct grammar *g); /* takes NULL; no run of it may be left when its last owner does so */
size_t grammar_bytes(const struct grammar *g);
/* Whether the grammar derives exactly this text; slow, for tests and tools. */
bool grammar_matches(const struct grammar *g, const char *text, size_t len);

struct grammar_room;
/* vocab: of the model; tokens of the tokenizer beyond it are never allowed. rows: masks that must be valid at a time;
 * at least 128 are. */
struct grammar_room *grammar_room_create(const struct tokenizer *t, int vocab, int rows);
void grammar_room_destroy(struct grammar_room *r);
size_t grammar_room_bytes(const struct grammar_room *r);
/* About what a room will take, from the vocabulary's size alone. */
size_t grammar_room_plan(int vocab, int rows);

/* Of one call. The caller keeps it; grammar_run_end() takes it out of the room. */
struct grammar_run {
	struct grammar_room *room; /* NULL: not begun */
	const struct grammar *grammar;
	struct grammar_run *next, **at; /* in the room's list */
	int32_t state;
	const int32_t *stop; /* (n_stop) end tokens: allowed where the text may end, nowhere else */
	int n_stop;
	const char *lost; /* NULL, or why the run is over: the text left the grammar, or the room is too small */
};
struct grammar_mask {
	const uint32_t *allow; /* (mask_words(vocab)) valid until `rows` more masks were asked for; NULL: none is */
	int32_t only;          /* the one token that is allowed, or -1 */
};
void grammar_run_begin(struct grammar_run *run, struct grammar_room *room, const struct grammar *g, const int32_t *stop,
		       int n_stop);
void grammar_run_end(struct grammar_run *run);
/* The tokens that may come next. Where there is none the run is lost. */
struct grammar_mask grammar_run_mask(struct grammar_run *run);
/* Takes a token in. False: it is not allowed, and the run is lost. An end token is taken where the text may end. */
bool grammar_run_accept(struct grammar_run *run, int32_t id);
bool grammar_run_may_end(const struct grammar_run *run); /* the text so far is whole */
bool grammar_run_must_end(struct grammar_run *run);      /* and no other token can follow it */
extern const char grammar_run_left[];                    /* `lost` after a token that is not allowed */

#endif

/* inside.h - private to engine/grammar.
 *
 * compile.c calls the compilers (schema*.c, gbnf.c, regex.c, tag*.c), which build a graph (graph.c) of fragments, some
 * of them over automata (dfa*.c); check.c makes a grammar of it. state.c steps through it, walk.c finds masks, run.c is
 * one answer, room.c the memory of all. */
#ifndef ENGINE_GRAMMAR_INSIDE_H
#define ENGINE_GRAMMAR_INSIDE_H

#include "engine/grammar/grammar.h"

struct json;

/* ---- ranges.c: sets of code points ---- */

enum { CODE_MAX = 0x10ffff, RANGES_MOST = 4096 };
struct range32 {
	uint32_t lo, hi;
};
struct ranges { /* sorted and apart after ranges_sort() */
	struct range32 *r;
	int n, room;
	bool failed; /* too many, or no memory */
};
void ranges_add(struct ranges *s, uint32_t lo, uint32_t hi);
void ranges_sort(struct ranges *s);
void ranges_invert(struct ranges *s); /* within all characters: code points without surrogates */
void ranges_finish(struct ranges *s);

/* ---- graph.c: fragments of an automaton over bytes ---- */

enum node_kind {
	NODE_FAIL,   /* nothing follows */
	NODE_JUMP,   /* to next */
	NODE_SPLIT,  /* to next and other */
	NODE_BYTES,  /* a byte of set `other`, then next */
	NODE_TABLE,  /* state `other` of a table, which says where a byte leads; next: where the text may leave it, or 0
		      */
	NODE_CALL,   /* rule `other`, then next */
	NODE_REPEAT, /* repeat `other`, then next */
	NODE_RETURN,
	NODE_BEGIN, /* to next, before the first byte only; NODE_END: after the last one. For dfa_of() alone. */
	NODE_END
};
struct node {
	uint8_t kind;
	bool pure; /* it begins a character of a JSON string, which ends with a quote: see walk.c */
	int32_t next, other;
};
enum { REPEAT_ALWAYS = INT32_MAX };
struct repeat {
	int32_t rule, min, max;
};
struct byte_set {
	uint64_t bits[4];
};
/* Of a deterministic automaton: node first + s is its state s. */
struct table {
	uint8_t class_of[256];
	int32_t first, n, classes;
	int32_t *to;    /* (n, classes) states, -1: nowhere */
	uint64_t *pure; /* (n) kinds of pure characters that may follow a state: see pure_bit() */
};
struct rule {
	int32_t start; /* 0: not defined */
};

struct graph {
	struct node *node;
	struct byte_set *set; /* the first 256 hold one byte each */
	struct repeat *repeat;
	struct table *table;
	struct rule *rule;
	int n_nodes, n_sets, n_repeats, n_tables, n_rules;
	int room_nodes, room_sets, room_repeats, room_tables, room_rules;
	int err; /* the first error; from then on all that is built is without meaning, but safe */
	struct why why;
};
/* Nodes from start to end, a JUMP whose next is not set. */
struct frag {
	int32_t start, end;
};

void graph_init(struct graph *g);
void graph_finish(struct graph *g);
int graph_fail(struct graph *g, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool graph_ok(struct graph *g); /* no error, and the effort goes on */
int32_t graph_node(struct graph *g, enum node_kind kind, int32_t next, int32_t other);
int32_t graph_set(struct graph *g, const struct byte_set *s);
int32_t graph_rule(struct graph *g);
void graph_define(struct graph *g, int32_t rule, struct frag f);
int32_t graph_table(struct graph *g, const struct table *t); /* takes t->to and t->pure; returns its number */

struct frag frag_empty(struct graph *g);
struct frag frag_fail(struct graph *g);
struct frag frag_assert(struct graph *g, enum node_kind kind);
struct frag frag_byte(struct graph *g, uint8_t b);
struct frag frag_bytes(struct graph *g, const struct byte_set *s);
struct frag frag_text(struct graph *g, const char *s, size_t n);
struct frag frag_str(struct graph *g, const char *s);
struct frag frag_chars(struct graph *g, const struct ranges *s);
struct frag frag_call(struct graph *g, int32_t rule);
struct frag frag_cat(struct graph *g, struct frag a, struct frag b);
struct frag frag_alt(struct graph *g, struct frag a, struct frag b);
struct frag frag_opt(struct graph *g, struct frag a);
struct frag frag_star(struct graph *g, struct frag a);
struct frag frag_plus(struct graph *g, struct frag a);
/* The fragment becomes the body of a rule, unless its count says so little that a loop will do. */
struct frag frag_times(struct graph *g, struct frag a, int min, int max);
/* A copy of the nodes [from, to), which `a` and nothing else consists of. */
struct frag frag_copy(struct graph *g, struct frag a, int from, int to);

static inline bool set_has(const struct byte_set *s, unsigned b)
{
	return s->bits[b / 64] >> b % 64 & 1;
}
static inline void set_put(struct byte_set *s, unsigned lo, unsigned hi)
{
	for (unsigned b = lo; b <= hi; b++)
		s->bits[b / 64] |= (uint64_t)1 << b % 64;
}

/* ---- pure.c: pure characters, which JSON strings hold as they are ---- */

/* Tokens of such characters alone are pure. A token's class is that of its last kind of character: small letters,
 * letters, blanks, those beyond ASCII, all others. */
enum { PURE_SMALL, PURE_LETTERS, PURE_BLANK, PURE_WIDE, PURE_OTHER, PURE_CLASSES };
extern const uint8_t pure_class[256]; /* of each ASCII character; PURE_CLASSES: it is not pure */
/* The kind of a byte's character as a bit; 0: it is not pure. Digits are one kind, each other sign is one. */
uint64_t pure_bit(unsigned byte);
/* Of a table, what pure characters may follow each state; PURE_LEAVES: its text may then end. NULL: no memory. */
enum { PURE_WIDE_BIT = 8 };
#define PURE_LEAVES ((uint64_t)1 << 63)
uint64_t *pure_follow(const struct table *t, const uint8_t *accept);

/* ---- dfa.c: deterministic automata, for what needs "and" and "not". to == NULL: an error of the graph. ---- */

struct dfa {
	uint8_t class_of[256];
	int n, classes;
	int32_t *to;     /* (n, classes), -1: nowhere */
	uint8_t *accept; /* (n) */
};
enum { DFA_STATES = 50000 };
struct dfa dfa_of(struct graph *g, struct frag f);               /* f calls no rules */
struct dfa dfa_and(struct graph *g, struct dfa a, struct dfa b); /* frees both, as do those below */
struct dfa dfa_minus(struct graph *g, struct dfa a, struct dfa b);
struct frag dfa_frag(struct graph *g, struct dfa a); /* as a rule of its own */
void dfa_finish(struct dfa *a);
bool dfa_empty(const struct dfa *a); /* it accepts nothing */
bool dfa_accepts(const struct dfa *a, const char *s, size_t n);
struct dfa dfa_make(struct graph *g, int n, int classes); /* all -1, accepting nothing */

/* ---- dfa_json.c: values of strings, and how JSON writes them ---- */

struct dfa dfa_text(struct graph *g, int min, int max);  /* any text of min to max characters */
struct dfa dfa_quote(struct graph *g, struct dfa value); /* as a JSON string, with its quotes */

/* ---- dfa_number.c: JSON numbers within bounds, without exponent ---- */

struct decimal { /* digits of a number without sign, leading or trailing zeros */
	bool minus;
	char *digits; /* (n_whole + n_part) */
	int n_whole, n_part;
};
bool decimal_read(struct decimal *d, const char *s, size_t n); /* false: not a number, or over 400 digits */
void decimal_finish(struct decimal *d);
int decimal_compare(const struct decimal *a, const struct decimal *b);
struct dfa dfa_number(struct graph *g, bool whole); /* all numbers, or integers */
/* Numbers on one side of the bound; strict: without it. */
struct dfa dfa_bound(struct graph *g, const struct decimal *bound, bool above, bool strict);
/* Multiples of a number above 0; to == NULL without an error: it has more than four digits. */
struct dfa dfa_multiple(struct graph *g, const struct decimal *of);

/* ---- regex.c, regex_class.c, gbnf.c ---- */

/* A regular expression as ECMA 262 has them, with `u`. expand: counts become copies and assertions nodes, for
 * dfa_of(). */
struct frag regex_frag(struct graph *g, const char *s, size_t n, bool expand);
struct cursor {
	const char *s;
	size_t n, at;
};
bool regex_class(struct graph *g, struct cursor *c, struct ranges *out);  /* after "[" */
bool regex_escape(struct graph *g, struct cursor *c, struct ranges *out); /* after a backslash */
uint32_t cursor_char(struct cursor *c); /* the code point there, and past it; there must be one */
/* "{m,n}", "{m,}" or "{m}" after "{"; returns false and leaves the cursor where it is none. */
bool cursor_count(struct cursor *c, int *min, int *max);
enum { REPEAT_MOST = 100000 };

int32_t gbnf_rules(struct graph *g, const char *s, size_t n);          /* its root */
int32_t regex_rules(struct graph *g, const struct grammar_text *t);    /* source.c: the same of an expression */
int32_t choice_rules(struct graph *g, const struct grammar_source *s); /* source.c */

/* ---- schema*.c ---- */

int32_t schema_rules(struct graph *g, const char *s, size_t n, bool compact); /* its root */
int32_t schema_of(struct graph *g, const struct json *root, bool compact);    /* the same of a schema that was read */
int32_t schema_any_object(struct graph *g, bool compact);
const char *format_regex(const char *name); /* format.c: NULL: none */

/* ---- tag.c: structural tags ---- */

int32_t tag_rules(struct graph *g, const char *text, size_t n, const struct tokenizer *tokenizer, bool compact);

/* Special tokens have bytes of their own, which no text has: a mark and the id, 7 bits a byte. So only a grammar that
 * names such a token allows it, and a spelling of its name is none. */
enum { MARK_BYTE = 0xff, MARK_BYTES = 4, MARK_IDS = 1 << 21 };
static inline void mark_write(uint8_t out[MARK_BYTES], int32_t id)
{
	out[0] = MARK_BYTE;
	for (int i = 1; i < MARK_BYTES; i++)
		out[i] = (uint8_t)(id >> (7 * (i - 1)) & 0x7f);
}

/* ---- check.c: a graph becomes a grammar ---- */

struct grammar {
	struct graph g; /* nodes that nothing can follow are gone */
	int32_t start;  /* node */
	uint8_t class_of[256];
	uint8_t byte_of[256]; /* one of each class */
	int classes;
	uint64_t number;    /* never used twice */
	_Atomic int owners; /* beyond the first */
};
/* Takes the graph, also where it fails. */
int grammar_of(struct grammar **out, struct graph *g, int32_t root, struct why *why);
/* ERR_UNSUPPORTED where a rule would begin with itself; name: of a rule, for the message. */
int graph_left_recursion(struct graph *g, const char *(*name)(void *arg, int32_t rule), void *arg);

/* ---- state.c: sets of stacks, and where a byte leads from one ---- */

/* Where a stack goes on: at a node, or in a repetition; below lies `parent`. */
struct frame {
	uint32_t grammar;
	int32_t node, count, parent, depth;
};
enum { STATE_DEAD = -1, STATE_UNKNOWN = -2 };
#define LOOPS_UNKNOWN ((uint64_t)1 << 63)
enum { PURE_CHARS = 32, PURE_ALL = 127, PURE_NONE = -1, PURE_UNKNOWN = -2 };
/* A set of stacks: the frames on their tops, by number; -1 is the empty stack, where the text may end. */
struct state {
	int32_t first, n; /* of pool->item */
	int32_t row;      /* of pool->row: where each class of bytes leads, or -1: not looked up yet */
	int32_t mask;     /* its place in the room's masks, or -1 */
	int32_t alike;    /* the state with the same mask and smaller counts, or STATE_UNKNOWN */
	/* Of each class of pure tokens the characters that it takes, PURE_ALL, PURE_NONE or PURE_UNKNOWN. */
	int8_t pure[PURE_CLASSES];
	bool ends;                     /* -1 is in the set */
	uint64_t loops;                /* kinds of pure characters that lead to the state itself, or LOOPS_UNKNOWN */
	const struct grammar *grammar; /* it may be gone, and another one lie there, of another number */
	uint32_t number;
};
enum { POOL_FRAMES = 32768, POOL_STATES = 8192, POOL_ITEMS = 65536, POOL_ROWS = POOL_STATES * 64 };

struct pool {
	struct frame *frame;              /* (POOL_FRAMES) */
	struct state *state;              /* (POOL_STATES) */
	int32_t *item, *row;              /* (POOL_ITEMS), (POOL_ROWS) */
	int32_t *frame_slot, *state_slot; /* (2 * each) 1 + number, by hash; 0: free */
	int n_frames, n_states, n_items, n_rows;
	bool full; /* something found no room: the results since then mean nothing */
	bool deep; /* a stack was cut off at GRAMMAR_DEPTH */
	/* scratch of one step */
	int32_t *set;       /* (GRAMMAR_STACKS + 1) */
	struct frame *todo; /* (VISITS) node, count and parent to visit */
	uint32_t *visited;  /* (2 * VISITS) 1 + index of `seen`, stamped */
	struct frame *seen; /* (VISITS) */
	int n_set, n_todo, n_seen;
};
enum { VISITS = 16384 };
void pool_init(struct pool *p);
void pool_finish(struct pool *p);
size_t pool_bytes(void);
void pool_clear(struct pool *p);
int32_t pool_start(struct pool *p, const struct grammar *g);
int32_t pool_step(struct pool *p, int32_t state, uint8_t byte);
/* The state of `from` in another pool. */
int32_t pool_move(struct pool *to, const struct pool *from, int32_t state);
/* The state with the same continuations of up to `bytes` bytes, whose counts are as small as that allows. */
int32_t pool_alike(struct pool *p, int32_t state, int bytes);

/* ---- probe.c ---- */

/* ERR_LIMIT: some answer has so many readings that no pool would hold a mask's states. */
int grammar_probe(const struct grammar *g, struct why *why);

/* ---- room.c, walk.c ---- */

/* A node of a trie of tokens, in depth-first order. Its tokens, and then those below, are of the order from `first` to
 * that of the node behind its subtree. */
struct trie_node {
	uint8_t byte, depth; /* depth: of the node's byte, from 0 */
	uint8_t height;      /* bytes of the longest way down */
	uint8_t below;       /* the class of text that is made of all characters below */
	int32_t skip;        /* nodes of its subtree, itself counted */
	int32_t first;
};
struct trie {
	struct trie_node *node; /* (n + 1) */
	int32_t *order;         /* (n_tokens) ids by bytes */
	/* Each first byte, its node, and its tokens: the nodes themselves lie in as many cache lines. */
	uint8_t first[256];
	int32_t root[256], tokens[256];
	int n, n_tokens, n_roots;
};
/* Tokens with the same kinds of characters: their nodes, of which several may have no parent. */
struct bucket {
	uint64_t kinds;
	int32_t node, first; /* up to those of the next bucket */
};
enum { UPTO_MASKS = (PURE_CLASSES + 1) * (PURE_CHARS + 1) };
struct grammar_room {
	int vocab, words, longest; /* longest: bytes of a token */
	char *bytes;               /* of all tokens */
	int32_t *at;               /* (vocab + 1) where those of a token begin; no bytes: never allowed */
	/* Pure tokens have at most PURE_CHARS characters; each class has a trie of its own.
	 * `upto` has those of a class, or of all, of so many characters at most. */
	struct trie rest, pure[PURE_CLASSES];
	struct trie signs;     /* the tokens of PURE_OTHER again, by bucket */
	struct bucket *bucket; /* (n_buckets + 1) */
	int n_buckets;
	uint32_t *upto;      /* (PURE_CLASSES + 1, PURE_CHARS + 1, words) */
	struct pool pool[2]; /* a full one is left for the other */
	int active;
	int32_t *path; /* (longest + 1) states of a walk */
	int n_masks;
	uint32_t *mask;        /* (n_masks, words) */
	struct mask_of *owner; /* (n_masks) */
	uint64_t clock;
	struct grammar_run *runs;
};
struct mask_of {
	int32_t state; /* -1: none */
	uint64_t stops, used;
	int32_t only;
	bool any;
	bool goes_on; /* a token that is no end token is allowed */
};
/* (words) of r->upto; class: PURE_CLASSES: all of them. */
uint32_t *room_upto(const struct grammar_room *r, int class, int chars);
/* Fills the mask of a state without end tokens. False: the pool is full. */
bool walk_mask(struct grammar_room *r, int32_t state, uint32_t *mask);

#endif

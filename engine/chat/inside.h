/* inside.h - private to engine/chat. */
#ifndef ENGINE_CHAT_INSIDE_H
#define ENGINE_CHAT_INSIDE_H

#include "engine/chat/chat.h"
#include "engine/template/template.h"

/* Collects ids: parts that are encoded together, then cut. */
struct build {
	const struct chat *chat;
	const struct tokenizer *t;
	struct ids *ids;
	struct why *why;
	int err;
	char *text;                   /* all parts so far */
	size_t len, max, from;        /* from: where the uncut parts begin */
	struct template_piece *piece; /* the uncut parts; their `text` is set by the cut */
	int n, max_pieces;
};
void build_say(struct build *b, const char *literal);           /* a text of the format */
void build_user(struct build *b, const char *text, size_t len); /* a text of a message */
void build_id(struct build *b, int id);                         /* a token; cuts the parts before it */
void build_cut(struct build *b);                                /* encodes the parts since the last cut */
void build_finish(struct build *b);

struct chat_turn {
	const char *role, *content;
	size_t len;
	bool first, last; /* last: the last message, and the model shall answer it */
};
struct format {
	const char *name;
	const char *roles;                                             /* " user assistant " */
	void (*begin)(struct build *b, const struct chat_turn *first); /* runs before the first turn; may be NULL */
	void (*turn)(struct build *b, const struct chat_turn *t);
	void (*open)(struct build *b, const struct chat_turn *last); /* starts the answer; may be NULL */
	const char *stop_token;                                      /* besides eos; may be NULL */
	const char *const *stop;                                     /* NULL-terminated list of strings */
	bool system_later;                                           /* a system message may be at any place */
};
const struct format *format_find(const char *name);

/* What a template accepts as the content of a role's message. */
enum { N_ROLES = 4 };
struct takes {
	bool text;
	bool part, parts; /* a list of one part, of more */
};
struct shaped {
	struct template *template; /* NULL: a built-in format, which accepts strings */
	struct takes takes[N_ROLES];
	bool renders_tools;  /* the template shows tools */
	bool text_arguments; /* it takes the arguments of calls as a text only */
	bool with_tools;     /* the template serves conversations with tools */
	bool developer;      /* it knows the role; otherwise a developer counts as the system */
};
/* Fills s->takes by trial. own: the model's variables. */
void shape_learn(struct shaped *s, json_t *own);
/* *out receives the messages as the format accepts them. ERR_INVALID names the message that is malformed. */
int shape_messages(const struct shaped *s, const json_t *messages, json_t **out, struct why *why);

struct chat {
	const struct format *format; /* NULL: a template */
	struct shaped all;
	struct shaped tools;         /* for conversations with tools, if the model has a template of its own for them */
	struct why no_tool_template; /* why that template cannot be used; empty: it can */
	const struct tokenizer *tokenizer;
	char *name;
	json_t *own;               /* the model's variables for its template */
	int bos, eos;              /* -1: none; bos: set only if the model's files put it before every text */
	int user_id, assistant_id; /* used by baichuan */
	const struct chat_form *calls, *reasoning; /* may be NULL */
	int32_t stop_ids[4];
	int n_stop_ids, n_stop;
};
/* Encodes adjacent pieces as one text. Special tokens inside user pieces stay text. */
int encode_pieces(const struct tokenizer *t, const struct template_piece *piece, int n, struct ids *ids,
		  struct why *why);

#endif

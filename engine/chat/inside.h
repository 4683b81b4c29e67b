/* inside.h - between the files of the folder. */
#ifndef ENGINE_CHAT_INSIDE_H
#define ENGINE_CHAT_INSIDE_H

#include "engine/chat/chat.h"
#include "engine/template/template.h"

/* Ids under construction: parts that are encoded together, then cut. */
struct build {
	const struct chat *chat;
	const struct tokenizer *t;
	struct ids *ids;
	struct why *why;
	int err;
	char *text;                   /* of all parts so far */
	size_t len, max, from;        /* from: where the parts not yet cut begin */
	struct template_piece *piece; /* of those; `text` is set when they are cut */
	int n, max_pieces;
};
void build_say(struct build *b, const char *literal);           /* of the format */
void build_user(struct build *b, const char *text, size_t len); /* of a message */
void build_id(struct build *b, int id);                         /* a token; parts before it are cut */
void build_cut(struct build *b);                                /* encodes the parts since the last cut */
void build_finish(struct build *b);

struct turn {
	const char *role, *content;
	size_t len;
	bool first, last; /* last: and an answer is wanted */
};
struct format {
	const char *name;
	const char *roles;                                        /* " user assistant " */
	void (*begin)(struct build *b, const struct turn *first); /* before the first turn; NULL: nothing */
	void (*turn)(struct build *b, const struct turn *t);
	void (*open)(struct build *b, const struct turn *last); /* asks for the answer */
	const char *stop_token;                                 /* besides eos; NULL: none */
	const char *const *stop;                                /* strings, NULL at the end */
	bool system_later;                                      /* a system message may stand anywhere */
};
const struct format *format_find(const char *name);

/* What a template takes as the content of a role's message. */
enum { N_ROLES = 4 };
struct takes {
	bool text;
	bool part, parts; /* a list of one, of more */
};
struct shaped {
	struct template *template; /* NULL: a built-in form, which takes texts */
	struct takes takes[N_ROLES];
	bool with_tools; /* the template is for conversations with tools */
	bool developer;  /* it knows the role; otherwise a developer is the system */
};
/* Fills takes. own: the model's variables. */
void shape_learn(struct shaped *s, json_t *own);
/* *out: the messages as the format takes them. ERR_INVALID names the message that is none. */
int shape_messages(const struct shaped *s, const json_t *messages, json_t **out, struct why *why);

struct chat {
	const struct format *format; /* NULL: a template */
	struct shaped all;
	struct shaped tools;         /* for conversations with tools, where the model has a template apart */
	struct why no_tool_template; /* why the one it has cannot be used */
	const struct tokenizer *tokenizer;
	char *name;
	json_t *own;               /* variables of the model for its template */
	int bos, eos;              /* -1: none; bos: only where the model's files have it put before a text */
	int user_id, assistant_id; /* of baichuan */
	int32_t stop_ids[4];
	int n_stop_ids, n_stop;
};
/* Encodes neighbouring pieces as one text; special tokens in pieces of users stay text. */
int encode_pieces(const struct tokenizer *t, const struct template_piece *piece, int n, struct ids *ids,
		  struct why *why);

#endif

/* render.h - the JSON that clients read: pieces of a stream and whole responses. */
#ifndef RPC_GATEWAY_API_RENDER_H
#define RPC_GATEWAY_API_RENDER_H

#include "rpc/gateway/api/generation.h"

/* The keys that all pieces of a response have, in an allocated string. */
char *api_render_preamble(const struct api_generation *w, const struct xv_started *s);

void api_render_role(struct api_generation *w, struct api_choice *c);
void api_render_piece(struct api_generation *w, struct api_choice *c, const char *text, size_t len);
/* A part of a chat's answer, as its parser reports it. */
void api_render_part(struct api_generation *w, struct api_choice *c, enum tools_kind kind, int call, const char *s,
		     size_t n);
void api_render_finish(struct api_generation *w, struct api_choice *c);
void api_render_usage(struct api_generation *w); /* the last piece of a stream */
void api_render_whole(struct api_generation *w);

#endif

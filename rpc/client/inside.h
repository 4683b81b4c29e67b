/* inside.h - what the files of libxverse share. */
#ifndef XVERSE_INSIDE_H
#define XVERSE_INSIDE_H

#include "rpc/client/xverse.h"

/* One open call: what was asked, and what came of it so far, so that it can go on elsewhere. */
struct xv_call {
	struct xv_call *next;
	uint64_t id;
	struct rpc_request asked; /* decoded from a copy of its own */
	bool streams;             /* Generate, Chat or Score: Started, Chunks, Finished */
	bool started;
	char *fingerprint, *numerics_class;
	uint64_t seed, text_bytes;
	int32_t *ids; /* (n_ids) received */
	int n_ids, max_ids;
	uint64_t prompt_text, prompt_tokens;         /* of the prompt, delivered */
	uint64_t prompt_text_now, prompt_tokens_now; /* come since the call was sent last */
	int resumed;
	uint64_t heard_ns, retry_ns; /* retry_ns: send again then; 0: it is sent */
};

struct xv_client {
	struct xv_options how;
	char path[108];
	int fd;                 /* -1: lost, to be found again */
	struct rpc_reply hello; /* the server's first, kept */
	bool greeted;
	uint8_t *in; /* bytes not yet taken */
	size_t in_len, in_max;
	struct rpc_out out; /* bytes not yet sent, from out_sent on */
	size_t out_sent;
	struct rpc_reply reply; /* what xv_wait() gave last */
	struct xv_call *calls; /* in the order asked: so they are sent again, a Cancel behind what it cancels */
	uint64_t next_id, lost_ns, try_ns;
	int pause_ms;
};

/* io.c */
int xv_io_connect(struct xv_client *c, struct why *why);
int xv_io_send(struct xv_client *c, struct why *why);    /* as much as goes; ERR_GONE */
int xv_io_receive(struct xv_client *c, struct why *why); /* what is there; ERR_GONE */
void xv_io_lose(struct xv_client *c);                    /* closes; calls are kept */

/* calls.c */
struct xv_call *xv_call_find(struct xv_client *c, uint64_t id);
struct xv_call *xv_call_add(struct xv_client *c, const struct rpc_request *r);
void xv_call_send(struct xv_client *c, struct xv_call *call); /* again, with what it has */
void xv_call_remove(struct xv_client *c, struct xv_call *call);
/* Notes what came; cuts what was delivered before. True: the caller sees it. */
bool xv_call_take(struct xv_call *call, struct rpc_reply *r);
/* An error that another try may mend, of a call that had begun. */
bool xv_call_may_resume(const struct xv_client *c, const struct xv_call *call, const struct rpc_error *e);

#endif

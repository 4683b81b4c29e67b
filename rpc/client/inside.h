/* inside.h - what the files of libxverse share. */
#ifndef RPC_CLIENT_INSIDE_H
#define RPC_CLIENT_INSIDE_H

#include "rpc/codec/prefix.h"

/* One open call: its request and the output received so far, so that it can be resumed. */
struct client_call {
	struct client_call *next;
	uint64_t id;
	struct xv_request asked; /* decoded from a copy of its own */
	bool streams;            /* Generate, Chat or Score: Started, Chunks, Finished */
	bool started;
	char *fingerprint, *numerics_class, *adapter_fingerprint;
	uint32_t n_prompt;
	uint64_t seed, text_bytes;
	int32_t *ids; /* (n_ids) received */
	int n_ids, max_ids;
	uint64_t prompt_text, prompt_tokens;         /* of the prompt, delivered */
	uint64_t prompt_text_now, prompt_tokens_now; /* come since the call was sent last */
	int resumed;          /* how often it was sent to another server, or again, that goes on with it */
	bool had;             /* a server had it, and did not merely put it off */
	bool started_now;     /* it has begun since it was sent last */
	bool sent, lost_here; /* lost_here: by the present connection's own word */
	bool cancelled;       /* so that it is not put off: its Cancel would be answered before it is sent again */
	size_t too_large;     /* bytes of its message, which is larger than the server takes; 0: it is not */
	int losses;           /* how often the server went away while it had this call, since its last new token */
	uint64_t retry_ns;    /* send again then; 0: it is sent, or goes with the next connection */
	uint64_t late_ns;     /* since when the server puts it off; 0: it does not */
	uint64_t deadline_ns; /* 0: none */
};

enum { CLIENT_MS = 1000000 };

struct xv_client {
	struct xv_options how;
	char path[108];
	int fd;                /* -1: lost, to be found again */
	struct xv_reply hello; /* the server's first, kept */
	bool greeted;
	uint8_t *in; /* bytes not yet taken */
	size_t in_len, in_max;
	struct rpc_out out;     /* bytes not yet sent, from out_sent on */
	struct rpc_prefix sent; /* that the connection has */
	size_t out_sent;
	struct xv_reply reply;     /* what xv_wait() returned last */
	struct client_call *calls; /* in the order asked: so they are sent again, a Cancel behind what it cancels */
	uint64_t next_id, lost_ns, try_ns;
	uint64_t heard_ns, looked_ns; /* when bytes came last, and when they were last looked for */
	uint64_t connected_ns;
	int pause_ms, resends;
	char waits_for[512], end_text[512]; /* why calls wait; the text of an Error that is made here */
	bool noticed;                       /* `notice` has been called */
};

/* io.c */
int client_io_connect(struct xv_client *c, struct why *why);
int client_io_send(struct xv_client *c, struct why *why);    /* as much as goes; ERR_GONE */
int client_io_receive(struct xv_client *c, struct why *why); /* the bytes that have arrived; ERR_GONE */
void client_io_lose(struct xv_client *c);                    /* closes; calls are kept */
bool client_io_is_there(const struct xv_client *c);          /* the path is a socket's */

/* calls.c */
struct client_call *client_call_find(struct xv_client *c, uint64_t id);
struct client_call *client_call_add(struct xv_client *c, const struct xv_request *r);
void client_call_send(struct xv_client *c, struct client_call *call); /* again, with what it has */
/* Appends it to c->out. 0, or the bytes of a message that the server does not take: nothing is appended. */
size_t client_encode(struct xv_client *c, struct xv_request r);
size_t client_largest(const struct xv_client *c); /* bytes of a message that the server takes */
void client_call_remove(struct xv_client *c, struct client_call *call);
bool client_call_fits(const struct client_call *call, const struct xv_reply *r); /* its request has such an answer */
/* Records the reply and leaves out what was delivered before. True: the caller gets it. */
bool client_call_take(struct client_call *call, struct xv_reply *r);

/* loss.c */
/* The connection is gone: 0 where calls are open and may go on by another one, else ERR_GONE, the caller's to know. */
int client_lose(struct xv_client *c, const struct why *why);
void client_count_losses(struct xv_client *c); /* the server went away: each call that it had may be why */
int client_come_back(struct xv_client *c, struct why *why);
int client_check_patience(const struct xv_client *c, struct why *why);
/* Sends calls again whose time has come; an open call on a connection without traffic means that the server hangs:
 * ERR_GONE.
 */
int client_look_at_calls(struct xv_client *c, struct why *why);
/* An error that another try may mend: a delay of any call while the model loads, of one that has begun whatever it is.
 */
bool client_may_wait(const struct xv_client *c, const struct client_call *call, const struct xv_error *e);
void client_delay(struct xv_client *c, struct client_call *call, const struct xv_error *e);
void client_note_wait(struct xv_client *c, const char *text);
/* Makes *r an Error of the call, which is removed. */
void client_end_call(struct xv_client *c, struct client_call *call, int err, const char *text, struct xv_reply *r);
/* The end of a call that no server will end: it was lost too often, or its time is over. The call is removed. */
bool client_end_here(struct xv_client *c, struct xv_reply *r);

#endif

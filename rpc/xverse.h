/* xverse.h - libxverse: talk to xversed from C. cc $(pkg-config --cflags --libs xverse).
 *
 * One connection carries many calls. A Generate, Chat or Score is answered by XV_R_STARTED, any number of XV_R_CHUNK,
 *then XV_R_FINISHED or XV_R_ERROR; every other request by one reply. The fields mean what xverse.proto and
 *docs/protocol.md say.
 *
 * Blocking: xv_send(), then xv_wait() until the last reply, as example.c does.
 * In a poll loop of your own, where nothing here ever blocks:
 *
 *	xv_connect() with no_wait
 *	for (;;) {
 *		struct pollfd p = {.fd = xv_fd(c), .events = POLLIN | (xv_unsent(c) ? POLLOUT : 0)};
 *		poll(&p, 1, 100);
 *		while ((got = xv_wait(c, &r, 0, why)) == 1)
 *			take(&r);
 *	}
 *
 * Reconnect and resume: when the connection is lost while calls are open, xv_wait() connects again and sends each call
 *with the output received so far. The stream goes on with the next chunk, with the same bits as without the loss,
 *unless `no_resume` is set. A call that was open when the server went away three times in a row, without a new token in
 *between, ends with an Error (XV_ERR_INTERNAL) made here. A call that begins while the model loads waits; `notice`
 *reports it. A request's time limit counts from xv_send(). A reply that does not belong to the request's kind becomes
 *an Error (XV_ERR_FORMAT), the last reply of the call.
 *
 * Errors are XV_ERR_* (negative) with a text in `why`. A reply, and all it points to, belongs to the library and is
 *valid until the next xv_ call with that client; a request belongs to the caller and is copied. One thread may use a
 *client at a time. SIGPIPE is never raised. Where memory ends, the process exits with 70 and a line on standard error.
 */
#ifndef XVERSE_H
#define XVERSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum xv_error_code {
#define ERROR(name, value, text) XV_##name = value, /* text */
#include "base/error.def"
};
const char *xv_error_text(int code); /* never NULL */
const char *xv_error_name(int code); /* "ERR_BUSY" */
enum { XV_WHY = 512 };               /* bytes of the text that explains an error, in UTF-8 and NUL-terminated */

/* ---- requests ---- */

struct xv_hello {
	uint32_t protocol_min, protocol_max, frame_limit;
	const char *version, *served_model; /* never NULL */
};

struct xv_bias {
	int32_t id;
	float value;
};

/* In the order of xverse.proto. */
enum xv_sampling_field {
#define REAL(NAME, ...) XV_##NAME,
#define WHOLE(NAME, ...) XV_##NAME,
#define SWITCH(NAME, ...) XV_##NAME,
#include "proto/sampling.def"
};
/* What an answer must be (docs/structured-output.md). */
enum xv_constraint_kind {              /* field numbers of Constraint.kind */
			  XV_FREE = 0, /* any text */
			  XV_JSON_SCHEMA,
			  XV_JSON_OBJECT,
			  XV_REGEX,
			  XV_GRAMMAR,
			  XV_CHOICE,
			  XV_STRUCTURAL_TAG = 7
};
struct xv_constraint {
	enum xv_constraint_kind kind;
	const char *text;          /* NUL-terminated: of JSON_SCHEMA, REGEX, GRAMMAR and STRUCTURAL_TAG */
	const char *const *choice; /* (n_choice) NUL-terminated: of CHOICE */
	int n_choice;
	bool has_compact, compact; /* JSON without white space; unset: as the server's option says */
};

/* A field counts where its bit is set in `has`; else the model's generation_config.json decides, then the default. */
struct xv_sampling {
	uint32_t has;                                                        /* 1 << enum xv_sampling_field */
#define REAL(NAME, field, unset, bound, lo, hi, text, ...) float field;      /* bound lo to hi, default unset; text */
#define WHOLE(NAME, type, field, wire, unset, lo, hi, text, ...) type field; /* lo to hi; text */
#define SWITCH(NAME, field, wire, unset, text, ...) bool field;              /* default unset; text */
#include "proto/sampling.def"
	int n_stop, n_stop_ids, n_bias, n_allowed, n_bad;
	const char *const *stop; /* (n_stop) NUL-terminated, not empty */
	const int32_t *stop_ids, *allowed, *bad;
	const struct xv_bias *bias;
	struct xv_constraint constraint;
};

/* Continues an interrupted call; libxverse fills it in by itself. */
struct xv_resume {
	bool present;       /* false: nothing to resume, and the rest is unset */
	const int32_t *ids; /* (n_ids) tokens received */
	int n_ids;
	uint64_t text_bytes, seed;
	const char *fingerprint, *numerics_class, *adapter_fingerprint;
};

struct xv_prompt {
	bool is_text;
	const char *text; /* (text_len); may hold NUL bytes; in a decoded request NUL-terminated as well */
	size_t text_len;
	const int32_t *ids; /* (n_ids) */
	int n_ids;
};

struct xv_generate {
	struct xv_prompt prompt;
	struct xv_sampling sampling;
	struct xv_resume resume;
	uint32_t timeout_ms; /* 0: none */
	bool echo;
	const char *user;
	const char *adapter; /* name of a LoRA adapter; "": none */
};

struct xv_message {
	const char *role;
	const char *content; /* (content_len); NULL: unset, and `json` may hold it as a list or null */
	const char *name, *json;
	size_t content_len; /* the text may hold NUL bytes */
};
struct xv_chat { /* Chat and Template */
	int n_messages;
	const struct xv_message *messages;
	struct xv_sampling sampling;
	struct xv_resume resume;
	uint32_t timeout_ms;
	const char *user, *tools_json, *documents_json, *args_json;
	bool add_generation_prompt; /* in a decoded request true where unset */
	const char *adapter;
	const char *tool_choice, *tool_name; /* "": auto; "": any tool */
	bool one_call;                       /* where calls are constrained, to one */
};

struct xv_score {
	struct xv_prompt prompt;
	uint32_t top_n, timeout_ms;
	bool add_special; /* in a decoded request true where unset */
	const char *adapter;
	/* What many prompts begin with, of the same form as `prompt` (text or ids), before which it stands: text and
	 * prefix become tokens as one. Give it with every request: libxverse sends it once. Without text or ids: none.
	 */
	struct xv_prompt prefix;
	/* (n_targets) Instead of the prompt's tokens, score these ids as the token that follows it. One pass, its
	 * prompt's last position only, and blocks of the prefix cache are shared: xv_finished.target_logits. */
	const int32_t *targets;
	int n_targets;
	bool target_logprobs; /* and their logprobs over the whole vocabulary */
	uint32_t prefix_id;   /* libxverse sets it: the number of `prefix` on this connection */
};

enum xv_kind { /* field numbers of Request.body */
	       XV_NONE = 0,
	       XV_HELLO = 2,
	       XV_GENERATE,
	       XV_CANCEL,
	       XV_STATUS,
	       XV_TOKENIZE,
	       XV_DETOKENIZE,
	       XV_SCORE,
	       XV_DRAIN,
	       XV_METRICS,
	       XV_LOG_LEVEL,
	       XV_CHAT,
	       XV_TEMPLATE,
	       XV_CALLS,
	       XV_LORA_LOAD = 16,
	       XV_LORA_UNLOAD,
	       XV_PARSE,
};

/* The text of a Chat's answer, to be taken apart as docs/tools.md says. */
struct xv_parse {
	const char *text; /* 1 MiB at most */
	size_t text_len;
	const char *tools_json;                     /* of the Chat */
	const char *tool_parser, *reasoning_parser; /* these and the next are those of its xv_started */
	bool reasoning_open;
	bool one_call; /* what follows the first call is left out */
};

struct xv_asker {
	const char *key, *client; /* NULL is "" */
};

/* Start from {.kind = ...}: what is zero is unset. A string that is NULL is "". */
struct xv_request {
	uint64_t id; /* xv_send() sets it */
	enum xv_kind kind;
	struct xv_asker asker;
	union {
		struct xv_hello hello;
		struct xv_generate generate;
		struct xv_chat chat; /* XV_CHAT, XV_TEMPLATE */
		struct xv_score score;
		struct {
			bool has_call, has_id;
			uint64_t call, id;
		} cancel;
		struct {
			const char *text;
			size_t text_len;
			bool add_special, parse_special,
				pieces; /* add_special: in a decoded request true where unset */
		} tokenize;
		struct {
			const int32_t *ids;
			int n_ids;
			bool skip_special;
		} detokenize;
		struct {
			uint32_t level;
		} log_level;
		struct {
			uint32_t most; /* entries of the answer; 0: 1000 */
		} calls;
		struct {
			const char *name, *dir; /* dir: LORA_LOAD only */
		} lora;
		struct xv_parse parse;
	};
	void *memory; /* of a decoded request; leave it NULL */
};

/* ---- replies ---- */

struct xv_error {
	int code;                /* XV_ERR_*, negative */
	const char *text;        /* in UTF-8 */
	uint32_t retry_after_ms; /* 0: unset */
	int rank;                /* rank, step and pid are set with XV_ERR_LOST_RANK only; -1: unset */
	int64_t step, pid;
	bool retryable; /* the same call may succeed a little later */
};

struct xv_started {
	uint64_t call, seed;
	const char *fingerprint, *numerics_class;
	uint32_t prompt_tokens;
	const int32_t *prompt_ids;
	int n_prompt_ids;
	const char *adapter, *adapter_fingerprint; /* "" without an adapter */
	/* Of a Chat: how its text is to be read (docs/tools.md); "": it holds no calls, no reasoning. */
	const char *tool_parser, *reasoning_parser;
	bool reasoning_open; /* the text begins inside the reasoning */
};

struct xv_top {
	int32_t id;
	float logprob;
	const char *piece;
	size_t piece_len;
};
struct xv_token {
	int32_t id;
	float logprob;
	uint32_t rank;
	bool greedy, has_logprob;
	const char *piece;
	size_t piece_len;
	const struct xv_top *top;
	int n_top;
};
struct xv_chunk {
	const char *text;
	size_t text_len;
	const int32_t *ids;
	int n_ids;
	const struct xv_token *tokens;
	int n_tokens;
	bool prompt;
};

enum xv_finish {
	XV_FINISH_NONE,
	XV_FINISH_STOP,
	XV_FINISH_LENGTH,
	XV_FINISH_CANCELLED,
	XV_FINISH_DEADLINE,
	XV_FINISH_SCORED
};
struct xv_finished {
	enum xv_finish reason;
	int32_t stop_id; /* -1: unset */
	const char *stop_text;
	uint32_t prompt_tokens, output_tokens, cached_tokens;
	uint64_t queue_ns, prefill_ns, decode_ns;
	/* Of Score with targets, in their order: logits as the model made them, and logprobs where asked for. */
	const float *target_logits, *target_logprobs;
	int n_target_logits, n_target_logprobs;
};

enum xv_state { XV_STATE_STARTING, XV_STATE_LOADING, XV_STATE_READY, XV_STATE_DRAINING };
struct xv_rank_status {
#define RANK(field, type, cli, gateway, meaning) type field; /* meaning */
#include "proto/status.def"
};
enum xv_adapter_state { XV_ADAPTER_LOADING, XV_ADAPTER_READY, XV_ADAPTER_UNLOADING, XV_ADAPTER_MERGED };
struct xv_adapter {
	const char *name, *fingerprint, *dir; /* fingerprint "": it is being loaded */
	enum xv_adapter_state state;
	uint32_t rank, calls; /* the largest rank of its modules; calls that are open */
	uint64_t total_calls;
};
struct xv_status {
	enum xv_state state;
#define TEXT(field, cli, gateway, meaning) const char *field;  /* meaning */
#define NUMBER(field, type, cli, gateway, meaning) type field; /* meaning */
#include "proto/status.def"
	struct xv_sampling defaults; /* of a request that leaves a number unset; `has` marks what is known, no lists */
	const struct xv_rank_status *rank; /* (n_rank) */
	int n_rank;
	const struct xv_adapter *adapter; /* (n_adapter) LoRA adapters */
	int n_adapter;
};

struct xv_tokens {
	const int32_t *ids;
	int n_ids;
	const char *const *pieces; /* as in the vocabulary; NULL: ids only */
	const size_t *piece_len;
	const char *const *texts; /* of each token alone, as in xv_token; NULL: none, or more than 8,192 tokens */
	const size_t *text_len;
	const uint32_t *first, *end;
};

struct xv_tool_call {
	const char *name;
	const char *arguments; /* JSON, as the model wrote it */
	size_t arguments_len;
};
struct xv_parsed {
	const char *content, *reasoning;
	size_t content_len, reasoning_len;
	const struct xv_tool_call *call; /* (n) */
	int n;
};

enum xv_call_state { XV_CALL_LOADING, XV_CALL_TOKENIZING, XV_CALL_WAITING, XV_CALL_RUNNING };
enum xv_call_kind { XV_CALL_GENERATE, XV_CALL_CHAT, XV_CALL_SCORE };
struct xv_call_info {
	uint64_t call, age_ns;
	uint32_t uid;
	const char *key, *client; /* "" where no gateway asked */
	enum xv_call_kind kind;
	enum xv_call_state state;
	uint32_t queue_place, prompt_tokens, output_tokens;
	bool resumed;
};
struct xv_calls {
	const struct xv_call_info *call; /* (n) the oldest first */
	int n;
	uint32_t more; /* open beyond those */
};

enum xv_reply_kind { /* field numbers of Reply.body */
		     XV_R_NONE = 0,
		     XV_R_HELLO = 2,
		     XV_R_STARTED,
		     XV_R_CHUNK,
		     XV_R_FINISHED,
		     XV_R_ERROR,
		     XV_R_KEEP_ALIVE,
		     XV_R_STATUS,
		     XV_R_TOKENS,
		     XV_R_TEXT,
		     XV_R_DONE,
		     XV_R_METRICS,
		     XV_R_RENDERED,
		     XV_R_CALLS,
		     XV_R_ADAPTER,
		     XV_R_PARSED,
};
struct xv_reply {
	uint64_t id;
	enum xv_reply_kind kind;
	union {
		struct xv_hello hello;
		struct xv_started started;
		struct xv_chunk chunk;
		struct xv_finished finished;
		struct xv_error error;
		struct {
			uint32_t queue_place;
		} keep_alive;
		struct xv_status status;
		struct xv_tokens tokens;
		struct {
			const char *text;
			size_t text_len;
		} text; /* XV_R_TEXT, XV_R_METRICS */
		struct {
			uint32_t count;
		} done;
		struct {
			const char *text;
			size_t text_len;
			const int32_t *ids;
			int n_ids;
		} rendered;
		struct xv_calls calls;
		struct xv_adapter adapter;
		struct xv_parsed parsed;
	};
	void *memory; /* of a decoded reply */
};

/* ---- the client ---- */

struct xv_client;

struct xv_options {
	const char *path;       /* NULL: that of xv_default_path(), which must not be empty */
	int connect_timeout_ms; /* 0: 40,000, longer than the launcher ever waits before it restarts a job */
	int silence_timeout_ms; /* a server that sends nothing for so long while calls are open is lost; time in which
				   xv_wait() is not called does not count; 0: 10000 */
	bool no_resume;
	int resume_timeout_ms;  /* how long to try to reconnect; 0: 120000 */
	int loading_timeout_ms; /* how long a call that has not begun waits for the model to load; 0: resume_timeout_ms;
				   below 0: it does not wait, and ends with XV_ERR_LOADING */
	bool no_wait;           /* xv_connect() does not wait for the server's Hello: it never blocks */
	/* Called when calls, or xv_connect(), begin to wait, with the reason ("the model is still loading"), once until
	 * the server sends something again. May be NULL. It must not make xv_ calls. */
	void (*notice)(void *arg, const char *what);
	void *notice_arg;
};

/* 0, or XV_ERR_* with a text that says what to do. `why` may be NULL. */
int xv_connect(struct xv_client **out, const struct xv_options *how, char why[XV_WHY]);
void xv_close(struct xv_client *c); /* NULL is fine; the server cancels open calls */
const struct xv_hello *xv_server(const struct xv_client *c);

/* Sends a request, sets r->id and returns it: the call's number on this connection (> 0). A request beyond the bytes
 * that the server takes in one message is not sent: xv_wait() ends it with XV_ERR_LIMIT. */
uint64_t xv_send(struct xv_client *c, struct xv_request *r);
/* False: the server does not know the call (any more), so that no reply arrives. */
bool xv_cancel(struct xv_client *c, uint64_t id);

/* 1: the next reply of any call is in r; 0: none arrived within timeout_ms; XV_ERR_*: the connection is lost for good.
 * Keep-alives are passed on too. `why` may be NULL. */
int xv_wait(struct xv_client *c, struct xv_reply *r, int timeout_ms, char why[XV_WHY]);
/* For a poll loop of your own: poll xv_fd() for reading (and for writing while xv_unsent()), then call xv_wait() with a
 * timeout of 0 until it returns 0; do so every 100 ms at least, since it also retries and detects silence. The
 * descriptor changes when the connection is made again, and is -1 in between. */
int xv_fd(const struct xv_client *c);
bool xv_unsent(const struct xv_client *c);
/* Call it after a time in which the caller chose not to read: that silence was not the server's. */
void xv_forgive(struct xv_client *c);
int xv_resumed(const struct xv_client *c, uint64_t id); /* how often this call was resumed */
int xv_resends(const struct xv_client *c); /* calls sent again because the server was lost, over the client's life */

/* Writes the default path of the socket to `out`: XVERSE_SOCKET, else xversed.sock in $XDG_RUNTIME_DIR, /run/xversed or
 * /tmp/xversed-UID, wherever there is one; "" if none of these folders can be used. */
void xv_default_path(char *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif

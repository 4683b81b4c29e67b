/* codec.h - payload bytes <-> plain structs. The only file that sees generated protobuf code (codec*.c).
 *
 * Optional numbers carry a `has_` flag. Decoded requests own one block of memory: rpc_request_free(). Field meaning,
 * units and defaults are in proto/xverse.proto; enum values are equal to the proto's. */
#ifndef RPC_CODEC_CODEC_H
#define RPC_CODEC_CODEC_H

#include "base/base.h"

enum { RPC_PROTOCOL = 1 }; /* the version that both sides of this source speak */

/* Over one of these: ERR_LIMIT with the field named. Token ids are bounded by the frame; their values are the engine's
 * to check. */
enum {
#define COUNT(Message, field, most, meaning) RPC_MOST_##Message##_##field = most,
#define BYTES(Message, field, most, meaning) RPC_BYTES_##Message##_##field = most,
#include "proto/limits.def"
	RPC_MAX_STOP = RPC_MOST_Sampling_stop,
	RPC_MAX_STOP_BYTES = RPC_BYTES_Sampling_stop, /* of one */
	RPC_MAX_MESSAGES = RPC_MOST_Chat_messages,
	RPC_MAX_ASKER_BYTES = RPC_BYTES_Asker_key,   /* a field of Asker; over it: ERR_INVALID */
	RPC_MAX_NAME_BYTES = RPC_BYTES_Message_role, /* also of user, fingerprint, version, ... */
};

struct rpc_hello {
	uint32_t protocol_min, protocol_max, frame_limit;
	const char *version, *served_model; /* never NULL */
};

struct rpc_bias {
	int32_t id;
	float value;
};

/* Fields in the order of the proto, RPC_TEMPERATURE to RPC_RETURN_IDS; `has` holds a bit a set optional field. */
enum rpc_sampling_field {
#define REAL(NAME, ...) RPC_##NAME,
#define WHOLE(NAME, ...) RPC_##NAME,
#define SWITCH(NAME, ...) RPC_##NAME,
#include "proto/sampling.def"
};
extern const struct range rpc_sampling_ranges[]; /* of its numbers */
struct rpc_sampling {
	uint32_t has; /* 1 << enum rpc_sampling_field */
#define REAL(NAME, field, ...) float field;
#define WHOLE(NAME, type, field, ...) type field;
#define SWITCH(NAME, field, ...) bool field;
#include "proto/sampling.def"
	int n_stop, n_stop_ids, n_bias, n_allowed, n_bad;
	const char *const *stop; /* (n_stop) NUL-terminated, not empty */
	const int32_t *stop_ids, *allowed, *bad;
	const struct rpc_bias *bias;
};

struct rpc_resume {
	bool present;       /* false: nothing to resume, the rest is unset */
	const int32_t *ids; /* (n_ids) */
	int n_ids;
	uint64_t text_bytes, seed;
	const char *fingerprint, *numerics_class;
};

struct rpc_prompt {
	bool is_text;
	const char *text; /* (text_len), NUL-terminated as well; may hold NUL bytes */
	size_t text_len;
	const int32_t *ids; /* (n_ids) */
	int n_ids;
};

struct rpc_generate {
	struct rpc_prompt prompt;
	struct rpc_sampling sampling;
	struct rpc_resume resume;
	uint32_t timeout_ms; /* 0: none */
	bool echo;
	const char *user;
};

struct rpc_message {
	const char *role;
	const char
		*content; /* (content_len), NUL-terminated as well; NULL: unset, `json` may hold it as a list or null */
	const char *name, *json;
	size_t content_len; /* the text may hold NUL bytes */
};
struct rpc_chat { /* Chat and Template */
	int n_messages;
	const struct rpc_message *messages;
	struct rpc_sampling sampling;
	struct rpc_resume resume;
	uint32_t timeout_ms;
	const char *user, *tools_json, *documents_json, *args_json;
	bool add_generation_prompt; /* true where unset */
};

struct rpc_score {
	struct rpc_prompt prompt;
	uint32_t top_n, timeout_ms;
	bool add_special; /* true where unset */
};

enum rpc_kind { /* field numbers of Request.body */
		RPC_NONE = 0,
		RPC_HELLO = 2,
		RPC_GENERATE,
		RPC_CANCEL,
		RPC_STATUS,
		RPC_TOKENIZE,
		RPC_DETOKENIZE,
		RPC_SCORE,
		RPC_DRAIN,
		RPC_METRICS,
		RPC_LOG_LEVEL,
		RPC_CHAT,
		RPC_TEMPLATE,
};

struct rpc_asker {
	const char *key, *client; /* NULL is "" where a request is encoded */
};

struct rpc_request {
	uint64_t id;
	enum rpc_kind kind;
	struct rpc_asker asker;
	union {
		struct rpc_hello hello;
		struct rpc_generate generate;
		struct rpc_chat chat; /* RPC_CHAT, RPC_TEMPLATE */
		struct rpc_score score;
		struct {
			bool has_call, has_id;
			uint64_t call, id;
		} cancel;
		struct {
			const char *text;
			size_t text_len;
			bool add_special, parse_special, pieces; /* add_special: true where unset */
		} tokenize;
		struct {
			const int32_t *ids;
			int n_ids;
			bool skip_special;
		} detokenize;
		struct {
			uint32_t level;
		} log_level;
	};
	void *memory; /* what the pointers point into */
};

/* 0, or ERR_FORMAT, ERR_INVALID or ERR_LIMIT with the field named; then only id and kind are set (kind: as far as it
 * can be told) and nothing is to be freed. A request of no known kind decodes to RPC_NONE. Pointers are never NULL: an
 * unset string is "". Prompt text and the content of messages may be any bytes (content without NUL); other strings are
 * UTF-8 without NUL. Every number lies in its range of proto/sampling.def and proto/limits.def, and no list or text is
 * longer than they say. Memory: at most 16 times the payload and 8 MiB while decoding, a few times the payload
 * afterwards. */
int rpc_request_decode(struct rpc_request *out, const uint8_t *payload, size_t size, struct why *why);
void rpc_request_free(struct rpc_request *r);
size_t rpc_request_bytes(const struct rpc_request *r); /* that it holds in memory, itself left out */

/* Bytes of one message, head included, appended to a growing buffer: the one way that messages leave. */
struct rpc_out {
	uint8_t *data;
	size_t len, max;
};
void rpc_out_finish(struct rpc_out *o);

struct rpc_error {
	int code;                /* ERR_*, negative */
	const char *text;        /* bytes that are not UTF-8 leave as '?' */
	uint32_t retry_after_ms; /* 0: unset */
	int rank;                /* these three leave with ERR_LOST_RANK only; -1: unset */
	int64_t step, pid;
	bool retryable; /* of a decoded reply; encoding takes it from rpc_retryable(code) */
};
/* The same call may succeed a little later. */
bool rpc_retryable(int code);

struct rpc_started {
	uint64_t call, seed;
	const char *fingerprint, *numerics_class;
	uint32_t prompt_tokens;
	const int32_t *prompt_ids;
	int n_prompt_ids;
};

struct rpc_top {
	int32_t id;
	float logprob;
	const char *piece;
	size_t piece_len;
};
struct rpc_token {
	int32_t id;
	float logprob;
	uint32_t rank;
	bool greedy, has_logprob;
	const char *piece;
	size_t piece_len;
	const struct rpc_top *top;
	int n_top;
};
struct rpc_chunk {
	const char *text;
	size_t text_len;
	const int32_t *ids;
	int n_ids;
	const struct rpc_token *tokens;
	int n_tokens;
	bool prompt;
};

enum rpc_finish {
	RPC_FINISH_NONE,
	RPC_FINISH_STOP,
	RPC_FINISH_LENGTH,
	RPC_FINISH_CANCELLED,
	RPC_FINISH_DEADLINE,
	RPC_FINISH_SCORED
};
struct rpc_finished {
	enum rpc_finish reason;
	int32_t stop_id; /* -1: unset */
	const char *stop_text;
	uint32_t prompt_tokens, output_tokens, cached_tokens;
	uint64_t queue_ns, prefill_ns, decode_ns;
};

enum rpc_state { RPC_STATE_STARTING, RPC_STATE_LOADING, RPC_STATE_READY, RPC_STATE_DRAINING };
struct rpc_rank_status {
	uint32_t rank;
	int64_t pid;
	uint64_t weight_bytes, kv_bytes, work_bytes, file_bytes;
};
struct rpc_status {
	enum rpc_state state;
	const char *model, *fingerprint, *numerics_class, *version, *device, *isa, *architecture, *tokenizer;
	uint32_t ranks, running, waiting, kv_blocks, kv_blocks_held, block_size, max_model_len, max_num_seqs, threads,
		vocab, max_num_batched_tokens;
	uint64_t load_bytes, load_total, load_bytes_per_s, waiting_tokens, uptime_ns, prompt_tokens, output_tokens,
		cached_tokens, preemptions, parameters;
	int64_t step;
	const struct rpc_rank_status *rank;
	int n_rank;
	const char *bos_token, *eos_token;             /* "": none */
	const char *prompt_attention, *kernel_overlap; /* CUDA; else "" */
};

struct rpc_tokens {
	const int32_t *ids;
	int n_ids;
	const char *const *pieces; /* NULL: ids only */
	const size_t *piece_len;
	const uint32_t *first, *end;
};

enum rpc_reply_kind { /* field numbers of Reply.body */
		      RPC_R_NONE = 0,
		      RPC_R_HELLO = 2,
		      RPC_R_STARTED,
		      RPC_R_CHUNK,
		      RPC_R_FINISHED,
		      RPC_R_ERROR,
		      RPC_R_KEEP_ALIVE,
		      RPC_R_STATUS,
		      RPC_R_TOKENS,
		      RPC_R_TEXT,
		      RPC_R_DONE,
		      RPC_R_METRICS,
		      RPC_R_RENDERED,
};
struct rpc_reply {
	uint64_t id;
	enum rpc_reply_kind kind;
	union {
		struct rpc_hello hello;
		struct rpc_started started;
		struct rpc_chunk chunk;
		struct rpc_finished finished;
		struct rpc_error error;
		struct {
			uint32_t queue_place;
		} keep_alive;
		struct rpc_status status;
		struct rpc_tokens tokens;
		struct {
			const char *text;
			size_t text_len;
		} text; /* RPC_R_TEXT, RPC_R_METRICS */
		struct {
			uint32_t count;
		} done;
		struct {
			const char *text;
			size_t text_len;
			const int32_t *ids;
			int n_ids;
		} rendered;
	};
	void *memory; /* decoded replies only */
};

/* Append one framed message. Of a reply, false: there is no memory, and nothing is appended. */
bool rpc_reply_encode(struct rpc_out *out, const struct rpc_reply *reply);
void rpc_request_encode(struct rpc_out *out, const struct rpc_request *request);
int rpc_reply_decode(struct rpc_reply *out, const uint8_t *payload, size_t size, struct why *why);
void rpc_reply_free(struct rpc_reply *r);

/* The id of a message that may not decode; 0 where it cannot be told. */
uint64_t rpc_payload_id(const uint8_t *payload, size_t size);
/* A framed Error of call `id` in the caller's buffer, without allocation (a signal or a dying process may do it).
 * Returns its bytes; the text is cut to fit. */
enum { RPC_ERROR_MAX = 1024 };
size_t rpc_error_write(uint8_t out[RPC_ERROR_MAX], uint64_t id, const struct rpc_error *error);

#endif

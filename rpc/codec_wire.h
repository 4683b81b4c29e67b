/* codec_wire.h - what the four directions of the codec share. Private to rpc/codec*.c: it sees the generated
 * types. */
#ifndef RPC_CODEC_WIRE_H
#define RPC_CODEC_WIRE_H

#include "proto/xverse.pb-c.h"
#include "rpc/arena.h"
#include "rpc/codec.h"

#define PB(name) Xverse__V1__##name

/* Sampling numbers: bit, field here, field there. Floats are listed apart because they must be finite. */
#define SAMPLING_FLOATS(X)                                                \
	X(RPC_TEMPERATURE, temperature, temperature)                      \
	X(RPC_TOP_P, top_p, top_p)                                        \
	X(RPC_MIN_P, min_p, min_p)                                        \
	X(RPC_REPETITION_PENALTY, repetition_penalty, repetition_penalty) \
	X(RPC_PRESENCE_PENALTY, presence_penalty, presence_penalty)       \
	X(RPC_FREQUENCY_PENALTY, frequency_penalty, frequency_penalty)
#define SAMPLING_NUMBERS(X)                                             \
	X(RPC_TOP_K, top_k, top_k)                                      \
	X(RPC_SEED, seed, seed)                                         \
	X(RPC_MAX_TOKENS, max_tokens, max_tokens)                       \
	X(RPC_MIN_TOKENS, min_tokens, min_tokens)                       \
	X(RPC_IGNORE_EOS, ignore_eos, ignore_eos)                       \
	X(RPC_INCLUDE_STOP, include_stop, include_stop_str_in_output)   \
	X(RPC_SKIP_SPECIAL, skip_special, skip_special_tokens)          \
	X(RPC_LOGPROBS, logprobs, logprobs)                             \
	X(RPC_PROMPT_LOGPROBS, prompt_logprobs, prompt_logprobs)        \
	X(RPC_TRUNCATE_PROMPT, truncate_prompt, truncate_prompt_tokens) \
	X(RPC_ADD_SPECIAL, add_special, add_special_tokens)             \
	X(RPC_RETURN_IDS, return_ids, return_token_ids)

#define STATUS_STRINGS(X) \
	X(model) X(fingerprint) X(numerics_class) X(version) X(device) X(isa) X(architecture) X(tokenizer) \
		X(bos_token) X(eos_token) X(prompt_attention) X(kernel_overlap)
#define STATUS_NUMBERS(X)                                                                                  \
	X(ranks)                                                                                           \
	X(load_bytes) X(load_total) X(load_bytes_per_s) X(step) X(running) X(waiting) X(waiting_tokens)    \
		X(kv_blocks) X(kv_blocks_held) X(block_size) X(max_model_len) X(max_num_seqs) X(uptime_ns) \
			X(prompt_tokens) X(output_tokens) X(cached_tokens) X(preemptions) X(threads)       \
				X(vocab) X(parameters) X(max_num_batched_tokens)
#define RANK_NUMBERS(X) X(rank) X(pid) X(weight_bytes) X(kv_bytes) X(work_bytes) X(file_bytes)

/* One message being read. The first error stays; what is read after it is harmless and dropped. */
struct reader {
	struct arena scratch; /* the generated message */
	struct arena out;     /* what the plain struct points into */
	struct why *why;
	int err;
};

/* The generated message in scratch memory, or NULL with the error set. */
const void *wire_unpack(struct reader *r, const ProtobufCMessageDescriptor *type, const uint8_t *payload,
			size_t size, struct why *why);
/* Ends the reading: the memory for the plain struct, or NULL where an error was met (*err says which). */
void *wire_done(struct reader *r, int *err);
int wire_fail(struct reader *r, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* NUL-terminated; "" where unset. read_name() wants UTF-8 of at most `max` bytes, read_text() takes any
 * bytes. */
const char *read_name(struct reader *r, int has, ProtobufCBinaryData from, size_t max, const char *field);
const char *read_text(struct reader *r, int has, ProtobufCBinaryData from, size_t *len);
const int32_t *read_ids(struct reader *r, const int32_t *from, size_t n, size_t max, const char *field,
			int *count);
/* A list of at most `max` in the plain struct's memory. */
void *read_list(struct reader *r, size_t n, size_t max, size_t size, const char *field, int *count);
float read_float(struct reader *r, float value, const char *field);
void read_hello(struct reader *r, struct rpc_hello *out, const PB(Hello) * from);

ProtobufCBinaryData wire_bytes(const char *text, size_t len);
ProtobufCBinaryData wire_string(const char *text); /* NULL is "" */
PB(Hello) * write_hello(struct arena *a, const struct rpc_hello *from);
/* Appends the head and the message. */
void wire_append(struct rpc_out *out, const ProtobufCMessage *message);

/* A fresh message of generated type T in the arena. */
#define WIRE_NEW(a, Type, type)                                              \
	({                                                                   \
		PB(Type) *wire_new = arena_zeroed((a), 1, sizeof *wire_new); \
		xverse__v1__##type##__init(wire_new);                        \
		wire_new;                                                    \
	})

#endif

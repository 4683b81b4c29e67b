/* wire.h - what the four directions of the codec share. Private to this folder: it sees the generated types. */
#ifndef RPC_CODEC_WIRE_H
#define RPC_CODEC_WIRE_H

#include "proto/xverse.pb-c.h"
#include "base/arena.h"
#include "rpc/codec/codec.h"

#define PB(name) Xverse__V1__##name

/* One message being read. The first error stays; what is read after it is harmless and dropped. */
struct reader {
	struct arena scratch; /* the generated message */
	struct arena out;     /* what the plain struct points into */
	struct why *why;
	int err;
};

/* The generated message in scratch memory, or NULL with the error set. */
const void *wire_unpack(struct reader *r, const ProtobufCMessageDescriptor *type, const uint8_t *payload, size_t size,
			struct why *why);
/* The name of the field that a message repeats most, of whatever depth, without decoding it; "message" where none is.
 */
const char *wire_most_repeated(const ProtobufCMessageDescriptor *type, const uint8_t *payload, size_t size);
/* Ends the reading: the memory for the plain struct, or NULL where an error was met (*err says which). */
void *wire_done(struct reader *r, int *err);
int wire_fail(struct reader *r, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* NUL-terminated; "" where unset. read_name() wants UTF-8 of at most `max` bytes, read_text() takes any
 * bytes. */
const char *read_name(struct reader *r, int has, ProtobufCBinaryData from, size_t max, const char *field);
const char *read_text(struct reader *r, int has, ProtobufCBinaryData from, size_t *len);
const int32_t *read_ids(struct reader *r, const int32_t *from, size_t n, size_t max, const char *field, int *count);
/* A list of at most `max` in the plain struct's memory. */
void *read_list(struct reader *r, size_t n, size_t max, size_t size, const char *field, int *count);
/* The one place where numbers meet their ranges: proto/limits.def and proto/sampling.def. */
enum wire_number {
#define NUMBER(Message, field, ...) WIRE_##Message##_##field,
#define DECIMAL(Message, field, ...) WIRE_##Message##_##field,
#include "proto/limits.def"
};
void read_number(struct reader *r, double value, enum wire_number which, const char *field);
void read_in_range(struct reader *r, double value, const struct range *range, const char *field);
void read_sampling(struct reader *r, struct xv_sampling *s, const PB(Sampling) * from); /* from NULL: all unset */
void read_hello(struct reader *r, struct xv_hello *out, const PB(Hello) * from);

ProtobufCBinaryData wire_bytes(const char *text, size_t len);
ProtobufCBinaryData wire_string(const char *text); /* NULL is "" */
PB(Sampling) * write_sampling(struct arena *a, const struct xv_sampling *s);
PB(Hello) * write_hello(struct arena *a, const struct xv_hello *from);
/* Appends the head and the message; false: there is no memory, and nothing is appended. */
bool wire_append(struct rpc_out *out, const ProtobufCMessage *message);

/* A fresh message of generated type T in the arena. */
#define WIRE_NEW(a, Type, type) \
	({ \
		PB(Type) *wire_new = arena_zeroed((a), 1, sizeof *wire_new); \
		xverse__v1__##type##__init(wire_new); \
		wire_new; \
	})

#endif

#include "rpc/codec/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "rpc/frame.h"

static void *scratch_alloc(void *arena, size_t size)
{
	return arena_take(arena, size);
}

static void scratch_free(void *arena, void *p)
{
	(void)arena, (void)p; /* the arena ends as a whole */
}

/* Bytes that a message may take while it is decoded: so many a byte, which long texts and lists need, and so many for
 * every message. protobuf-c takes about 250 bytes for a Message of a dozen bytes, and up to 16,384 of them are legal.
 */
enum { DECODE_PER_BYTE = 16, DECODE_ANY = 8 << 20 };

const void *wire_unpack(struct reader *r, const ProtobufCMessageDescriptor *type, const uint8_t *payload, size_t size,
			struct why *why)
{
	ProtobufCAllocator allocator = {scratch_alloc, scratch_free, &r->scratch};
	const void *message;

	*r = (struct reader){
		.scratch = {.budget = DECODE_PER_BYTE * size + DECODE_ANY}, .out = {.budget = SIZE_MAX}, .why = why};
	message = protobuf_c_message_unpack(type, &allocator, size, payload);
	if (!message && r->scratch.starved)
		wire_fail(r, ERR_BUSY, "there is no memory for a message of %zu bytes now", size);
	else if (!message && r->scratch.refused)
		wire_fail(r, ERR_LIMIT, "%s: too many entries for a message of %zu bytes",
			  wire_most_repeated(type, payload, size), size);
	else if (!message)
		wire_fail(r, ERR_FORMAT, "not a message of the protocol");
	return message;
}

void *wire_done(struct reader *r, int *err)
{
	void *blocks = r->out.blocks;

	arena_finish(&r->scratch);
	*err = r->err;
	if (!r->err)
		return blocks;
	arena_free(blocks);
	return NULL;
}

int wire_fail(struct reader *r, int err, const char *fmt, ...)
{
	char text[300];
	va_list args;

	if (r->err)
		return r->err;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return r->err = fail(r->why, err, "%s", text);
}

const char *read_text(struct reader *r, int has, ProtobufCBinaryData from, size_t *len)
{
	char *to;

	*len = 0;
	if (!has || !from.len)
		return "";
	to = arena_take(&r->out, from.len + 1);
	memcpy(to, from.data, from.len);
	to[from.len] = 0;
	*len = from.len;
	return to;
}

const char *read_name(struct reader *r, int has, ProtobufCBinaryData from, size_t max, const char *field)
{
	size_t len;

	if (!has || !from.len)
		return "";
	if (from.len > max)
		wire_fail(r, ERR_LIMIT, "%s: %zu bytes, the limit is %zu", field, from.len, max);
	else if (memchr(from.data, 0, from.len))
		wire_fail(r, ERR_INVALID, "%s: holds a NUL byte", field);
	else if (!utf8_valid((const char *)from.data, from.len, NULL))
		wire_fail(r, ERR_INVALID, "%s: is not UTF-8", field);
	else
		return read_text(r, has, from, &len);
	return "";
}

void *read_list(struct reader *r, size_t n, size_t max, size_t size, const char *field, int *count)
{
	*count = 0;
	if (n > max) {
		wire_fail(r, ERR_LIMIT, "%s: %zu entries, the limit is %zu", field, n, max);
		n = 0;
	}
	*count = (int)n;
	return arena_zeroed(&r->out, n, size);
}

const int32_t *read_ids(struct reader *r, const int32_t *from, size_t n, size_t max, const char *field, int *count)
{
	int32_t *to = read_list(r, n, max, sizeof *to, field, count);

	if (*count)
		memcpy(to, from, (size_t)*count * sizeof *to);
	return to;
}

const struct range rpc_sampling_ranges[] = {
#define REAL(NAME, field, unset, bound, low, high, ...) [XV_##NAME] = {low, high, RANGE_##bound},
#define WHOLE(NAME, type, field, wire, unset, low, high, ...) [XV_##NAME] = {(double)(low), (double)(high), RANGE_FROM},
#include "proto/sampling.def"
};

void read_in_range(struct reader *r, double value, const struct range *range, const char *field)
{
	struct why why;

	if (range_check(field, value, range, &why))
		wire_fail(r, ERR_INVALID, "%s", why.text);
}

void read_number(struct reader *r, double value, enum wire_number which, const char *field)
{
	static const struct range ranges[] = {
#define NUMBER(Message, field, low, high, meaning) {(double)(low), (double)(high), RANGE_FROM},
#define DECIMAL(Message, field, low, high, meaning) {(double)(low), (double)(high), RANGE_FROM},
#include "proto/limits.def"
	};

	read_in_range(r, value, &ranges[which], field);
}

void read_hello(struct reader *r, struct xv_hello *out, const PB(Hello) * from)
{
	out->protocol_min = from->protocol_min;
	out->protocol_max = from->protocol_max;
	out->frame_limit = from->frame_limit;
	if (from->frame_limit)
		read_number(r, from->frame_limit, WIRE_Hello_frame_limit, "hello.frame_limit");
	out->version = read_name(r, from->has_version, from->version, RPC_BYTES_Hello_version, "hello.version");
	out->served_model = read_name(r, from->has_served_model, from->served_model, RPC_BYTES_Hello_served_model,
				      "hello.served_model");
}

ProtobufCBinaryData wire_bytes(const char *text, size_t len)
{
	return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)text};
}

ProtobufCBinaryData wire_string(const char *text)
{
	return wire_bytes(text, text ? strlen(text) : 0);
}

PB(Hello) * write_hello(struct arena *a, const struct xv_hello *from)
{
	PB(Hello) *to = WIRE_NEW(a, Hello, hello);

	to->has_protocol_min = to->has_protocol_max = to->has_frame_limit = to->has_version = 1;
	to->protocol_min = from->protocol_min;
	to->protocol_max = from->protocol_max;
	to->frame_limit = from->frame_limit;
	to->version = wire_string(from->version);
	to->served_model = wire_string(from->served_model);
	to->has_served_model = to->served_model.len > 0;
	return to;
}

/* Large answers take what they need: doubling would take up to twice as much. */
static bool out_reserve(struct rpc_out *out, size_t more)
{
	size_t max = out->max ? out->max : 256;
	uint8_t *data;

	if (out->max - out->len >= more)
		return true;
	while (max - out->len < more)
		max = max < 1 << 20 ? max * 2 : out->len + more;
	data = realloc(out->data, max);
	if (!data)
		return false;
	out->data = data;
	out->max = max;
	return true;
}

bool wire_append(struct rpc_out *out, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);

	if (!out_reserve(out, FRAME_HEAD_MAX + size))
		return false;
	out->len += (size_t)frame_head(out->data + out->len, size);
	out->len += protobuf_c_message_pack(message, out->data + out->len);
	return true;
}

void rpc_out_finish(struct rpc_out *o)
{
	free(o->data);
	*o = (struct rpc_out){0};
}

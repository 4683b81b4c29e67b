/* skim.c - reads single facts from a message without decoding it. */
#include "rpc/codec/wire.h"

/* A varint at *at: false at the end of the bytes or where it is longer than 64 bits need. */
static bool skim_varint(const uint8_t *p, size_t size, size_t *at, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 64 && *at < size; shift += 7) {
		uint8_t byte = p[(*at)++];
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

uint64_t rpc_payload_id(const uint8_t *payload, size_t size)
{
	uint64_t tag, value;

	for (size_t at = 0; skim_varint(payload, size, &at, &tag);) {
		uint64_t skip = (tag & 7) == 1 ? 8 : (tag & 7) == 5 ? 4 : 0;
		if ((tag & 7) == 0 || (tag & 7) == 2) {
			if (!skim_varint(payload, size, &at, &value))
				return 0;
			if (tag == (1 << 3))
				return value;
			skip = (tag & 7) == 2 ? value : 0;
		} else if (!skip) {
			return 0;
		}
		if (skip > size - at)
			return 0;
		at += skip;
	}
	return 0;
}

enum { FIELDS = 64 }; /* that are counted apart */
struct tally {
	const ProtobufCFieldDescriptor *field[FIELDS];
	size_t n[FIELDS];
};

static void count_one(struct tally *t, const ProtobufCFieldDescriptor *f)
{
	int i = 0;

	while (i < FIELDS - 1 && t->field[i] && t->field[i] != f)
		i++;
	t->field[i] = f;
	t->n[i]++;
}

static void count_fields(struct tally *t, const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t size)
{
	uint64_t tag, value;

	for (size_t at = 0; skim_varint(p, size, &at, &tag);) {
		const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
		uint64_t skip = (tag & 7) == 1 ? 8 : (tag & 7) == 5 ? 4 : 0;
		if (((tag & 7) == 0 || (tag & 7) == 2) && !skim_varint(p, size, &at, &value))
			return;
		if ((tag & 7) == 2)
			skip = value;
		if (skip > size - at)
			return;
		if (f && f->label == PROTOBUF_C_LABEL_REPEATED)
			count_one(t, f);
		if (f && f->type == PROTOBUF_C_TYPE_MESSAGE && (tag & 7) == 2)
			count_fields(t, f->descriptor, p + at, skip);
		at += skip;
	}
}

const char *wire_most_repeated(const ProtobufCMessageDescriptor *type, const uint8_t *payload, size_t size)
{
	struct tally t = {.n = {0}};
	int most = 0;

	count_fields(&t, type, payload, size);
	for (int i = 1; i < FIELDS; i++)
		if (t.n[i] > t.n[most])
			most = i;
	return t.field[most] ? t.field[most]->name : "message";
}

/* Every message of the protocol there and back; every field of it is written; hostile bytes are refused by
 * name. */
#include "rpc/codec/codec.h"

#include <math.h>

#include "proto/xverse.pb-c.h"
#include "rpc/frame.h"
#include "tests/check.h"
#include "tests/unit/messages.h"

static struct why why;

/* ---- reflection: which fields of a message are not set ---- */

static void find_unset(const ProtobufCMessage *m, char *out, size_t size);

static void look_inside(const ProtobufCFieldDescriptor *f, const char *at, size_t n, char *out, size_t size)
{
	if (f->type != PROTOBUF_C_TYPE_MESSAGE)
		return;
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		find_unset(n ? (*(ProtobufCMessage *const *const *)at)[0] : NULL, out, size);
	else
		find_unset(*(const ProtobufCMessage *const *)at, out, size);
}

static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(base + f->quantifier_offset) > 0;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(base + f->quantifier_offset) == f->id;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(const void *const *)(base + f->offset) != NULL;
	return *(const protobuf_c_boolean *)(base + f->quantifier_offset);
}

static void find_unset(const ProtobufCMessage *m, char *out, size_t size)
{
	for (unsigned i = 0; m && i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		if (is_set(m, f))
			look_inside(f, (const char *)m + f->offset,
				    f->label == PROTOBUF_C_LABEL_REPEATED
					    ? *(const size_t *)((const char *)m + f->quantifier_offset)
					    : 1,
				    out, size);
		else if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
			snprintf(out + strlen(out), size - strlen(out), "%s.%s ", m->descriptor->short_name, f->name);
	}
}

static void unset_fields(const ProtobufCMessageDescriptor *type, const struct rpc_out *o, char *out, size_t size)
{
	const uint8_t *payload;
	size_t n;
	ProtobufCMessage *m;

	out[0] = 0;
	CHECK(frame_next(o->data, o->len, FRAME_LIMIT, &payload, &n) == (long)o->len);
	m = protobuf_c_message_unpack(type, NULL, n, payload);
	CHECK(m);
	find_unset(m, out, size);
	protobuf_c_message_free_unpacked(m, NULL);
}

/* ---- there and back ---- */

static const uint8_t *payload_of(const struct rpc_out *o, size_t *size)
{
	const uint8_t *payload;

	CHECK(frame_next(o->data, o->len, FRAME_LIMIT, &payload, size) > 0);
	return payload;
}

static void same_bytes(const struct rpc_out *a, const struct rpc_out *b)
{
	CHECK_EQ(a->len, b->len);
	CHECK(!memcmp(a->data, b->data, a->len));
}

TEST(every_request_there_and_back)
{
	for (enum xv_kind kind = XV_HELLO; kind <= XV_PARSE; kind += is_body((int)kind + 1) ? 1 : 2) {
		struct xv_request r = request(kind), back;
		struct rpc_out o = {0}, again = {0};
		const uint8_t *payload;
		char unset[400];
		size_t n;
		rpc_request_encode(&o, &r);
		payload = payload_of(&o, &n);
		unset_fields(&xverse__v1__request__descriptor, &o, unset, sizeof unset);
		CHECK_STR(unset, "");
		CHECK_EQ(rpc_payload_id(payload, n), r.id);
		CHECK_EQ(rpc_request_decode(&back, payload, n, &why), 0);
		CHECK_EQ(back.id, r.id);
		CHECK_EQ(back.kind, kind);
		rpc_request_encode(&again, &back);
		same_bytes(&o, &again);
		rpc_request_free(&back);
		rpc_out_finish(&o);
		rpc_out_finish(&again);
	}
}

TEST(every_reply_there_and_back)
{
	for (enum xv_reply_kind kind = XV_R_HELLO; kind <= XV_R_PARSED; kind++) {
		struct xv_reply r = reply(kind), back;
		struct rpc_out o = {0}, again = {0};
		const uint8_t *payload;
		char unset[400];
		size_t n;
		rpc_reply_encode(&o, &r);
		payload = payload_of(&o, &n);
		unset_fields(&xverse__v1__reply__descriptor, &o, unset, sizeof unset);
		CHECK_STR(unset, "");
		CHECK_EQ(rpc_reply_decode(&back, payload, n, &why), 0);
		CHECK_EQ(back.id, 42);
		CHECK_EQ(back.kind, kind);
		rpc_reply_encode(&again, &back);
		same_bytes(&o, &again);
		rpc_reply_free(&back);
		rpc_out_finish(&o);
		rpc_out_finish(&again);
	}
}

TEST(values_arrive)
{
	struct xv_request r = request(XV_GENERATE), g;
	struct xv_reply c = reply(XV_R_CHUNK), k;
	struct rpc_out o = {0};
	const uint8_t *payload;
	size_t n;

	rpc_request_encode(&o, &r);
	payload = payload_of(&o, &n);
	CHECK_EQ(rpc_request_decode(&g, payload, n, &why), 0);
	CHECK_EQ(g.generate.prompt.text_len, 4);
	CHECK(!memcmp(g.generate.prompt.text, "a\0b\xfe", 5));
	CHECK_EQ(g.generate.sampling.has, sampling.has);
	CHECK(g.generate.sampling.seed == UINT64_MAX && g.generate.resume.text_bytes == 1ull << 40);
	CHECK(g.generate.sampling.temperature == 0.7f && g.generate.sampling.frequency_penalty == 2);
	CHECK_STR(g.generate.sampling.stop[1], stop[1]);
	CHECK_EQ(g.generate.sampling.bias[0].id, 7);
	CHECK_EQ(g.generate.resume.ids[3], -1);
	rpc_request_free(&g);
	o.len = 0;
	rpc_reply_encode(&o, &c);
	payload = payload_of(&o, &n);
	CHECK_EQ(rpc_reply_decode(&k, payload, n, &why), 0);
	CHECK(!memcmp(k.chunk.text, "te\0xt", 6));
	CHECK(k.chunk.tokens[0].has_logprob && !k.chunk.tokens[1].has_logprob);
	CHECK(isinf(k.chunk.tokens[0].top[1].logprob));
	CHECK_EQ(k.chunk.tokens[0].top[1].piece_len, 2);
	rpc_reply_free(&k);
	rpc_out_finish(&o);
}

TEST(unset_differs_from_zero)
{
	struct xv_request r = {.id = 1,
			       .kind = XV_GENERATE,
			       .generate = {.prompt = {.is_text = true, .text = ""}, .user = ""}},
			  back;
	struct rpc_out o = {0};
	const uint8_t *payload;
	size_t n;

	rpc_request_encode(&o, &r);
	payload = payload_of(&o, &n);
	CHECK_EQ(rpc_request_decode(&back, payload, n, &why), 0);
	CHECK_EQ(back.generate.sampling.has, 0);
	CHECK(!back.generate.resume.present);
	rpc_request_free(&back);
	r.generate.sampling.has = 1u << XV_TEMPERATURE;
	o.len = 0;
	rpc_request_encode(&o, &r);
	payload = payload_of(&o, &n);
	CHECK_EQ(rpc_request_decode(&back, payload, n, &why), 0);
	CHECK_EQ(back.generate.sampling.has, 1u << XV_TEMPERATURE);
	rpc_request_free(&back);
	rpc_out_finish(&o);
}

/* ---- what is refused ---- */

/* Encodes a request as it is and decodes it: the error, with its text in `why`. */
static int refused(const struct xv_request *r)
{
	struct xv_request back;
	struct rpc_out o = {0};
	const uint8_t *payload;
	size_t n;
	int err;

	rpc_request_encode(&o, r);
	payload = payload_of(&o, &n);
	err = rpc_request_decode(&back, payload, n, &why);
	CHECK_EQ(back.id, r->id);
	if (!err)
		rpc_request_free(&back);
	rpc_out_finish(&o);
	return err;
}

/* Paths and tokens may be any bytes, which clients in other languages refuse in a message. */
TEST(texts_of_status_are_utf8)
{
	struct xv_adapter adapter = {.name = "a", .fingerprint = "", .dir = "/\xed\xa0\x80/x"};
	struct xv_reply r = reply(XV_R_STATUS), back;
	struct rpc_out o = {0};
	const uint8_t *payload;
	size_t n;

	r.status.chat = "/models/\xff/chat.jinja";
	r.status.adapter = &adapter;
	r.status.n_adapter = 1;
	rpc_reply_encode(&o, &r);
	payload = payload_of(&o, &n);
	CHECK_EQ(rpc_reply_decode(&back, payload, n, &why), 0);
	CHECK_STR(back.status.chat, "/models/?/chat.jinja");
	CHECK_STR(back.status.adapter[0].dir, "/?/x");
	rpc_reply_free(&back);
	rpc_out_finish(&o);
}

TEST(values_that_are_refused_by_name)
{
	static const char *many[RPC_MAX_STOP + 1];
	static char longest[RPC_MAX_STOP_BYTES + 2];
	struct xv_request r = request(XV_GENERATE);
	const char *one[] = {"\xff"}, *empty[] = {""};

	r.generate.sampling.temperature = NAN;
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "temperature: nan is not within 0 to 1000");
	r = request(XV_GENERATE);
	r.generate.sampling.n_stop = 1;
	r.generate.sampling.stop = one;
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "sampling.stop[0]");
	CHECK_HAS(why.text, "UTF-8");
	r.generate.sampling.stop = empty;
	CHECK_EQ(refused(&r), ERR_INVALID);
	memset(longest, 'x', RPC_MAX_STOP_BYTES + 1);
	empty[0] = longest;
	CHECK_EQ(refused(&r), ERR_LIMIT);
	CHECK_HAS(why.text, "1025");
	for (int i = 0; i <= RPC_MAX_STOP; i++)
		many[i] = "s";
	r.generate.sampling.stop = many;
	r.generate.sampling.n_stop = RPC_MAX_STOP + 1;
	CHECK_EQ(refused(&r), ERR_LIMIT);
	CHECK_HAS(why.text, "65");
	r.generate.sampling.n_stop = RPC_MAX_STOP;
	CHECK_EQ(refused(&r), 0);
}

/* Its reply has texts that readers of protobuf check. */
TEST(a_text_to_parse_is_utf8)
{
	struct xv_request r = request(XV_PARSE);

	r.parse.text = "\xe4\xbd\xa0";
	CHECK_EQ(refused(&r), 0);
	r.parse.text_len = 2;
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "text: is not UTF-8");
}

TEST(an_asker_is_bounded_and_need_not_be_there)
{
	static char longest[RPC_MAX_ASKER_BYTES + 2];
	struct xv_request r = request(XV_STATUS);

	memset(longest, 'x', RPC_MAX_ASKER_BYTES);
	r.asker = (struct xv_asker){longest, longest};
	CHECK_EQ(refused(&r), 0);
	longest[RPC_MAX_ASKER_BYTES] = 'x';
	r.asker = (struct xv_asker){"k", longest};
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "asker.client: 129 bytes, the limit is 128");
	r.asker = (struct xv_asker){longest, NULL};
	CHECK_EQ(refused(&r), ERR_INVALID);
	CHECK_HAS(why.text, "asker.key");
	r.asker = (struct xv_asker){"\xff", "c"};
	CHECK_EQ(refused(&r), ERR_INVALID);
	r.asker = (struct xv_asker){NULL, NULL};
	CHECK_EQ(refused(&r), 0);
}

TEST(no_message_that_is_cut_short_is_read)
{
	for (enum xv_kind kind = XV_HELLO; kind <= XV_PARSE; kind += is_body((int)kind + 1) ? 1 : 2) {
		struct xv_request r = request(kind), back;
		struct rpc_out o = {0};
		const uint8_t *payload;
		uint8_t *copy;
		size_t n;
		rpc_request_encode(&o, &r);
		payload = payload_of(&o, &n);
		for (size_t cut = 0; cut < n; cut++) {
			copy = malloc(cut + !cut); /* so that a byte too many is seen */
			memcpy(copy, payload, cut);
			if (!rpc_request_decode(&back, copy, cut, &why))
				rpc_request_free(&back);
			free(copy);
		}
		rpc_out_finish(&o);
	}
}

static uint32_t next_random(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

static void change_and_decode(const uint8_t *payload, size_t n, uint32_t *seed, bool is_reply)
{
	uint8_t *copy = malloc(n);
	struct xv_request q;
	struct xv_reply p;

	memcpy(copy, payload, n);
	for (uint32_t k = next_random(seed) % 4; k < 4; k++)
		copy[next_random(seed) % n] = (uint8_t)next_random(seed);
	if (is_reply && !rpc_reply_decode(&p, copy, n, &why))
		rpc_reply_free(&p);
	if (!is_reply && !rpc_request_decode(&q, copy, n, &why))
		rpc_request_free(&q);
	rpc_payload_id(copy, n);
	free(copy);
}

TEST(changed_bytes_do_no_harm)
{
	uint32_t seed = 1;
	int rounds = check_full ? 20000 : 1000;

	for (int kind = XV_HELLO; kind <= XV_PARSE; kind += is_body(kind + 1) ? 1 : 2) {
		struct xv_request q = request((enum xv_kind)kind);
		struct xv_reply p = reply((enum xv_reply_kind)kind);
		struct rpc_out a = {0}, b = {0};
		const uint8_t *payload;
		size_t n;
		rpc_request_encode(&a, &q);
		rpc_reply_encode(&b, &p);
		for (int i = 0; i < rounds; i++) {
			payload = payload_of(&a, &n);
			change_and_decode(payload, n, &seed, false);
			payload = payload_of(&b, &n);
			change_and_decode(payload, n, &seed, true);
		}
		rpc_out_finish(&a);
		rpc_out_finish(&b);
	}
}

/* A few bytes that ask for much memory: 100,000 empty messages. */
/* Legal messages whose structs are many times their bytes: short ones in number, and ids that are not packed. */
TEST(many_small_fields_are_no_attack)
{
	enum { N = RPC_MAX_MESSAGES, IDS = 100000 };
	static struct xv_message m[N];
	static uint8_t bytes[2 * IDS + 32];
	struct xv_request r = request(XV_TEMPLATE);
	size_t at = 0;

	for (int i = 0; i < N; i++)
		m[i] = (struct xv_message){.role = "user", .content = "x", .content_len = 1};
	r.chat.messages = m;
	r.chat.n_messages = 400;
	CHECK_EQ(refused(&r), 0);
	r.chat.n_messages = N;
	CHECK_EQ(refused(&r), 0);
	bytes[at++] = 0x3a; /* Request.detokenize */
	at += (size_t)frame_head(bytes + at, 2 * IDS);
	for (int i = 0; i < IDS; i++) {
		bytes[at++] = 0x08; /* Detokenize.ids */
		bytes[at++] = 5;
	}
	CHECK_EQ(rpc_request_decode(&r, bytes, at, &why), 0);
	CHECK_EQ(r.detokenize.n_ids, IDS);
	rpc_request_free(&r);
}

TEST(a_small_frame_cannot_ask_for_much_memory)
{
	enum { N = 100000 };
	uint8_t *bytes = malloc(2 * N + 16);
	size_t at = 0;
	struct xv_request r;

	bytes[at++] = 0x62; /* Request.chat */
	at += (size_t)frame_head(bytes + at, 2 * N);
	for (int i = 0; i < N; i++) {
		bytes[at++] = 0x0a; /* Chat.messages */
		bytes[at++] = 0;
	}
	CHECK_EQ(rpc_request_decode(&r, bytes, at, &why), ERR_LIMIT);
	CHECK_HAS(why.text, "messages: ");
	free(bytes);
}

TEST(fields_of_a_later_protocol_are_passed_over)
{
	static const uint8_t status[] = {0x08, 5, 0x2a, 0, 0xfa, 0x3e, 3, 'a', 'b', 'c'};
	static const uint8_t later[] = {0x08, 6, 0xaa, 6, 0};
	struct xv_request r;

	CHECK_EQ(rpc_request_decode(&r, status, sizeof status, &why), 0);
	CHECK_EQ(r.kind, XV_STATUS);
	CHECK_EQ(r.id, 5);
	rpc_request_free(&r);
	CHECK_EQ(rpc_request_decode(&r, later, sizeof later, &why), 0);
	CHECK_EQ(r.kind, XV_NONE);
	CHECK_EQ(r.id, 6);
	rpc_request_free(&r);
}

/* ---- the frame of a dying process ---- */

TEST(an_error_written_without_allocation_is_the_same_error)
{
	struct xv_error e = {.code = ERR_LOST_RANK,
			     .text = "rank 2 is gone",
			     .rank = 2,
			     .step = 1ll << 40,
			     .pid = 31337,
			     .retry_after_ms = 9};
	struct xv_reply r = {.id = 1ull << 50, .kind = XV_R_ERROR, .error = e}, back;
	uint8_t frame[RPC_ERROR_MAX];
	size_t n = rpc_error_write(frame, r.id, &e), size;
	const uint8_t *payload;
	struct rpc_out o = {0}, again = {0};

	rpc_reply_encode(&o, &r);
	CHECK_EQ(frame_next(frame, n, FRAME_LIMIT, &payload, &size), n);
	CHECK_EQ(rpc_reply_decode(&back, payload, size, &why), 0);
	CHECK(back.error.retryable);
	rpc_reply_encode(&again, &back);
	same_bytes(&o, &again);
	rpc_reply_free(&back);
	rpc_out_finish(&o);
	rpc_out_finish(&again);
}

TEST(a_long_text_of_an_error_is_cut)
{
	static char text[5000];
	struct xv_error e = {.code = ERR_BUSY, .text = text, .rank = -1, .step = -1, .pid = -1};
	struct xv_reply back;
	uint8_t frame[RPC_ERROR_MAX];
	const uint8_t *payload;
	size_t n, size;

	memset(text, 'a', sizeof text - 1);
	n = rpc_error_write(frame, UINT64_MAX, &e);
	CHECK(n <= sizeof frame);
	CHECK_EQ(frame_next(frame, n, FRAME_LIMIT, &payload, &size), n);
	CHECK_EQ(rpc_reply_decode(&back, payload, size, &why), 0);
	CHECK(strlen(back.error.text) > 500);
	rpc_reply_free(&back);
}

CHECK_MAIN()

/* numbers.h - a mutation for bytes of the protocol: one number of a message becomes another one of as many bytes, so
 * that the lengths around it stay right. First inputs hold their numbers in ten bytes, so that any number fits. */
#ifndef TESTS_FUZZ_NUMBERS_H
#define TESTS_FUZZ_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

struct spot { /* of a number, in the input */
	size_t at, len;
};
struct spots {
	struct spot spot[256];
	unsigned n;
};

static inline bool number_at(const uint8_t *p, size_t end, size_t *at, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 70 && *at < end; shift += 7) {
		uint8_t byte = p[(*at)++];
		*value |= shift < 64 ? (uint64_t)(byte & 127) << shift : 0;
		if (!(byte & 128))
			return true;
	}
	return false;
}

/* Of the fields in [at, end), and of what lies in them as far as it reads like a message. */
static inline bool find_numbers(const uint8_t *p, size_t at, size_t end, struct spots *s)
{
	while (at < end) {
		uint64_t tag, value;
		size_t first;
		if (!number_at(p, end, &at, &tag) || !(tag >> 3))
			return false;
		first = at;
		if ((tag & 7) == 5 || (tag & 7) == 1) {
			at += (tag & 7) == 5 ? 4 : 8;
			if (at > end)
				return false;
			continue;
		}
		if ((tag & 7) != 0 && (tag & 7) != 2)
			return false;
		if (!number_at(p, end, &at, &value))
			return false;
		if ((tag & 7) == 0) {
			if (s->n < 256)
				s->spot[s->n++] = (struct spot){first, at - first};
			continue;
		}
		if (value > end - at)
			return false;
		unsigned n = s->n;
		if (!find_numbers(p, at, at + value, s))
			s->n = n;
		at += value;
	}
	return true;
}

/* Marsaglia, Xorshift RNGs, 2003. */
static inline uint32_t next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* Small ones, and those beside a power of two. */
static inline uint64_t a_number(uint32_t *x)
{
	uint64_t power = (uint64_t)1 << next_random(x) % 64;

	return next_random(x) % 2 ? next_random(x) % 128 : power + (uint64_t)(next_random(x) % 3) - 1;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct spots s = {.n = 0};
	uint32_t x = seed | 1;
	uint64_t value, frame;

	for (size_t at = size && data[0] == 4, end; number_at(data, size, &at, &frame) && frame <= size - at;
	     at = end) {
		end = at + frame;
		find_numbers(data, at, end, &s);
	}
	if (!s.n || next_random(&x) % 2)
		return LLVMFuzzerMutate(data, size, max);
	struct spot of = s.spot[next_random(&x) % s.n];
	value = a_number(&x);
	for (size_t i = 0; i < of.len; i++, value >>= 7)
		data[of.at + i] = (uint8_t)((value & 127) | (i + 1 < of.len ? 128 : 0));
	return size;
}

#endif

#include "rpc/frame.h"

#include <string.h>

long frame_next(const uint8_t *buf, size_t len, size_t limit, const uint8_t **payload, size_t *size)
{
	uint64_t n = 0;

	*size = 0;
	for (size_t i = 0; i < FRAME_HEAD_MAX; i++) {
		if (i == len)
			return 0;
		n |= (uint64_t)(buf[i] & 0x7f) << (7 * i);
		if (buf[i] & 0x80)
			continue;
		if (n > UINT32_MAX)
			return ERR_FORMAT;
		*size = (size_t)n;
		if (n > limit)
			return ERR_LIMIT;
		if (len - i - 1 < n)
			return 0;
		*payload = buf + i + 1;
		return (long)(i + 1 + n);
	}
	return ERR_FORMAT;
}

int frame_head(uint8_t out[FRAME_HEAD_MAX], size_t size)
{
	int n = 0;

	REQUIRE(size <= UINT32_MAX);
	for (; size > 0x7f; size >>= 7)
		out[n++] = (uint8_t)(size | 0x80);
	out[n++] = (uint8_t)size;
	return n;
}

/* No frame of ours begins like this: the second byte would be the tag of a field that Request does not have.
 */
bool frame_is_http(const uint8_t *buf, size_t len)
{
	static const char *const methods[] = {"GET ",     "POST ",  "PUT ",     "HEAD ",  "DELETE ",
					      "OPTIONS ", "PATCH ", "CONNECT ", "TRACE ", "PRI * HTTP"};

	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		size_t n = strlen(methods[i]);
		if (len >= n && !memcmp(buf, methods[i], n))
			return true;
	}
	return false;
}

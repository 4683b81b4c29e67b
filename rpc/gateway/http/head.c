/* head.c - what the head of a request says: its id, its headers, whose client it is from. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "rpc/gateway/http/inside.h"

/* Takes the client's own id where it can go into a header unchanged, else makes one. */
void http_head_set_id(struct http_exchange *x)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *asked = http_header(x, "X-Request-Id");
	size_t len = asked ? strlen(asked) : 0;
	uint64_t random[2] = {now_ns(), (uintptr_t)x};

	if (len && len <= 128 && strspn(asked, allowed) == len) {
		memcpy(x->head.id, asked, len + 1);
		return;
	}
	if (getrandom(random, sizeof random, 0) < 0)
		log_at(LOG_WARN, "getrandom failed; made a request id from the clock");
	snprintf(x->head.id, sizeof x->head.id, "%016jx%08x", (uintmax_t)random[0], (unsigned)random[1]);
}

const char *http_header(const struct http_exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->conn->mhd, MHD_HEADER_KIND, name);
}

const char *http_request_id(const struct http_exchange *x)
{
	return x->head.id;
}

const char *http_tail(const struct http_exchange *x)
{
	return x->head.tail;
}

bool http_can_stream(const struct http_exchange *x)
{
	return x->head.http11;
}

const char *http_key_name(const struct http_exchange *x)
{
	return x->head.account ? x->head.account->name : NULL;
}

static bool is_from_proxy(const struct http_exchange *x)
{
	const struct http_options *how = x->server->how;

	for (int i = 0; i < how->n_trusted_proxies; i++)
		if (!strcmp(how->trusted_proxy[i], x->conn->address))
			return true;
	return false;
}

static enum MHD_Result keep_last(void *out, enum MHD_ValueKind kind, const char *key, const char *value)
{
	(void)kind;
	if (!strcasecmp(key, "X-Forwarded-For"))
		*(const char **)out = value ? value : "";
	return MHD_YES;
}

/* The last entry of the last line is what our own proxy saw; those before it are whatever a client wrote. Some proxies
 * add a line of their own behind the client's. */
static bool forwarded(const struct http_exchange *x, char out[64])
{
	const char *list = NULL, *last;
	unsigned char bytes[16];
	size_t n;

	MHD_get_connection_values(x->conn->mhd, MHD_HEADER_KIND, keep_last, &list);
	if (!list)
		return false;
	last = strrchr(list, ',');
	last = last ? last + 1 : list;
	last += strspn(last, " \t");
	n = strcspn(last, " \t");
	if (!n || n >= 64)
		return false;
	memcpy(out, last, n);
	out[n] = 0;
	return inet_pton(AF_INET, out, bytes) == 1 || inet_pton(AF_INET6, out, bytes) == 1;
}

void http_client_address(const struct http_exchange *x, char out[64])
{
	if (!is_from_proxy(x) || !forwarded(x, out))
		memcpy(out, x->conn->address, 64);
}

void http_wake(struct http_exchange *x)
{
	if (!x->suspended)
		return;
	x->suspended = false;
	x->server->run = true;
	MHD_resume_connection(x->conn->mhd);
}

/* keys.c - API keys. Only their SHA-256 digests are kept, and each request is compared with all of them in constant
 * time. A key has a name, by which the daemon and this program tell clients apart. */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file/file.h"
#include "rpc/gateway/http/inside.h"

enum { DIGEST = 32, MAX_KEYS = 4096, MAX_BYTES = 1022 };

struct http_keys {
	int n, n_accounts, n_names; /* n_names: accounts with a key */
	struct http_account
		account[MAX_KEYS]; /* one for each name; those without a key any more may have open requests */
	struct {
		unsigned char digest[DIGEST];
		int account;
	} key[2 * MAX_KEYS];
};

static void digest(const char *key, size_t len, unsigned char out[DIGEST])
{
	REQUIRE(gnutls_hash_fast(GNUTLS_DIG_SHA256, key, len, out) == 0);
}

/* Returns n_accounts if there is none of this name. */
static int find_account(const struct http_keys *k, const char *name, size_t len)
{
	int i = 0;

	while (i < k->n_accounts && (strlen(k->account[i].name) != len || memcmp(k->account[i].name, name, len)))
		i++;
	return i;
}

static int account_of(struct http_keys *k, const char *name, size_t len)
{
	int i = find_account(k, name, len);

	if (i == k->n_accounts)
		memcpy(k->account[k->n_accounts++].name, name, len);
	return i;
}

static void add(struct http_keys *k, const char *key, size_t len, int account)
{
	digest(key, len, k->key[k->n].digest);
	k->key[k->n++].account = account;
}

/* A line is "name:key" or a key alone, which is named by a part of the digest of its digest. A key may hold a colon, so
 * the whole line is accepted as a key in either case. */
static void add_line(struct http_keys *k, const char *line, size_t len)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
	size_t n = 0;
	unsigned char d[DIGEST];
	char name[16];

	while (n < len && line[n] && strchr(allowed, line[n]))
		n++;
	if (n && n < sizeof k->account->name && n + 1 < len && line[n] == ':') {
		int account = account_of(k, line, n);
		add(k, line + n + 1, len - n - 1, account);
		add(k, line, len, account);
		return;
	}
	digest(line, len, d);
	digest((const char *)d, DIGEST, d);
	snprintf(name, sizeof name, "key-%02x%02x%02x%02x", d[0], d[1], d[2], d[3]);
	add(k, line, len, account_of(k, name, strlen(name)));
}

/* Skips empty lines and lines that begin with #. */
static int read_lines(struct http_keys *k, const char *text, size_t len, const char *path, struct why *why)
{
	for (size_t at = 0, n; at < len; at += n + 1) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t size;
		n = end ? (size_t)(end - text) - at : len - at;
		size = n && text[at + n - 1] == '\r' ? n - 1 : n;
		if (k->n_accounts == MAX_KEYS || k->n + 2 > 2 * MAX_KEYS || size > MAX_BYTES)
			return fail(why, ERR_INVALID, "%s has more than %d keys, or a key of more than %d bytes", path,
				    MAX_KEYS, MAX_BYTES);
		if (size && text[at] != '#')
			add_line(k, text + at, size);
	}
	return k->n ? 0 : fail(why, ERR_INVALID, "%s must hold at least one key, each on a line of its own", path);
}

int http_keys_read(struct http_keys **out, const char *path, struct why *why)
{
	struct http_keys *k;
	char *text;
	size_t len;
	struct why inner;
	int err = file_read(path, FILE_KEYS, &text, &len, &inner);

	*out = NULL;
	if (err)
		return fail(why, err, "--api-key-file: %.480s", inner.text);
	k = xalloc(1, sizeof *k);
	err = read_lines(k, text, len, path, why);
	k->n_names = k->n_accounts;
	gnutls_memset(text, 0, len);
	free(text);
	if (err)
		free(k);
	else
		*out = k;
	return err;
}

/* Returns how many accounts `k` would have with those of `now`. */
static int with_new(const struct http_keys *k, const struct http_keys *now)
{
	int n = k->n_accounts;

	for (int i = 0; i < now->n_accounts; i++)
		n += find_account(k, now->account[i].name, strlen(now->account[i].name)) == k->n_accounts;
	return n;
}

int http_keys_reread(struct http_keys *k, const char *path, struct why *why)
{
	struct http_keys *now;
	int err = http_keys_read(&now, path, why);

	if (!err && with_new(k, now) > MAX_KEYS)
		err = fail(why, ERR_LIMIT, "%s: more than %d names since the start; more need a restart", path,
			   MAX_KEYS);
	if (err) {
		http_keys_destroy(now);
		return err;
	}
	memcpy(k->key, now->key, sizeof k->key);
	k->n = now->n;
	k->n_names = now->n_names;
	for (int i = 0; i < k->n; i++) {
		const char *name = now->account[now->key[i].account].name;
		k->key[i].account = account_of(k, name, strlen(name));
	}
	http_keys_destroy(now);
	return 0;
}

struct http_account *http_keys_match(struct http_keys *k, const char *authorization)
{
	const char *key = "";
	unsigned char asked[DIGEST];
	int found = 0;

	if (authorization && !strncasecmp(authorization, "Bearer ", 7))
		key = authorization + 7 + strspn(authorization + 7, " ");
	digest(key, strlen(key), asked);
	for (int i = 0; i < k->n; i++) {
		int hit = gnutls_memcmp(asked, k->key[i].digest, DIGEST) == 0;
		found |= -hit & (k->key[i].account + 1);
	}
	return found ? &k->account[min_int(found, k->n_accounts) - 1] : NULL;
}

int http_keys_names(const struct http_keys *k)
{
	return k ? k->n_names : 0;
}

void http_keys_destroy(struct http_keys *k)
{
	free(k);
}

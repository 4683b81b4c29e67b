/* tls.c - the certificate and its key. libmicrohttpd asks for them at each handshake, so that they can be read again
 * while it runs. */
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#include "base/file/file.h"
#include "rpc/gateway/http/inside.h"

enum { CHAIN = 16, KEEP_S = 2 * 3600 /* longer than any handshake may take */ };

struct identity {
	gnutls_pcert_st chain[CHAIN]; /* the server's first */
	unsigned n;
	gnutls_privkey_t key;
	struct identity *older; /* handshakes may still use it */
	uint64_t replaced_ns;
};

/* libmicrohttpd's callback has no argument of ours. */
static struct identity *current;

static void destroy(struct identity *id)
{
	for (unsigned i = 0; i < id->n; i++)
		gnutls_pcert_deinit(&id->chain[i]);
	if (id->key)
		gnutls_privkey_deinit(id->key);
	free(id);
}

static int take_chain(struct identity *id, const char *path, struct why *why)
{
	gnutls_datum_t data = {0};
	char *text;
	size_t len;
	unsigned n = CHAIN;
	int err = file_read(path, FILE_KEYS, &text, &len, why), bad;

	if (err)
		return err;
	data = (gnutls_datum_t){(unsigned char *)text, (unsigned)len};
	bad = gnutls_pcert_list_import_x509_raw(id->chain, &n, &data, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_SORT);
	free(text);
	if (bad < 0)
		return fail(why, ERR_FORMAT, "--tls-cert %s: %s", path, gnutls_strerror(bad));
	id->n = n;
	return 0;
}

static int take_key(struct identity *id, const char *path, struct why *why)
{
	gnutls_datum_t data = {0};
	char *text;
	size_t len;
	int err = file_read(path, FILE_KEYS, &text, &len, why), bad;

	if (err)
		return err;
	data = (gnutls_datum_t){(unsigned char *)text, (unsigned)len};
	bad = gnutls_privkey_init(&id->key);
	if (!bad)
		bad = gnutls_privkey_import_x509_raw(id->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
	explicit_bzero(text, len);
	free(text);
	return bad < 0 ? fail(why, ERR_FORMAT, "--tls-key %s: %s", path, gnutls_strerror(bad)) : 0;
}

/* Compares the public parts by their digests. */
static int check_pair(const struct identity *id, const struct http_options *how, struct why *why)
{
	unsigned char a[64], b[64];
	size_t na = sizeof a, nb = sizeof b;
	gnutls_pubkey_t of_key;
	int bad = gnutls_pubkey_init(&of_key);

	if (!bad)
		bad = gnutls_pubkey_import_privkey(of_key, id->key, 0, 0);
	if (!bad)
		bad = gnutls_pubkey_get_key_id(of_key, GNUTLS_KEYID_USE_SHA256, a, &na);
	if (!bad)
		bad = gnutls_pubkey_get_key_id(id->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &nb);
	gnutls_pubkey_deinit(of_key);
	if (bad)
		return fail(why, ERR_FORMAT, "--tls-key %s: %s", how->tls_key, gnutls_strerror(bad));
	if (na != nb || memcmp(a, b, na))
		return fail(why, ERR_FORMAT, "--tls-key %s is not the key of --tls-cert %s", how->tls_key,
			    how->tls_cert);
	return 0;
}

static void forget_old(void)
{
	struct identity **at = &current->older;

	while (*at) {
		struct identity *id = *at;
		if (now_ns() - id->replaced_ns < KEEP_S * NS_PER_S) {
			at = &id->older;
			continue;
		}
		*at = id->older;
		destroy(id);
	}
}

int http_tls_read(const struct http_options *how, struct why *why)
{
	struct identity *id = xalloc(1, sizeof *id);
	int err = take_chain(id, how->tls_cert, why);

	if (!err)
		err = take_key(id, how->tls_key, why);
	if (!err)
		err = check_pair(id, how, why);
	if (err) {
		destroy(id);
		return err;
	}
	if (current)
		current->replaced_ns = now_ns();
	id->older = current;
	current = id;
	forget_old();
	return 0;
}

int http_tls_certificate(gnutls_session_t session, const gnutls_datum_t *names, int n_names,
			 const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **chain,
			 unsigned *n, gnutls_privkey_t *key)
{
	(void)session, (void)names, (void)n_names, (void)algorithms, (void)n_algorithms;
	*chain = current->chain;
	*n = current->n;
	*key = current->key;
	return 0;
}

void http_tls_close(void)
{
	for (struct identity *id = current, *older; id; id = older) {
		older = id->older;
		destroy(id);
	}
	current = NULL;
}

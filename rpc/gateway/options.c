#include "rpc/gateway/options.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/help.h"
#include "base/range.h"
#include "base/similar.h"
#include "base/utf8.h"
#include "rpc/gateway/http/origin.h"

enum kind { TEXT, PORT, MODEL, LIST, COUNT, SECONDS, FLAG };

#define AT(field) offsetof(struct gateway_options, field)
#define HTTP(field) AT(http.field)
static const struct gateway_option {
	const char *name, *value, *text;
	enum kind kind;
	size_t at, count_at; /* count_at: of LIST */
	double fallback, low, high;
} table[] = {
	{"host", "ADDRESS", "address to listen on [127.0.0.1]", TEXT, HTTP(host), 0, 0, 0, 0},
	{"port", "N", "port to listen on; 0: any free one", PORT, HTTP(port), 0, 8000, 0, 65535},
	{"uds", "PATH", "listen on a Unix socket instead", TEXT, HTTP(uds), 0, 0, 0, 0},
	{"model", "[NAME=]SOCKET",
	 "a daemon and the model name for clients [the daemon's]; repeatable. Without it: the daemon of "
	 "XVERSE_SOCKET or of the default socket",
	 MODEL, 0, 0, 0, 0, 0},
	{"api-key-file", "FILE", "API keys, one on a line, KEY or NAME:KEY [none is required]", TEXT, HTTP(key_file), 0,
	 0, 0, 0},
	{"allowed-host", "NAME", "a name of this server besides addresses and localhost; repeatable", LIST,
	 HTTP(allowed_host), HTTP(n_allowed_hosts), 0, 0, 0},
	{"cors-origin", "ORIGIN", "an origin whose pages may use this server, or * for any; repeatable", LIST,
	 HTTP(cors_origin), HTTP(n_cors_origins), 0, 0, 0},
	{"trusted-proxy", "ADDRESS",
	 "a proxy whose last X-Forwarded-For entry is the client's address (\"unix\": any client of --uds); "
	 "repeatable",
	 LIST, HTTP(trusted_proxy), HTTP(n_trusted_proxies), 0, 0, 0},
	{"tls-cert", "FILE", "serve HTTPS with this certificate chain (PEM)", TEXT, HTTP(tls_cert), 0, 0, 0, 0},
	{"tls-key", "FILE", "its private key (PEM)", TEXT, HTTP(tls_key), 0, 0, 0, 0},
	{"access-log", "FILE", "write a JSON line for each request, without texts and keys; -: to standard output",
	 TEXT, HTTP(access_log), 0, 0, 0, 0},
	{"max-body", "BYTES", "size limit of a request's body", COUNT, HTTP(max_body), 0, 4 << 20, 1024, 1 << 30},
	{"max-bodies", "BYTES",
	 "memory limit of all requests: bodies, what is read from them, responses not sent yet; beyond it 429", COUNT,
	 HTTP(max_bodies), 0, 256 << 20, 1024, INT64_MAX >> 10},
	{"max-key-share", "PERCENT", "share of --max-bodies and --max-connections that one of several API keys may use",
	 COUNT, HTTP(share), 0, 50, 1, 100},
	{"max-connections", "N", "limit of open connections", COUNT, HTTP(max_connections), 0, 4096, 1, 1 << 20},
	{"max-connections-per-address", "N", "limit of open connections from one address; 0: none", COUNT,
	 HTTP(max_per_address), 0, 0, 0, 1 << 20},
	{"head-timeout", "SECONDS", "time limit for receiving a head", SECONDS, HTTP(head_ms), 0, 10, 0.1, 3600},
	{"body-timeout", "SECONDS", "time limit for receiving a body", SECONDS, HTTP(body_ms), 0, 30, 0.1, 3600},
	{"idle-timeout", "SECONDS", "close a connection without a request after this time", SECONDS, HTTP(idle_ms), 0,
	 60, 0.1, 3600},
	{"stall-timeout", "SECONDS", "disconnect a client that reads nothing for this time", SECONDS, HTTP(stall_ms), 0,
	 30, 0.1, 3600},
	{"ping-interval", "SECONDS", "send a comment in a stream without output for this time", SECONDS, HTTP(ping_ms),
	 0, 15, 0.1, 3600},
	{"shutdown-timeout", "SECONDS", "time for open requests to finish after TERM", SECONDS, HTTP(drain_ms), 0, 30,
	 0, 86400},
	{"resume-timeout", "SECONDS", "time to wait for a lost daemon", SECONDS, AT(resume_ms), 0, 60, 0.1, 86400},
	{"title", "TEXT", "title of the web page [xverse]", TEXT, AT(title), 0, 0, 0, 0},
	{"openapi", NULL, "print the OpenAPI description of the endpoints and exit", FLAG, AT(print_openapi), 0, 0, 0,
	 0},
	{"check", NULL, "check options, files and the address to listen on, report errors and exit", FLAG, AT(check), 0,
	 0, 0, 0},
	{"help", NULL, "print this help and exit", FLAG, AT(help), 0, 0, 0, 0},
};

enum { ROWS = sizeof table / sizeof *table };

static const char examples[] =
	"\nExamples:\n"
	"  xverse-gateway --port 8000                                 # before the default daemon\n"
	"  xverse-gateway --model small=/run/a.sock --model large=/run/b.sock --api-key-file keys\n"
	"  xverse-gateway --host 0.0.0.0 --tls-cert chain.pem --tls-key key.pem --api-key-file keys\n";

void gateway_options_help(FILE *f)
{
	fprintf(f, "usage: xverse-gateway [options]\n\n");
	help_text(f, 0, "Serves the OpenAI API over HTTP in front of xversed (docs/gateway.md).");
	fprintf(f, "\n");
	for (int i = 0; i < ROWS; i++) {
		const struct gateway_option *r = &table[i];
		char head[64], text[400];

		snprintf(head, sizeof head, "--%s%s%s", r->name, r->value ? " " : "", r->value ? r->value : "");
		if (r->kind == PORT || r->kind == COUNT || r->kind == SECONDS)
			snprintf(text, sizeof text, "%s [%.0f]", r->text, r->fallback);
		else
			snprintf(text, sizeof text, "%s", r->text);
		help_row(f, head, text);
	}
	fputs(examples, f);
}

static int unknown(const char *arg, struct why *why)
{
	char name[64];
	struct similar like = {.given = name};
	const char *best;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(arg + strspn(arg, "-"), "="), arg + strspn(arg, "-"));
	for (int i = 0; i < ROWS; i++)
		similar_try(&like, table[i].name);
	best = similar_name(&like);
	return fail(why, ERR_INVALID, "unknown option %s%s%s%s (--help lists them)", arg,
		    best ? "; did you mean --" : "", best ? best : "", best ? "?" : "");
}

static void *place(struct gateway_options *o, size_t at)
{
	return (char *)o + at;
}

static int set_number(struct gateway_options *o, const struct gateway_option *r, const char *value, struct why *why)
{
	struct range range = {r->low, r->high, RANGE_FROM};
	char allowed[RANGE_TEXT], *end;
	double x;

	x = strtod(value, &end);
	if (end == value || *end || (r->kind != SECONDS && isfinite(x) && x != floor(x)))
		return fail(why, ERR_INVALID, "--%s: \"%s\" is not a %snumber", r->name, value,
			    r->kind == SECONDS ? "" : "whole ");
	if (!range_holds(&range, x))
		return fail(why, ERR_INVALID, "--%s: %s is not %s", r->name, value, range_text(&range, allowed));
	if (r->kind == PORT)
		*(int *)place(o, r->at) = (int)x;
	else
		*(int64_t *)place(o, r->at) = (int64_t)(r->kind == SECONDS ? x * 1000 : x);
	return 0;
}

/* The socket may be missing yet, but a folder or a file is a model given by mistake. */
static int check_socket(const char *value, const char *path, struct why *why)
{
	struct stat st;

	if (stat(path, &st) || S_ISSOCK(st.st_mode))
		return 0;
	return fail(why, ERR_INVALID,
		    "--model %s: this is %s; give the socket of a running xversed, which serves the model", value,
		    S_ISDIR(st.st_mode) ? "a folder" : "a file");
}

/* The name is never freed: options live as long as the program. */
static int add_model(struct gateway_options *o, const char *value, struct why *why)
{
	const char *equals = strchr(value, '=');

	if (o->n_daemons == GATEWAY_MAX_DAEMONS)
		return fail(why, ERR_LIMIT, "--model is given more than %d times", GATEWAY_MAX_DAEMONS);
	o->daemon_name[o->n_daemons] = equals ? strndup(value, (size_t)(equals - value)) : NULL;
	o->daemon_socket[o->n_daemons++] = equals ? equals + 1 : value;
	if (equals && (equals == value || !equals[1]))
		return fail(why, ERR_INVALID, "--model %s must be NAME=SOCKET", value);
	return check_socket(value, o->daemon_socket[o->n_daemons - 1], why);
}

static int add_to_list(struct gateway_options *o, const struct gateway_option *r, const char *value, struct why *why)
{
	int *n = place(o, r->count_at);

	if (*n == HTTP_MAX_LIST)
		return fail(why, ERR_LIMIT, "--%s is given more than %d times", r->name, HTTP_MAX_LIST);
	((const char **)place(o, r->at))[(*n)++] = value;
	return 0;
}

static int set(struct gateway_options *o, const struct gateway_option *r, const char *value, struct why *why)
{
	switch (r->kind) {
	case FLAG:
		*(bool *)place(o, r->at) = true;
		return 0;
	case TEXT:
		*(const char **)place(o, r->at) = value;
		return 0;
	case MODEL:
		return add_model(o, value, why);
	case LIST:
		return add_to_list(o, r, value, why);
	default:
		return set_number(o, r, value, why);
	}
}

/* Finds the row of "--name" or "--name=value"; *value is what follows '='. */
static const struct gateway_option *find(const char *arg, const char **value)
{
	size_t n = strcspn(arg, "=");

	*value = arg[n] ? arg + n + 1 : NULL;
	for (int i = 0; i < ROWS; i++)
		if (n > 2 && strlen(table[i].name) == n - 2 && !strncmp(table[i].name, arg + 2, n - 2))
			return &table[i];
	return NULL;
}

static int check_names(const struct gateway_options *o, struct why *why)
{
	struct http_authority a;
	struct http_origin origin;

	for (int i = 0; i < o->http.n_allowed_hosts; i++)
		if (!http_authority_read(&a, o->http.allowed_host[i]))
			return fail(why, ERR_INVALID, "--allowed-host %s must be a name, with or without a port",
				    o->http.allowed_host[i]);
	for (int i = 0; i < o->http.n_cors_origins; i++)
		if (strcmp(o->http.cors_origin[i], "*") && strcmp(o->http.cors_origin[i], "null") &&
		    !http_origin_read(&origin, o->http.cors_origin[i]))
			return fail(why, ERR_INVALID, "--cors-origin %s must be scheme://name, scheme://name:port or *",
				    o->http.cors_origin[i]);
	return 0;
}

static bool is_text(const char *s)
{
	return !s || utf8_valid(s, strlen(s), NULL);
}

static int check(const struct gateway_options *o, struct why *why)
{
	if (!is_text(o->title))
		return fail(why, ERR_INVALID, "--title %s is not UTF-8", o->title);
	for (int i = 0; i < o->n_daemons; i++)
		if (!is_text(o->daemon_name[i]))
			return fail(why, ERR_INVALID, "--model %s is not UTF-8", o->daemon_name[i]);
	if (!o->http.tls_cert != !o->http.tls_key)
		return fail(why, ERR_INVALID, "--tls-cert and --tls-key must be given together");
	for (int i = 0; i < o->n_daemons; i++)
		for (int k = 0; k < i; k++)
			if (o->daemon_name[i] && o->daemon_name[k] && !strcmp(o->daemon_name[i], o->daemon_name[k]))
				return fail(why, ERR_INVALID, "--model %s is given twice", o->daemon_name[i]);
	return check_names(o, why);
}

int gateway_options_read(struct gateway_options *o, int argc, char **argv, struct why *why)
{
	*o = (struct gateway_options){.http.host = "127.0.0.1"};
	for (int i = 0; i < ROWS; i++)
		if (table[i].kind == PORT)
			o->http.port = (int)table[i].fallback;
		else if (table[i].kind == COUNT || table[i].kind == SECONDS)
			*(int64_t *)place(o, table[i].at) =
				(int64_t)(table[i].fallback * (table[i].kind == SECONDS ? 1000 : 1));
	for (int i = 1; i < argc; i++) {
		const char *value;
		const struct gateway_option *r = strncmp(argv[i], "--", 2) ? NULL : find(argv[i], &value);
		int err;
		if (!r)
			return unknown(argv[i], why);
		if (r->kind != FLAG && !value && !(value = argv[++i]))
			return fail(why, ERR_INVALID, "--%s requires %s", r->name, r->value);
		err = set(o, r, value, why);
		if (err)
			return err;
	}
	if (!o->n_daemons)
		o->n_daemons = 1;
	return check(o, why);
}

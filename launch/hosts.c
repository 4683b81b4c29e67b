#include "launch/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file/file.h"
#include "base/text.h"

#define BLANKS " \t\r\n"
static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

/* Names become arguments of mpirun, srun and ssh. */
static bool is_name(const char *s, size_t len)
{
	return len && len < HOSTS_NAME && *s != '-' && strspn(s, plain) >= len;
}

int hosts_add(struct hosts *h, const char *name, size_t len, int64_t slots, struct why *why)
{
	int i = 0;

	if (!is_name(name, len))
		return fail(why, ERR_INVALID, "\"%.*s\" is no host's name", (int)(len < 80 ? len : 80), name);
	if (slots < 1 || slots > HOSTS_SLOTS)
		return fail(why, ERR_INVALID, "host %.*s: its number of ranks must be within 1 to %d", (int)len, name,
			    HOSTS_SLOTS);
	while (i < h->n && (strlen(h->at[i].name) != len || strncasecmp(h->at[i].name, name, len)))
		i++;
	if (i < h->n && h->at[i].slots + slots <= HOSTS_SLOTS) {
		h->at[i].slots += (int)slots;
		return 0;
	}
	if (i < h->n || h->n == HOSTS_MOST)
		return fail(why, ERR_INVALID, "more than %d hosts, or than %d ranks on one", HOSTS_MOST, HOSTS_SLOTS);
	h->at = xgrow(h->at, (size_t)h->n + 1, sizeof *h->at);
	snprintf(h->at[h->n].name, HOSTS_NAME, "%.*s", (int)len, name);
	h->at[h->n++].slots = (int)slots;
	return 0;
}

/* A number and nothing else; -1: it is none. */
static int64_t number(const char *s, size_t len)
{
	char copy[16] = "";

	if (!len || len >= sizeof copy || strspn(s, "0123456789") < len)
		return -1;
	memcpy(copy, s, len);
	return strtoll(copy, NULL, 10);
}

/* NAME or NAME:SLOTS. */
static int add_word(struct hosts *h, const char *word, size_t len, struct why *why)
{
	const char *colon = memchr(word, ':', len);
	size_t name = colon ? (size_t)(colon - word) : len;

	return hosts_add(h, word, name, colon ? number(colon + 1, len - name - 1) : 1, why);
}

int hosts_parse(struct hosts *h, const char *list, struct why *why)
{
	int err = 0;

	if (!*list)
		return fail(why, ERR_INVALID, "names no host");
	for (;; list++) {
		size_t n = strcspn(list, ",");
		err = add_word(h, list, n, why);
		list += n;
		if (err || !*list)
			return err;
	}
}

/* A line of a host file; *h is unchanged by a blank one. */
static int add_line(struct hosts *h, char *line, enum hosts_form form, struct why *why)
{
	char *rest, *name, *word;
	int64_t slots = 1;

	line[strcspn(line, "#")] = 0;
	name = strtok_r(line, BLANKS, &rest);
	if (!name)
		return 0;
	if (form == HOSTS_CORES)
		return hosts_add(h, name, strlen(name), 1, why);
	while ((word = strtok_r(NULL, BLANKS, &rest))) {
		if (!strncmp(word, "slots=", 6))
			slots = number(word + 6, strlen(word + 6));
		else if (strncmp(word, "max_slots=", 10) && strncmp(word, "max-slots=", 10))
			return fail(why, ERR_INVALID, "\"%.60s\" is not understood: NAME slots=N, NAME:N or NAME",
				    word);
	}
	return strchr(name, ':') ? add_word(h, name, strlen(name), why) : hosts_add(h, name, strlen(name), slots, why);
}

int hosts_read(struct hosts *h, const char *path, enum hosts_form form, struct why *why)
{
	char line[1024];
	FILE *f = fopen(path, "re");
	struct why at = {""};
	int number = 0, err = 0;

	if (!f)
		return fail(why, ERR_IO, "%s: %s", path, file_error(path, errno));
	while (!err && fgets(line, sizeof line, f)) {
		number++;
		if (!strchr(line, '\n') && !feof(f))
			err = fail(&at, ERR_INVALID, "longer than %d bytes", (int)sizeof line - 2);
		else
			err = add_line(h, line, form, &at);
	}
	if (err)
		fail(why, err, "%s: line %d: %s", path, number, at.text);
	else if (ferror(f))
		err = fail(why, ERR_IO, "%s: %s; it must be a file with lines such as NAME slots=N", path,
			   strerror(errno));
	else if (!h->n)
		err = fail(why, ERR_INVALID, "%s: names no host; its lines must be such as NAME slots=N", path);
	fclose(f);
	for (int i = 0; i < h->n && form == HOSTS_CORES; i++)
		h->at[i].slots = 1;
	return err;
}

void hosts_finish(struct hosts *h)
{
	free(h->at);
	*h = (struct hosts){0};
}

int hosts_slots(const struct hosts *h)
{
	int n = 0;

	for (int i = 0; i < h->n; i++)
		n += h->at[i].slots;
	return n;
}

static bool is_own_address(const char *name)
{
	struct in_addr wanted;
	struct ifaddrs *all, *a;
	bool found = false;

	if (inet_pton(AF_INET, name, &wanted) != 1 || getifaddrs(&all))
		return false;
	for (a = all; a && !found; a = a->ifa_next)
		found = a->ifa_addr && a->ifa_addr->sa_family == AF_INET &&
			((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr.s_addr == wanted.s_addr;
	freeifaddrs(all);
	return found;
}

/* A name with its domain and one without are the same machine; two domains are not. */
bool hosts_is_here(const char *name)
{
	char own[HOSTS_NAME] = "";
	size_t short_own, short_name = strcspn(name, ".");

	gethostname(own, sizeof own - 1);
	short_own = strcspn(own, ".");
	if (!strcasecmp(name, own) || !strcasecmp(name, "localhost"))
		return true;
	if (is_own_address(name))
		return true;
	return short_own == short_name && !strncasecmp(name, own, short_own) && (!own[short_own] || !name[short_name]);
}

int hosts_here(const struct hosts *h)
{
	for (int i = 0; i < h->n; i++)
		if (hosts_is_here(h->at[i].name))
			return i;
	return -1;
}

void hosts_first(struct hosts *h, int i)
{
	struct host moved = h->at[i];

	memmove(h->at + 1, h->at, (size_t)i * sizeof *h->at);
	h->at[0] = moved;
}

void hosts_take(struct hosts *h, int ranks)
{
	int n = 0;

	for (; n < h->n && ranks > 0; n++) {
		h->at[n].slots = min_int(h->at[n].slots, ranks);
		ranks -= h->at[n].slots;
	}
	h->n = n;
}

void hosts_spread(struct hosts *h, int ranks)
{
	int n = min_int(h->n, ranks);

	for (int i = 0; i < n; i++)
		h->at[i].slots = ranks / n + (i < ranks % n);
	h->n = n;
}

char *hosts_list(const struct hosts *h)
{
	struct text t = {0};

	for (int i = 0; i < h->n; i++)
		text_fmt(&t, "%s%s:%d", i ? "," : "", h->at[i].name, h->at[i].slots);
	return t.data ? t.data : xstrdup("");
}

char *hosts_names(const struct hosts *h)
{
	struct text t = {0};

	for (int i = 0; i < h->n; i++)
		text_fmt(&t, "%s%s", i ? "," : "", h->at[i].name);
	return t.data ? t.data : xstrdup("");
}

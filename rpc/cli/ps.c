/* ps.c - `xverse ps`: the open calls, for `xverse cancel`. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpc/cli/cli.h"

static const char *state_of(const struct xv_call_info *c, char out[40])
{
	static const char *const names[] = {"loading", "tokenizing", "waiting", "running"};
	const char *name = c->state <= XV_CALL_RUNNING ? names[c->state] : "unknown";

	if (c->queue_place)
		snprintf(out, 40, "%s, place %u", name, c->queue_place);
	else
		snprintf(out, 40, "%s%s", name, c->resumed ? ", resumed" : "");
	return out;
}

static const char *kind_of(const struct xv_call_info *c)
{
	static const char *const names[] = {"generate", "chat", "score"};

	return c->kind <= XV_CALL_SCORE ? names[c->kind] : "unknown";
}

/* "1000", or "alice", and for whom a gateway asked. */
static const char *user_of(const struct xv_call_info *c, char out[300])
{
	const struct passwd *p = getpwuid(c->uid);
	const char *whom = *c->key ? c->key : c->client;
	char number[16];

	snprintf(number, sizeof number, "%u", c->uid);
	snprintf(out, 300, "%s%s%s", p ? p->pw_name : number, *whom ? "/" : "", whom);
	return out;
}

static const char *age_of(const struct xv_call_info *c, char out[32])
{
	unsigned long long s = c->age_ns / 1000000000u;

	if (s < 60)
		snprintf(out, 32, "%.1f s", (double)c->age_ns / 1e9);
	else if (s < 3600)
		snprintf(out, 32, "%llu:%02llu", s / 60, s % 60);
	else
		snprintf(out, 32, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
	return out;
}

static void print_table(const struct xv_calls *all)
{
	bool wide = cli_columns(STDOUT_FILENO) >= 72;

	if (wide)
		cli_print("%8s  %-9s %-16s %9s %8s %8s  %s\n", "CALL", "KIND", "USER", "AGE", "PROMPT", "OUTPUT",
			  "STATE");
	for (int i = 0; i < all->n; i++) {
		const struct xv_call_info *c = &all->call[i];
		char user[300], age[32], state[40], name[24];

		if (wide)
			cli_print("%8ju  %-9s %-16s %9s %8u %8u  %s\n", (uintmax_t)c->call, kind_of(c),
				  user_of(c, user), age_of(c, age), c->prompt_tokens, c->output_tokens,
				  state_of(c, state));
		snprintf(name, sizeof name, "%ju", (uintmax_t)c->call);
		if (!wide)
			cli_row(name, 8, "%s of %s, age %s, %u + %u tokens, %s", kind_of(c), user_of(c, user),
				age_of(c, age), c->prompt_tokens, c->output_tokens, state_of(c, state));
	}
	if (all->more)
		cli_print("... and %u more (--most lists more)\n", all->more);
	if (!all->n)
		cli_say("no call is open\n");
}

static json_t *json_of(const struct xv_calls *all)
{
	static const char *const states[] = {"loading", "tokenizing", "waiting", "running"};
	json_t *list = json_array();

	for (int i = 0; i < all->n; i++) {
		const struct xv_call_info *c = &all->call[i];

		json_array_append_new(
			list, json_pack("{s:I,s:I,s:o,s:o,s:s,s:s,s:I,s:I,s:I,s:I,s:b}", "call", (json_int_t)c->call,
					"uid", (json_int_t)c->uid, "key", json_text(c->key, strlen(c->key)), "client",
					json_text(c->client, strlen(c->client)), "kind", kind_of(c), "state",
					c->state <= XV_CALL_RUNNING ? states[c->state] : "unknown", "queue_place",
					(json_int_t)c->queue_place, "age_ns", (json_int_t)c->age_ns, "prompt_tokens",
					(json_int_t)c->prompt_tokens, "output_tokens", (json_int_t)c->output_tokens,
					"resumed", c->resumed));
	}
	return json_pack("{s:o,s:I}", "calls", list, "more", (json_int_t)all->more);
}

int run_ps(struct args *a, struct xv_client *c)
{
	struct xv_request r = {.kind = XV_CALLS, .calls = {.most = (uint32_t)a->most}};
	struct xv_reply reply;
	struct why why;
	int err = cli_ask(c, &r, &reply, &why);

	if (err)
		return cli_give_up(err, &why);
	if (a->json)
		json_print(json_of(&reply.calls));
	else
		print_table(&reply.calls);
	return 0;
}

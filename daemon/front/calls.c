/* Open calls, from the engine's mailbox to their last reply, and errors. */
#include "daemon/front/inside.h"

#include <stdio.h>
#include <stdlib.h>

static void send_error(struct front *f, uint64_t call, const struct front_call *c, int code, const char *text)
{
	struct xv_reply r = {.kind = XV_R_ERROR};

	r.error = (struct xv_error){.code = code, .text = text, .rank = -1, .step = -1, .pid = -1};
	if (code < 0 && -code < METRICS_CODES)
		f->metrics.errors[-code]++;
	if (code == ERR_LOADING)
		r.error.retry_after_ms = 500;
	if (code == ERR_BUSY)
		r.error.retry_after_ms =
			c && c->retry_ms ? c->retry_ms : front_retry_ms(f, c ? c->stake.account : NULL);
	rpc_send(f->server, call, &r);
}

void front_error(struct front *f, uint64_t call, int code, const char *text)
{
	send_error(f, call, NULL, code, text);
}

void front_refuse(struct front *f, const struct front_call *c, int code, const char *text)
{
	send_error(f, c->id, c, code, text);
}

bool front_is_owner(struct front *f, uint64_t call, const struct rpc_peer *peer, const char *what)
{
	char text[160];

	if (peer->owner)
		return true;
	snprintf(text, sizeof text, "%s: only root and the server's own user may do this, not user %u", what,
		 peer->uid);
	front_error(f, call, ERR_DENIED, text);
	return false;
}

/* ---- the table of calls that the engine has ---- */

struct front_call *front_find(struct front *f, uint64_t call)
{
	struct front_call *c = f->bucket[call % FRONT_BUCKETS];

	while (c && c->id != call)
		c = c->next;
	return c;
}

void front_add(struct front *f, struct front_call *c)
{
	c->next = f->bucket[c->id % FRONT_BUCKETS];
	f->bucket[c->id % FRONT_BUCKETS] = c;
}

void front_call_destroy(struct front_call *c)
{
	if (!c)
		return;
	if (c->request)
		rpc_request_free(c->request);
	free(c->request);
	ids_finish(&c->ids);
	free(c->stop_ids);
	free(c->bias);
	free(c->targets);
	free(c->mask);
	grammar_destroy(c->grammar);
	free(c->missing);
	detok_destroy(c->detok);
	front_stop_finish(&c->stop);
	if (c->lora)
		c->lora->calls--;
	front_stake_close(&c->stake);
	quota_close(&c->claim);
	free(c);
}

void front_forget(struct front *f, struct front_call *c)
{
	struct front_call **at = &f->bucket[c->id % FRONT_BUCKETS];

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	f->cancels_due -= c->cancel_due;
	front_call_destroy(c);
}

int front_open_calls(const struct front *f)
{
	int n = f->n_held;

	for (int i = 0; i < FRONT_BUCKETS; i++)
		for (const struct front_call *c = f->bucket[i]; c; c = c->next)
			n++;
	return n;
}

/* ---- calls that a limit holds back ---- */

void front_hold(struct front *f, struct front_call *c)
{
	struct front_call **at = &f->held;

	while (*at)
		at = &(*at)->next;
	c->next = NULL;
	*at = c;
	f->n_held++;
}

struct front_call *front_find_held(struct front *f, uint64_t call)
{
	struct front_call *c = f->held;

	while (c && c->id != call)
		c = c->next;
	return c;
}

struct front_call *front_take_held(struct front *f, struct front_call **at)
{
	struct front_call *c = *at;

	*at = c->next;
	c->next = NULL;
	f->n_held--;
	return c;
}

void front_drop_held(struct front *f, uint64_t call, int code, const char *text)
{
	for (struct front_call **at = &f->held; *at; at = &(*at)->next) {
		if ((*at)->id != call)
			continue;
		front_error(f, call, code, text);
		front_call_destroy(front_take_held(f, at));
		return;
	}
}

/* ---- ending them ---- */

void front_cancel_engine(struct front *f, struct front_call *c)
{
	struct link_command cmd = {.kind = COMMAND_CANCEL, .call = c->id, .reason = FINISH_CANCEL};
	bool due = !link_post(f->link, &cmd);

	f->cancels_due += due - c->cancel_due;
	c->cancel_due = due;
}

void front_retry_cancels(struct front *f)
{
	for (int i = 0; i < FRONT_BUCKETS && f->cancels_due; i++)
		for (struct front_call *c = f->bucket[i]; c; c = c->next)
			if (c->cancel_due)
				front_cancel_engine(f, c);
}

void front_end_calls(struct front *f, int code, const char *text)
{
	for (int i = 0; i < FRONT_BUCKETS; i++)
		for (struct front_call *c = f->bucket[i]; c; c = c->next)
			if (!c->ended) {
				front_error(f, c->id, code, text);
				c->ended = true;
				f->metrics.failed++;
			}
	while (f->held)
		front_drop_held(f, f->held->id, code, text);
}

/* A client that has open calls on its connection may add some while another process takes over, but not for ever. */
int front_closed(const struct front *f, const char **text)
{
	bool left = f->leave_ns && now_ns() - f->leave_ns > (uint64_t)f->opt->shutdown_timeout_s * 1000000000u;

	*text = f->yields ? "another process takes over and loads the model: wait for it" : "the server is draining";
	return f->yields ? ERR_LOADING : f->draining || left ? ERR_DRAINING : 0;
}

void front_drain(struct front *f, const char *reason)
{
	if (f->draining)
		return;
	f->draining = true;
	f->drain_deadline_ns = now_ns() + (uint64_t)f->opt->shutdown_timeout_s * 1000000000u;
	log_event(LOG_INFO, "draining", " reason=\"%s\" open_calls=%d timeout_s=%lld", reason, front_open_calls(f),
		  (long long)f->opt->shutdown_timeout_s);
}

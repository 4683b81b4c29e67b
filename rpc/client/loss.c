/* What happens to open calls while the server is lost, stopped responding or not ready: they wait, are sent again, or
 * end. */
#include "rpc/client/inside.h"

#include <stdio.h>
#include <string.h>

enum {
	FIRST_PAUSE_MS = 50,
	LONGEST_PAUSE_MS = 1000,
	UNSEEN_MS = 1000, /* a caller that does not call for longer was stopped or busy: the pause was its own */
	MOST_LOSSES = 3,
	SUSPECT_MS = 2000,
	FORWARDER_MS = 200
};

static bool worth_a_return(const struct xv_client *c)
{
	return c->calls && !c->how.no_resume;
}

static uint64_t after(int ms)
{
	return now_ns() + (uint64_t)ms * CLIENT_MS;
}

static bool older(uint64_t since_ns, int ms)
{
	uint64_t now = now_ns();

	return now > since_ns && now - since_ns > (uint64_t)ms * CLIENT_MS;
}

/* What accepts a connection and ends it at once, without a greeting, forwards it (an ssh tunnel) and has no server
 * behind it. A server that dies of a request takes longer to come back. */
void client_count_losses(struct xv_client *c)
{
	if (!c->greeted && !older(c->connected_ns, FORWARDER_MS))
		return;
	for (struct client_call *call = c->calls; call; call = call->next)
		call->losses += call->sent && !call->retry_ns && !call->lost_here;
}

void client_note_wait(struct xv_client *c, const char *text)
{
	snprintf(c->waits_for, sizeof c->waits_for, "%s", text);
	if (!c->noticed && c->how.notice)
		c->how.notice(c->how.notice_arg, c->waits_for);
	c->noticed = true;
}

int client_lose(struct xv_client *c, const struct why *why)
{
	client_io_lose(c);
	if (!worth_a_return(c))
		return ERR_GONE;
	log_at(LOG_DEBUG, "%s; trying again", why->text);
	client_note_wait(c, why->text);
	if (!c->lost_ns)
		c->lost_ns = now_ns();
	c->pause_ms = FIRST_PAUSE_MS;
	c->try_ns = after(c->pause_ms);
	return 0;
}

/* A call that was lost before its first token may be the cause: it is sent later than others, so that they can finish.
 */
static int suspect_ms(const struct client_call *call)
{
	return call->n_ids ? 0 : SUSPECT_MS * call->losses;
}

static int patience_ms(const struct xv_client *c, const struct client_call *call, int code)
{
	bool begun = call->started || call->resumed;

	return code == ERR_LOADING && !begun ? c->how.loading_timeout_ms : c->how.resume_timeout_ms;
}

/* What the server asks for, but no longer than the caller is ready to wait: then the call is sent a last time. */
static int pause_ms(const struct xv_client *c, const struct client_call *call, const struct xv_error *e)
{
	int64_t asked = e->retry_after_ms ? e->retry_after_ms : 200,
		waited = (int64_t)((now_ns() - call->late_ns) / CLIENT_MS),
		left = patience_ms(c, call, e->code) - waited + 1;

	return (int)(asked < left ? asked : left > 0 ? left : 0);
}

void client_delay(struct xv_client *c, struct client_call *call, const struct xv_error *e)
{
	if (!call->late_ns)
		call->late_ns = now_ns();
	call->losses += e->code == ERR_LOST_RANK;
	call->lost_here |= e->code == ERR_LOST_RANK; /* the connection ends, too: that is the same loss */
	call->had = call->started_now || e->code == ERR_LOST_RANK;
	call->retry_ns = after(pause_ms(c, call, e) + suspect_ms(call));
	client_note_wait(c, e->text);
}

bool client_may_wait(const struct xv_client *c, const struct client_call *call, const struct xv_error *e)
{
	bool begun = call->started || call->resumed;
	int patience = patience_ms(c, call, e->code);

	if (c->how.no_resume || !call->streams || !e->retryable || patience < 0 || call->cancelled)
		return false;
	if (!begun && e->code != ERR_LOADING && e->code != ERR_LOST_RANK)
		return false;
	return !call->late_ns || !older(call->late_ns, patience);
}

static void resend_all(struct xv_client *c)
{
	for (struct client_call *call = c->calls; call; call = call->next) {
		call->lost_here = false;
		if (suspect_ms(call) && !call->cancelled)
			call->retry_ns = after(suspect_ms(call));
		else
			client_call_send(c, call);
	}
}

int client_come_back(struct xv_client *c, struct why *why)
{
	if (now_ns() < c->try_ns)
		return 0;
	if (!client_io_connect(c, why)) {
		resend_all(c);
		return 0;
	}
	client_note_wait(c, why->text);
	if (!c->lost_ns) /* the connection ended while no call was open */
		c->lost_ns = now_ns();
	c->pause_ms = min_int(2 * c->pause_ms, LONGEST_PAUSE_MS);
	c->try_ns = after(c->pause_ms);
	return 0;
}

int client_check_patience(const struct xv_client *c, struct why *why)
{
	if (!c->lost_ns || !older(c->lost_ns, c->how.resume_timeout_ms))
		return 0;
	return fail(why, ERR_GONE, "%s: the server was lost and did not come back within %d s", c->path,
		    c->how.resume_timeout_ms / 1000);
}

/* Time without traffic counts only while the caller calls xv_wait(). */
static void forgive_unseen(struct xv_client *c)
{
	uint64_t now = now_ns();

	if (c->looked_ns && older(c->looked_ns, UNSEEN_MS))
		c->heard_ns += now - c->looked_ns;
	if (c->heard_ns > now)
		c->heard_ns = now;
	c->looked_ns = now;
}

int client_look_at_calls(struct xv_client *c, struct why *why)
{
	bool with_server = false;

	forgive_unseen(c);
	for (struct client_call *call = c->calls; call; call = call->next) {
		if (call->retry_ns && now_ns() >= call->retry_ns)
			client_call_send(c, call);
		with_server |= !call->retry_ns;
	}
	if (!with_server)
		c->heard_ns = now_ns();
	if (!older(c->heard_ns, c->how.silence_timeout_ms))
		return 0;
	return fail(why, ERR_GONE, "%s: the server stopped responding for %d ms", c->path, c->how.silence_timeout_ms);
}

static int give_up(const struct xv_client *c, const struct client_call *call, struct why *why)
{
	bool away = c->fd < 0 || call->retry_ns;

	if (call->too_large)
		return fail(why, ERR_LIMIT, "the request has %zu bytes, and the server takes %zu in one message",
			    call->too_large, client_largest(c));
	if (c->how.no_resume)
		return 0;
	if (call->losses >= MOST_LOSSES)
		return fail(
			why, ERR_INTERNAL,
			"the server was lost %d times while it had this request, which brought no new token: it is given up, "
			"since the request may be what ends the server (its log has the reason)",
			call->losses);
	if (call->deadline_ns && away && now_ns() > call->deadline_ns)
		return fail(why, ERR_DEADLINE, "the time of this call is over, and the server is not ready: %.300s",
			    c->waits_for);
	return 0;
}

/* A stream that its deadline ends is not an error. */
static void finish(const struct client_call *call, struct xv_reply *r)
{
	r->kind = XV_R_FINISHED;
	r->finished = (struct xv_finished){.reason = XV_FINISH_DEADLINE,
					   .stop_id = -1,
					   .stop_text = "",
					   .prompt_tokens = call->n_prompt,
					   .output_tokens = (uint32_t)call->n_ids};
}

void client_end_call(struct xv_client *c, struct client_call *call, int err, const char *text, struct xv_reply *r)
{
	snprintf(c->end_text, sizeof c->end_text, "%s", text);
	*r = (struct xv_reply){.id = call->id, .kind = XV_R_ERROR};
	r->error = (struct xv_error){.code = err, .text = c->end_text, .rank = -1, .step = -1, .pid = -1};
	if (err == ERR_DEADLINE && call->started)
		finish(call, r);
	client_call_remove(c, call);
}

bool client_end_here(struct xv_client *c, struct xv_reply *r)
{
	struct why why;

	for (struct client_call *call = c->calls; call; call = call->next) {
		int err = give_up(c, call, &why);
		if (!err)
			continue;
		client_end_call(c, call, err, why.text, r);
		return true;
	}
	return false;
}

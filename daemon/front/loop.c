#include "daemon/front/front.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/rank/files.h"
#include "base/log_limit.h"
#include "base/wait.h"
#include "base/arena.h"
#include "rpc/server/handover.h"

static void send_error(struct front *f, uint64_t call, struct account *a, int code, const char *text)
{
	struct rpc_reply r = {.kind = RPC_R_ERROR};

	r.error = (struct rpc_error){.code = code, .text = text, .rank = -1, .step = -1, .pid = -1};
	if (code < 0 && -code < METRICS_CODES)
		f->metrics.errors[-code]++;
	if (code == ERR_LOADING)
		r.error.retry_after_ms = 500;
	if (code == ERR_BUSY)
		r.error.retry_after_ms = front_retry_ms(f, a);
	rpc_send(f->server, call, &r);
}

void front_error(struct front *f, uint64_t call, int code, const char *text)
{
	send_error(f, call, NULL, code, text);
}

void front_refuse(struct front *f, const struct open_call *c, int code, const char *text)
{
	send_error(f, c->id, c->stake.account, code, text);
}

struct open_call *front_find(struct front *f, uint64_t call)
{
	struct open_call *c = f->bucket[call % FRONT_BUCKETS];

	while (c && c->id != call)
		c = c->next;
	return c;
}

void front_forget(struct front *f, struct open_call *c)
{
	struct open_call **at = &f->bucket[c->id % FRONT_BUCKETS];

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	f->cancels_due -= c->cancel_due;
	open_call_destroy(c);
}

int front_open_calls(const struct front *f)
{
	int n = 0;

	for (int i = 0; i < FRONT_BUCKETS; i++)
		for (const struct open_call *c = f->bucket[i]; c; c = c->next)
			n++;
	return n;
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

static void take_reports(struct front *f)
{
	struct report r;
	uint64_t count;
	bool took = false;

	if (read(f->link->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		die("eventfd: %s", strerror(errno));
	for (; mailbox_take(&f->link->reports, &r); took = true)
		front_report(f, &r);
	if (took) { /* the engine may be waiting for room */
		atomic_fetch_add(&f->link->bell, 1);
		wait_wake(&f->link->bell, 0);
	}
}

/* While loading, the engine thread does not hear commands: a drain ends the process at once then. */
static bool drained(struct front *f)
{
	if (!f->draining)
		return false;
	if (now_ns() > f->drain_deadline_ns)
		front_cut_calls(f, ERR_DRAINING, FRONT_SHUTTING_DOWN);
	else if (rpc_open_calls(f->server) > 0)
		return false;
	return true;
}

static void beat(struct front *f)
{
	if (now_ns() - f->beat_ns < 900000000u)
		return;
	f->beat_ns = now_ns();
	handover_say(f->beat_fd, atomic_load(&f->link->state) == LINK_READY ? HANDOVER_READY : HANDOVER_FRONT);
}

static void log_limit_tick(struct front *f)
{
	if (now_ns() - f->log_ns < 1000000000u)
		return;
	f->log_ns = now_ns();
	log_limit_flush();
}

/* Memory that clients took goes back to the system when no call is open any more, and now and then after something
 * large. */
static void trim(struct front *f)
{
	enum { LARGE = 4 << 20 };
	int connections = rpc_connections(f->server), calls = rpc_open_calls(f->server);
	uint64_t since = now_ns() - f->trim_ns;

	f->trim_due |= calls > 0 || connections != f->connections_seen;
	f->trim_large |= arena_held() > LARGE;
	f->connections_seen = connections;
	if (!(f->trim_due && !calls && since > 1000000000u) && !(f->trim_large && since > 2000000000u))
		return;
	f->trim_due = f->trim_large = false;
	f->trim_ns = now_ns();
	heap_trim();
}

static void *front_thread(void *arg)
{
	struct front *f = arg;
	struct command stop = {.kind = COMMAND_STOP};
	bool was_ready = false;

	while (atomic_load(&f->link->state) != LINK_STOPPED) {
		rpc_server_poll(f->server, f->draining || f->waiting ? 100 : 1000);
		if (atomic_load(&f->last_words))
			return NULL;
		front_take_signals(f);
		take_reports(f);
		front_retry_cancels(f);
		front_take_words(f);
		front_expire(f);
		beat(f);
		log_limit_tick(f);
		trim(f);
		if (!was_ready && atomic_load(&f->link->state) == LINK_READY) {
			was_ready = true;
			front_ready(f);
			handover_say(f->beat_fd, HANDOVER_READY);
		}
		if (drained(f) && !was_ready)
			front_exit(f, EXIT_OK);
		if (drained(f))
			link_command(f->link, &stop);
	}
	rpc_server_close(f->server, 500);
	handover_say(f->beat_fd, HANDOVER_SERVED);
	return NULL;
}

/* The default needs no entry in the password file. */
static int find_gateway(const struct options *o, uid_t *uid, struct why *why)
{
	struct passwd *p = o->gateway_uid ? getpwnam(o->gateway_uid) : NULL;
	int64_t number;

	*uid = p ? p->pw_uid : geteuid();
	if (!o->gateway_uid || p)
		return 0;
	if (number_parse(o->gateway_uid, &number) || number < 0 || number >= UINT32_MAX)
		return fail(why, ERR_INVALID, "--gateway-uid: \"%s\" is neither a user's name nor a number",
			    o->gateway_uid);
	*uid = (uid_t)number;
	return 0;
}

static int open_socket(struct front *f, struct why *why)
{
	struct rpc_handler h = {.ctx = f, .request = front_request, .cancel = front_cancel, .queue_place = front_place};
	struct rpc_server_options how = {.path = f->opt->uds,
					 .listen_fd = -1,
					 .group = (gid_t)-1,
					 .version = XV_VERSION,
					 .served_model = f->model_name,
					 .max_connections = files_raise((int)f->opt->max_connections),
					 .max_buffered = 1 << 20,
					 .max_input = FRONT_INPUT,
					 .max_calls = 1024};
	struct group *g = f->opt->uds_group ? getgrnam(f->opt->uds_group) : NULL;
	int err;

	err = handover_take(&how.listen_fd, &f->beat_fd, why);
	if (err)
		return err;
	if (f->opt->uds_group && !g)
		return fail(why, ERR_INVALID, "--uds-group: no group \"%s\"", f->opt->uds_group);
	if (g)
		how.group = g->gr_gid;
	err = find_gateway(f->opt, &how.gateway_uid, why);
	if (err)
		return err;
	err = rpc_server_open(&f->server, &how, &h, why);
	if (err)
		return err;
	rpc_server_watch(f->server, f->link->wake_fd);
	rpc_server_watch(f->server, f->signal_fd);
	return 0;
}

int front_start(struct front *f, struct why *why)
{
	int err;

	f->started_ns = f->load_started_ns = now_ns();
	metrics_init(&f->metrics);
	accounts_init(&f->accounts);
	accounts_limit(&f->accounts, SHARE_BYTES, FRONT_INPUT);
	front_open_signals(f);
	err = open_socket(f, why);
	if (err)
		return err;
	if (f->tokenizer)
		words_start(&f->words, f->tokenizer, f->link->wake_fd);
	if (pthread_create(&f->thread, NULL, front_thread, f))
		die("cannot start the front thread");
	return 0;
}

void front_join(struct front *f)
{
	pthread_join(f->thread, NULL);
	close(f->signal_fd);
	words_finish(&f->words);
	tokenizer_close(f->tokenizer);
}

void front_start_failed(struct front *f, const char *text)
{
	char *all = xprintf("the server could not start: %s", text);
	struct rpc_error e = {.code = ERR_INTERNAL, .text = all, .rank = -1, .step = -1, .pid = -1};

	front_last_words(f, &e);
	free(all);
}

void front_last_words(struct front *f, const struct rpc_error *error)
{
	atomic_store(&f->last_words, 1);
	if (f->server && atomic_load(&f->link->state) != LINK_STOPPED)
		rpc_last_words(f->server, error, 500);
}

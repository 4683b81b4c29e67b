/* users.c - shares of the socket's users: connections, open calls, memory of requests. A user's share is summed over
 * the connections when a request is large or little is left. */
#include <unistd.h>

#include "base/arena.h"
#include "rpc/server/inside.h"
#include "rpc/server/share.h"

enum { KEPT_CONNECTIONS = 8, KEPT_CALLS = 64 };

bool user_is_owner(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* What one user holds. */
struct usage {
	int conns, calls, conns_of_pid;
	size_t bytes;
};

static struct usage usage_of(const struct rpc_server *s, uid_t uid, pid_t pid)
{
	struct usage u = {0};

	for (int i = 0; i < s->how.max_connections; i++) {
		const struct conn *c = s->conns[i];
		if (!c || c->peer.uid != uid)
			continue;
		u.conns++;
		u.conns_of_pid += c->peer.pid == pid;
		u.calls += c->n_calls;
		u.bytes += conn_input_held(c);
	}
	return u;
}

/* The last places are for owners, one for each process, so that a gateway that runs as one does not take them all. */
bool users_may_connect(const struct rpc_server *s, uid_t uid, pid_t pid)
{
	struct usage u = usage_of(s, uid, pid);
	int free = s->how.max_connections - s->n_conns;
	bool owner = user_is_owner(uid);

	if (share_room(free - share_kept(s->how.max_connections, KEPT_CONNECTIONS), u.conns, owner) > 0)
		return true;
	return owner && free > 0 && !u.conns_of_pid;
}

bool users_may_call(const struct rpc_server *s, const struct conn *c)
{
	int most = s->last.n_calls;
	bool owner = user_is_owner(c->peer.uid);
	int64_t free = most - s->n_calls - (owner ? 0 : share_kept(most, KEPT_CALLS));

	return s->n_calls < most / 2 || share_room(free, usage_of(s, c->peer.uid, 0).calls, owner) > 0;
}

/* Owners may take all that is left: a gateway has a limit of its own, and those whom it asks for have their accounts'
 * shares. */
size_t users_input_left(const struct rpc_server *s, const struct conn *c)
{
	int64_t most = (int64_t)s->how.max_input, free = most - (int64_t)(s->in_held + arena_held());

	if (user_is_owner(c->peer.uid))
		return free > 0 ? (size_t)free : 0;
	return (size_t)share_room(free - share_kept(most, most), (int64_t)usage_of(s, c->peer.uid, 0).bytes, false);
}

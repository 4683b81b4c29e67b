/* passed.c - listening sockets that another process opened and passed to this one as sd_listen_fds(3) describes, and
 * how this one shows its own. xverse-launch keeps the socket so, over gateways that end and over a takeover. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/parcel.h"
#include "rpc/gateway/http/inside.h"
#include "rpc/server/listen.h"

enum { FIRST = 3, MOST = 16 };

/* An asked port of 0 is any port. */
static bool same_address(const struct sockaddr *has, const struct sockaddr *asked)
{
	const struct sockaddr_in *h4 = (const void *)has, *a4 = (const void *)asked;
	const struct sockaddr_in6 *h6 = (const void *)has, *a6 = (const void *)asked;

	if (has->sa_family != asked->sa_family)
		return false;
	if (has->sa_family == AF_INET)
		return h4->sin_addr.s_addr == a4->sin_addr.s_addr && (!a4->sin_port || h4->sin_port == a4->sin_port);
	return has->sa_family == AF_INET6 && !memcmp(&h6->sin6_addr, &a6->sin6_addr, sizeof h6->sin6_addr) &&
	       h6->sin6_scope_id == a6->sin6_scope_id && (!a6->sin6_port || h6->sin6_port == a6->sin6_port);
}

static bool listens_at(int fd, const struct sockaddr *asked)
{
	struct sockaddr_storage has;
	int listening = 0, type = 0;
	socklen_t n = sizeof(int), len = sizeof has;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) && listening &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) && type == SOCK_STREAM &&
	       !getsockname(fd, (struct sockaddr *)&has, &len) && same_address((struct sockaddr *)&has, asked);
}

/* The descriptors were passed, so none of them is another file of this process. */
static int count(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int n = pid && fds && atoi(pid) == (int)getpid() ? atoi(fds) : 0;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return min_int(max_int(n, 0), MOST);
}

int http_passed(const struct sockaddr *asked)
{
	int n = count(), found = -1;

	for (int fd = FIRST; fd < FIRST + n; fd++) {
		if (found < 0 && listens_at(fd, asked)) {
			found = fd;
			fcntl(fd, F_SETFD, FD_CLOEXEC);
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
			continue;
		}
		log_at(LOG_INFO, "a socket that was passed to this process (LISTEN_FDS) is not of --host and --port");
		close(fd);
	}
	return found;
}

static bool is_bound_to(int fd, const char *path)
{
	struct sockaddr_un has = {0};
	socklen_t len = sizeof has;

	return !getsockname(fd, (struct sockaddr *)&has, &len) && has.sun_family == AF_UNIX &&
	       !strncmp(has.sun_path, path, sizeof has.sun_path);
}

bool http_passed_unix(struct rpc_listener *out, const char *path)
{
	struct why why;
	int n = count();
	bool found = n == 1   ? is_bound_to(FIRST, path) && !rpc_listen_on(out, FIRST, &why)
		     : n == 2 ? !rpc_listen_taken(out, path, FIRST, FIRST + 1, &why)
			      : false;

	if (found || !n)
		return found;
	log_at(LOG_INFO, "a socket that was passed to this process (LISTEN_FDS) is not that of --uds");
	for (int fd = FIRST; n != 2 && fd < FIRST + n; fd++)
		close(fd);
	return false;
}

static bool show(int to, const char *data, size_t bytes, int fd)
{
	struct parcel p;

	parcel_init(&p, (char *)(uintptr_t)data, bytes);
	parcel_put(&p, fd);
	return sendmsg(to, &p.head, MSG_NOSIGNAL) == (ssize_t)bytes;
}

void http_server_show(struct http_server *s)
{
	const char *to = getenv(LISTEN_SHOW);
	const struct rpc_listener *u = &s->unix_socket;
	int lock_fd = s->how->uds ? u->lock_fd : -1;

	if (!to)
		return;
	s->shown = show(atoi(to), "", 1, MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd) &&
		   (lock_fd < 0 || show(atoi(to), u->path, strlen(u->path), lock_fd));
	if (!s->shown)
		log_at(LOG_ERROR, "%s=%s: %s", LISTEN_SHOW, to, strerror(errno));
}

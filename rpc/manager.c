#include "rpc/manager.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void manager_open(struct manager *m)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*m = (struct manager){.fd = -1};
	if (!path || !*path)
		return;
	if (strlen(path) < sizeof m->socket && (*path == '/' || *path == '@')) {
		strcpy(m->socket, path);
		m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	} else {
		log_event(LOG_WARN, "the service manager cannot be reached: its socket is no Unix socket",
			  " NOTIFY_SOCKET=\"%s\"", path);
	}
	unsetenv("NOTIFY_SOCKET");
}

void manager_say(const struct manager *m, const char *lines)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(m->socket);

	if (m->fd < 0)
		return;
	memcpy(to.sun_path, m->socket, len);
	if (*m->socket == '@')
		to.sun_path[0] = 0;
	if (sendto(m->fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_at(LOG_DEBUG, "the service manager does not listen: %s", strerror(errno));
}

/* The launcher's private socket: clients that connect, show a nonce in parts, and leave, in any order. A byte says what
 * happens, 32 for connecting, 64 to 95 for leaving; another below 32 sends what follows, its first byte the length, on
 * the client of that number. Whoever is believed showed the whole nonce at once or in parts, and nothing before it. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "rpc/server/handover.h"
#include "tests/fuzz/fuzz.h"

enum { CLIENTS = 24 };
static const char nonce[] = "0123456789abcdef0123456789abcdef";
static char dir[] = "/dev/shm/xv-fuzz-XXXXXX";
static struct handover h;
static struct client {
	int fd; /* -1: none */
	size_t n;
	char said[HANDOVER_NONCE_BYTES];
} client[CLIENTS];
static int showed, believed; /* so many, of this input */

static void leave(void)
{
	unlink(h.path);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct why why = {""};

	(void)argc, (void)argv;
	fuzz_quiet();
	MUST(mkdtemp(dir) && !handover_open(&h, dir, &why));
	memcpy(h.nonce, nonce, sizeof nonce);
	for (int i = 0; i < CLIENTS; i++)
		client[i].fd = -1;
	atexit(leave);
	return 0;
}

static void enter(struct client *c)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (c->fd >= 0)
		return;
	*c = (struct client){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	memcpy(to.sun_path, h.path, sizeof to.sun_path);
	MUST(c->fd >= 0 && !connect(c->fd, (struct sockaddr *)&to, sizeof to));
}

static void say(struct client *c, const uint8_t *data, size_t n)
{
	if (c->fd < 0 || send(c->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
		return;
	for (size_t i = 0; i < n && c->n < sizeof c->said; i++) {
		c->said[c->n++] = (char)data[i];
		showed += c->n == sizeof c->said && !memcmp(c->said, nonce, sizeof c->said);
	}
}

static void look(void)
{
	pid_t pid = 0;
	int fd = handover_look(&h, now_ns(), &pid);

	if (fd < 0)
		return;
	MUST(++believed <= showed && pid == getpid());
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	showed = believed = 0;
	for (size_t i = 0; i < size && i < 512; i++) {
		struct client *c = &client[data[i] % 32 % CLIENTS];
		if (data[i] < 32 && i + 1 < size) {
			size_t n = data[i + 1] < size - i - 2 ? data[i + 1] : size - i - 2;
			say(c, data + i + 2, n);
			i += 1 + n;
		} else if (data[i] < 64) {
			enter(c);
		} else if (data[i] < 96 && c->fd >= 0) {
			close(c->fd);
			c->fd = -1;
		} else {
			look();
		}
	}
	for (int i = 0; i < CLIENTS; i++) {
		if (client[i].fd >= 0)
			close(client[i].fd);
		look();
	}
	for (int i = 0; i < CLIENTS; i++)
		client[i] = (struct client){.fd = -1};
	for (int i = 0; i < HANDOVER_WAITING; i++)
		MUST(h.waiting[i].fd < 0);
	return 0;
}

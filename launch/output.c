#include "launch/output.h"

#include "daemon/rank/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 4096 /* a pipe that polls as ready accepts as much */, LAST_MS = 1000 };

/* Opens a description of its own, because O_NONBLOCK on a shared one would hold for other processes too. Files never
 * block, and a new description of one would begin at its start. */
static int own_description(int fd, bool *socket)
{
	struct stat st;
	char path[32];
	int own;

	*socket = !fstat(fd, &st) && S_ISSOCK(st.st_mode);
	if (*socket || S_ISREG(st.st_mode))
		return fd;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return own >= 0 ? own : fd;
}

static void take_log(void *arg, enum log_level level, const char *line);

static void open_pipe(int *read_fd, int *write_fd)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	*read_fd = fd[0];
	*write_fd = fd[1];
}

void output_open(struct output *o, const char *log_path, int log_fd)
{
	open_pipe(&o->gateway.read_fd, &o->gateway.write_fd);
	o->log_path = log_path;
	o->log_fd = log_fd;
	for (int i = 0; i < 2; i++) {
		struct stream *s = &o->stream[i];

		*s = (struct stream){.waiting = xalloc(OUTPUT_ROOM, 1)};
		open_pipe(&s->read_fd, &s->write_fd);
		s->to_fd = own_description(i + 1, &s->socket);
	}
	log_sink(take_log, o);
}

void output_child(const struct output *o)
{
	dup2(o->stream[0].write_fd, STDOUT_FILENO);
	dup2(o->stream[1].write_fd, STDERR_FILENO);
}

void output_gateway(const struct output *o)
{
	dup2(o->stream[0].write_fd, STDOUT_FILENO);
	dup2(o->gateway.write_fd, STDERR_FILENO);
}

void output_reopen(struct output *o)
{
	struct why why;
	int fd = o->log_path ? log_file_descriptor(o->log_path, &why) : -1;

	if (!o->log_path)
		return;
	if (fd < 0) { /* the old file stays in use */
		log_at(LOG_ERROR, "%s", why.text);
		return;
	}
	if (o->log_fd >= 0)
		close(o->log_fd);
	o->log_fd = fd;
}

int output_polls(const struct output *o, struct pollfd *p)
{
	int n = 0;

	for (int i = 0; i < 2; i++) {
		const struct stream *s = &o->stream[i];
		p[n++] = (struct pollfd){.fd = s->read_fd, .events = POLLIN};
		if (s->n && s->to_fd >= 0)
			p[n++] = (struct pollfd){.fd = s->to_fd, .events = POLLOUT};
	}
	p[n++] = (struct pollfd){.fd = o->gateway.read_fd, .events = POLLIN};
	return n;
}

static void keep(struct stream *s, const char *text, size_t n)
{
	memcpy(s->waiting + s->n, text, n);
	s->n += n;
}

/* Drops what does not fit, up to the end of a line; then one line says how much was dropped. */
static void add(struct stream *s, const char *text, size_t n)
{
	char note[80];
	const char *end;
	size_t cut;

	if (s->to_fd < 0)
		return;
	if (s->torn && OUTPUT_ROOM - s->n >= n + sizeof note) {
		end = memchr(text, '\n', n);
		cut = end ? (size_t)(end + 1 - text) : n;
		s->dropped += cut;
		text += cut;
		n -= cut;
		if (!end)
			return;
		s->torn = false;
		keep(s, note,
		     (size_t)snprintf(note, sizeof note,
				      "\nxverse-launch: %ju bytes of output were dropped: the reader was too slow\n",
				      (uintmax_t)s->dropped));
		s->dropped = 0;
	}
	if (s->torn || OUTPUT_ROOM - s->n < n) {
		s->torn = true;
		s->dropped += n;
		return;
	}
	keep(s, text, n);
}

/* A whole line goes to standard error and to the log file, which may be a pipe whose reader is slow. */
static void add_line(struct output *o, const char *line, size_t n)
{
	add(&o->stream[1], line, n);
	if (o->log_fd >= 0 && write(o->log_fd, line, n) < 0 && errno != EAGAIN && errno != EINTR && errno != ENOSPC) {
		close(o->log_fd);
		o->log_fd = -1;
	}
}

static void take_log(void *arg, enum log_level level, const char *line)
{
	char whole[1500];

	(void)level;
	add_line(arg, whole,
		 (size_t)max_int(0, min_int(snprintf(whole, sizeof whole, "%s\n", line), (int)sizeof whole - 1)));
	output_move(arg);
}

static ssize_t put(const struct stream *s, const char *text, size_t n)
{
	struct pollfd p = {.fd = s->to_fd, .events = POLLOUT};

	if (s->socket)
		return send(s->to_fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (poll(&p, 1, 0) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(s->to_fd, text, n < CHUNK ? n : CHUNK);
}

/* What is written there will never be read; a full disk may have room again. */
static bool reader_gone(int error)
{
	return error == EPIPE || error == EIO || error == EBADF || error == ENXIO || error == ECONNRESET;
}

static void flush(struct stream *s)
{
	size_t sent = 0;

	while (sent < s->n) {
		ssize_t n = put(s, s->waiting + sent, s->n - sent);
		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		else {
			s->dropped += s->n - sent;
			s->torn = true;
			if (reader_gone(errno))
				s->to_fd = -1;
			sent = s->n;
		}
	}
	memmove(s->waiting, s->waiting + sent, s->n - sent);
	s->n -= sent;
}

/* Moves the gateway's lines; one that is too long is cut into several. */
static void move_lines(struct output *o)
{
	struct lines *g = &o->gateway;
	const char *end;
	ssize_t n;

	for (int k = 0; k < 64 && (n = read(g->read_fd, g->text + g->n, sizeof g->text - g->n)) > 0; k++) {
		g->n += (size_t)n;
		while ((end = memchr(g->text, '\n', g->n)) || g->n == sizeof g->text) {
			size_t line = end ? (size_t)(end + 1 - g->text) : g->n;
			add_line(o, g->text, line);
			memmove(g->text, g->text + line, g->n -= line);
		}
	}
}

void output_move(struct output *o)
{
	char text[CHUNK];
	ssize_t n;

	move_lines(o);

	for (int i = 0; i < 2; i++) {
		struct stream *s = &o->stream[i];
		for (int k = 0; k < 64 && (n = read(s->read_fd, text, sizeof text)) > 0; k++) {
			add(s, text, (size_t)n);
			flush(s);
		}
		flush(s);
	}
}

void output_close(struct output *o)
{
	uint64_t end = now_ns() + LAST_MS * NS_PER_MS;

	do
		output_move(o);
	while ((o->stream[0].n || o->stream[1].n) && now_ns() < end && !poll(NULL, 0, 10));
	log_sink(NULL, NULL);
	close(o->gateway.read_fd);
	close(o->gateway.write_fd);
	if (o->log_fd >= 0)
		close(o->log_fd);
	for (int i = 0; i < 2; i++) {
		close(o->stream[i].read_fd);
		close(o->stream[i].write_fd);
		free(o->stream[i].waiting);
	}
}

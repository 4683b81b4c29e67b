/* pack.c - a pack file: header, checksums, chunks. */
#include "engine/models/pack.h"
#include "base/file/file.h"
#include "base/file/own.h"
#include "engine/backend/weight.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 8 << 20, ALIGN = 4096, HUGE = 2 << 20, THREADS = 8 };
static const char magic[8] = "XVPACK1\n";

/* A file begins with this; checksums (chunks) follow, then the entries. Each begins at a multiple of ALIGN, a large one
 * at a multiple of HUGE, so that a file system that caches huge pages can map them whole. */
struct head {
	char magic[8];
	uint64_t key, chunks, bytes, sum; /* of the whole file; sum: of the checksums, mixed with the key */
};

struct chunk {
	struct pack_entry *entry;
	char *data;
	size_t bytes;
	off_t at;
};

struct layout {
	struct chunk *chunk; /* [n] */
	int n;
	size_t data, bytes; /* of all entries; of the file */
};

/* Four independent chains of multiply and xor, which are as fast as memory. */
static uint64_t checksum(const void *data, size_t n, uint64_t seed)
{
	const uint64_t odd = 0x9e3779b97f4a7c15u;
	uint64_t h[4] = {seed, seed ^ 1, seed ^ 2, seed ^ 3}, w[4] = {0};
	const char *p = data;

	for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
		memcpy(w, p, sizeof w);
		for (int i = 0; i < 4; i++)
			h[i] = (h[i] ^ w[i]) * odd, h[i] ^= h[i] >> 32;
	}
	memset(w, 0, sizeof w);
	memcpy(w, p, n);
	for (int i = 0; i < 4; i++)
		h[i] = (h[i] ^ w[i] ^ n) * odd, h[0] = (h[0] ^ h[i] >> 29) * odd;
	return h[0] ^ h[0] >> 31;
}

uint64_t pack_mix(uint64_t key, const void *data, size_t n)
{
	return checksum(data, n, key);
}

static struct layout make_layout(const struct pack_file *f)
{
	struct layout l = {0};
	size_t at;

	for (int i = 0; i < f->n; i++)
		l.n += (int)((f->entry[i].bytes + CHUNK - 1) / CHUNK);
	l.chunk = xalloc((size_t)l.n + 1, sizeof *l.chunk);
	at = sizeof(struct head) + (size_t)l.n * sizeof(uint64_t);
	l.n = 0;
	for (struct pack_entry *e = f->entry; e < f->entry + f->n; e++) {
		at = round_up(at, e->bytes >= HUGE ? HUGE : ALIGN);
		for (size_t done = 0, n; done < e->bytes; done += n, at += n) {
			n = e->bytes - done < CHUNK ? e->bytes - done : CHUNK;
			l.chunk[l.n++] = (struct chunk){e, (char *)e->data + done, n, (off_t)at};
			l.data += n;
		}
	}
	l.bytes = round_up(at, ALIGN);
	return l;
}

static char *path_of(const struct pack_file *f)
{
	return xprintf("%s/%016llx-%d-of-%d.xvpack", f->dir, (unsigned long long)f->key, f->rank, f->size);
}

static struct head head_of(const struct pack_file *f, const struct layout *l, const uint64_t *sums)
{
	struct head h = {.key = f->key, .chunks = (uint64_t)l->n, .bytes = l->bytes};

	memcpy(h.magic, magic, sizeof magic);
	h.sum = checksum(sums, (size_t)l->n * sizeof *sums, f->key);
	return h;
}

static bool read_all(int fd, void *data, size_t n, off_t at)
{
	for (char *p = data; n;) {
		ssize_t got = pread(fd, p, n, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		p += got, at += got, n -= (size_t)got;
	}
	return true;
}

static bool write_all(int fd, const void *data, size_t n, off_t at)
{
	for (const char *p = data; n;) {
		ssize_t put = pwrite(fd, p, n, at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		p += put, at += put, n -= (size_t)put;
	}
	return true;
}

/* ---- reading ---- */
struct reader {
	int fd;
	const struct layout *l;
	const uint64_t *sums;
	struct load_progress *progress;
	_Atomic int next, bad; /* bad: one more than the chunk */
};

/* Requests a later chunk from the disk: page faults would read it one page at a time. */
static void prefetch(const struct reader *r, int i)
{
	if (i < r->l->n)
		posix_fadvise(r->fd, r->l->chunk[i].at, (off_t)r->l->chunk[i].bytes, POSIX_FADV_WILLNEED);
}

static void *read_chunks(void *arg)
{
	struct reader *r = arg;
	int i;

	while (!atomic_load(&r->bad) && (i = atomic_fetch_add(&r->next, 1)) < r->l->n) {
		const struct chunk *c = &r->l->chunk[i];
		prefetch(r, i + THREADS);
		if ((!c->entry->mapped && !read_all(r->fd, c->data, c->bytes, c->at)) ||
		    checksum(c->data, c->bytes, (uint64_t)i) != r->sums[i])
			atomic_store(&r->bad, i + 1);
		else
			atomic_fetch_add(&r->progress->bytes, c->bytes);
	}
	return NULL;
}

/* Checksums are computed where the bytes are used, which also maps their pages there. */
static void map_entries(const struct layout *l, int fd)
{
	for (int i = 0; i < l->n; i++) {
		struct pack_entry *e = l->chunk[i].entry;
		if (!e->w || l->chunk[i].data != e->data)
			continue;
		e->mapped = weight_map(e->w, fd, l->chunk[i].at);
		if (!e->mapped)
			weight_touch(e->w);
	}
}

static int read_entries(struct reader *r)
{
	pthread_t thread[THREADS];
	int n = min_int(THREADS, max_int(1, (int)sysconf(_SC_NPROCESSORS_ONLN)));

	for (int i = 1; i < n; i++)
		if (pthread_create(&thread[i], NULL, read_chunks, r))
			die("cannot start a loader thread");
	read_chunks(r);
	for (int i = 1; i < n; i++)
		pthread_join(thread[i], NULL);
	return atomic_load(&r->bad);
}

static int read_file(const struct pack_file *f, int fd, const char *path, struct load_progress *progress,
		     struct why *why)
{
	struct layout l = make_layout(f);
	uint64_t *sums = xalloc((size_t)l.n + 1, sizeof *sums);
	struct head h = {0}, want;
	struct stat st;
	int err = 0, bad;

	if (fstat(fd, &st) || !read_all(fd, &h, sizeof h, 0) || memcmp(h.magic, magic, sizeof magic))
		err = fail(why, ERR_FORMAT, "%s is not a file of packed weights", path);
	else if (h.key != f->key || h.chunks != (uint64_t)l.n)
		err = fail(why, ERR_FORMAT, "%s was made from another model, class or share", path);
	else if (h.bytes != l.bytes || (uint64_t)st.st_size != h.bytes)
		err = fail(why, ERR_FORMAT, "%s has %lld bytes; it must have %llu", path, (long long)st.st_size,
			   (unsigned long long)l.bytes);
	if (!err && (!read_all(fd, sums, (size_t)l.n * sizeof *sums, sizeof h) ||
		     (want = head_of(f, &l, sums), want.sum != h.sum)))
		err = fail(why, ERR_FORMAT, "%s: its checksums are damaged", path);
	if (!err) {
		struct reader r = {.fd = fd, .l = &l, .sums = sums, .progress = progress};
		atomic_store(&progress->bytes, 0);
		atomic_store(&progress->total, l.data);
		map_entries(&l, fd);
		if ((bad = read_entries(&r)))
			err = fail(why, ERR_FORMAT, "%s is damaged at byte %lld", path, (long long)l.chunk[bad - 1].at);
	}
	free(sums);
	free(l.chunk);
	return err;
}

int pack_read(const struct pack_file *f, struct load_progress *progress, struct why *why)
{
	char *path = path_of(f);
	uint64_t size;
	int fd = file_open(path, &size, why), err = fd;

	if (fd >= 0) {
		err = file_trusted(fd) ? read_file(f, fd, path, progress, why)
				       : fail(why, ERR_DENIED, "%s: another user may write to it", path);
		close(fd);
	}
	free(path);
	return err;
}

/* ---- writing ---- */
static bool write_file(const struct pack_file *f, int fd, struct load_progress *progress)
{
	struct layout l = make_layout(f);
	uint64_t *sums = xalloc((size_t)l.n + 1, sizeof *sums);
	struct head h;
	bool ok = !ftruncate(fd, (off_t)l.bytes);

	load_begin(progress, LOAD_PACKING, l.data);
	for (int i = 0; ok && i < l.n; i++) {
		sums[i] = checksum(l.chunk[i].data, l.chunk[i].bytes, (uint64_t)i);
		ok = write_all(fd, l.chunk[i].data, l.chunk[i].bytes, l.chunk[i].at);
		load_add(progress, l.chunk[i].bytes);
	}
	h = head_of(f, &l, sums);
	ok = ok && write_all(fd, sums, (size_t)l.n * sizeof *sums, sizeof h) && write_all(fd, &h, sizeof h, 0) &&
	     !fsync(fd);
	free(sums);
	free(l.chunk);
	return ok;
}

int pack_write(const struct pack_file *f, struct load_progress *progress, struct why *why)
{
	char *path = path_of(f), *aside = NULL;
	int fd, err = 0;

	if (mkdir(f->dir, 0700) && errno != EEXIST)
		err = fail(why, ERR_IO, "%s: %s", f->dir, file_error(f->dir, errno));
	else if ((fd = file_create_aside(path, 0600, &aside)) < 0)
		err = fail(why, ERR_IO, "%s: %s", path, file_error(path, errno));
	else {
		bool ok = write_file(f, fd, progress);
		if (close(fd) || !ok || rename(aside, path)) {
			err = fail(why, ERR_IO, "%s: %s", path, strerror(errno));
			unlink(aside);
		}
	}
	free(path);
	free(aside);
	return err;
}

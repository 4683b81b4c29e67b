/* Bytes of files for other nodes, over loopback: right ones, in a crowd of strangers too, and none beyond a file's end.
 */
#include "parallel/trunk_files.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/check.h"

enum { BYTES = 3 << 20, STRANGERS = 600, READERS = 8 };

static struct trunk_place place;
static struct trunk_secret secret;
static struct file_server *server;
static struct file_client *client;
static int file;

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

static int find(void *arg, int number, uint64_t *size)
{
	(void)arg;
	*size = BYTES;
	return number == 3 ? file : -1;
}

static void serve(void)
{
	static uint8_t all[BYTES];
	struct why why;

	for (uint64_t i = 0; i < BYTES; i++)
		all[i] = byte_at(i);
	file = memfd_create("file", MFD_CLOEXEC);
	CHECK_EQ(write(file, all, BYTES), BYTES);
	place = (struct trunk_place){.interface = "lo", .address = "127.0.0.1"};
	trunk_secret_make(&secret);
	CHECK_EQ(files_serve(&server, &place, &secret, find, NULL, &why), 0);
	client = files_open(&place, "127.0.0.1", &secret);
}

static void finish(void)
{
	files_close(client);
	files_stop(server);
	close(file);
}

static bool reads(uint64_t at, size_t n)
{
	uint8_t *got = xalloc(n, 1);
	struct why why;
	bool right = !files_read(client, 3, at, got, n, &why);

	for (size_t i = 0; right && i < n; i++)
		right = got[i] == byte_at(at + i);
	free(got);
	return right;
}

TEST(right_bytes_and_no_others)
{
	uint8_t byte;
	struct why why;

	serve();
	CHECK(reads(0, BYTES));
	CHECK(reads(12345, 1));
	CHECK(reads(BYTES - 5, 5));
	CHECK_EQ(files_read(client, 3, BYTES, &byte, 1, &why), ERR_IO);
	CHECK_EQ(files_read(client, 4, 0, &byte, 1, &why), ERR_IO);
	CHECK(reads(1, 1)); /* on another connection */
	for (int i = 0; i < 1000 && files_sent(server) < BYTES + 7; i++)
		usleep(10000); /* the server counts bytes once they are sent, which a reader may be ahead of */
	CHECK_EQ(files_sent(server), BYTES + 7);
	finish();
}

static int stranger(size_t bytes)
{
	static const char noise[64] = "no secret";
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(place.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(!connect(s, (struct sockaddr *)&a, sizeof a));
	if (bytes)
		send(s, noise, bytes, MSG_NOSIGNAL); /* it may be hung up on already */
	return s;
}

static void *read_all(void *arg)
{
	*(bool *)arg = reads(0, BYTES);
	return NULL;
}

/* More of them than the server has places, before and while ranks read. */
TEST(strangers_keep_no_place)
{
	int s[STRANGERS];
	bool right[READERS] = {false};
	pthread_t thread[READERS];

	serve();
	for (int i = 0; i < STRANGERS; i++) {
		s[i] = stranger(i % 2 ? 0 : (size_t)(i % 4 * 4));
		if (i % (STRANGERS / READERS) == 0)
			CHECK(!pthread_create(&thread[i / (STRANGERS / READERS)], NULL, read_all,
					      &right[i / (STRANGERS / READERS)]));
	}
	for (int i = 0; i < READERS; i++) {
		pthread_join(thread[i], NULL);
		CHECK(right[i]);
	}
	for (int i = 0; i < STRANGERS; i++)
		close(s[i]);
	finish();
}

CHECK_MAIN()

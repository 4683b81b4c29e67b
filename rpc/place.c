#include "rpc/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "/xversed.sock"
#define SYSTEM "/run/xversed"

/* A folder that may hold the socket. */
struct place {
	const char *name; /* for messages */
	char folder[RPC_PATH_SIZE - sizeof NAME + 1], own[32];
	bool trusted;    /* no other user than root chose what is in it */
	const char *bad; /* why a server of this user cannot use it; NULL: it can */
};

enum { PLACES = 3 };

static const char *cannot_write(const char *folder)
{
	return euidaccess(folder, W_OK | X_OK) ? "may not be written by this user" : NULL;
}

static void look_at_runtime_dir(struct place *p)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	p->name = "XDG_RUNTIME_DIR";
	if (!dir || !*dir)
		p->bad = "is not set";
	else if (*dir != '/')
		p->bad = "is not an absolute path";
	else if (strlen(dir) >= sizeof p->folder)
		p->bad = "is too long for the path of a socket";
	else if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		p->bad = "names a folder that does not exist";
	else if (st.st_uid != geteuid())
		p->bad = "names a folder of another user";
	else
		p->bad = cannot_write(dir);
	if (dir && *dir == '/' && strlen(dir) < sizeof p->folder) {
		strcpy(p->folder, dir);
		p->trusted = true;
	}
}

/* Only root may write to /run, so root has agreed to the folder. */
static void look_at_system(struct place *p, bool make)
{
	struct stat st;

	p->name = SYSTEM;
	p->trusted = true;
	strcpy(p->folder, SYSTEM);
	if (make && !mkdir(SYSTEM, 0755))
		chmod(SYSTEM, 0755); /* --uds-group lets others connect, whatever root's umask is */
	if (!stat(SYSTEM, &st))
		p->bad = !S_ISDIR(st.st_mode)   ? "is not a folder"
			 : st.st_mode & S_IWOTH ? "may be written by every user"
						: cannot_write(SYSTEM);
	else if (make || cannot_write("/run"))
		p->bad = "does not exist, and only root may make it";
}

/* Without its sticky bit, others may replace what lies in /tmp. */
static bool tmp_is_open(void)
{
	struct stat st;

	return stat("/tmp", &st) || (st.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH;
}

static void look_at_private(struct place *p, bool make)
{
	struct stat st;

	snprintf(p->own, sizeof p->own, "/tmp/xversed-%u", (unsigned)geteuid());
	p->name = strcpy(p->folder, p->own);
	if (make)
		mkdir(p->folder, 0700);
	if (lstat(p->folder, &st))
		p->bad = make || cannot_write("/tmp") ? "cannot be made" : NULL;
	else if (S_ISLNK(st.st_mode))
		p->bad = "is a symbolic link, which may be another user's";
	else if (!S_ISDIR(st.st_mode))
		p->bad = "is not a folder";
	else if (st.st_uid != geteuid())
		p->bad = "belongs to another user";
	else if (st.st_mode & 077)
		p->bad = "is open to other users: its mode must be 0700";
	else
		p->bad = cannot_write(p->folder);
	if (tmp_is_open())
		p->bad = "cannot be trusted: /tmp has no sticky bit";
	p->trusted = !p->bad;
}

static int refuse(const struct place *p, struct why *why)
{
	return fail(
		why, ERR_DENIED,
		"no folder for the socket: %s %s, %s %s, %s %s; --uds PATH names the socket, or set XDG_RUNTIME_DIR "
		"to a folder of your own",
		p[0].name, p[0].bad, p[1].name, p[1].bad, p[2].name, p[2].bad);
}

/* Stops at the first folder that does. Returns its number, or PLACES. */
static int choose(struct place *p, bool make)
{
	int i = 0;

	memset(p, 0, PLACES * sizeof *p);
	look_at_runtime_dir(&p[0]);
	if (p[0].bad)
		look_at_system(&p[i = 1], make);
	if (i == 1 && p[1].bad)
		look_at_private(&p[i = 2], make);
	return p[i].bad ? PLACES : i;
}

static void put(char out[RPC_PATH_SIZE], const struct place *p)
{
	snprintf(out, RPC_PATH_SIZE, "%s" NAME, p->folder);
}

int rpc_place_make(char out[RPC_PATH_SIZE], struct why *why)
{
	struct place p[PLACES];
	int i = choose(p, true);

	out[0] = 0;
	if (i == PLACES)
		return refuse(p, why);
	put(out, &p[i]);
	return 0;
}

int rpc_place_check(struct why *why)
{
	struct place p[PLACES];

	return choose(p, false) == PLACES ? refuse(p, why) : 0;
}

/* 0: there is no socket, 1: one that may not be connected to, 2: one that may. */
static int socket_in(const struct place *p)
{
	char path[RPC_PATH_SIZE];
	struct stat st;

	if (!p->trusted)
		return 0;
	put(path, p);
	if (stat(path, &st) || !S_ISSOCK(st.st_mode))
		return 0;
	return euidaccess(path, W_OK) ? 1 : 2;
}

int rpc_place_find(char out[RPC_PATH_SIZE], struct why *why)
{
	struct place p[PLACES];
	int own = choose(p, false), best = own, found = own < PLACES ? socket_in(&p[own]) : 0;

	look_at_system(&p[1], false);
	look_at_private(&p[2], false);
	for (int i = 0; i < PLACES && found < 2; i++) {
		int here = socket_in(&p[i]);
		if (here > found) {
			found = here;
			best = i;
		}
	}
	out[0] = 0;
	if (best == PLACES)
		return refuse(p, why);
	put(out, &p[best]);
	return 0;
}

/* options_users.c - the group of --uds-group and the user of --gateway-uid. */
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "daemon/options.h"

int options_find_group(const struct options *o, gid_t *out, struct why *why)
{
	const struct group *g = o->uds_group ? getgrnam(o->uds_group) : NULL;

	*out = g ? g->gr_gid : (gid_t)-1;
	return !o->uds_group || g ? 0 : fail(why, ERR_INVALID, "--uds-group: no group \"%.100s\"", o->uds_group);
}

/* The default, the daemon's own user, needs no entry in the password file. */
int options_find_gateway(const struct options *o, uid_t *out, struct why *why)
{
	const struct passwd *p = o->gateway_uid ? getpwnam(o->gateway_uid) : NULL;
	int64_t number;

	*out = p ? p->pw_uid : geteuid();
	if (!o->gateway_uid || p)
		return 0;
	if (options_number(o->gateway_uid, &number) || number < 0 || number >= UINT32_MAX)
		return fail(why, ERR_INVALID, "--gateway-uid: \"%.100s\" is neither a user's name nor a number",
			    o->gateway_uid);
	*out = (uid_t)number;
	return 0;
}

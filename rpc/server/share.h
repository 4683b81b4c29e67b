/* share.h - how much of something limited one holder may take while others may come. */
#ifndef RPC_SERVER_SHARE_H
#define RPC_SERVER_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* More that a holder of `held` may take where `free` is left: so that it holds at most seven times what is left then.
 * Alone it gets seven eighths, two get seven fifteenths each, and a newcomer always finds something. An owner's factor
 * is 63. Of less than eight places one holder may have all. Both numbers are below 2^56. */
static inline int64_t share_room(int64_t free, int64_t held, bool owner)
{
	int64_t times = owner ? 63 : 7, room = times * free - held;

	return free > 0 && room > 0 ? (room + times) / (times + 1) : 0;
}

/* What is kept for owners: a sixteenth, at most `most`. */
static inline int64_t share_kept(int64_t all, int64_t most)
{
	return all / 16 < most ? all / 16 : most;
}

#endif

/* mailbox.h - a bounded ring of fixed-size items from one thread to another; no lock. Waking is the user's
 * affair. */
#ifndef DAEMON_MAILBOX_H
#define DAEMON_MAILBOX_H

#include <stdatomic.h>

#include "base/base.h"

struct mailbox {
	size_t item;   /* bytes */
	uint32_t size; /* items, a power of two */
	char *items;
	_Alignas(64) _Atomic uint32_t head; /* next to take; written by the taker */
	_Alignas(64) _Atomic uint32_t tail; /* next to fill; written by the putter */
};

void mailbox_init(struct mailbox *m, size_t item, uint32_t size);
void mailbox_finish(struct mailbox *m);
/* false: full. */
bool mailbox_put(struct mailbox *m, const void *item);
/* false: empty. */
bool mailbox_take(struct mailbox *m, void *item);
/* Items that can be put now, as the putter sees it. */
uint32_t mailbox_room(struct mailbox *m);

#endif

/* mailbox.h - a bounded lock-free ring of fixed-size items from one thread to another. It wakes no thread. */
#ifndef DAEMON_MAILBOX_H
#define DAEMON_MAILBOX_H

#include <stdatomic.h>

#include "base/base.h"

struct mailbox {
	size_t item;   /* bytes */
	uint32_t size; /* items, a power of two */
	char *items;
	_Alignas(64) _Atomic uint32_t head; /* next to take; the taker writes it */
	_Alignas(64) _Atomic uint32_t tail; /* next to fill; the putter writes it */
};

void mailbox_init(struct mailbox *m, size_t item, uint32_t size);
void mailbox_finish(struct mailbox *m);
/* Copies *item in. False: the ring is full. Putter only. */
bool mailbox_put(struct mailbox *m, const void *item);
/* Copies the oldest item out. False: the ring is empty. Taker only. */
bool mailbox_take(struct mailbox *m, void *item);
/* How many items the putter can put at least. */
uint32_t mailbox_room(struct mailbox *m);

#endif

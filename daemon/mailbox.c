#include "daemon/mailbox.h"

#include <stdlib.h>
#include <string.h>

void mailbox_init(struct mailbox *m, size_t item, uint32_t size)
{
	REQUIRE(size && !(size & (size - 1)));
	m->item = item;
	m->size = size;
	m->items = xalloc(size, item);
	atomic_init(&m->head, 0);
	atomic_init(&m->tail, 0);
}

void mailbox_finish(struct mailbox *m)
{
	free(m->items);
	m->items = NULL;
}

uint32_t mailbox_room(struct mailbox *m)
{
	return m->size - (atomic_load_explicit(&m->tail, memory_order_relaxed) -
			  atomic_load_explicit(&m->head, memory_order_acquire));
}

bool mailbox_put(struct mailbox *m, const void *item)
{
	uint32_t tail = atomic_load_explicit(&m->tail, memory_order_relaxed);

	if (!mailbox_room(m))
		return false;
	memcpy(m->items + (tail & (m->size - 1)) * m->item, item, m->item);
	atomic_store_explicit(&m->tail, tail + 1, memory_order_release);
	return true;
}

bool mailbox_take(struct mailbox *m, void *item)
{
	uint32_t head = atomic_load_explicit(&m->head, memory_order_relaxed);

	if (head == atomic_load_explicit(&m->tail, memory_order_acquire))
		return false;
	memcpy(item, m->items + (head & (m->size - 1)) * m->item, m->item);
	atomic_store_explicit(&m->head, head + 1, memory_order_release);
	return true;
}

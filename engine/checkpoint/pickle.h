/* pickle.h - parses the part of Python's pickle that torch.save writes. It calls nothing: a call of a known name
 * becomes a node, and any other name refuses the file.
 *
 * Source: the opcode table of Python's pickletools; the names are those of torch/_weights_only_unpickler.py. */
#ifndef ENGINE_CHECKPOINT_PICKLE_H
#define ENGINE_CHECKPOINT_PICKLE_H

#include "engine/checkpoint/pickle_names.h"

enum { PICKLE_MAX = 32 << 20 }; /* bytes; a 13 B model needs about 0.1 MiB */

/* `data` is borrowed and must outlive the result. ERR_FORMAT (names the byte), ERR_UNSUPPORTED (names the unknown
 * name), ERR_LIMIT. After an error there is nothing to finish. */
int pickle_parse(struct pickle *p, const void *data, size_t size, struct why *why);
void pickle_finish(struct pickle *p);
/* Returns element i of a container, in i steps; NULL: it has fewer. */
const struct pickle_node *pickle_at(const struct pickle *p, const struct pickle_node *list, uint32_t i);

#endif

/* table.h - private to engine/models: what the rows of a family's table are written with. */
#ifndef ENGINE_MODELS_TABLE_H
#define ENGINE_MODELS_TABLE_H

#include "engine/models/inside.h"

#include <stddef.h>

/* A pointer of struct layer; of struct model. */
#define IN_LAYER(member) .place = offsetof(struct layer, member), .per_layer = true
#define ONCE(member) .place = offsetof(struct model, member)

#endif

/* lora_list.h - the adapters that requests may name. Front thread only. */
#ifndef DAEMON_FRONT_LORA_LIST_H
#define DAEMON_FRONT_LORA_LIST_H

#include "rpc/xverse.h"

/* Number i is in slot i, unless it is merged. It stays where it is while calls count. */
struct front_lora {
	char *name, *dir; /* NULL: the slot is free */
	char print[20];   /* the fingerprint as text; "" while it is loaded */
	enum xv_adapter_state state;
	uint64_t scope; /* changes that of its calls: no prefix is shared with other adapters */
	int rank, calls;
	uint64_t total;
	uint64_t asked; /* the open Load or Unload that is answered when it is done; 0: none */
};

struct front_loras {
	struct front_lora *at; /* (n) */
	int n;
	struct front_lora *loading; /* being read by all ranks; NULL: none */
	uint32_t question;          /* about it: parallel/ballot.h */
};

#endif

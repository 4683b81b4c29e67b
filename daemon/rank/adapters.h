/* adapters.h - what a rank knows of its adapters: those of --lora, and the slots (loras.h works with them). */
#ifndef DAEMON_RANK_ADAPTERS_H
#define DAEMON_RANK_ADAPTERS_H

#include "base/base.h"

/* One of --lora. */
struct rank_lora {
	char *name, *dir;
	struct adapter *adapter; /* until it is in its slot; merged ones until the weights are loaded */
	uint64_t fingerprint;
	int rank; /* the largest of its modules */
};

struct lora_reader;
struct rank_loras {
	struct rank_lora *at; /* (n) number i is in slot i, unless they are merged */
	int n;
	int slots, rank; /* reserved; 0: none */
	bool merge;
	struct ballot *ballot;      /* NULL without slots */
	struct lora_reader *reader; /* the adapter that is being read now; NULL: none */
};

/* What rank 0 asks all ranks: to read an adapter into a slot. */
struct lora_question {
	int slot;
	char dir[4096];
};

#endif

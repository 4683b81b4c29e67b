/* loras.h - the adapters of a rank: those of --lora at the start, and those that come while the server runs. */
#ifndef DAEMON_RANK_LORAS_H
#define DAEMON_RANK_LORAS_H

#include "base/base.h"

struct rank;

/* Reads the folders of --lora and decides the number and size of slots. The errors of adapter_open() and
 * model_lora_check(), ERR_INVALID for options that do not fit. */
int loras_open(struct rank *self, struct why *why);
/* Collective, once the model is made: fills the slots, and closes the files. */
int loras_fill(struct rank *self, struct why *why);
/* On the order of rank 0: a thread reads the adapter of the ballot's question and answers. */
void loras_read(struct rank *self, uint32_t question);
/* On the order of rank 0, once all ranks agree: the slot may be named. */
void loras_switch(struct rank *self);
void loras_close(struct rank *self);

#endif

/* report.h - what each rank reports to rank 0 once it is loaded, for Status and Metrics. */
#ifndef DAEMON_RANK_REPORT_H
#define DAEMON_RANK_REPORT_H

#include <stdint.h>

/* Bytes; of the two texts, "" where the backend has nothing to say. */
struct rank_report {
	int64_t pid;
	uint32_t node; /* its number */
	uint64_t weight_bytes, kv_bytes, work_bytes, file_bytes, lora_bytes;
	char prompt_attention[64], kernel_overlap[64];
};

#endif

#include "daemon/options.h"

#include <stddef.h>

#define AT(field) offsetof(struct options, field)
/* clang-format off */
#define NUMBER(g, n, a, v, field, fallback, low, high, h)                       \
	{                                                                       \
		g, n, a, v, h, OPT_NUMBER, AT(field), fallback, low, high, NULL \
	}
#define TEXT(g, n, a, v, field, h)                                \
	{                                                         \
		g, n, a, v, h, OPT_TEXT, AT(field), 0, 0, 0, NULL \
	}
#define CHOICE(g, n, a, list, field, fallback, h)                             \
	{                                                                     \
		g, n, a, NULL, h, OPT_CHOICE, AT(field), fallback, 0, 0, list \
	}
#define FLAG(g, n, a, field, h)                                      \
	{                                                            \
		g, n, a, NULL, h, OPT_FLAG, AT(field), 0, 0, 0, NULL \
	}
#define NO_FLAG(g, n, field, h)                                            \
	{                                                                  \
		g, n, NULL, NULL, h, OPT_NO_FLAG, AT(field), 1, 0, 0, NULL \
	}
/* clang-format on */

static const char *const devices[] = {"auto", "cpu", "cuda", NULL};
static const char *const computes[] = {"auto", "bf16", "f32", "f16", NULL};
static const char *const kv_types[] = {"auto", "bf16", "f16", "f32", "int8", "fp8", NULL};
static const char *const quants[] = {"none", "int8", "int4", NULL};
static const char *const head_quants[] = {"none", "int8", "int4", "auto", NULL};
static const char *const formats[] = {"auto", "safetensors", "pt", "dummy", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

#define MODEL "Model"
#define RANKS "Ranks and device"
#define BATCH "Memory and batching"
#define SERVE "Serving"
#define OTHER "Other"
#define INNER "For tests"

const struct option_row option_table[] = {
	TEXT(MODEL, "model", "m", "DIR", model, "Hugging Face directory of the model (also the first plain argument)"),
	TEXT(MODEL, "served-model-name", "a", "NAME", served_name,
	     "name told to clients; default: the directory's name"),
	CHOICE(MODEL, "load-format", NULL, formats, load_format, LOAD_AUTO,
	       "dummy: random weights of the config's shape"),
	NUMBER(MODEL, "dummy-seed", NULL, "N", dummy_seed, 0, 0, INT64_MAX, "seed of dummy weights"),
	CHOICE(MODEL, "compute", NULL, computes, compute, COMPUTE_AUTO,
	       "arithmetic of linear layers; auto: bf16 for bf16 checkpoints, else f32 (CPU); as stored, bf16 for f32 (CUDA); "
	       "f16: CUDA only"),
	CHOICE(MODEL, "kv-cache-dtype", NULL, kv_types, kv_dtype, KV_AUTO,
	       "auto: as --compute is; int8 and fp8 (e4m3, CUDA only): with a scale for each token and head"),
	CHOICE(MODEL, "quantization", "q", quants, quantization, QUANTISE_NONE,
	       "weights as integers with a scale for 32 columns, made while loading; int4: CPU only"),
	CHOICE(MODEL, "quantization-head", NULL, head_quants, quantization_head, QUANTISE_SAME,
	       "the same for embedding and head; auto: int8 under --quantization int8 or int4"),
	TEXT(MODEL, "pack-cache", NULL, "DIR", pack_cache,
	     "keep weights there as they lie in memory, and map them from there while the model's files stay as they are"),
	TEXT(MODEL, "chat-template", NULL, "NAME|FILE", chat_template,
	     "xverse-v1, xverse-v2, baichuan, ziya, llama-2, moss, plain, or a Jinja file; default: the model's own"),
	TEXT(MODEL, "generation-config", NULL, "auto|none", generation_config,
	     "auto: take sampling defaults from the model's generation_config.json"),

	NUMBER(RANKS, "tensor-parallel-size", "tp", "N", tensor_parallel, 0, 0, 4096,
	       "must equal the number of ranks that mpirun or srun started"),
	CHOICE(RANKS, "device", NULL, devices, device, DEVICE_AUTO,
	       "what to compute on; auto: CUDA where there is a device for the model, else the CPU"),
	FLAG(RANKS, "enable-deterministic-inference", "deterministic", deterministic,
	     "CUDA: the same bits whatever the batch, the chunks and the number of ranks, at a cost; the CPU always is so"),
	NUMBER(RANKS, "device-memory", NULL, "BYTES", device_memory, 0, 0, INT64_MAX,
	       "memory of one GPU, for --dry-run on a machine without it; 0: ask the driver"),
	NUMBER(RANKS, "gpu-memory-utilization", NULL, "PERCENT", gpu_percent, 90, 1, 100,
	       "part of a GPU's memory that weights, KV cache, workspace and graphs may take, also as a fraction: 0.9"),
	NUMBER(RANKS, "threads", "t", "N", threads, 0, 0, 1024,
	       "compute threads a rank; 0: the CPUs of its mask that no other rank has, at most its CPU quota"),
	TEXT(RANKS, "cpu-isa", NULL, "NAME", cpu_isa,
	     "auto, portable, avx2, avx512 or avx512_bf16; the bits are the same"),
	NO_FLAG(RANKS, "pin", pin, "do not pin compute threads to cores"),

	NUMBER(BATCH, "max-model-len", "c", "N", max_model_len, 0, 0, 1 << 24,
	       "tokens of one sequence, prompt and answer; 0: the model's, as far as the cache holds it"),
	NUMBER(BATCH, "max-num-seqs", "np", "N", max_num_seqs, 32, 1, 4096, "sequences in one step"),
	NUMBER(BATCH, "max-num-batched-tokens", NULL, "N", max_num_batched_tokens, 512, 1, 1 << 16,
	       "tokens in one step"),
	NUMBER(BATCH, "block-size", NULL, "N", block_size, 32, 32, 32, "tokens of a KV block"),
	NUMBER(BATCH, "kv-cache-memory-bytes", NULL, "BYTES", kv_bytes, 0, 0, INT64_MAX,
	       "KV cache of one rank; 0: 80 % of memory after the weights, at most 8 full sequences"),
	NUMBER(BATCH, "max-logits-rows", NULL, "N", logits_rows, 32, 1, 4096, "rows of logits held at a time"),
	NUMBER(BATCH, "admission-look-ahead", NULL, "N", look_ahead, -1, -1, 1 << 24,
	       "tokens of answer that a call must have room for when it is admitted; -1: all of max_tokens, so that nothing is "
	       "computed twice (64 where the client names no max_tokens)"),
	NO_FLAG(BATCH, "enable-prefix-caching", prefix_caching, "do not reuse the cache of common prompt beginnings"),

	TEXT(SERVE, "uds", NULL, "PATH", uds,
	     "socket; default: $XDG_RUNTIME_DIR/xversed.sock, else /run/xversed/xversed.sock"),
	TEXT(SERVE, "uds-group", NULL, "GROUP", uds_group, "group that may connect (mode 0660)"),
	TEXT(SERVE, "gateway-uid", NULL, "USER", gateway_uid,
	     "user, by name or number, whose requests may say whom they are for (a gateway's); default: the daemon's own"),
	NUMBER(SERVE, "max-num-queued-reqs", NULL, "N", max_queued_reqs, 256, 1, 1 << 20,
	       "waiting calls; more get BUSY"),
	NUMBER(SERVE, "max-num-queued-tokens", NULL, "N", max_queued_tokens, 1 << 20, 1, INT64_MAX,
	       "waiting prompt tokens"),
	NUMBER(SERVE, "max-connections", NULL, "N", max_connections, 1024, 1, 1 << 16, "clients connected at once"),
	NUMBER(SERVE, "shutdown-timeout", NULL, "SECONDS", shutdown_timeout_s, 30, 0, 86400,
	       "how long a drain waits for open calls"),
	NUMBER(SERVE, "watchdog-timeout", NULL, "SECONDS", watchdog_timeout_s, 60, 0, 86400,
	       "a rank without progress for so long inside a step ends the job; 0: never"),
	CHOICE(SERVE, "log-level", NULL, levels, log_level, LOG_INFO, "lines less important than this are not written"),
	TEXT(SERVE, "pid-file", NULL, "PATH", pid_file, "holds the process id of rank 0 while it runs"),
	TEXT(SERVE, "log-file", NULL, "PATH", log_file, "log lines go there; HUP to rank 0 opens it anew"),

	FLAG(OTHER, "dry-run", NULL, dry_run, "print what each rank would hold, then exit; reads no weights"),
	FLAG(OTHER, "json", NULL, json, "with --dry-run: as JSON"),
	FLAG(OTHER, "inspect", NULL, inspect, "list the checkpoint's tensors and what is wrong with it, then exit"),
	FLAG(OTHER, "help", "h", help, "this text"),
	FLAG(OTHER, "version", NULL, version, "version and build facts"),

	TEXT(INNER, "hash-rows", NULL, "FILE", hash_rows, "append a hash of every logits row to FILE"),
	NO_FLAG(INNER, "graphs", graphs, "CUDA: enqueue every step anew, capture none"),
	NO_FLAG(INNER, "overlap", overlap, "CUDA: start no kernel before the one before it has ended"),
	NO_FLAG(INNER, "device-pick", device_sample, "CUDA: bring all logits to the host and sample there"),
	NO_FLAG(INNER, "step-ahead", step_ahead, "CUDA: enqueue no step before the words of the one before are known"),
	NO_FLAG(INNER, "wgmma", wgmma, "CUDA: attention of prompts by mma.sync on every GPU"),
	NO_FLAG(INNER, "tuning", tuning, "CUDA: take cuBLASLt's first algorithm, do not time several at start"),
	FLAG(OTHER, "debug-nan", NULL, debug_nan,
	     "where logits hold NaN or infinity, name the layer that first did: looks at every layer, slow"),
	TEXT(INNER, "fault", NULL, "FAULTS", fault, "plant faults (daemon/rank/fault.h)"),
};
const int option_count = sizeof option_table / sizeof *option_table;

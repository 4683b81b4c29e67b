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
#define TEXTS(g, n, a, v, field, h)                               \
	{                                                         \
		g, n, a, v, h, OPT_TEXT, AT(field), 0, 0, 1, NULL \
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
#define DIGITS(n) #n
/* A default that depends on the device, as --help prints it. The option itself is 0 until the device is known. */
#define BY_DEVICE(cpu, cuda) " [" DIGITS(cpu) " on the CPU, " DIGITS(cuda) " on CUDA]"

static const char *const devices[] = {"auto", "cpu", "cuda", NULL};
static const char *const computes[] = {"auto", "bf16", "f32", "f16", NULL};
static const char *const kv_types[] = {"auto", "bf16", "f16", "f32", "int8", "fp8", NULL};
static const char *const quants[] = {"none", "int8", "int4", "fp8", "auto", NULL};
static const char *const formats[] = {"auto", "safetensors", "pt", "dummy", "broadcast", NULL};
static const char *const spaces[] = {"any", "compact", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

#define MODEL "Model"
#define RANKS "Ranks and device"
#define BATCH "Memory and batching"
#define SERVE "Serving"
#define OTHER "Other"
#define INNER "For tests"

const struct option_row option_table[] = {
	TEXT(MODEL, "model", "m", "DIR", model,
	     "Hugging Face directory of the model, or a GGUF file (also the first plain argument)"),
	TEXT(MODEL, "served-model-name", "a", "NAME", served_name,
	     "name that clients see; default: the directory's name"),
	CHOICE(MODEL, "load-format", NULL, formats, load_format, LOAD_AUTO,
	       "file format of the weights; dummy: random weights of the config's shape; broadcast: of any format, and on several "
	       "nodes rank 0's alone reads them and sends the others their parts"),
	NUMBER(MODEL, "dummy-seed", NULL, "N", dummy_seed, 0, 0, INT64_MAX, "seed of the dummy weights"),
	CHOICE(MODEL, "compute", NULL, computes, compute, COMPUTE_AUTO,
	       "type of activations in linear layers; auto: on the CPU bf16 for bf16 checkpoints, else f32; on CUDA f16 for f16 "
	       "checkpoints, else bf16; f16: CUDA only"),
	CHOICE(MODEL, "kv-cache-dtype", NULL, kv_types, kv_dtype, KV_AUTO,
	       "type of the KV cache; auto: that of --compute; int8 and fp8 (e4m3, CUDA only) have a scale for each token and head"),
	CHOICE(MODEL, "quantization", "q", quants, quantization, QUANTISE_AUTO,
	       "quantize weights while loading; auto: as the files are (docs/models.md), else none; int8 and int4: with a scale for 32 columns; fp8 (e4m3; CUDA from compute "
	       "capability 8.9 on): with a scale for each row, activations too in steps of more than 32 tokens"),
	CHOICE(MODEL, "quantization-head", NULL, quants, quantization_head, QUANTISE_AUTO,
	       "the same for embedding and head; auto: as the files are, else none if --quantization is none, else int8"),
	TEXT(MODEL, "pack-cache", NULL, "DIR", pack_cache,
	     "directory for packed weights, which later starts map; used until the model's files change"),
	TEXTS(MODEL, "lora", "lora-modules", "NAME=DIR", lora,
	      "folder of a LoRA adapter (PEFT), and the name by which requests ask for it; may be given several times"),
	FLAG(MODEL, "lora-merge", NULL, lora_merge,
	     "add the adapters of --lora to the weights while loading: they act on every request, at no cost"),
	NUMBER(MODEL, "max-loras", NULL, "N", max_loras, 0, 0, OPTIONS_MAX_LORAS,
	       "slots for adapters, whose memory is taken at the start; also for later ones (xverse lora load); 0: one for each "
	       "--lora"),
	NUMBER(MODEL, "max-lora-rank", NULL, "N", max_lora_rank, 0, 0, 4096,
	       "largest rank that a slot holds; 0: that of the adapters of --lora, or 16"),
	TEXT(MODEL, "hf-overrides", NULL, "JSON", hf_overrides,
	     "members that replace those of config.json, such as '{\"rope_theta\": 500000}'"),
	TEXT(MODEL, "tokenizer", NULL, "DIR", tokenizer,
	     "folder or GGUF file whose tokenizer is used instead of the model's, and whose chat template if the model has none"),
	TEXT(MODEL, "chat-template", NULL, "NAME|FILE", chat_template,
	     "chat format: xverse-v1, xverse-v2, baichuan, ziya, llama-2, moss, plain, or a Jinja file; default: the model's own"),
	TEXT(MODEL, "generation-config", NULL, "auto|none", generation_config,
	     "auto: read sampling defaults from the model's generation_config.json; none: do not"),

	NUMBER(RANKS, "tensor-parallel-size", "tp", "N", tensor_parallel, 0, 0, 4096,
	       "must equal the number of ranks that mpirun or srun started"),
	CHOICE(RANKS, "device", NULL, devices, device, DEVICE_AUTO,
	       "device that computes; auto: CUDA if a GPU can run the model, else the CPU"),
	FLAG(RANKS, "enable-deterministic-inference", "deterministic", deterministic,
	     "CUDA: the same bits for any batch, chunking and number of ranks, at a cost in speed; the CPU always does so"),
	NUMBER(RANKS, "device-memory", NULL, "BYTES", device_memory, 0, 0, INT64_MAX,
	       "memory of one GPU, for --dry-run on a machine without GPUs; 0: ask the driver"),
	NUMBER(RANKS, "gpu-memory-utilization", NULL, "PERCENT", gpu_percent, 90, 1, 100,
	       "share of GPU memory for weights, KV cache, workspace and CUDA graphs; also as a fraction: 0.9"),
	NUMBER(RANKS, "threads", "t", "N", threads, 0, 0, 1024,
	       "compute threads of each rank; 0: one for each CPU of its mask that no other rank has, at most its CPU quota"),
	TEXT(RANKS, "node-interface", NULL, "NAME|NETWORK", node_interface,
	     "network interface of the links between nodes, as eth0 or 10.0.0.0/8; default: the fastest network that all "
	     "nodes are in"),
	NUMBER(RANKS, "nodes", NULL, "N", plan_nodes, 0, 0, 32,
	       "nodes that --dry-run plans for, with --tensor-parallel-size ranks in all"),
	TEXT(RANKS, "cpu-isa", NULL, "NAME", cpu_isa,
	     "instruction set: auto, portable, avx2, avx512 or avx512_bf16; results have the same bits"),
	NO_FLAG(RANKS, "pin", pin, "do not pin compute threads to cores"),

	NUMBER(BATCH, "max-model-len", "c", "N", max_model_len, 0, 0, 1 << 24,
	       "tokens of one sequence, prompt and output; 0: the model's limit, or what the KV cache holds if that is less"),
	NUMBER(BATCH, "max-num-seqs", "np", "N", max_num_seqs, 0, 1, 4096,
	       "sequences in a step at most" BY_DEVICE(STEP_SEQS_CPU, STEP_SEQS_CUDA)),
	NUMBER(BATCH, "max-num-batched-tokens", NULL, "N", max_num_batched_tokens, 0, 1, 1 << 16,
	       "tokens in a step at most" BY_DEVICE(STEP_TOKENS_CPU, STEP_TOKENS_CUDA)),
	NUMBER(BATCH, "block-size", NULL, "N", block_size, 32, 32, 32, "tokens in a block of the KV cache"),
	NUMBER(BATCH, "kv-cache-memory-bytes", NULL, "BYTES", kv_bytes, 0, 0, INT64_MAX,
	       "bytes of a rank's KV cache; 0: 80 % of the memory left by the weights, for 8 full sequences at most"),
	NUMBER(BATCH, "max-logits-rows", NULL, "N", logits_rows, 32, 1, 4096, "rows of logits computed at a time"),
	NUMBER(BATCH, "admission-look-ahead", NULL, "N", look_ahead, -1, -1, 1 << 24,
	       "output tokens that the KV cache must have room for when a call is admitted; -1: its max_tokens, so that no call "
	       "is preempted (64 if the client sets no max_tokens)"),
	NO_FLAG(BATCH, "enable-prefix-caching", prefix_caching, "do not reuse KV blocks of common prompt prefixes"),

	TEXT(SERVE, "uds", NULL, "PATH", uds,
	     "path of the socket; default: xversed.sock in $XDG_RUNTIME_DIR, /run/xversed or /tmp/xversed-UID"),
	TEXT(SERVE, "uds-group", NULL, "GROUP", uds_group, "group that may connect (the socket's mode is 0660)"),
	TEXT(SERVE, "gateway-uid", NULL, "USER", gateway_uid,
	     "user, by name or number, whose requests may name the client they are for (a gateway); default: the daemon's own"),
	NUMBER(SERVE, "max-num-queued-reqs", NULL, "N", max_queued_reqs, 256, 1, 1 << 20,
	       "calls that may wait; further ones get BUSY"),
	NUMBER(SERVE, "max-num-queued-tokens", NULL, "N", max_queued_tokens, 1 << 20, 1, INT64_MAX,
	       "prompt tokens that may wait; further calls get BUSY"),
	TEXT(SERVE, "limits", NULL, "FILE", limits,
	     "limits of users, groups and API keys: running and waiting calls, tokens a minute, adapters, models "
	     "(docs/operations.md); read again on SIGHUP"),
	NUMBER(SERVE, "max-connections", NULL, "N", max_connections, 1024, 1, 1 << 16, "clients that may be connected"),
	TEXT(SERVE, "tool-call-parser", NULL, "NAME", tool_call_parser,
	     "how the model writes calls of tools: hermes, qwen3_coder, llama3_json, pythonic, mistral, deepseek_v3, deepseek_v31, phi4_mini_json, xverse, json; default: as its chat template does"),
	TEXT(SERVE, "reasoning-parser", NULL, "NAME", reasoning_parser,
	     "how the model marks its reasoning: think (also qwen3, deepseek_r1), mistral, or none; default: as its chat template does"),
	CHOICE(SERVE, "guided-whitespace", NULL, spaces, guided_whitespace, 0,
	       "white space in answers that must be JSON, where the request does not say; any: a blank, or a new line with its indentation, between tokens; compact: none"),
	NUMBER(SERVE, "shutdown-timeout", NULL, "SECONDS", shutdown_timeout_s, 30, 0, 86400,
	       "time that a drain waits for open calls"),
	NUMBER(SERVE, "watchdog-timeout", NULL, "SECONDS", watchdog_timeout_s, 60, 0, 86400,
	       "the job ends if a rank makes no progress in a step for this time; 0: never"),
	CHOICE(SERVE, "log-level", NULL, levels, log_level, LOG_INFO, "least important level that is logged"),
	TEXT(SERVE, "pid-file", NULL, "PATH", pid_file,
	     "file that holds the process id while it runs: the launcher's under xverse-launch, else that of rank 0"),
	TEXT(SERVE, "log-file", NULL, "PATH", log_file,
	     "file for log lines, reopened on SIGHUP; default: standard error"),

	FLAG(OTHER, "dry-run", NULL, dry_run,
	     "print the memory that each rank would use, and what a start would refuse, then exit; reads no weights"),
	FLAG(OTHER, "json", NULL, json, "print the plan of --dry-run, or the list of --inspect, as JSON"),
	FLAG(OTHER, "inspect", NULL, inspect, "list the checkpoint's tensors and its faults, then exit"),
	FLAG(OTHER, "debug-nan", NULL, debug_nan,
	     "name the first layer whose output holds NaN or infinity; slow, since it checks every layer"),
	FLAG(OTHER, "help", "h", help, "print this text"),
	FLAG(OTHER, "version", NULL, version, "print version and build"),

	TEXT(INNER, "hash-rows", NULL, "FILE", hash_rows, "append a hash of every logits row to FILE"),
	NO_FLAG(INNER, "graphs", graphs, "CUDA: capture no CUDA graphs"),
	NO_FLAG(INNER, "overlap", overlap, "CUDA: start each kernel after the previous one has ended"),
	NO_FLAG(INNER, "device-sample", device_sample, "CUDA: copy all logits to the host and sample there"),
	NO_FLAG(INNER, "step-ahead", step_ahead, "CUDA: enqueue a step only after the previous one's tokens are known"),
	NO_FLAG(INNER, "wgmma", wgmma, "CUDA: use mma.sync for prefill attention on every GPU"),
	NO_FLAG(INNER, "tuning", tuning, "CUDA: use cuBLASLt's first algorithm instead of timing several at start"),
	TEXT(INNER, "fault", NULL, "FAULTS", fault, "plant faults (daemon/rank/fault.h)"),
};
const int option_count = sizeof option_table / sizeof *option_table;

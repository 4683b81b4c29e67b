/* options.c - one table of options; each names the commands that take it. */
#include "rpc/cli/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/similar.h"

const char *const option_groups[GROUPS] = {"Text", "Sampling",  "End of the answer", "Output",
					   "Load", "Questions", "Results",           "Server and call"};

enum {
#define NUMBER(Message, field, low, high, meaning) MOST_##Message##_##field = (high),
#include "proto/limits.def"
};

#define AT(f) offsetof(struct args, f)
#define SAM(f) offsetof(struct args, sampling.f)
#define EVAL(f) offsetof(struct args, eval.f)
#define BATCH(f) offsetof(struct args, batch.f)
#define MEASURE(f) offsetof(struct args, measure.f)
#define SAMPLES (GEN | CHA | BAT | SUB)
static const struct option rows[] = {
	{GROUP_TEXT, "file", "FILE", "read the text from a file", WORD, GEN | SCO | TOK | CHA, AT(prompt_file), -1, 0,
	 0},
	{GROUP_TEXT, "prompt-file", "FILE", "the same", WORD, GEN | SCO | TOK | CHA, AT(prompt_file), -1, 0, 0},
	{GROUP_TEXT, "ids", "\"1 2 3\"", "the prompt as token ids", IDS, GEN | SCO | DET, AT(ids), -1, 0, 0},
	{GROUP_TEXT, "system", "TEXT", "the system message", WORD, CHA, AT(system), -1, 0, 0},
	{GROUP_TEXT, "once", NULL, "answer one message, then exit", FLAG, CHA, AT(once), -1, 0, 0},
	{GROUP_TEXT, "truncate-prompt-tokens", "N", "keep the prompt's last N tokens", NUMBER, GEN,
	 SAM(truncate_prompt), XV_TRUNCATE_PROMPT, 0, 0},
	{GROUP_TEXT, "no-special-tokens", NULL, "add no beginning or end tokens to the text", FLAG, GEN | SCO | TOK,
	 AT(no_special), -1, 0, 0},
	{GROUP_TEXT, "parse-special", NULL, "special tokens in the text become their ids", FLAG, TOK, AT(parse_special),
	 -1, 0, 0},
	{GROUP_END, "max-tokens", "N", "tokens of the answer [what the context leaves]", NUMBER, SAMPLES,
	 SAM(max_tokens), XV_MAX_TOKENS, 0, 0},
/* The sampling fields that are taken as they are; the others have rows of their own. */
#define REAL(NAME, field, unset, bound, low, high, meaning, source) \
	{GROUP_SAMPLING, #field, "X", meaning, REAL, SAMPLES, SAM(field), XV_##NAME, 0, 0},
#define WHOLE_OWN(...)
#define WHOLE_PLAIN(NAME, field, wire, meaning) \
	{GROUP_SAMPLING, #wire, "N", meaning, NUMBER, SAMPLES, SAM(field), XV_##NAME, 0, 0},
#define WHOLE(NAME, type, field, wire, unset, low, high, meaning, form) WHOLE_##form(NAME, field, wire, meaning)
#define SWITCH_OWN(...)
#define SWITCH_PLAIN(NAME, field, wire, meaning) \
	{GROUP_END, #wire, NULL, meaning, SWITCH, SAMPLES, SAM(field), XV_##NAME, 1, 0},
#define SWITCH(NAME, field, wire, unset, meaning, form) SWITCH_##form(NAME, field, wire, meaning)
#include "proto/sampling.def"
	{GROUP_SAMPLING, "seed", "N", "the same seed gives the same text [chosen by the server; batch: 0]", NUMBER,
	 SAMPLES, SAM(seed), XV_SEED, 0, 0},
	{GROUP_SAMPLING, "logit-bias", "ID=V", "add V to the logit of a token; may be given several times", BIASES,
	 GEN | CHA, 0, -1, 0, 0},
	{GROUP_SAMPLING, "allowed-token-ids", "\"1 2\"", "allow only these tokens", IDS, GEN | CHA, AT(allowed), -1, 0,
	 0},
	{GROUP_SAMPLING, "bad-token-ids", "\"1 2\"", "forbid these tokens", IDS, GEN | CHA, AT(bad), -1, 0, 0},
	{GROUP_END, "stop", "TEXT", "end before this text; may be given several times", STOPS, SAMPLES, 0, -1, 0, 0},
	{GROUP_END, "stop-token-ids", "\"1 2\"", "end at these tokens", IDS, SAMPLES, AT(stop_ids), -1, 0, 0},
	{GROUP_TEXT, "json-schema", "FILE", "the answer is JSON of this schema", CONSTRAINT, GEN | CHA, 0, -1,
	 XV_JSON_SCHEMA, 0},
	{GROUP_TEXT, "json-object", NULL, "the answer is a JSON object", CONSTRAINT, GEN | CHA, 0, -1, XV_JSON_OBJECT,
	 0},
	{GROUP_TEXT, "regex", "RE", "the answer matches this regular expression as a whole", CONSTRAINT, GEN | CHA, 0,
	 -1, XV_REGEX, 0},
	{GROUP_TEXT, "grammar", "FILE", "the answer keeps to this grammar (GBNF)", CONSTRAINT, GEN | CHA, 0, -1,
	 XV_GRAMMAR, 0},
	{GROUP_TEXT, "tools", "FILE", "functions that the model may call: a list, as the OpenAI API has it", TOOLS_FILE,
	 CHA, 0, -1, 0, 0},
	{GROUP_TEXT, "tool-choice", "auto|none|required|NAME", "whether it must call one, or which [auto]", WORD, CHA,
	 AT(tool_choice), -1, 0, 0},
	{GROUP_TEXT, "structural-tag", "FILE", "the answer keeps to this structural tag (JSON) between its texts",
	 CONSTRAINT, GEN | CHA, 0, -1, XV_STRUCTURAL_TAG, 0},
	{GROUP_TEXT, "choice", "TEXT", "the answer is one of these; given several times", CONSTRAINT, GEN | CHA, 0, -1,
	 XV_CHOICE, 0},
	{GROUP_OUTPUT, "n", "N", "that many answers to the prompt [1]; with --seed S the k-th has the seed S + k - 1",
	 NUMBER, GEN, AT(answers), -1, 1, 128},
	{GROUP_OUTPUT, "echo", NULL, "print the prompt first", FLAG, GEN, AT(echo), -1, 0, 0},
	{GROUP_OUTPUT, "show-special-tokens", NULL, "special tokens appear in the text", SWITCH, SAMPLES,
	 SAM(skip_special), XV_SKIP_SPECIAL, 0, 0},
	{GROUP_OUTPUT, "logprobs", "N",
	 "logprob of each token and of the N likeliest: a table below the text, or in --json", NUMBER, GEN,
	 SAM(logprobs), XV_LOGPROBS, 0, 0},
	{GROUP_OUTPUT, "prompt-logprobs", "N", "the same for the prompt", NUMBER, GEN, SAM(prompt_logprobs),
	 XV_PROMPT_LOGPROBS, 0, 0},
	{GROUP_OUTPUT, "top-n", "N", "logprobs of the N likeliest as well [0]", NUMBER, SCO, AT(top_n), -1, 0,
	 MOST_Score_top_n},
	{GROUP_OUTPUT, "pieces", NULL, "print each token's text and byte offsets", FLAG, TOK, AT(pieces), -1, 0, 0},
	{GROUP_OUTPUT, "most", "N", "list the N oldest calls [1000]", NUMBER, PS, AT(most), -1, 1,
	 MOST_CallsRequest_most},
	{GROUP_OUTPUT, "no-wrap", NULL, "do not break lines of the answer at a terminal between words", FLAG, CHA,
	 AT(no_wrap), -1, 0, 0},
	{GROUP_OUTPUT, "json", NULL, "print the whole answer as one line of JSON", FLAG, ALL, AT(json), -1, 0, 0},
	{GROUP_LOAD, "output", "FILE", "where the answers go; FILE.journal holds them until the last has arrived", WORD,
	 BAT | SUB, BATCH(out), -1, 0, 0},
	{GROUP_LOAD, "o", "FILE", "the same", WORD, BAT | SUB, BATCH(out), -1, 0, 0},
	{GROUP_LOAD, "model", "DIR",
	 "start a daemon of this model, and stop it at the end; not where --uds names one that runs", WORD, BAT | SUB,
	 BATCH(model), -1, 0, 0},
	{GROUP_LOAD, "ranks", "N", "ranks of that daemon [1; submit: one for each GPU]", NUMBER, BAT | EVA | SUB,
	 BATCH(ranks), -1, 1, 4096},
	{GROUP_LOAD, "server-options", "\"...\"", "options of that daemon, as xversed takes them", WORD,
	 BAT | EVA | SUB, BATCH(server), -1, 0, 0},
	{GROUP_LOAD, "part", "K/N", "answer part K of N of the file only; the part that ends last joins them", WORD,
	 BAT, BATCH(part), -1, 0, 0},
	{GROUP_LOAD, "tasks", "N", "tasks of the array job, each of which answers a part of the file [1]", NUMBER, SUB,
	 BATCH(tasks), -1, 1, 10000},
	{GROUP_LOAD, "nodes", "N", "nodes of each task's daemon [1]", NUMBER, SUB, BATCH(nodes), -1, 1, 1024},
	{GROUP_LOAD, "gres", "LIST", "GPUs of each node, such as gpu:2", WORD, SUB, BATCH(gres), -1, 0, 0},
	{GROUP_LOAD, "time", "TIME", "time limit of a task, which is queued again if it is not enough", WORD, SUB,
	 BATCH(time_limit), -1, 0, 0},
	{GROUP_LOAD, "partition", "NAME", "Slurm's partition", WORD, SUB, BATCH(partition), -1, 0, 0},
	{GROUP_LOAD, "account", "NAME", "Slurm's account", WORD, SUB, BATCH(account), -1, 0, 0},
	{GROUP_LOAD, "sbatch-options", "\"...\"", "further options of sbatch", WORD, SUB, BATCH(sbatch), -1, 0, 0},
	{GROUP_LOAD, "print", NULL, "print the job's script and submit nothing", FLAG, SUB, BATCH(print), -1, 0, 0},
	{GROUP_LOAD, "retries", "N", "tries after an error that may pass, of each request [3]", NUMBER, BAT | SUB,
	 BATCH(retries), -1, 0, 1e6},
	{GROUP_LOAD, "fresh", NULL, "begin anew, whatever an earlier run has left", FLAG, BAT | SUB, BATCH(fresh), -1,
	 0, 0},
	{GROUP_LOAD, "as-is", NULL, "ask in the file's order, not in the one that suits the prefix cache", FLAG,
	 BAT | SUB, BATCH(as_is), -1, 0, 0},
	{GROUP_LOAD, "concurrency", "N", "requests open at a time [8]", NUMBER, BEN, AT(concurrency), -1, 1, 1024},
	{GROUP_LOAD, "requests", "N", "how many in all [4 x concurrency]", NUMBER, BEN, AT(requests), -1, 1, 1e9},
	{GROUP_LOAD, "input-len", "N", "tokens of a prompt, chosen at random [64]", NUMBER, BEN, AT(input_len), -1, 1,
	 1e8},
	{GROUP_LOAD, "output-len", "N", "tokens of an answer [64]", NUMBER, BEN, AT(output_len), -1, 1, 1e8},
	{GROUP_LOAD, "rate", "R", "requests a second, at random times; 0: each follows an answer [0]", REAL, BEN,
	 AT(rate), -1, 0, 1e6},
	{GROUP_LOAD, "random-seed", "N", "the same seed gives the same prompts and times [0]", NUMBER, BEN, SAM(seed),
	 XV_SEED, 0, 0},
	{GROUP_DATA, "data", "DIR", "the folder, or the zip, of the published files", WORD, EVA, EVAL(data), -1, 0, 0},
	{GROUP_DATA, "self-test", NULL,
	 "check the data without a server: totals of models that always answer A, B, ...", FLAG, EVA, EVAL(self_test),
	 -1, 0, 0},
	{GROUP_DATA, "shots", "K", "examples before a question [5]", NUMBER, EVA, EVAL(shots), -1, 0, 100},
	{GROUP_DATA, "shots-from", "head|official", "AGIEval's examples: its first questions, or its own file [head]",
	 WORD, EVA, EVAL(shots_from), -1, 0, 0},
	{GROUP_DATA, "split", "NAME",
	 "questions of mmlu (test, val) and ceval (val, test) [test of mmlu, val of ceval]", WORD, EVA, EVAL(split), -1,
	 0, 0},
	{GROUP_DATA, "subjects", "A,B", "these subjects only", WORD, EVA, EVAL(subjects), -1, 0, 0},
	{GROUP_DATA, "limit", "N", "the first N questions of each subject; the result is marked as limited", NUMBER,
	 EVA, EVAL(limit), -1, 1, 1e9},
	{GROUP_DATA, "prompt-lang", "zh|en", "the wording around C-Eval's questions [zh]", WORD, EVA, EVAL(prompt_lang),
	 -1, 0, 0},
	{GROUP_DATA, "multi-question", NULL, "gaokao-bench: the sub-questions of texts with several, too", FLAG, EVA,
	 EVAL(multi_question), -1, 0, 0},
	{GROUP_DATA, "max-prompt", "N", "tokens of a prompt; examples are left out beyond [2048]", NUMBER, EVA,
	 EVAL(max_prompt), -1, 1, 1e8},
	{GROUP_DATA, "choice", "bare|ctx|max|sum", "the rule whose accuracy the tables show [bare]", WORD, EVA,
	 EVAL(choice), -1, 0, 0},
	{GROUP_DATA, "show-prompt", "SUBJECT:INDEX", "print a question's prompt, byte for byte, and exit", WORD, EVA,
	 EVAL(show_prompt), -1, 0, 0},
	{GROUP_DATA, "dry-run", NULL, "read and count the questions, ask none", FLAG, EVA, EVAL(dry_run), -1, 0, 0},
	{GROUP_DATA, "field", "NAME", "ppl, classes: the key of the text in a line of a .jsonl file [text]", WORD, EVA,
	 MEASURE(field), -1, 0, 0},
	{GROUP_DATA, "window", "N", "ppl, classes: tokens that are computed at once [2048, or what the server takes]",
	 NUMBER, EVA, MEASURE(window), -1, 2, 1e8},
	{GROUP_DATA, "stride", "N", "ppl, classes: tokens by which the window moves [half of the window]", NUMBER, EVA,
	 MEASURE(stride), -1, 1, 1e8},
	{GROUP_DATA, "classes", "A,B",
	 "classes: quantization[/cache[/compute]] of each, the finest first [none,int8,int4]", WORD, EVA,
	 MEASURE(classes), -1, 0, 0},
	{GROUP_DATA, "positions", "N", "classes: places whose whole distributions are compared [256]", NUMBER, EVA,
	 MEASURE(positions), -1, 1, 1e6},
	{GROUP_DATA, "normalizer", "NAME",
	 "exact: what of an answer counts: none, strip, first-line, lower, squad, number, letter [strip]", WORD, EVA,
	 MEASURE(normalizer), -1, 0, 0},
	{GROUP_RESULT, "out", "DIR", "where results and samples are written [.]", WORD, EVA, EVAL(out), -1, 0, 0},
	{GROUP_RESULT, "name", "TEXT", "the model's name in the tables [the server's]", WORD, EVA, EVAL(name), -1, 0,
	 0},
	{GROUP_RESULT, "resume", NULL, "go on where an earlier run with the same --out ended", FLAG, EVA, EVAL(resume),
	 -1, 0, 0},
	{GROUP_RESULT, "lang", "zh|en", "the language of the tables [zh where LANG says so, else en]", WORD, EVA,
	 EVAL(lang), -1, 0, 0},
	{GROUP_RESULT, "markdown", NULL, "tables as Markdown, which is the default", FLAG, EVA, EVAL(markdown), -1, 0,
	 0},
	{GROUP_RESULT, "plain", NULL, "tables as aligned text instead", FLAG, EVA, EVAL(plain), -1, 0, 0},
	{GROUP_RESULT, "others", NULL, "the published rows of the other models, too", FLAG, EVA, EVAL(others), -1, 0,
	 0},
	{GROUP_RESULT, "compare", "RESULT", "compare with that result, or two results with each other", WORD, EVA,
	 EVAL(compare), -1, 0, 0},
	{GROUP_RESULT, "plot", "FILE.svg", "draw the categories as bars beside the published models", WORD, EVA,
	 EVAL(plot), -1, 0, 0},
	{GROUP_RESULT, "submit", "FILE.json", "ceval --split test: the file for the benchmark's site", WORD, EVA,
	 EVAL(submit), -1, 0, 0},
	{GROUP_CALL, "adapter", "NAME", "measure the model with this LoRA adapter of the server's", WORD, EVA,
	 EVAL(adapter), -1, 0, 0},
	{GROUP_CALL, "in-flight", "N", "requests open at a time [twice what the server computes at a time]", NUMBER,
	 EVA | BAT | SUB, EVAL(in_flight), -1, 1, 65536},
	{GROUP_CALL, "uds", "PATH", "socket of the server [XVERSE_SOCKET, else the server's default]", WORD, ALL,
	 AT(uds), -1, 0, 0},
	{GROUP_CALL, "timeout-ms", "MS", "time limit of the request, queueing included; of status --wait", NUMBER,
	 GEN | SCO | CHA | STA, AT(timeout_ms), -1, 0, MOST_Generate_timeout_ms},
	{GROUP_CALL, "lora", "NAME", "answer with this LoRA adapter (xverse lora ls lists them)", WORD, GEN | SCO | CHA,
	 AT(lora), -1, 0, 0},
	{GROUP_CALL, "user", "NAME", "for the server's log", WORD, GEN | CHA, AT(user), -1, 0, 0},
	{GROUP_CALL, "no-resume", NULL, "fail when the server is lost, instead of resuming when it returns", FLAG,
	 GEN | SCO | CHA, AT(no_resume), -1, 0, 0},
	{GROUP_CALL, "resume-timeout", "SECONDS", "how long to wait for a lost server to return [120]", NUMBER,
	 GEN | SCO | CHA | BAT | SUB | EVA, AT(resume_s), -1, 1, 604800},
	{GROUP_CALL, "no-wait", NULL, "exit with 75 while the model loads, instead of waiting", FLAG, GEN | SCO | CHA,
	 AT(no_wait), -1, 0, 0},
	{GROUP_CALL, "wait", NULL, "wait until the server is started and ready; submit: until the job has ended", FLAG,
	 STA | BAT | SUB, AT(wait), -1, 0, 0},
	{GROUP_CALL, "help", NULL, "print this text", FLAG, ALL, AT(help), -1, 0, 0},
};
enum { N_OPTIONS = sizeof rows / sizeof *rows, LONGEST_NAME = 40 };

/* The rows with the names that users type: fields are written with _ in the list and in JSON, options with -. */
const struct option *option_at(int i)
{
	static struct option options[N_OPTIONS];
	static char names[N_OPTIONS][LONGEST_NAME];

	for (int k = options[0].name ? N_OPTIONS : 0; k < N_OPTIONS; k++) {
		options[k] = rows[k];
		snprintf(names[k], LONGEST_NAME, "%s", rows[k].name);
		for (char *c = strchr(names[k], '_'); c; c = strchr(c, '_'))
			*c = '-';
		options[k].name = names[k];
	}
	return i < N_OPTIONS ? &options[i] : NULL;
}

static const struct command commands[] = {
	{"Text", "generate", "[PROMPT | -]", "continue a text", GEN,
	 "xverse generate 'Once upon a time' --max-tokens 40\n"
	 "xverse generate --file prompt.txt --temperature 0 --json\n"
	 "xverse generate 'Name a colour:' -n 3 --max-tokens 5 --logprobs 2"},
	{"Text", "chat", "[MESSAGE | -]", "hold a conversation; /help inside lists its commands", CHA,
	 "xverse chat --system 'Answer in one sentence.'\n"
	 "xverse chat --once 'Why is the sky blue?' > answer.txt"},
	{"Text", "score", "[TEXT | -]", "print the logprob of every token of a text, their sum and the perplexity", SCO,
	 "xverse score 'The sky is blue.'\n"
	 "xverse score --file chapter.txt --json"},
	{"Text", "tokenize", "[TEXT | -]", "turn text into token ids", TOK, "xverse tokenize 'Hello world' --pieces"},
	{"Text", "detokenize", "[ID ...]", "turn token ids into text", DET, "xverse detokenize 1 2 3"},
	{"Server", "status", "", "the server's model, state and counters", STA,
	 "xverse status --wait            # for scripts: returns once the model is loaded\n"
	 "xverse status --json | jq .running"},
	{"Server", "ps", "", "list the open calls: number, user, age, tokens and state", PS,
	 "xverse ps\n"
	 "xverse ps --json | jq '.calls[].call'"},
	{"Server", "cancel", "CALL", "cancel a call by its number (xverse ps lists them)", CAN, "xverse cancel 17"},
	{"Server", "lora", "[ls | load NAME=DIR | unload NAME]",
	 "list, load and unload LoRA adapters of the running server", LOR,
	 "xverse lora load tales=/models/tales-lora\n"
	 "xverse generate --lora tales 'Once upon a time'\n"
	 "xverse lora unload tales            # waits for the calls that use it"},
	{"Server", "drain", "", "finish open calls, accept no new ones, then stop the server", DRA, "xverse drain"},
	{"Server", "metrics", "", "print the metrics as Prometheus text", MET, "xverse metrics | grep running"},
	{"Server", "log-level", "LEVEL", "set what the server logs: 0 errors, 1 warnings, 2 information, 3 debug", LOG,
	 "xverse log-level 3"},
	{"Tools", "bench", "", "load the server with requests and measure it", BEN,
	 "xverse bench --concurrency 8 --requests 32 --input-len 128 --output-len 64\n"
	 "xverse bench --rate 2 --requests 100 --concurrency 64 --json"},
	{"Tools", "batch", "IN.jsonl -o OUT.jsonl",
	 "answer a file of requests, each once, also when the run or the server is killed and comes back", BAT,
	 "xverse batch requests.jsonl -o answers.jsonl\n"
	 "xverse batch prompts.jsonl -o answers.jsonl --max-tokens 200 --temperature 0.7 --seed 1\n"
	 "xverse batch requests.jsonl -o answers.jsonl --model /models/XVERSE-13B-Chat --ranks 4"},
	{"Tools", "submit", "IN.jsonl -o OUT.jsonl --model DIR",
	 "the same on a cluster: an array job of Slurm, whose tasks each answer a part of the file", SUB,
	 "xverse submit in.jsonl -o out.jsonl --model /models/XVERSE-13B --gres gpu:2 --tasks 8\n"
	 "xverse submit in.jsonl -o out.jsonl --model /models/65B --nodes 2 --gres gpu:8 --time 240\n"
	 "xverse submit in.jsonl -o out.jsonl --model /models/XVERSE-13B --tasks 8 --print"},
	{"Tools", "eval", "NAME ...", "measure the model on benchmarks, from their published files", EVA,
	 "xverse eval ls --data DIR\n"
	 "xverse eval mmlu --self-test --data DIR       # are the files complete? needs no server\n"
	 "xverse eval mmlu ceval --data DIR --out runs/int8\n"
	 "xverse eval --compare runs/bf16 runs/int8\n"
	 "xverse eval ppl wiki.txt\n"
	 "xverse eval classes /models/XVERSE-13B wiki.txt --limit 64\n"
	 "xverse eval exact questions.jsonl --normalizer number --out runs/gsm"},
	{"Tools", "inspect", "PATH",
	 "list a checkpoint's tensors and its faults, with --json as JSON (needs no server)", 0,
	 "xverse inspect launch/demo/model"},
	{"Tools", "convert", "IN OUT",
	 "write a model as safetensors, with --quantization none, bf16, f16, f32, int8, int4 or fp8, in files of "
	 "--max-shard-size (5G) (needs no server)",
	 0,
	 "xverse convert model.Q4_0.gguf folder\n"
	 "xverse convert XVERSE-13B XVERSE-13B-int8 --quantization int8 --max-shard-size 2G"},
	{"Tools", "completion", "bash|zsh|fish", "print what completes commands and options in a shell", 0,
	 "source <(xverse completion bash)       # zsh likewise\n"
	 "xverse completion fish | source"},
};

const struct command *command_at(int i)
{
	return i < (int)(sizeof commands / sizeof *commands) ? &commands[i] : NULL;
}

const struct command *command_find(const char *name)
{
	const struct command *c;

	for (int i = 0; (c = command_at(i)); i++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

int option_unknown(const struct command *c, const char *name, size_t len, struct why *why)
{
	char text[64];
	struct similar like = {.given = text};
	const struct option *o;
	const char *best;

	snprintf(text, sizeof text, "%.*s", (int)len, name);
	for (int i = 0; (o = option_at(i)); i++)
		if (o->of & c->bit)
			similar_try(&like, o->name);
	best = similar_name(&like);
	return fail(why, ERR_INVALID, "xverse %s has no option --%s%s%s%s (xverse %s --help lists them)", c->name, text,
		    best ? "; did you mean --" : "", best ? best : "", best ? "?" : "", c->name);
}

int command_unknown(const char *name, struct why *why)
{
	struct similar like = {.given = name};
	const struct command *c;
	const char *best;

	for (int i = 0; (c = command_at(i)); i++)
		similar_try(&like, c->name);
	similar_try(&like, "help");
	best = similar_name(&like);
	return fail(why, ERR_INVALID, "there is no command \"%.60s\"%s%s%s (xverse --help lists them)", name,
		    best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
}

/* For each directory or GGUF file on standard input what its config.json means, as one line of JSON. */
#include <stdio.h>
#include <string.h>

#include "engine/gguf/documents.h"
#include "engine/models/model.h"

static void print(const struct model_config *c)
{
	static const char *const scalings[] = {"default", "linear", "llama3", "yarn", "dynamic", "longrope"};
	int windowed = 0;

	printf("{\"theta\": %.17g, \"type\": \"%s\"", c->rope_theta, scalings[c->scaling]);
	if (c->scaling != ROPE_NONE && c->scaling != ROPE_LONGROPE)
		printf(", \"factor\": %.17g", c->rope_factor);
	if (c->scaling == ROPE_LONGROPE)
		printf(", \"original\": %.17g, \"attention\": %.17g", c->rope_original, c->rope_attention);
	if (c->scaling == ROPE_LLAMA3 || c->scaling == ROPE_YARN)
		printf(", \"low\": %.17g, \"high\": %.17g, \"original\": %.17g", c->rope_low, c->rope_high,
		       c->rope_original);
	printf(", \"hidden\": %d, \"ffn\": %d, \"layers\": %d, \"heads\": %d, \"kv_heads\": %d, \"head_dim\": %d, \"vocab\": %d",
	       c->hidden, c->ffn, c->layers, c->heads, c->kv_heads, c->head_dim, c->vocab);
	for (int i = 0; i < c->layers; i++)
		windowed += c->windowed[i];
	printf(", \"rotated\": %d, \"window\": %d, \"windowed\": %d", model_n_rot(c), c->window,
	       c->window ? windowed : 0);
	printf(", \"max_pos\": %d, \"eps\": %.9g, \"tied\": %s, \"bos\": %d, \"eos\": [", c->max_pos, c->norm_eps,
	       c->tied ? "true" : "false", c->bos);
	for (int i = 0; i < c->n_eos; i++)
		printf("%s%d", i ? ", " : "", c->eos[i]);
	printf("], \"dtype\": \"%s\", \"notes\": %d}\n", c->torch_dtype == DT_COUNT ? "" : dtype_name(c->torch_dtype),
	       c->n_notes);
}

int main(void)
{
	static struct model_config c;
	char dir[300];
	struct why why;

	gguf_serve_documents();
	while (fgets(dir, sizeof dir, stdin)) {
		int err;

		dir[strcspn(dir, "\n")] = '\0';
		err = model_config_read(&c, dir, &why);
		if (err)
			printf("%s %s\n", err_name(err), why.text);
		else
			print(&c);
	}
	return 0;
}

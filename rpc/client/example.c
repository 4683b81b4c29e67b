/* example.c - continues a text: example "Once upon a time". Built by:
 *	cc -o example example.c $(pkg-config --cflags --libs xverse) */
#include <stdio.h>
#include <string.h>
#include <xverse.h>

int main(int argc, char **argv)
{
	struct xv_client *client;
	struct xv_options how = {0};
	struct rpc_request request = {.kind = RPC_GENERATE};
	struct rpc_generate *g = &request.generate;
	struct rpc_reply reply;
	struct why why;
	int got = xv_connect(&client, &how, &why);

	g->prompt = (struct rpc_prompt){.is_text = true, .text = argc > 1 ? argv[1] : "Hello"};
	g->prompt.text_len = strlen(g->prompt.text);
	g->sampling = (struct rpc_sampling){.max_tokens = 40, .temperature = 0, .has = 1u << RPC_MAX_TOKENS | 1u << RPC_TEMPERATURE};
	g->user = "";
	if (!got)
		xv_send(client, &request);
	while (!got || (got == 1 && reply.kind != RPC_R_FINISHED && reply.kind != RPC_R_ERROR)) {
		got = xv_wait(client, &reply, 1000, &why);
		if (got == 1 && reply.kind == RPC_R_CHUNK)
			fwrite(reply.chunk.text, 1, reply.chunk.text_len, stdout);
	}
	if (got < 0 || reply.kind == RPC_R_ERROR)
		fprintf(stderr, "%s\n", got < 0 ? why.text : reply.error.text);
	else
		printf("\n(%u tokens)\n", reply.finished.output_tokens);
	got = got < 0 || reply.kind == RPC_R_ERROR;
	xv_close(client);
	return got;
}

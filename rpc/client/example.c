/* example.c - continues a text: example "Once upon a time". Built by
 *	cc -o example example.c $(pkg-config --cflags --libs xverse) */
#include <stdio.h>
#include <string.h>
#include <xverse.h>

int main(int argc, char **argv)
{
	const char *text = argc > 1 ? argv[1] : "Hello";
	struct xv_request ask = {.kind = XV_GENERATE};
	struct xv_options how = {0}; /* the default socket, or XVERSE_SOCKET */
	struct xv_client *client;
	struct xv_reply r = {0};
	char why[XV_WHY];
	int got = xv_connect(&client, &how, why);

	ask.generate.prompt = (struct xv_prompt){.is_text = true, .text = text, .text_len = strlen(text)};
	ask.generate.sampling = (struct xv_sampling){
		.has = 1u << XV_MAX_TOKENS | 1u << XV_TEMPERATURE, .max_tokens = 40, .temperature = 0};
	if (!got)
		xv_send(client, &ask);
	while (got >= 0 && r.kind != XV_R_FINISHED && r.kind != XV_R_ERROR) {
		got = xv_wait(client, &r, 1000, why);
		if (got == 1 && r.kind == XV_R_CHUNK)
			fwrite(r.chunk.text, 1, r.chunk.text_len, stdout);
	}
	if (got < 0 || r.kind == XV_R_ERROR)
		fprintf(stderr, "%s\n", got < 0 ? why : r.error.text);
	else
		printf("\n(%u tokens)\n", r.finished.output_tokens);
	xv_close(client);
	return got < 0 || r.kind == XV_R_ERROR;
}

#include "rpc/cli/completion.h"

#include <string.h>

#include "rpc/cli/cli.h"

int completion_print(const char *shell)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};

	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
		if (!strcmp(shells[i].name, shell)) {
			shells[i].print();
			return EXIT_OK;
		}
	cli_say("xverse: usage: xverse completion bash|zsh|fish\n");
	return EXIT_USAGE;
}

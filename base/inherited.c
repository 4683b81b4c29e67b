#include "base/inherited.h"

#include <signal.h>

#include "base/stdio.h"

void inherited_mend(void)
{
	stdio_open();
	signal(SIGCHLD, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN);
}

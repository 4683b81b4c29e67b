#include "base/stdio.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/exit.h"

void stdio_open(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_SOFTWARE); /* without /dev/null nothing can be logged */
}

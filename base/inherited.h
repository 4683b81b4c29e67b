/* inherited.h - what a program inherits from its parent and cannot work with. */
#ifndef BASE_INHERITED_H
#define BASE_INHERITED_H

/* Called first in main(). Opens closed standard descriptors (stdio.h). Lets ended children be waited for, which they
 * cannot where the parent ignores SIGCHLD. Makes a limit of file sizes an error of write() instead of a silent end. */
void inherited_mend(void);

#endif

/* page.h - the page's bytes, which rpc/gateway/page/join joins at build time, and those of the script that it loads for
 * formulas (KaTeX; none where the build had none). A NUL follows each. */
#ifndef RPC_GATEWAY_API_PAGE_H
#define RPC_GATEWAY_API_PAGE_H

#include <stddef.h>

extern const unsigned char page_bytes[];
extern const size_t page_len;
extern const unsigned char page_katex_bytes[];
extern const size_t page_katex_len;

#endif

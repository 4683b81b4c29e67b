/* page.h - the page's bytes, which rpc/gateway/page/join joins at build time; a NUL follows them. */
#ifndef RPC_GATEWAY_API_PAGE_H
#define RPC_GATEWAY_API_PAGE_H

#include <stddef.h>

extern const unsigned char page_bytes[];
extern const size_t page_len;

#endif

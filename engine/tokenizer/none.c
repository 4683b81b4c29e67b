/* Stands for the tokenizer until one is there: prompts come as token ids. Delete this file with the first real one. */
#include "engine/tokenizer/tokenizer.h"
#include <stdlib.h>
int tokenizer_open(struct tokenizer **out, const char *dir, struct why *why){*out=NULL;return fail(why,ERR_IO,"no tokenizer in %s",dir);}
void tokenizer_close(struct tokenizer *t){(void)t;}
const char *tokenizer_kind(const struct tokenizer *t){(void)t;return "";}
int tokenizer_vocab(const struct tokenizer *t){(void)t;return 0;}
uint64_t tokenizer_fingerprint(const struct tokenizer *t){(void)t;return 0;}
int tokenizer_bos(const struct tokenizer *t){(void)t;return -1;}
int tokenizer_eos(const struct tokenizer *t){(void)t;return -1;}
bool tokenizer_is_special(const struct tokenizer *t,int id){(void)t;(void)id;return 0;}
const char *tokenizer_piece(const struct tokenizer *t,int id,size_t*l){(void)t;(void)id;*l=0;return NULL;}
void ids_finish(struct ids*i){free(i->id);free(i->offset);}
int tokenizer_encode(const struct tokenizer*t,const char*x,size_t l,const struct encode_options*h,struct ids*o,struct why*w){(void)t,(void)x,(void)l,(void)h,(void)o;return fail(w,ERR_UNSUPPORTED,"-");}
struct detok*detok_create(const struct tokenizer*t,bool s){(void)t,(void)s;return NULL;}
void detok_destroy(struct detok*d){(void)d;}
const char*detok_next(struct detok*d,int id,size_t*l){(void)d,(void)id;*l=0;return"";}
const char*detok_end(struct detok*d,size_t*l){(void)d;*l=0;return"";}
char*tokenizer_decode(const struct tokenizer*t,const int32_t*i,int n,bool s,size_t*l){(void)t,(void)i,(void)n,(void)s;*l=0;return xalloc(1,1);}

/* families.c - all model families. */
#include "engine/models/llama.h"
#include "engine/models/moe.h"
#include "engine/models/neox.h"

#include <string.h>

const struct family *const families[] = {&xverse_family,    &llama_family,    &mistral_family,   &qwen2_family,
					 &qwen3_family,     &baichuan_family, &opt_family,       &neox_family,
					 &codegen_family,   &moss_family,     &mixtral_family,   &qwen2_moe_family,
					 &qwen3_moe_family, &phi_family,      &phi3_family,      &stablelm_family,
					 &glm_family,       &internlm_family, &internlm2_family, NULL};

const struct family *family_find(const char *architecture)
{
	const struct family *const *f = families;

	while (*f && strcmp((*f)->architecture, architecture) && (!(*f)->alias || strcmp((*f)->alias, architecture)))
		f++;
	return *f;
}

const struct family *family_of(const struct model_config *c)
{
	const struct family *f = family_find(c->architecture);

	if (!f)
		die("no model family is named \"%s\"", c->architecture);
	return f;
}

#include "base/program.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

struct found {
	char *out;
	size_t size;
};

/* Notes are a head, a name and a text, each padded to four bytes. */
static void look_in_notes(const char *at, size_t bytes, struct found *f)
{
	while (bytes >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *n = (const void *)at;
		size_t name = round_up(n->n_namesz, 4), whole = sizeof *n + name + round_up(n->n_descsz, 4);
		const unsigned char *text = (const unsigned char *)at + sizeof *n + name;

		if (whole > bytes)
			return;
		if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 && !memcmp(at + sizeof *n, "GNU", 4)) {
			for (size_t i = 0; i < n->n_descsz && 2 * i + 2 < f->size; i++)
				snprintf(f->out + 2 * i, 3, "%02x", text[i]);
			return;
		}
		at += whole;
		bytes -= whole;
	}
}

/* The first object is the program. */
static int look_in_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_NOTE)
			look_in_notes((const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr,
				      info->dlpi_phdr[i].p_memsz, arg);
	return 1;
}

void program_build(char *out, size_t size)
{
	struct found f = {out, size};

	snprintf(out, size, "none");
	dl_iterate_phdr(look_in_program, &f);
}

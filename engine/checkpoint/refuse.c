/* refuse.c - says what a directory without a readable checkpoint has instead, and what to do. */
#include "engine/checkpoint/inside.h"

#include <dirent.h>
#include <fnmatch.h>
#include <string.h>

static const struct {
	const char *pattern; /* matches a name in the directory */
	int err;
	const char *text;
} kinds[] = {
	{"consolidated.*.pth", ERR_UNSUPPORTED,
	 "exists: Meta's own files are not supported; convert them with transformers' convert_llama_weights_to_hf.py"},
	{"consolidated*.safetensors", ERR_UNSUPPORTED,
	 "exists: these are the maker's own files, with other names of tensors; use the files model*.safetensors of the same download"},
	{"adapter_model.*", ERR_UNSUPPORTED,
	 "exists: this is an adapter (LoRA), not a model; merge it into its base model with peft's merge_and_unload() and serve the result"},
	{"model-*-of-*.safetensors", ERR_FORMAT,
	 "exists without its index, model.safetensors.index.json: download that file, too"},
	{"pytorch_model-*-of-*.bin", ERR_FORMAT,
	 "exists without its index, pytorch_model.bin.index.json: download that file, too"},
	{"*.gguf", ERR_UNSUPPORTED,
	 "exists: GGUF files are not supported; use the model's safetensors or PyTorch files"},
	{"snapshots", ERR_INVALID,
	 "exists: this is a folder of the hub's cache; use the folder below snapshots that has config.json"},
	{"*.index.json", ERR_FORMAT, "exists, but under another name than the ones above"},
	{"*.safetensors", ERR_UNSUPPORTED, "exists: rename it to model.safetensors if it is the whole model"},
	{"*.bin.part", ERR_FORMAT, "exists: the download is incomplete"},
	{"*.safetensors.part", ERR_FORMAT, "exists: the download is incomplete"},
	{"*.incomplete", ERR_FORMAT, "exists: the download is incomplete"},
	{"*.pth", ERR_UNSUPPORTED, "exists: only PyTorch files of the names above are read"},
	{"*.pt", ERR_UNSUPPORTED, "exists: only PyTorch files of the names above are read"},
	{"*.bin", ERR_UNSUPPORTED, "exists: rename it to pytorch_model.bin if it is the whole model"},
	{"*.msgpack", ERR_UNSUPPORTED, "exists: Flax files are not supported"},
	{"*.h5", ERR_UNSUPPORTED, "exists: TensorFlow files are not supported"},
	{"*.onnx", ERR_UNSUPPORTED, "exists: ONNX files are not supported"},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* Returns the most informative kind of what the directory has; N_KINDS: none. `name` (256 bytes) receives the first
 * such name in order. */
static int look(const char *dir, char *name)
{
	DIR *d = opendir(dir);
	int best = N_KINDS;

	for (struct dirent *e; d && (e = readdir(d));)
		for (int i = 0; i <= best && i < N_KINDS; i++) {
			if (fnmatch(kinds[i].pattern, e->d_name, 0) || (i == best && strcmp(e->d_name, name) > 0))
				continue;
			best = i;
			memcpy(name, e->d_name, strlen(e->d_name) + 1);
			break;
		}
	if (d)
		closedir(d);
	return best;
}

int refuse_directory(const char *dir, const char *const names[4], struct why *why)
{
	char name[256];
	int kind = look(dir, name);

	if (kind < N_KINDS)
		return fail(why, kinds[kind].err, "%.150s: no checkpoint: found none of %s, %s, %s, %s; %.80s %s", dir,
			    names[0], names[1], names[2], names[3], name, kinds[kind].text);
	return fail(why, ERR_IO, "%s: no checkpoint: found none of %s, %s, %s, %s", dir, names[0], names[1], names[2],
		    names[3]);
}

/* kinds.c - recognises files and folders of other formats by their names and first bytes. A format that is read some
 * day loses its rows here. */
#include <dirent.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

#include "base/file/file.h"
#include "engine/checkpoint/inside.h"

#define OTHER_FORM \
	"give the folder of the same model in Hugging Face's form: config.json with safetensors or PyTorch files"
#define MERGE "merge it into its base model with peft's merge_and_unload() and give the result"
#define GGUF "a GGUF file is given by itself; give this file (or another of the folder) in place of the folder"
#define WEIGHTS "this is one file of weights; give its folder, which must have config.json, too"
#define AGAIN "download it again"

/* Names in a folder that has no weights that are read, or no config.json. Most informative first. */
static const struct kind in_folder[] = {
	{"adapter_config.json", ERR_UNSUPPORTED, "this is an adapter (LoRA), not a model; " MERGE},
	{"adapter_model.*", ERR_UNSUPPORTED, "this is an adapter (LoRA), not a model; " MERGE},
	{"model_index.json", ERR_UNSUPPORTED,
	 "this is a pipeline of diffusers, which makes images; give a language model"},
	{"consolidated.*.pth", ERR_UNSUPPORTED,
	 "these are Meta's own files; convert them with transformers' convert_llama_weights_to_hf.py, or " OTHER_FORM},
	{"consolidated*.safetensors", ERR_UNSUPPORTED,
	 "these are the maker's own files, with other names of tensors; download config.json and model*.safetensors, too"},
	{"params.json", ERR_UNSUPPORTED, "this is the maker's own form; " OTHER_FORM},
	{"model-*-of-*.safetensors", ERR_FORMAT,
	 "its index, model.safetensors.index.json, is missing; download that file, too"},
	{"pytorch_model-*-of-*.bin", ERR_FORMAT,
	 "its index, pytorch_model.bin.index.json, is missing; download that file, too"},
	{"*.gguf", ERR_UNSUPPORTED, GGUF},
	{"*.ggml", ERR_UNSUPPORTED, "GGML files are not read; " OTHER_FORM},
	{"*.index.json", ERR_FORMAT, "this index has another name than the ones above; rename it"},
	{"*.safetensors", ERR_UNSUPPORTED, "rename it to model.safetensors if it is the whole model"},
	{"*.part", ERR_IO, "the download is incomplete; finish it"},
	{"*.incomplete", ERR_IO, "the download is incomplete; finish it"},
	{"*.aria2", ERR_IO, "the download is incomplete; finish it"},
	{"*.pth", ERR_UNSUPPORTED, "only PyTorch files named pytorch_model*.bin are read; " OTHER_FORM},
	{"*.pt", ERR_UNSUPPORTED, "only PyTorch files named pytorch_model*.bin are read; " OTHER_FORM},
	{"*.ckpt", ERR_UNSUPPORTED, "checkpoints of a training program are not read; " OTHER_FORM},
	{"*.bin", ERR_UNSUPPORTED, "rename it to pytorch_model.bin if it is the whole model"},
	{"*.msgpack", ERR_UNSUPPORTED, "Flax files are not read; " OTHER_FORM},
	{"*.h5", ERR_UNSUPPORTED, "TensorFlow files are not read; " OTHER_FORM},
	{"saved_model.pb", ERR_UNSUPPORTED, "TensorFlow files are not read; " OTHER_FORM},
	{"*.onnx", ERR_UNSUPPORTED, "ONNX files are not read; " OTHER_FORM},
	{"onnx", ERR_UNSUPPORTED, "ONNX files are not read; " OTHER_FORM},
	{"openvino_model.*", ERR_UNSUPPORTED, "OpenVINO files are not read; " OTHER_FORM},
	{"*.nemo", ERR_UNSUPPORTED, "NeMo files are not read; " OTHER_FORM},
	{"*.engine", ERR_UNSUPPORTED, "TensorRT files are not read; " OTHER_FORM},
	{"models--*", ERR_IO, "this is the hub's whole cache; give that folder or another of its models"},
};

/* Names of files that are given in place of a folder. */
static const struct kind files[] = {
	{"*.gguf", ERR_FORMAT, "it has the name of a GGUF file and does not begin like one; " AGAIN},
	{"*.ggml", ERR_UNSUPPORTED, "this is a GGML file; " OTHER_FORM},
	{"*.llamafile", ERR_UNSUPPORTED, "this is a llamafile, a program with a GGUF file in it; " OTHER_FORM},
	{"adapter_model.*", ERR_UNSUPPORTED, "this is an adapter (LoRA), not a model; " MERGE},
	{"*.onnx", ERR_UNSUPPORTED, "this is an ONNX file; " OTHER_FORM},
	{"*.h5", ERR_UNSUPPORTED, "this is a TensorFlow file; " OTHER_FORM},
	{"*.msgpack", ERR_UNSUPPORTED, "this is a Flax file; " OTHER_FORM},
	{"*.ckpt", ERR_UNSUPPORTED, "this is a checkpoint of a training program; " OTHER_FORM},
	{"*.nemo", ERR_UNSUPPORTED, "this is a NeMo file; " OTHER_FORM},
	{"*.engine", ERR_UNSUPPORTED, "this is a TensorRT file; " OTHER_FORM},
	{"*.zip", ERR_UNSUPPORTED, "this is an archive; unpack it and give the folder that has config.json"},
	{"*.tar", ERR_UNSUPPORTED, "this is an archive; unpack it and give the folder that has config.json"},
	{"*.tar.*", ERR_UNSUPPORTED, "this is an archive; unpack it and give the folder that has config.json"},
	{"*.tgz", ERR_UNSUPPORTED, "this is an archive; unpack it and give the folder that has config.json"},
	{"*.7z", ERR_UNSUPPORTED, "this is an archive; unpack it and give the folder that has config.json"},
	{"*.part", ERR_FORMAT, "this is an incomplete download; finish it"},
	{"*.incomplete", ERR_FORMAT, "this is an incomplete download; finish it"},
	{"*.safetensors", ERR_IO, WEIGHTS},
	{"*.bin", ERR_IO, WEIGHTS},
	{"*.pt", ERR_IO, WEIGHTS},
	{"consolidated.*.pth", ERR_UNSUPPORTED, "this is a file of Meta's own form; " OTHER_FORM},
	{"*.pth", ERR_IO, WEIGHTS},
};

/* First bytes, whatever the name. */
static const struct {
	const char *bytes;
	unsigned char n;
	const char *text;
} magics[] = {
	{"GGUF", 4, "this is a GGUF file, which cannot be a part of another form; give it by itself"},
	{"tjgg", 4, "this is an old GGML file; " OTHER_FORM},
	{"fmgg", 4, "this is an old GGML file; " OTHER_FORM},
	{"lmgg", 4, "this is an old GGML file; " OTHER_FORM},
	{"algg", 4, "this is an old GGML file; " OTHER_FORM},
	{"\211HDF", 4, "this is an HDF5 file, of TensorFlow or Keras; " OTHER_FORM},
	{"\037\213", 2, "this is an archive; unpack it and give the folder that has config.json"},
	{"\375"
	 "7zXZ",
	 5, "this is an archive; unpack it and give the folder that has config.json"},
	{"7z\274\257", 4, "this is an archive; unpack it and give the folder that has config.json"},
	{"\177ELF", 4, "this is a program, not a model; give the folder that has config.json"},
	{"MZ", 2, "this is a program, not a model; give the folder that has config.json"},
};

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

const struct kind *kind_of_folder(const char *dir, char name[256])
{
	DIR *d = opendir(dir);
	int best = COUNT(in_folder);

	for (struct dirent *e; d && (e = readdir(d));)
		for (int i = 0; i <= best && i < COUNT(in_folder); i++) {
			if (fnmatch(in_folder[i].pattern, e->d_name, 0) || (i == best && strcmp(e->d_name, name) > 0))
				continue;
			best = i;
			memcpy(name, e->d_name, strlen(e->d_name) + 1);
			break;
		}
	if (d)
		closedir(d);
	return best < COUNT(in_folder) ? &in_folder[best] : NULL;
}

int kind_refuse_bytes(const char *name, const char *head, size_t n, struct why *why)
{
	const char *disguise = file_disguise(head, n);

	if (disguise)
		return fail(why, ERR_FORMAT, "%.200s: %s", name, disguise);
	for (int i = 0; i < COUNT(magics); i++)
		if (n >= magics[i].n && !memcmp(head, magics[i].bytes, magics[i].n))
			return fail(why, ERR_UNSUPPORTED, "%.200s: %s", name, magics[i].text);
	return 0;
}

/* The first bytes count more than the name. */
int kind_refuse_file(const char *path, struct why *why)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char head[64];
	uint64_t size;
	int fd = file_open(path, &size, why), err;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, head, sizeof head, 0);
	close(fd);
	err = kind_refuse_bytes(path, head, n > 0 ? (size_t)n : 0, why);
	if (err)
		return err;
	if (!size)
		return fail(why, ERR_FORMAT, "%.300s: this file is empty; " AGAIN " and give its folder", path);
	for (int i = 0; i < COUNT(files); i++)
		if (!fnmatch(files[i].pattern, name, FNM_CASEFOLD))
			return fail(why, files[i].err, "%.200s: %s", path, files[i].text);
	if (n > 8 && (!memcmp(head, "PK\3\4", 4) || head[8] == '{'))
		return fail(why, ERR_IO, "%.200s: " WEIGHTS, path);
	return fail(why, ERR_FORMAT, "%.300s: this is a file; give the folder that holds config.json and the weights",
		    path);
}

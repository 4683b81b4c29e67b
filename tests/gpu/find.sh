# find.sh - sourced by tests/gpu/run: where nvcc, NVIDIA's headers, libraries and profilers are.

# Folders that may hold a toolkit or a part of one, best first. NVIDIA's Python wheels are folders site-packages/nvidia/PART.
toolkit_roots() {
	local python
	printf '%s\n' ${NVCC:+"$(dirname "$(dirname "$NVCC")")"} ${CUDA_HOME:-} ${CUDA_PATH:-}
	command -v nvcc > /dev/null && dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")"
	ls -d /usr/local/cuda /usr/local/cuda-* /opt/cuda 2> /dev/null
	for python in python3 python build/venv/bin/python3; do
		"$python" -c 'import glob, site, sys
for p in dict.fromkeys(site.getsitepackages() + [site.getusersitepackages()] + sys.path):
    print(*sorted(glob.glob(p + "/nvidia/*/")), sep="\n")' 2> /dev/null
	done
	printf '%s\n' /usr/lib/cuda /usr
}

# find_nvcc TARGET...: the first compiler that compiles for these targets; every candidate's result is reported.
find_nvcc() {
	local at why
	printf '__global__ void probe(float *x) { *x = 1; }\n' > "$work/probe.cu"
	while read -r at; do
		[ -x "$at" ] || continue
		if why=$(timeout "$(up_to 60)" "$at" $(target_flags "$@") -c "$work/probe.cu" -o "$work/probe.o" 2>&1); then
			nvcc=$at
			say nvcc "$at, $("$at" --version | grep -o 'release .*')"
			return 0
		fi
		say "nvcc, not used" "$at: $(grep -m1 . <<< "$why")"
	done < <({ [ -z "${NVCC:-}" ] || echo "$NVCC"; command -v nvcc; sed 's,$,/bin/nvcc,' <<< "$roots"; } | awk '!seen[$0]++')
	return 1
}

# The targets of nvcc for compute capabilities such as 9.0: this device's own, and nothing else.
target_flags() {
	local c
	for c in "$@"; do
		case $c in
		9.0) echo "-gencode arch=compute_90a,code=sm_90a" ;;
		*) echo "-gencode arch=compute_${c/./},code=sm_${c/./}" ;;
		esac
	done
}

header_folder() { # NAME
	local root
	while read -r root; do
		[ -e "$root/include/$1" ] && { echo "$root/include"; return; }
	done <<< "$roots"
	return 1
}

library() { # NAME, such as cublasLt: its file
	local root f
	while read -r root; do
		for f in "$root"/{lib64,lib,lib/x86_64-linux-gnu}/lib"$1".so{,.*}; do
			[ -e "$f" ] && { echo "$f"; return; }
		done
	done <<< "$roots"
	return 1
}

tool() { # NAME: ncu or compute-sanitizer
	local f
	command -v "$1" && return
	while read -r f; do
		[ -x "$f" ] && { echo "$f"; return; }
	done < <(sed "s,\$,/bin/$1," <<< "$roots"; ls -d /opt/nvidia/nsight-compute/*/"$1" /usr/local/cuda/compute-sanitizer/"$1" 2> /dev/null | sort -r)
	return 1
}

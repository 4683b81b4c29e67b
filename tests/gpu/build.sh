# build.sh - sourced by tests/gpu/run: compiles the kernels and what the programs need of the engine, and links them.

engine_sources() {
	ls base/*.c base/file/*.c base/json/*.c parallel/shard.c parallel/comm.c parallel/comm_nccl*.c parallel/comm_self.c parallel/tree.c \
		engine/step.c engine/backend/{backend,kv,lora,weight}.c engine/sample/{sample,sampling,draw}.c engine/models/*.c engine/cuda/*.c \
		engine/cpu/*.c engine/gguf/{block,codes,read,translate}.c
	grep -L "<jansson.h>" engine/checkpoint/*.c
}

# compile OBJECT COMMAND...: in the background, beside as many others as there are cores.
compile() {
	local o=$work/$1
	shift
	{ timeout "$(up_to 300)" "$@" -o "$o" > "$o.log" 2>&1 || { echo "$*"; head -20 "$o.log"; } >> "$work/build.log"; } &
	while [ "$(jobs -rp | wc -l)" -gt "$(nproc)" ]; do wait -n; done
}

object_of() { tr / _ <<< "$1.o"; } # SOURCE

# The kernels first, since they take longest. With --built they come from the folder of the build.
compile_kernels() { # TARGET...
	local f flags
	flags="-std=c++17 -O3 -I. $(target_flags "$@")"
	for f in engine/cuda/decode.cu $(ls engine/cuda/*.cu | grep -v /decode.cu); do
		if [ -n "$built" ]; then
			cp "build/cuda/$(basename "$f" .cu).o" "$work/$(object_of "$f")" || echo "$f is not built" >> "$work/build.log"
		else
			compile "$(object_of "$f")" "$nvcc" $flags -c "$f"
		fi
	done
	for f in tests/cuda/*.cu tests/gpu/*.cu; do compile "$(object_of "$f")" "$nvcc" $flags -c "$f"; done
}

# The inner loops of the CPU backend, once for each instruction set, as engine/cpu/isa is built.
compile_isa() {
	local f isa wide=-mavx512f,-mavx512bw,-mavx512dq,-mavx512vl,-mfma,-mf16c,-mprefer-vector-width=512
	for f in engine/cpu/isa/*.c; do
		for isa in portable: avx2:-mavx2,-mfma,-mf16c "avx512:$wide" "avx512_bf16:$wide,-mavx512bf16"; do
			compile "$(object_of "$f-${isa%%:*}")" gcc $cflags -DISA="${isa%%:*}" -DISA_"${isa%%:*}"=1 $(tr , ' ' <<< "${isa#*:}") -c "$f"
		done
	done
}

# What --compare builds a second way: NAME|FILES|a change of them, as sed has it|parts of the benchmark that show it.
variants() {
	cat << 'END'
min-keys-256|engine/cuda/plan.c|s/max_int(LEAST_KEYS, /max_int(256, /|steps,attention
tiles-first|engine/cuda/prefill.cu engine/cuda/prefill_wgmma.cu|s/tiles\[blockIdx\.y/tiles[blockIdx.x/; s/blockIdx\.y % B/blockIdx.x % B/; s/head = blockIdx\.x/head = blockIdx.y/; s/dim3(a\.heads, \(n[^,]*\))\(,\)/dim3(\1, a.heads)\2/|attention
rows8-pairs|engine/cuda/linear.cu|s/rows8 = shape<E, W, 1, 1, HALF ? 1 : 2, HALF ? 8 : 5, true>/rows8 = shape<E, W, 1, 2, 1, HALF ? 4 : 5, true>/|products
tune-zeros|engine/cuda/gemm_tune.c|s/fill_random(c, t\.x, /cudaMemset(t.x, 0, /|steps
END
}

# Writes the changed files beside the objects; a change that changes nothing is an error.
patch_variants() {
	local name files change parts f
	while IFS='|' read -r name files change parts; do
		for f in $files; do
			sed "$change" "$f" > "$work/$name-$(basename "$f")"
			! cmp -s "$f" "$work/$name-$(basename "$f")" || echo "variant $name: nothing in $f to change" >> "$work/build.log"
		done
	done < <(variants)
}

compile_variants() { # TARGET...
	local name files change parts f
	patch_variants
	while IFS='|' read -r name files change parts; do
		for f in $files; do
			case $f in
			*.cu) compile "$name-$(object_of "$f")" "$nvcc" -std=c++17 -O3 -I. $(target_flags "$@") -c "$work/$name-$(basename "$f")" ;;
			*) compile "$name-$(object_of "$f")" gcc $cflags -c "$work/$name-$(basename "$f")" ;;
			esac
		done
	done < <(variants)
}

bench_sources="tests/gpu/bench.c tests/gpu/ceilings.c tests/gpu/layer.c tests/gpu/steps.c tests/gpu/read.cu"

link_program() { # NAME SOURCE...: objects of its own, then those of the engine
	local name=$1 own= s
	shift
	for s in "$@"; do own="$own $work/$(object_of "$s")"; done
	timeout "$(up_to 60)" gcc -rdynamic $own "$work/engine.a" -o "$work/$name" $libs > "$work/$name.link" 2>&1 ||
		{ echo "linking $name"; head -20 "$work/$name.link"; } >> "$work/build.log"
}

# A variant's objects come before those of the engine, so that the linker takes them.
link_variants() {
	local name files change parts f own
	while IFS='|' read -r name files change parts; do
		own=$(for f in $bench_sources; do echo "$work/$(object_of "$f")"; done; for f in $files; do echo "$work/$name-$(object_of "$f")"; done)
		timeout "$(up_to 60)" gcc -rdynamic $own "$work/engine.a" -o "$work/bench-$name" $libs >> "$work/build.log" 2>&1
	done < <(variants)
	[ -s "$work/build.log" ] || rm -f "$work/build.log"
}

programs() { # the tests of the kernels, each a file of tests/cuda, and the two of tests/gpu
	ls tests/cuda/*.c tests/cuda/*.cu | sed 's,.*/,,;s,\..*,,' | grep -vxE "$not_here"
	echo model
}
not_here='flight|choice' # tests of the host's side, which CI runs on the emulated GPU

# build TARGET...: everything; reports one line, and the compiler's words if something fails.
build() {
	local since=$SECONDS f inc
	rm -f "$work"/*.log "$work/engine.a"
	inc=$(for f in cuda_runtime_api.h cublasLt.h nccl.h; do
		header_folder "$f" || say "header, not found" "$f" >&2
	done | sort -u | sed 's/^/-isystem /')
	cflags="-std=gnu17 $optimise -g -ffp-contract=off -fno-strict-aliasing -D_GNU_SOURCE -DXV_VERSION=\"bench\" -DXV_COMMIT=\"bench\" -I. $inc"
	libs=
	for f in cudart cublasLt nccl; do
		libs="$libs $(library "$f") -Wl,-rpath,$(dirname "$(library "$f")")"
	done
	libs="$libs -lstdc++ -lpthread -ldl -lm"
	compile_kernels "$@"
	[ -z "$comparing" ] || compile_variants "$@"
	compile_isa
	for f in $(engine_sources) tests/gpu/*.c tests/cuda/*.c; do
		[ "$f" = tests/gpu/facts.c ] || compile "$(object_of "$f")" gcc $cflags -c "$f"
	done
	wait
	if [ ! -e "$work/build.log" ]; then
		ar rcs "$work/engine.a" $(ls "$work"/{base,parallel,engine}_*.o) "$work"/tests_gpu_{absent,ranks}.c.o
		link_program bench $bench_sources
		link_program model tests/gpu/model.c
		for f in $(programs | grep -vx model); do link_program "$f" tests/cuda/"$f".c*; done
		[ -z "$comparing" ] || link_variants
	fi
	if [ -e "$work/build.log" ]; then
		say build "failed after $((SECONDS - since)) s"
		head -40 "$work/build.log" | sed 's/^/build log\t/' | tee -a "$results"
		return 1
	fi
	say build "$(ls "$work"/*.o | wc -l) objects for $(tr ' ' , <<< "$*") in $((SECONDS - since)) s"
}

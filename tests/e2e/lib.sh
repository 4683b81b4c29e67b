# lib.sh - for end-to-end tests: start and stop a daemon, count checks. Source it from the repository root.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
passed=0 failed=0 skipped=0
bin=build/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/xv-e2e-XXXXXX")
export XVERSE_SOCKET=$work/s
testdata=${XV_TESTDATA:-../shared/testdata}
stories=$testdata/stories260K/hf-llama
text_model=$stories # a model with a tokenizer: every clone has the bundled one
[ -d "$stories" ] || text_model=launch/demo/model
daemon=

ok() { passed=$((passed + 1)); }
# bad NAME [DETAILS]: without details, the line that says so.
bad() {
	failed=$((failed + 1))
	echo "FAILED $1"
	shift
	[ $# -gt 0 ] || set -- "line ${BASH_LINENO[0]}: $(sed -n "${BASH_LINENO[0]}{s/^[[:blank:]]*//p}" "${BASH_SOURCE[1]}" | cut -c 1-250)"
	printf '  %s\n' "$@"
}
skip() { skipped=$((skipped + 1)); echo "  skipped: $1"; }
# same NAME FOUND WANTED
same() { if [ "$2" = "$3" ]; then ok; else bad "$1" "found:  $(printf %s "$2" | head -c 300)" "wanted: $(printf %s "$3" | head -c 300)"; fi; }
# holds NAME TEXT PART
holds() { case "$2" in *"$3"*) ok ;; *) bad "$1" "found: $(printf %s "$2" | head -c 400)" "wanted in it: $3" ;; esac; }

# start N MODEL [options]: a daemon of N ranks, until it is ready; its log is $work/log.
start() {
	local n=$1
	shift
	: > "$work/log"
	mpirun --oversubscribe --bind-to none -n "$n" $bin/xversed "$@" --uds "$XVERSE_SOCKET" < /dev/null > "$work/log" 2>&1 &
	daemon=$!
	wait_ready 300
}
# wait_ready TENTHS: 0 when a Generate would be taken.
wait_ready() {
	local i
	for ((i = 0; i < $1; i++)); do
		grep -q 'event="ready"' "$work/log" && return 0
		kill -0 "$daemon" 2> /dev/null || return 1
		sleep 0.1
	done
	return 1
}
# Ranks of the daemon (not mpirun), rank 0 first.
ranks() { pgrep -P "$daemon" -x xversed | sort -n; }
# stop: drain by SIGUSR1 to mpirun; its exit status.
stop() {
	[ -n "$daemon" ] || return 0
	kill -USR1 "$daemon" 2> /dev/null
	wait "$daemon"
	local rc=$?
	daemon=
	return $rc
}
finish() {
	[ -n "$daemon" ] && { kill "$daemon" 2> /dev/null; wait "$daemon" 2> /dev/null; }
	rm -rf "$work"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed -eq 0 ]
	exit $?
}
trap finish EXIT

# flatten.awk - rpc/xverse.h as it is installed: each list of macros and the plain list (.def) that it includes become plain C.
# A parameter of a macro is replaced in its comment, too. -v root=DIR: where the lists lie.
BEGIN { IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*" }

# Splits "a, b, (c, d), \"e, f\"" into part[1..n].
function split_args(text, part,    n, depth, quoted, i, c, begin) {
	n = depth = quoted = 0; begin = 1; text = text ","
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		if (c == "\"") quoted = !quoted
		else if (quoted) continue
		else if (c == "(") depth++
		else if (c == ")") depth--
		else if (c == "," && !depth) {
			part[++n] = substr(text, begin, i - begin)
			gsub(/^ +| +$/, "", part[n]); begin = i + 1
		}
	}
	return n
}

# The macro's body with its parameters replaced; a text's quotes are left out.
function expand(kind, args,    n, value, at, name, given, out, rest, i) {
	n = split_args(args, given)
	for (i = 1; i <= n_params[kind]; i++) value[param[kind, i]] = given[i]
	rest = body[kind]
	while (match(rest, IDENTIFIER)) {
		name = substr(rest, RSTART, RLENGTH)
		out = out substr(rest, 1, RSTART - 1)
		if (name in value) {
			name = value[name]
			gsub(/^"|"$/, "", name)
			if (name == "FROM" || name == "ABOVE") name = tolower(name)
		}
		out = out name
		rest = substr(rest, RSTART + RLENGTH)
	}
	out = out rest
	gsub(/##/, "", out)
	gsub(/ +\/\*/, " /*", out)
	sub(/(; )? *\*\/$/, " */", out)
	sub(/ *\/\* *\*\/$/, "", out)
	return out
}

function include(path,    line, kind) {
	while ((getline line < (root "/" path)) > 0) {
		if (!match(line, /^[A-Z]+\(/)) continue
		kind = substr(line, 1, RLENGTH - 1)
		sub(/\)[^)"]*$/, "", line)
		if (kind in body) print "\t" expand(kind, substr(line, length(kind) + 2))
	}
	close(root "/" path)
	for (kind in body) delete body[kind]
}

/^#define [A-Z]+\(/ {
	kind = $2; sub(/\(.*/, "", kind)
	list = $0; sub(/^[^(]*\(/, "", list); sub(/\).*/, "", list)
	n_params[kind] = split_args(list, names)
	for (i = 1; i <= n_params[kind]; i++) param[kind, i] = names[i]
	body[kind] = $0; sub(/^[^)]*\) */, "", body[kind])
	next
}
/^#include "/ { include(substr($2, 2, length($2) - 2)); next }
{ print }

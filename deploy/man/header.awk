# Parts of xverse.h, as installed, in mdoc(7): awk -v part=PART -f header.awk xverse.h
#	about       the comment at its top           functions  each with the comment above or behind it
#	synopsis    the functions' declarations      errors     the codes with their texts

function escape(s) {
	gsub(/\\/, "\\e", s)
	gsub(/"/, "\\(dq", s)
	gsub(/--/, "\\-\\-", s)
	return s
}

# A sentence on a line; names of functions and `fields` are bold.
function put(s,    n, i, line, out) {
	s = escape(s)
	while (match(s, /[^.]\. [A-Z`]/))
		s = substr(s, 1, RSTART + 1) "\n" substr(s, RSTART + 3)
	while (match(s, /`[^`]+`|xv_[a-z_]+\(\)/)) {
		out = out substr(s, 1, RSTART - 1) bold(substr(s, RSTART, RLENGTH))
		s = substr(s, RSTART + RLENGTH)
	}
	n = split(out s, line, "\n")
	for (i = 1; i <= n; i++) {
		sub(/ +$/, "", line[i])
		if (line[i] != "")
			print (line[i] ~ /^[.']/ ? "\\&" : "") line[i]
	}
}

function bold(s) {
	gsub(/`/, "", s)
	return s ~ /\(\)$/ ? "\\fB" substr(s, 1, length(s) - 2) "\\fR()" : "\\fB" s "\\fR"
}

# "int xv_wait(struct xv_client *c, int n);" becomes Ft and Fn.
function declare(s,    at, type, arguments, n, i, a) {
	at = index(s, "(")
	arguments = substr(s, at + 1)
	sub(/\);.*/, "", arguments)
	type = substr(s, 1, at - 1)
	match(type, /xv_[a-z_]+$/)
	at = substr(type, RSTART)
	type = substr(type, 1, RSTART - 1)
	sub(/ +$/, "", type)
	print ".Ft \"" type "\""
	n = split(arguments, a, /, */)
	type = ".Fn " at
	for (i = 1; i <= n; i++)
		type = type " \"" a[i] "\""
	print type
}

function describe(s, text,    at) {
	at = s
	sub(/\(.*/, "", at)
	match(at, /xv_[a-z_]+$/)
	print ".It Fn " substr(at, RSTART)
	if (text != "")
		put(text)
}

# The comment at the top: paragraphs, and code, which a tab begins.
/^\/\* xverse\.h/ { top = 1; next }
top && /\*\// { top = 0; if (literal) print ".Ed" }
top && part == "about" {
	s = $0
	sub(/^ \*/, "", s)
	if (s ~ /^ ?\t/) {
		if (!literal)
			print ".Bd -literal -offset indent"
		gap = 0
		literal = 1
		sub(/^ ?\t/, "", s)
		print escape(s)
	} else {
		if (literal)
			print ".Ed"
		if (literal)
			print ".Pp"
		if (s ~ /^ *$/)
			gap = begun && !literal
		else {
			if (gap)
				print ".Pp"
			gap = 0
			sub(/^ /, "", s)
			put(s)
			begun = 1
		}
		literal = 0
	}
}
top { next }

/^enum xv_error_code/ { codes = 1 }
codes && /^}/ { codes = 0 }
codes && part == "errors" && match($0, /XV_ERR_[A-Z_]+/) {
	print ".It Dv " substr($0, RSTART, RLENGTH)
	s = $0
	sub(/.*\/\* */, "", s)
	sub(/ *\*\/.*/, "", s)
	put(s)
}

# Comments at a line's begin belong to what follows, until an empty line.
/^\/\*/ || comment {
	s = $0
	comment = s !~ /\*\//
	sub(/^\/\* */, "", s)
	sub(/^ \* ?/, "", s)
	sub(/ *\*\/.*/, "", s)
	above = above (above == "" ? "" : " ") s
	next
}
/^$/ { above = "" }
/^[a-z].*xv_[a-z_]+\(.*\);/ {
	s = $0
	behind = ""
	if (match(s, /\/\*.*\*\//)) {
		behind = substr(s, RSTART + 3, RLENGTH - 6)
		s = substr(s, 1, RSTART - 1)
	}
	if (part == "synopsis")
		declare(s)
	if (part == "functions") {
		describe(s, above (above != "" && behind != "" ? " " : "") behind)
	}
	above = ""
}

# A document of docs/ in Markdown, with what our documents use of it, as mdoc(7): headings, paragraphs, lists, tables, code, `code`,
# **bold** and [links](to). awk -f document.awk FILE

function escape(s) {
	gsub(/\\/, "\\e", s)
	gsub(/--/, "\\-\\-", s)
	return s
}

function plain(s) {
	gsub(/\]\([^)]*\)/, "", s)
	gsub(/\[/, "", s)
	gsub(/\]/, "", s)
	gsub(/`/, "", s)
	gsub(/\*\*/, "", s)
	return s
}

# `code` is bold, as literal words are in manual pages; the text of a link stays.
function inline(s,    out, m) {
	s = escape(s)
	while (match(s, /`[^`]*`|\*\*[^*]*\*\*|\[[^]`]*\]\([^)]*\)/)) {
		m = substr(s, RSTART, RLENGTH)
		out = out substr(s, 1, RSTART - 1)
		s = substr(s, RSTART + RLENGTH)
		if (m ~ /^`/)
			m = "\\fB" substr(m, 2, length(m) - 2) "\\fR"
		else if (m ~ /^\*/)
			m = "\\fI" substr(m, 3, length(m) - 4) "\\fR"
		else {
			sub(/\]\(.*/, "", m)
			m = substr(m, 2)
		}
		out = out m
	}
	return out s
}

# A sentence on a line. A dot at a line's begin is no macro.
function put(s,    n, i, line) {
	s = inline(s)
	while (match(s, /[^. ]\. [A-Za-z\\]/))
		s = substr(s, 1, RSTART + 1) "\n" substr(s, RSTART + 3)
	n = split(s, line, "\n")
	for (i = 1; i <= n; i++)
		print (line[i] ~ /^[.']/ ? "\\&" : "") line[i]
}

function flush(    s) {
	if (held == "")
		return
	s = held
	held = ""
	if (list) {
		print ".It"
	} else if (!fresh)
		print ".Pp"
	fresh = 0
	put(s)
}

function close_list() {
	flush()
	if (list)
		print ".El"
	list = ""
}

function open_list(kind) {
	if (list == kind)
		return
	close_list()
	print ".Bl -" kind " -compact"
	list = kind
	fresh = 0
}

# Rows with the first cell as the item; more cells behind it, each with its heading.
function table(line,    n, cell, i) {
	gsub(/\\\|/, "\002", line)
	n = split(line, cell, " *[|] *")
	if (line ~ /^\|[-| ]*$/)
		return
	if (!in_table) {
		close_list()
		in_table = 1
		for (i = 2; i < n; i++)
			heading[i] = cell[i]
		print ".Bl -tag -width Ds"
		return
	}
	gsub("\002", "|", cell[2])
	print ".It " shield(inline(cell[2]))
	for (i = 3; i < n; i++) {
		gsub("\002", "|", cell[i])
		put((n > 4 ? heading[i] " " : "") cell[i])
		if (i + 1 < n)
			print ".br"
	}
}

function shield(s) { gsub(/"/, "\\(dq", s); return "\"" s "\"" }

/^```/ {
	close_list()
	code = !code
	print code ? ".Bd -literal -offset indent" : ".Ed"
	fresh = 0
	next
}
code { s = escape($0); print (s ~ /^[.']/ ? "\\&" : "") s; next }
in_table && !/^\|/ { print ".El"; in_table = 0 }
/^# / { next }
/^## Errors$/ { close_list(); print ".Sh ERROR CODES"; fresh = 1; next } # ERRORS is a section of libraries' pages
/^## / { close_list(); print ".Sh " toupper(plain(substr($0, 4))); fresh = 1; next }
/^### / { close_list(); print ".Ss " plain(substr($0, 5)); fresh = 1; next }
/^For .*:/ && !begun { begun = 1; print ".Sh DESCRIPTION"; fresh = 1; held = $0; next }
/^\|/ { flush(); table($0); next }
/^[-*] / { flush(); open_list("bullet"); held = substr($0, 3); next }
/^[0-9]+\. / { flush(); open_list("enum"); sub(/^[0-9]+\. /, ""); held = $0; next }
/^  +[^ ]/ && list { sub(/^ +/, ""); held = held " " $0; next }
/^$/ { flush(); next }
{
	if (list && held == "")
		close_list()
	held = held (held == "" ? "" : " ") $0
}
END { close_list(); if (in_table) print ".El" }

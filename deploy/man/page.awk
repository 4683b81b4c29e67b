# A manual page in mdoc(7), from what a program prints with --help and a template:
#	awk -f page.awk -v name=NAME -v version=V -v date='Month D, YYYY' -v here=FOLDER-OF-THIS HELP TEMPLATE
# Lines of the template that are one of these words are replaced; all others are mdoc already.
#	@head       date, title and NAME            @options    the tables of options, or of commands, each with its group
#	@synopsis   the lines behind "usage:"       @examples   as they stand in the help
#	@about      the texts before the options    @codes      the exit codes as a list
#	@notes      the texts behind the examples   @config     options as lines of a file of options: groups, names and values
#	@options?   the same below the heading OPTIONS, where there are any
#	@with OPTION ... @end    for commands that have this option
#	@header PART, @document, @example    what header.awk, document.awk and the example make of the files header, document, example_file
# @title SECTION, the first line of a template, is the section; @describe TEXT is the page's one line.

function escape(s) {
	gsub(/\\/, "\\e", s)
	gsub(/"/, "\\(dq", s)
	gsub(/--/, "\\-\\-", s)
	return s
}

# A paragraph: a sentence begins a line, as mdoc wants it, and no line has over 80 bytes.
function put(s,    n, i, sentence) {
	s = escape(s)
	while (match(s, /[^.]\. [A-Z]/))
		s = substr(s, 1, RSTART + 1) "\n" substr(s, RSTART + 3)
	n = split(s, sentence, "\n")
	for (i = 1; i <= n; i++)
		fold(sentence[i])
}

function fold(s,    n, w, i, line) {
	n = split(s, w, " ")
	for (i = 1; i <= n; i++)
		if (line != "" && length(line) + 1 + length(w[i]) > 78) {
			print shield(line)
			line = w[i]
		} else
			line = line (line == "" ? "" : " ") w[i]
	if (line != "")
		print shield(line)
}

# What looks like a line of a macro is text.
function shield(line) {
	return (line ~ /^[.']/ ? "\\&" : "") line
}

# Words of macros that are punctuation to mdoc, or the name of a macro, get a shield.
function word(w) {
	w = escape(w)
	return w ~ /^([][(){}|.,:;?!]|[A-Z][a-z]|[A-Z][A-Z]?)$/ ? "\\&" w : w
}

# "--model, -m DIR" becomes "Fl -model , Fl m Ar DIR".
function flags(left,    out, i, n, w, comma) {
	n = split(left, w, " ")
	for (i = 1; i <= n; i++) {
		comma = sub(/,$/, "", w[i]) ? " ," : ""
		if (w[i] ~ /^-/)
			out = out " Fl " escape(substr(w[i], 2)) comma
		else
			out = out " Ar " word(w[i]) comma
	}
	return substr(out, 2)
}

function rows(which,    i, group) {
	group = ""
	for (i = 1; i <= n_rows; i++) {
		if (row_group[i] != group) {
			if (group != "")
				print ".El"
			group = row_group[i]
			if (group != "-")
				print ".Ss " group
			print ".Bl -tag -width Ds"
		}
		if (left[i] ~ /^-/)
			print ".It " flags(left[i])
		else
			print ".It Ic " word(left[i])
		put(text[i])
		if (left[i] !~ /^-/ && name == "xverse")
			print ".Pq Xr xverse-" left[i] " 1"
	}
	if (group != "")
		print ".El"
}

# Options of the command line alone are no lines of a file.
function config(    i, group, option, value) {
	group = ""
	for (i = 1; i <= n_rows; i++) {
		if (row_group[i] == "Other" || row_group[i] == "For tests")
			continue
		if (row_group[i] != group) {
			if (group != "")
				print ".El"
			group = row_group[i]
			print ".Ss " group
			print ".Bl -tag -width Ds"
		}
		option = left[i]
		value = ""
		if (match(option, / [^- ][^ ]*$/)) {
			value = substr(option, RSTART + 1)
			option = substr(option, 1, RSTART - 1)
		}
		sub(/,.*/, "", option)
		print ".It Cm " substr(option, 3) " : Ar " (value == "" ? "true | false" : word(value))
		put(text[i])
	}
	if (group != "")
		print ".El"
}

function synopsis(    i) {
	for (i = 1; i <= n_usage; i++)
		print_usage(usage[i])
}

# The program, then each word: [in brackets] is optional.
function print_usage(s,    n, w, i, part) {
	sub(/   +.*/, "", s) # a remark
	n = split(s, w, " ")
	i = 1
	if (name ~ /^xverse-./ && w[1] == "xverse") {
		print ".Nm xverse " w[2]
		i = 3
	} else {
		print ".Nm " w[1]
		i = 2
	}
	for (; i <= n; i++) {
		part = w[i]
		while (part ~ /^\[/ && part !~ /\]$/ && i < n)
			part = part " " w[++i]
		if (part ~ /^\[.*\]$/)
			print ".Op " arguments(substr(part, 2, length(part) - 2))
		else
			print "." arguments(part)
	}
}

function arguments(s,    n, w, i, out) {
	n = split(s, w, " ")
	for (i = 1; i <= n; i++)
		out = out (w[i] ~ /^-[^ ]/ ? " Fl " escape(substr(w[i], 2)) : w[i] == "|" ? " | " : " Ar " word(w[i]))
	gsub(/  +/, " ", out)
	return substr(out, 2)
}

# "... 0 done, 64 wrong usage; 69 no server, ..."
function codes(    s, n, part, i, number) {
	s = exit_text
	gsub(/, [0-9]+ /, "\001&", s)
	gsub(/; [0-9]+ /, "\001&", s)
	n = split(s, part, "\001")
	print ".Bl -tag -width Ds"
	for (i = 1; i <= n; i++) {
		sub(/^[,;] /, "", part[i])
		number = part[i]
		sub(/ .*/, "", number)
		sub(/^[0-9]+ /, "", part[i])
		print ".It " number
		put(part[i])
	}
	print ".El"
}

function examples(    i) {
	print ".Bd -literal -offset indent"
	for (i = 1; i <= n_examples; i++)
		print escape(example[i])
	print ".Ed"
}

function include(command,    line) {
	while ((command | getline line) > 0)
		print line
	if (close(command))
		exit 1
}

function paragraphs(kind,    i) {
	for (i = 1; i <= n_par; i++)
		if (par_kind[i] == kind) {
			if (i > 1 && par_kind[i - 1] == kind)
				print ".Pp"
			put(kind == "about" ? sentence(par[i]) : par[i])
		}
}

# "continue a text" becomes a sentence.
function sentence(s) {
	return toupper(substr(s, 1, 1)) substr(s, 2) (s ~ /[.:]$/ ? "" : ".")
}

# ---- the help ----
FNR == 1 { file++ }
file == 1 && /^usage: / { state = "usage"; usage[++n_usage] = substr($0, 8); about_kind = "about"; next }
file == 1 && state == "usage" && /^ +/ {
	sub(/^ +/, "")
	if ($1 ~ /^(xverse|mpirun)/)
		usage[++n_usage] = $0
	else
		usage[n_usage] = usage[n_usage] " " $0
	next
}
file == 1 && /^$/ { if (state != "examples") state = "gap"; else blank++; next }
file == 1 && /^[A-Z][A-Za-z ]*:$/ {
	group = substr($0, 1, length($0) - 1)
	state = group == "Examples" ? "examples" : "rows"
	next
}
file == 1 && state == "examples" && /^ / { example[++n_examples] = substr($0, 3); about_kind = "notes"; next }
file == 1 && /^           *[^ ]/ && n_rows { sub(/^ +/, ""); text[n_rows] = text[n_rows] (text[n_rows] == "" ? "" : " ") $0; next }
file == 1 && /^  [^ ]/ {
	row_group[++n_rows] = group == "" ? "-" : group
	s = substr($0, 3)
	if (match(s, /  +/)) {
		left[n_rows] = substr(s, 1, RSTART - 1)
		text[n_rows] = substr(s, RSTART + RLENGTH)
	} else
		left[n_rows] = s
	state = "rows"
	about_kind = "notes"
	next
}
file == 1 {
	if (state != "par" || /^(TERM|HUP|Exit code)/)
		par_kind[++n_par] = about_kind
	par[n_par] = par[n_par] (par[n_par] == "" ? "" : " ") $0
	state = "par"
	next
}

# ---- the template ----
file == 2 && FNR == 1 {
	for (i = 1; i <= n_par; i++)
		if (match(par[i], /Exit codes?: /)) {
			exit_text = substr(par[i], RSTART + RLENGTH)
			sub(/^that of the job \(/, "", exit_text)
			sub(/\)?\.$/, "", exit_text)
			par[i] = substr(par[i], 1, RSTART - 1)
			sub(/ +$/, "", par[i])
			if (par[i] == "")
				par_kind[i] = ""
		}
}
/^@title / { section = $2; next }
/^@describe / { about = substr($0, 11); next }
/^@head$/ {
	print ".Dd " date
	print ".Dt " toupper(name) " " section
	print ".Os xversed " version
	print ".Sh NAME"
	print ".Nm " name
	print ".Nd " (about == "" ? escape(par[1]) : about)
	next
}
/^@synopsis$/ { synopsis(); next }
/^@about$/ { paragraphs("about"); next }
/^@notes$/ { paragraphs("notes"); next }
/^@options$/ { rows(); next }
/^@options\?$/ { # with its heading, where there are any
	if (n_rows) {
		print ".Sh OPTIONS"
		rows()
	}
	next
}
/^@with / { # what follows, up to @end, is for those that have this option
	skip = 1
	for (i = 1; i <= n_rows; i++)
		if (index(left[i] " ", $2 " ") == 1)
			skip = 0
	next
}
/^@end$/ { skip = 0; next }
skip { next }
/^@header / { include("awk -v part=" $2 " -f " here "/header.awk " header); next }
/^@document$/ { include("awk -f " here "/document.awk " document); next }
/^@example$/ {
	print ".Bd -literal -offset indent"
	while ((getline line < example_file) > 0)
		print shield(escape(line))
	print ".Ed"
	next
}
/^@config$/ { config(); next }
/^@codes$/ { codes(); next }
/^@examples$/ { examples(); next }
{ gsub(/@version@/, version); print }

// highlight.js - colours of code, by a table of languages and one scanner whose time is linear in the text's length.
import { el } from "./dom.js";

const LONGEST_CODE = 100000; // characters; a longer text stays plain

const C_WORDS = "auto break case char const continue default do double else enum extern float for goto if inline int long register return short signed sizeof static struct switch typedef union unsigned void volatile while bool true false NULL size_t";
const JAVA_WORDS = "abstract assert boolean break byte case catch char class const continue default do double else enum extends final finally float for if implements import instanceof int interface long native new null package private protected public record return short static super switch synchronized this throw throws transient true false try var void volatile while";
const JS_WORDS = "async await break case catch class const continue debugger default delete do else export extends false finally for from function get if import in instanceof let new null of return set static super switch this throw true try typeof undefined var void while with yield";
const TS_WORDS = JS_WORDS + " abstract any as boolean declare enum implements interface is keyof namespace never number object private protected public readonly string symbol type unknown";

// line, block: comments. quotes: of strings that end with their line; long: of those that need not. fold: words in any case.
const SLASHES = { line: ["//"], block: ["/*", "*/"], quotes: "\"'" };
const HASH = { line: ["#"], quotes: "\"'" };
const languages = {
	c: { ...SLASHES, words: C_WORDS, hash: true },
	cpp: { ...SLASHES, words: C_WORDS + " alignas catch class constexpr decltype delete explicit final friend mutable namespace new noexcept nullptr operator override private protected public template this throw try typename using virtual std string vector co_await co_return", hash: true },
	csharp: { ...SLASHES, words: JAVA_WORDS + " as async await base bool decimal delegate event foreach in internal is lock namespace object operator out override params readonly ref sealed string struct using virtual where get set" },
	java: { ...SLASHES, words: JAVA_WORDS },
	kotlin: { ...SLASHES, long: ['"""'], words: "as break by class companion const constructor continue data do else enum false final for fun if import in init interface internal is it lateinit null object open override package private protected public return sealed super suspend this throw true try typealias val var when while" },
	swift: { ...SLASHES, long: ['"""'], words: "as associatedtype async await break case catch class continue default defer do else enum extension false fileprivate final for func guard if import in init inout internal is let mutating nil open override private protocol public return self static struct super switch throw throws true try typealias var where while" },
	javascript: { ...SLASHES, long: ["`"], words: JS_WORDS },
	typescript: { ...SLASHES, long: ["`"], words: TS_WORDS },
	go: { ...SLASHES, long: ["`"], words: "any bool break byte case chan const continue default defer else error fallthrough false float64 for func go goto if import int int64 interface iota len make map nil package range return rune select string struct switch true type uint8 var append" },
	rust: { line: ["//"], block: ["/*", "*/"], quotes: '"', words: "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type unsafe use where while i32 i64 u8 u32 u64 usize f32 f64 bool str String Vec Option Some None Result Ok Err Box" },
	php: { line: ["//", "#"], block: ["/*", "*/"], quotes: "\"'", words: "abstract array as break case catch class const continue declare default do echo else elseif extends false final finally fn for foreach function global if implements include interface match namespace new null private protected public readonly require return static switch this throw trait true try use var while" },
	python: { ...HASH, long: ['"""', "'''"], words: "and as assert async await break case class continue def del elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return self True try while with yield" },
	ruby: { ...HASH, words: "alias and begin break case class def defined do else elsif end ensure false for if in module next nil not or raise redo require rescue retry return self super then true undef unless until when while yield attr_accessor puts" },
	bash: { ...HASH, words: "case do done elif else esac export fi for function if in local read return set shift source then trap unset until while echo cd exit test printf sudo" },
	sql: { line: ["--"], block: ["/*", "*/"], quotes: "'\"", fold: true, words: "add all alter and as asc avg begin between bigint boolean by case check column commit constraint count create cross date default delete desc distinct drop else end exists foreign from full group having if in index inner insert int integer into is join key left like limit max min not null numeric offset on or order outer over partition primary references right rollback select set sum table text then timestamp union unique update using values varchar view when where with" },
	json: { quotes: '"', words: "true false null" },
	yaml: { ...HASH, words: "true false null yes no on off" },
	ini: { line: ["#", ";"], quotes: "\"'", words: "true false" },
	css: { block: ["/*", "*/"], quotes: "\"'", words: "import media supports important auto none inherit initial unset flex grid block inline absolute relative fixed sticky solid var calc root hover focus" },
	html: { block: ["<" + "!--", "--" + ">"], quotes: "\"'", tags: true, words: "" },
	diff: { lines: true },
};
const others = { h: "c", "c++": "cpp", cc: "cpp", cxx: "cpp", hpp: "cpp", cuda: "cpp", cu: "cpp", cs: "csharp", "c#": "csharp", kt: "kotlin", js: "javascript", jsx: "javascript", mjs: "javascript", node: "javascript",
	ts: "typescript", tsx: "typescript", golang: "go", rs: "rust", py: "python", python3: "python", py3: "python", rb: "ruby", sh: "bash", shell: "bash", zsh: "bash", console: "bash", make: "bash", makefile: "bash", dockerfile: "bash",
	mysql: "sql", postgresql: "sql", sqlite: "sql", jsonc: "json", json5: "json", yml: "yaml", toml: "ini", cfg: "ini", conf: "ini", scss: "css", less: "css", xml: "html", svg: "html", xhtml: "html", vue: "html", patch: "diff" };

const NUMBER = /(?:0[xX][\da-fA-F_]+|\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?)\w*/y, WORD = /[\p{L}_$@][\p{L}\p{N}_$]*/uy, TAG = /<\/?[\w:-]+/y, DIRECTIVE = /#[ \t]{0,20}\w+/y;
const wordSets = new Map();

function wordsOf(language) {
	if (!wordSets.has(language)) wordSets.set(language, new Set(languages[language].words.split(" ")));
	return wordSets.get(language);
}

const matchAt = (pattern, text, i) => {
	pattern.lastIndex = i;
	const m = pattern.exec(text);
	return m ? i + m[0].length : -1;
};

const untilText = (text, mark, from) => {
	const end = text.indexOf(mark, from);
	return end < 0 ? text.length : end + mark.length;
};

// The end of a string that begins at i, with its quote of n characters; a short one ends with its line.
function stringEnd(text, i, mark, short) {
	let p = i + mark.length;
	while (p < text.length && !text.startsWith(mark, p) && !(short && text[p] === "\n")) p += text[p] === "\\" ? 2 : 1;
	return Math.min(text.length, text.startsWith(mark, p) ? p + mark.length : p);
}

const isWordChar = (c) => c !== undefined && /[\p{L}\p{N}_$]/u.test(c);

// [class, end] of what begins at i; the class is null for plain text.
function partOf(text, i, kind, words) {
	const c = text[i];
	if (kind.block && text.startsWith(kind.block[0], i)) return ["com", untilText(text, kind.block[1], i + kind.block[0].length)];
	for (const mark of kind.line || []) if (text.startsWith(mark, i) && (mark !== "#" || !isWordChar(text[i - 1]) && !"$&{".includes(text[i - 1] || " "))) return ["com", untilText(text, "\n", i)];
	for (const mark of kind.long || []) if (text.startsWith(mark, i)) return ["str", stringEnd(text, i, mark, false)];
	if (kind.quotes && kind.quotes.includes(c)) return ["str", stringEnd(text, i, c, true)];
	if (kind.tags && c === "<") return ["key", Math.max(i + 1, matchAt(TAG, text, i))];
	if (kind.hash && c === "#") return ["key", Math.max(i + 1, matchAt(DIRECTIVE, text, i))];
	if (c >= "0" && c <= "9") return ["num", matchAt(NUMBER, text, i)];
	const end = matchAt(WORD, text, i);
	if (end < 0) return [null, i + 1];
	const word = text.slice(i, end);
	return [words.has(kind.fold ? word.toLowerCase() : word) ? "key" : text[end] === "(" ? "fun" : null, end];
}

const diffLines = (text) => text.split(/(?<=\n)/).map((line) => el("span", { class: line[0] === "+" ? "h-add" : line[0] === "-" ? "h-del" : line.startsWith("@@") ? "h-key" : null }, line));

// Returns the nodes of a code's text.
export function highlight(language, text) {
	const given = language.toLowerCase().split(/[\s,{:]/)[0], name = Object.hasOwn(others, given) ? others[given] : given;
	if (!Object.hasOwn(languages, name) || text.length > LONGEST_CODE) return [text];
	const kind = languages[name];
	if (kind.lines) return diffLines(text);
	const words = wordsOf(name), out = [];
	for (let i = 0, plain = 0; i < text.length; ) {
		const [is, end] = partOf(text, i, kind, words);
		if (is && i > plain) out.push(text.slice(plain, i));
		if (is) out.push(el("span", { class: "h-" + is }, text.slice(i, end)));
		if (is) plain = end;
		i = end;
		if (i >= text.length && plain < i) out.push(text.slice(plain));
	}
	return out;
}

// inline.js - code, emphasis and links inside a paragraph, found in one pass. An end that was not found is not searched for again, so
// the time is linear in the text's length, times the depth of nesting.
import { el } from "./dom.js";
import { formulaAt } from "./math.js";

const MAX_DEPTH = 8;

function safeAddress(text) {
	try {
		const url = new URL(text);
		return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
	} catch {
		return null;
	}
}

function linkNode(label, address) {
	const href = safeAddress(address);
	if (!href) return document.createTextNode(label);
	return el("a", { href, rel: "noopener noreferrer nofollow", target: "_blank" }, label);
}

const isSpace = (c) => c === undefined || /\s/.test(c);
const isWord = (c) => c !== undefined && /[\p{L}\p{N}]/u.test(c);

// `after`: what may not follow the end. A mark of one character does not touch another of its kind.
const emphasis = [
	{ mark: "**", tag: "strong", after: () => false },
	{ mark: "~~", tag: "del", after: () => false },
	{ mark: "*", tag: "em", after: (c) => c === "*" },
	{ mark: "_", tag: "em", after: (c) => c === "_" || isWord(c) },
];

// Where the emphasis that begins at `from` ends, or -1. `lost` holds for each mark where a search found no end.
function emphasisEnd(text, from, kind, lost) {
	const { mark, after } = kind, lone = mark.length === 1;
	const touches = (c) => isSpace(c) || (lone && c === mark);
	if (from >= (lost[mark] ?? Infinity) || touches(text[from])) return -1;
	for (let p = text.indexOf(mark, from + 1); p >= 0; p = text.indexOf(mark, p + 1))
		if (!touches(text[p - 1]) && !after(text[p + mark.length])) return p;
	lost[mark] = from;
	return -1;
}

function runLength(text, at) {
	let end = at;
	while (text[end] === text[at]) end++;
	return end - at;
}

// Code ends at the next run of as many backticks.
function codeEnd(text, from, n, lost) {
	if (from >= (lost["`" + n] ?? Infinity)) return -1;
	for (let p = text.indexOf("`", from); p >= 0;) {
		const run = runLength(text, p);
		if (run === n) return p;
		p = text.indexOf("`", p + run);
	}
	lost["`" + n] = from;
	return -1;
}

const unpadded = (code) => (code.length > 2 && code.startsWith(" ") && code.endsWith(" ") ? code.slice(1, -1) : code);

// Each of these reads at most a few thousand characters.
const bounded = [
	[/!?\[([^\]\n]{0,400})\]\(\s{0,20}<?([^\s)>]{1,2000})>?(?:\s{1,20}"[^"\n]{0,400}")?\s{0,20}\)/y, (m) => linkNode(m[1] || m[2], m[2])],
	[/<(https?:\/\/[^\s<>]{1,2000})>/y, (m) => linkNode(m[1], m[1])],
	[/https?:\/\/[^\s<>"'`，。；、）】]{0,2000}[^\s<>"'`，。；、）】.,;:!?)\]]/y, (m) => linkNode(m[0], m[0])],
	[/\\([\\`*_{}[\]()#+\-.!~|>])/y, (m) => m[1]],
];

function boundedAt(text, i) {
	for (const [form, make] of bounded) {
		form.lastIndex = i;
		const m = form.exec(text);
		if (m) return [i + m[0].length, make(m)];
	}
	return null;
}

// A run of backticks or spaces is read as a whole even if it has no meaning. Returns [where it ends, what it becomes].
function runAt(text, i, lost) {
	const n = runLength(text, i), end = i + n;
	if (text[i] === " ") return n > 1 && text[end] === "\n" ? [end + 1, el("br")] : [end, text.slice(i, end)];
	const close = codeEnd(text, end, n, lost);
	return close < 0 ? [end, text.slice(i, end)] : [close + n, el("code", {}, unpadded(text.slice(end, close)))];
}

function emphasisAt(text, i, depth, lost) {
	for (const kind of emphasis) {
		const from = i + kind.mark.length;
		if (!text.startsWith(kind.mark, i) || (kind.mark === "_" && isWord(text[i - 1]))) continue;
		const end = emphasisEnd(text, from, kind, lost);
		if (end >= 0) return [end + kind.mark.length, el(kind.tag, {}, inline(text.slice(from, end), depth + 1))];
	}
	return null;
}

function partAt(text, i, depth, lost) {
	const c = text[i];
	if (c === "`" || c === " ") return runAt(text, i, lost);
	if ("*_~".includes(c)) return emphasisAt(text, i, depth, lost);
	if (c === "$" || c === "\\") return formulaAt(text, i, lost) || (c === "$" ? null : boundedAt(text, i));
	return "![<h\\".includes(c) ? boundedAt(text, i) : null;
}

export function inline(text, depth = 0) {
	if (depth >= MAX_DEPTH) return [text];
	const out = [], lost = {};
	for (let i = 0; i < text.length;) {
		const [next, part] = partAt(text, i, depth, lost) || [i + 1, text[i]];
		if (typeof part === "string" && typeof out.at(-1) === "string") out[out.length - 1] += part;
		else out.push(part);
		i = next;
	}
	return out;
}

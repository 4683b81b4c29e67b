// math.js - formulas. KaTeX is loaded when the first one appears; until then, and where it fails, they are the text that they were
// written as. KaTeX's tree becomes nodes here, MathML only and by lists of tags and attributes: it gets no document to write to.
import { byId, el } from "./dom.js";

export const formulas = { loaded() {} };

const LONGEST_FORMULA = 2000, MOST_NODES = 2000, DEEPEST = 60; // characters of a formula, nodes of it, levels
const tags = new Set("math semantics annotation mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mlabeledtr mstyle mpadded mphantom menclose".split(" "));
const attributes = new Set("mathvariant mathcolor mathbackground mathsize displaystyle scriptlevel stretchy fence separator lspace rspace minsize maxsize symmetric movablelimits largeop accent accentunder linethickness width height depth voffset notation columnalign columnspacing columnlines rowspacing rowlines rowalign frame side display encoding".split(" "));
const NS = "http://www.w3.org/1998/Math/MathML";
const made = new Map();
let state = "absent";

function build(part, left, depth) {
	if (left.n-- <= 0 || depth > DEEPEST) throw new Error("too large");
	if (typeof part.text === "string" && !part.type) return [document.createTextNode(part.text)];
	if (part.character !== undefined) return [document.createTextNode(part.character)];
	const inside = () => (part.children || []).flatMap((c) => build(c, left, depth + 1));
	if (part.width !== undefined && !part.children) part = { type: "mspace", attributes: { width: Number(part.width) + "em" } };
	if (!part.type) return inside();
	if (!tags.has(part.type)) return inside();
	const node = document.createElementNS(NS, part.type);
	for (const [name, value] of Object.entries(part.attributes || {})) if (attributes.has(name)) node.setAttribute(name, String(value));
	node.append(...inside());
	return [node];
}

function render(tex, display) {
	try {
		const tree = katex.__renderToDomTree(tex, { displayMode: display, output: "mathml", throwOnError: true, strict: "ignore", trust: false, maxSize: 20, maxExpand: 100 });
		return build(tree, { n: MOST_NODES }, 0)[0];
	} catch {
		return null;
	}
}

// The script's tag, with the hash that the page's policy names, stands in the page; a copy of it runs.
function load() {
	const script = byId("katex-script").content.firstElementChild;
	state = script ? "loading" : "none";
	if (!script) return;
	const copy = document.importNode(script, true);
	copy.addEventListener("load", () => {
		state = typeof katex === "object" ? "here" : "none";
		copy.remove();
		formulas.loaded();
	});
	copy.addEventListener("error", () => (state = "none"));
	document.head.append(copy);
}

function formula(source, tex, display) {
	const box = (inside) => el("span", { class: display ? "formula display" : "formula" }, inside);
	if (state === "absent") load();
	if (state !== "here" || tex.length > LONGEST_FORMULA) return box(source);
	const key = (display ? "d" : "i") + tex;
	if (!made.has(key)) {
		if (made.size > 500) made.clear();
		made.set(key, render(tex, display));
	}
	const node = made.get(key);
	return box(node ? node.cloneNode(true) : source);
}

const forms = [["$$", "$$", true], ["\\[", "\\]", true], ["\\(", "\\)", false], ["$", "$", false]];
const blank = (c) => c === undefined || /\s/.test(c);

// A lone $ opens before what is no blank and closes behind what is none, and not before a digit: $5 and $10 are prices.
function formulaEnd(text, from, close) {
	for (let p = text.indexOf(close, from); p >= 0 && p - from <= LONGEST_FORMULA; p = text.indexOf(close, p + 1)) {
		if (close !== "$") return p;
		if (p > from && !blank(text[p - 1]) && text[p - 1] !== "\\" && !/\d/.test(text[p + 1] || " ")) return p;
	}
	return -1;
}

// [where it ends, node] of a formula that begins at i, or null. `lost` holds where no end was found.
export function formulaAt(text, i, lost) {
	for (const [open, close, display] of forms) {
		if (!text.startsWith(open, i)) continue;
		const from = i + open.length;
		if (from < (lost[open] ?? -1) || (open === "$" && blank(text[from]))) return null;
		const end = formulaEnd(text, from, close);
		if (end > from) return [end + close.length, formula(text.slice(i, end + close.length), text.slice(from, end), display)];
		if (end < 0) lost[open] = from + LONGEST_FORMULA / 2;
		return null;
	}
	return null;
}

const LINES = 60;
const environment = /^\\begin\{((?:align|equation|gather|alignat|multline|CD)\*?)\}/;

// The same of lines of their own, which may hold what Markdown would read otherwise: [number of lines, node].
export function formulaBlock(lines, i) {
	const first = lines[i].trimStart(), begin = environment.exec(first);
	const open = first.startsWith("$$") ? "$$" : first.startsWith("\\[") ? "\\[" : begin ? begin[0] : null;
	if (!open) return null;
	const close = open === "$$" ? "$$" : begin ? "\\end{" + begin[1] + "}" : "\\]";
	for (let k = i; k < Math.min(lines.length, i + LINES); k++) {
		const at = lines[k].indexOf(close, k === i ? lines[k].indexOf(open) + open.length : 0);
		if (at < 0) continue;
		if (lines[k].slice(at + close.length).trim()) return null;
		const source = lines.slice(i, k + 1).join("\n").trim();
		return [k - i + 1, el("p", {}, formula(source, begin ? source : source.slice(open.length, -close.length), true))];
	}
	return null;
}

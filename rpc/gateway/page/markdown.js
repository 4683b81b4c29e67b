// markdown.js - the Markdown that models write, built as nodes. HTML in it stays text, images are links, and links go only to
// http, https and mailto. Every pattern takes time linear in the length of its line, since the text is a model's.
import { el } from "./dom.js";
import { inline } from "./inline.js";
import { copyButton } from "./format.js";
import { highlight } from "./highlight.js";
import { formulaBlock } from "./math.js";
import { t } from "./words.js";

function codeBlock(language, lines) {
	const text = lines.join("\n");
	return el("figure", { class: "code" }, el("figcaption", {}, el("span", {}, language.slice(0, 40)), copyButton(text, t("openCopy"))),
		el("pre", { tabindex: "0" }, el("code", {}, highlight(language, text))));
}

const cellsOf = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((c) => c.trim().replace(/\\\|/g, "|"));

function tableBlock(lines) {
	const row = (line, tag) => el("tr", {}, cellsOf(line).map((c) => el(tag, {}, inline(c))));
	return el("div", { class: "wide-table" }, el("table", {}, el("thead", {}, row(lines[0], "th")),
		el("tbody", {}, lines.slice(2).map((line) => row(line, "td")))));
}

const item = /^( {0,8})([-*+]|\d{1,9}[.)])( +|$)(.*)$/;

function listBlock(lines, depth) {
	const first = item.exec(lines[0]);
	const ordered = /\d/.test(first[2]);
	const groups = [];
	for (const line of lines) {
		const m = item.exec(line);
		if (m && m[1].length <= first[1].length + 1) groups.push([m[4]]);
		else groups[groups.length - 1].push(line.replace(new RegExp("^ {0," + (first[1].length + first[2].length + 1) + "}"), ""));
	}
	const start = ordered ? parseInt(first[2], 10) : 1;
	return el(ordered ? "ol" : "ul", { start: start > 1 ? start : null }, groups.map((g) => {
		const inside = blocks(g, depth + 1);
		const lone = inside.length && inside[0].tagName === "P" ? [...inside[0].childNodes, ...inside.slice(1)] : inside;
		return el("li", {}, lone);
	}));
}

// The line under a table's head.
const dividesTable = (line) => line.includes("|") && cellsOf(line).every((c) => /^:?-+:?$/.test(c));

// The text of a heading without its closing run of #.
function headingText(text) {
	const bare = text.trimEnd();
	let end = bare.length;
	while (bare[end - 1] === "#") end--;
	return end === 0 ? "" : bare[end - 1] === " " ? bare.slice(0, end).trimEnd() : bare;
}

const opens = (line) => /^ {0,3}(```|~~~|\$\$|\\\[|#{1,6} |> ?|([-*_] *){3,}$)/.test(line) || item.test(line);

// The lines from `from` that `test` holds for.
function stretch(lines, from, test) {
	let to = from;
	while (to < lines.length && test(lines[to], to)) to++;
	return to;
}

function blockAt(lines, i, depth) {
	const line = lines[i], fence = /^ {0,3}(`{3,}|~{3,})/.exec(line);
	const head = /^ {0,3}(#{1,6}) /.exec(line);
	if (fence && !line.includes("`", fence[0].length)) {
		const to = stretch(lines, i + 1, (l) => !l.trim().startsWith(fence[1]));
		return [to + 1, codeBlock(line.slice(fence[0].length).trim(), lines.slice(i + 1, to))];
	}
	const formula = formulaBlock(lines, i);
	if (formula) return [i + formula[0], formula[1]];
	if (head) return [i + 1, el("h" + Math.min(6, head[1].length + 2), {}, inline(headingText(line.slice(head[0].length)).trimStart()))];
	if (/^ {0,3}([-*_])( *\1){2,} *$/.test(line)) return [i + 1, el("hr")];
	if (/^ {0,3}>/.test(line) && depth < 8) {
		const to = stretch(lines, i, (l) => /^ {0,3}>/.test(l));
		return [to, el("blockquote", {}, blocks(lines.slice(i, to).map((l) => l.replace(/^ {0,3}> ?/, "")), depth + 1))];
	}
	if (item.test(line) && depth < 8) {
		const to = stretch(lines, i + 1, (l, k) => item.test(l) || /^ {2,}\S/.test(l) || (l === "" && /^ {2,}\S/.test(lines[k + 1] || "")) ||
			(l !== "" && !opens(l)));
		return [to, listBlock(lines.slice(i, to), depth)];
	}
	if (line.includes("|") && dividesTable(lines[i + 1] || "")) {
		const to = stretch(lines, i + 2, (l) => l.includes("|"));
		return [to, tableBlock(lines.slice(i, to))];
	}
	const to = stretch(lines, i + 1, (l) => l.trim() !== "" && !opens(l));
	return [to, el("p", {}, inline(lines.slice(i, to).join("\n")))];
}

function blocks(lines, depth) {
	const out = [];
	for (let i = 0; i < lines.length;) {
		if (!lines[i].trim()) {
			i++;
			continue;
		}
		const [next, node] = blockAt(lines, i, depth);
		out.push(node);
		i = next;
	}
	return out;
}

export function markdown(text) {
	return blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

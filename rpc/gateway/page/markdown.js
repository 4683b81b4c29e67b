// markdown.js - the Markdown that models write, built as nodes. HTML in it stays text, images are links, and links go only to
// http, https and mailto.
import { el, button, copyText } from "./dom.js";
import { t } from "./words.js";

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

const inlineForms = [
	[/^(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)/, (m) => el("code", {}, m[2].replace(/^ (.*) $/, "$1"))],
	[/^\*\*(?=\S)([\s\S]*?\S)\*\*/, (m) => el("strong", {}, inline(m[1]))],
	[/^~~(?=\S)([\s\S]*?\S)~~/, (m) => el("del", {}, inline(m[1]))],
	[/^\*(?=[^\s*])([\s\S]*?[^\s*])\*(?!\*)/, (m) => el("em", {}, inline(m[1]))],
	[/^_(?=[^\s_])([\s\S]*?[^\s_])_(?![\p{L}\p{N}_])/u, (m) => el("em", {}, inline(m[1]))],
	[/^!?\[([^\]\n]{0,400})\]\(\s*<?([^\s)>]{1,2000})>?(?:\s+"[^"\n]*")?\s*\)/, (m) => linkNode(m[1] || m[2], m[2])],
	[/^<(https?:\/\/[^\s<>]{1,2000})>/, (m) => linkNode(m[1], m[1])],
	[/^https?:\/\/[^\s<>"'`，。；、）】]*[^\s<>"'`，。；、）】.,;:!?)\]]/, (m) => linkNode(m[0], m[0])],
	[/^\\([\\`*_{}[\]()#+\-.!~|>])/, (m) => m[1]],
	[/^ {2,}\n/, () => el("br")],
];

function inline(text, depth = 0) {
	const out = [];
	let plain = "", i = 0;
	const flush = () => {
		if (plain) out.push(plain);
		plain = "";
	};
	while (i < text.length) {
		const rest = text.slice(i, i + 5000);
		const before = i ? text[i - 1] : " ";
		const start = /[`*~_![<h\\ ]/.test(rest[0]) && !(rest[0] === "_" && /[\p{L}\p{N}]/u.test(before)) && depth < 8;
		let found = null;
		for (const [form, make] of start ? inlineForms : []) {
			const m = form.exec(rest);
			if (m) {
				found = [m[0].length, make(m)];
				break;
			}
		}
		if (found) {
			flush();
			out.push(found[1]);
			i += found[0];
		} else {
			plain += text[i++];
		}
	}
	flush();
	return out;
}

function codeBlock(language, lines) {
	const text = lines.join("\n");
	const copy = button(t("copy"), async () => {
		await copyText(text);
		copy.textContent = t("copied");
		setTimeout(() => (copy.textContent = t("copy")), 1500);
	}, { class: "small", "aria-label": t("openCopy") });
	return el("figure", { class: "code" }, el("figcaption", {}, el("span", {}, language.slice(0, 40)), copy),
		el("pre", { tabindex: "0" }, el("code", {}, text)));
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

const opens = (line) => /^ {0,3}(```|~~~|#{1,6} |> ?|([-*_] *){3,}$)/.test(line) || item.test(line);

// The lines from `from` that `test` holds for.
function stretch(lines, from, test) {
	let to = from;
	while (to < lines.length && test(lines[to], to)) to++;
	return to;
}

function blockAt(lines, i, depth) {
	const line = lines[i], fence = /^ {0,3}(`{3,}|~{3,}) *([^`]*)$/.exec(line);
	const head = /^ {0,3}(#{1,6}) +(.*?)(?: +#+)? *$/.exec(line);
	if (fence) {
		const to = stretch(lines, i + 1, (l) => !l.trim().startsWith(fence[1]));
		return [to + 1, codeBlock(fence[2].trim(), lines.slice(i + 1, to))];
	}
	if (head) return [i + 1, el("h" + Math.min(6, head[1].length + 2), {}, inline(head[2]))];
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
	if (line.includes("|") && /^ *\|?( *:?-+:? *\|)+ *:?-* *:? *\|? *$/.test(lines[i + 1] || "")) {
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

// tokens.js - generated tokens coloured by their probability, with their alternatives; and the tokenizer's view of any text.
import { byId, el, fill, button } from "./dom.js";
import { t } from "./words.js";
import { percentText, visible, countText } from "./format.js";
import { call } from "./api.js";
import { adviceNodes } from "./errors.js";
import { currentModel } from "./server.js";

const encoder = new TextEncoder();

// For a model without tokenizer.
export const isId = (name) => /^token_id:\d+$/.test(name);
export const idOf = (name) => Number(name.slice(9));

// Returns a token's bytes: the server names parts of characters bytes:\xe4\xbd and tokens without text token_id:7.
function tokenBytes(token) {
	if (isId(token)) return new Uint8Array(0);
	if (!/^bytes:(\\x[0-9a-f]{2})+$/.test(token)) return encoder.encode(token);
	return Uint8Array.from(token.slice(6).match(/[0-9a-f]{2}/g), (h) => parseInt(h, 16));
}

// The text that each token adds: one that ends inside a character adds it with the token that completes it.
export function tokenTexts(tokens) {
	const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
	return tokens.map((token) => decoder.decode(tokenBytes(token.t), { stream: true }));
}

// Five steps from sure to unlikely.
const shade = (logprob) => (logprob === null ? 0 : logprob > -0.1 ? 0 : logprob > -0.7 ? 1 : logprob > -1.6 ? 2 : logprob > -3 ? 3 : 4);

let owner = null;

export function hideHint() {
	byId("hint").hidden = true;
	if (owner) owner.removeAttribute("aria-describedby");
	owner = null;
}

const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

// Below the token, else above, beside it, or below the tools: inside the window, and over no tools or input.
function placeHint(anchor) {
	const hint = byId("hint"), box = anchor.getBoundingClientRect();
	hint.hidden = false;
	const w = hint.offsetWidth, h = hint.offsetHeight, log = byId("log").getBoundingClientRect();
	const rows = [...document.querySelectorAll("#log .tools, #log .cut")].map((n) => n.getBoundingClientRect()), kept = [...rows, byId("composer").getBoundingClientRect()];
	const left = Math.min(Math.max(8, box.left - 8), innerWidth - w - 8);
	const wide = Math.min(box.right + 8, innerWidth - w - 8), above = Math.min(...kept.map((k) => k.top), innerHeight) - h - 6;
	const under = Math.max(...rows.filter((k) => k.top < log.bottom && k.top >= box.top).map((k) => k.bottom), box.bottom) + 6;
	const places = [[left, box.bottom + 6], [left, box.top - h - 6], [wide, above], [Math.max(8, box.left - w - 8), above], [wide, 4], [left, 4], [left, under], [log.right - 8, box.top], [log.left - w + 8, box.top]];
	const fits = ([x, y]) => {
		const at = { left: x, right: x + w, top: y, bottom: y + h };
		return y >= 4 && at.bottom <= innerHeight - 4 && !meets(at, box) && !kept.some((k) => meets(at, k));
	};
	const [x, y] = places.find(fits) || [left, Math.max(4, box.top - h - 6)];
	hint.style.left = x + "px";
	hint.style.top = y + "px";
}

function showHint(anchor, token, at, choose) {
	const rows = [...(token.top || [])].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([name, logprob]) => {
		const text = isId(name) ? name.slice(9) : /^bytes:/.test(name) ? name.slice(6) : visible(name);
		const bar = el("span", { class: "bar" });
		bar.style.setProperty("--p", Math.max(0.01, Math.exp(logprob)));
		const inside = [el("span", { class: "tok" }, text), bar, el("span", { class: "num" }, percentText(logprob))];
		const usable = choose && !/^bytes:/.test(name);
		return el("li", { class: name === token.t ? "own" : null }, usable ? el("button", {
			type: "button", "aria-label": t("from", { t: text }) + ", " + percentText(logprob), on: { click: () => choose(at, name) },
		}, inside) : el("span", { class: "as-button" }, inside));
	});
	fill(byId("hint"), el("p", { class: "hint-head" }, t("alternatives")), el("ul", {}, rows),
		choose ? el("p", { class: "fine" }, t("clickHint")) : null);
	if (owner) owner.removeAttribute("aria-describedby");
	owner = anchor;
	anchor.setAttribute("aria-describedby", "hint");
	placeHint(anchor);
}

let closing = 0;
const keepHint = () => clearTimeout(closing);
const leaveHint = () => {
	clearTimeout(closing);
	closing = setTimeout(hideHint, 400);
};

// Text that grows under a resting pointer, or is redrawn there, enters it without a move.
let lastPlace = null;
const movesFrom = (e) => (lastPlace ? e.screenX !== lastPlace.x || e.screenY !== lastPlace.y : e.movementX !== 0 || e.movementY !== 0);

export function watchHint() {
	document.addEventListener("pointermove", (e) => (lastPlace = { x: e.screenX, y: e.screenY }));
	const hint = byId("hint");
	hint.addEventListener("pointerenter", keepHint);
	hint.addEventListener("pointerleave", leaveHint);
	document.addEventListener("scroll", hideHint, true);
	document.addEventListener("pointerdown", (e) => {
		if (owner && !hint.contains(e.target) && !owner.contains(e.target)) hideHint();
	});
}

// One token; choose(at, name) continues from token `at` with the one of that name in its place.
export function tokenNode(token, text, at, choose) {
	const node = el("span", {
		class: "t s" + shade(token.lp), role: choose ? "button" : null, tabindex: choose ? "-1" : null, data: { at }, "aria-label": text.trim() ? null : visible(text) || "·",
	}, text);
	let touched = false;
	const show = () => {
		keepHint();
		showHint(node, token, at, choose);
	};
	node.addEventListener("pointermove", (e) => e.pointerType !== "touch" && owner !== node && movesFrom(e) && show());
	node.addEventListener("pointerleave", (e) => e.pointerType !== "touch" && leaveHint());
	node.addEventListener("pointerdown", (e) => (touched = e.pointerType === "touch"));
	node.addEventListener("focus", () => node.matches(":focus-visible") && show());
	node.addEventListener("click", () => {
		if (touched || !choose) show();
		else choose(at, token.t);
	});
	return node;
}

// Arrow keys go from token to token; Enter opens the alternatives.
export function tokenKeys(e) {
	const here = e.target.closest(".t");
	if (!here) return;
	const all = [...here.parentNode.querySelectorAll(".t")], i = all.indexOf(here);
	const to = e.key === "ArrowRight" ? i + 1 : e.key === "ArrowLeft" ? i - 1 : e.key === "Home" ? 0 : e.key === "End" ? all.length - 1 : -1;
	if (to >= 0 && to < all.length) {
		all[to].focus();
		e.preventDefault();
	} else if (e.key === "Enter" || e.key === " ") {
		const first = byId("hint").querySelector("button");
		if (first) first.focus();
		e.preventDefault();
	}
}

// ---- the tokenizer's view ----

// A vocabulary's sign for the space is one byte of the text; <0x0A> is the byte itself.
function hexBytes(piece, text) {
	const raw = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece);
	if (raw && !text.includes(piece)) return raw[1].toLowerCase();
	return hexOf(text.includes("\u2581") ? piece : piece.replace(/\u2581/g, " "));
}

function hexOf(text) {
	return [...encoder.encode(text)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
}

async function splitText(text, special, out) {
	if (!text) {
		fill(out);
		return;
	}
	try {
		const j = await call("POST", "/tokenize", { model: currentModel(), prompt: text, add_special_tokens: special, return_token_strs: true });
		const pieces = j.token_strs || j.tokens.map(() => "");
		fill(out, el("p", { class: "fine" }, t("tokenCount", { n: countText(j.count), b: countText(encoder.encode(text).length), c: countText([...text].length) })),
			el("p", { class: "pieces", "aria-hidden": "true" }, pieces.slice(0, 2000).map((p, i) => el("span", { class: "p" + (i % 5) }, visible(p)))),
			el("table", { class: "ids" }, el("thead", {}, el("tr", {}, ["piece", "id", "bytes"].map((k) => el("th", { scope: "col" }, t(k))))),
				el("tbody", {}, j.tokens.slice(0, 500).map((id, i) => el("tr", {}, el("td", {}, visible(pieces[i])), el("td", {}, String(id)),
					el("td", {}, hexBytes(pieces[i], text)))))));
	} catch (e) {
		fill(out, el("div", { class: "bad" }, adviceNodes(e.status ?? 0, e.code, e.message)));
	}
}

export function showTokenizer() {
	const pane = byId("pane-tokens"), old = pane.querySelector("textarea");
	const out = el("div", { "aria-live": "polite" });
	const area = el("textarea", { id: "token-text", rows: 4, spellcheck: "false", value: old ? old.value : t("sampleText") });
	const special = el("input", { type: "checkbox", id: "token-special", checked: true });
	let timer = 0;
	const soon = () => {
		clearTimeout(timer);
		timer = setTimeout(() => splitText(area.value, special.checked, out), 150);
	};
	area.addEventListener("input", soon);
	special.addEventListener("change", soon);
	fill(pane, el("label", { for: "token-text" }, t("tokenText")), area,
		el("label", { class: "default" }, special, el("span", {}, t("special"))), out);
	soon();
}

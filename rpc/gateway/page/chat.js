// chat.js - the turns of a chat.
import { el, fill, button, fit } from "./dom.js";
import { t } from "./words.js";
import { pref } from "./store.js";
import { copyButton, countText } from "./format.js";
import { markdown } from "./markdown.js";
import { fileNodes } from "./files.js";
import { tokenKeys } from "./tokens.js";
import { app, pathOf, addNode, siblings, chooseVariant } from "./conversation.js";
import { runOf, runningNode, generate, regenerate, goOn } from "./run.js";
import { errorNode, emptyNode, tokenNodes, reachTokens, probabilityBox } from "./completion.js";
import { receiptTools } from "./receipt.js";
import { partNodes, partCount, fillParts, resultBoxes } from "./calls.js";
import { modelInfo } from "./server.js";

// ‹ 2/3 › and the switch to all of them.
export function variantTools(conv, node, beside, toggle) {
	const all = siblings(conv, node), i = all.indexOf(node);
	if (all.length < 2) return [];
	return [el("span", { class: "variants" },
		button("‹", () => chooseVariant(conv, node, i - 1), { "aria-label": t("previous"), class: "small", disabled: i === 0 }),
		el("span", { class: "num" }, i + 1 + "/" + all.length),
		button("›", () => chooseVariant(conv, node, i + 1), { "aria-label": t("next"), class: "small", disabled: i === all.length - 1 })),
	button(beside ? t("one") : t("variants"), toggle, { class: "small", "aria-pressed": String(Boolean(beside)) })];
}

export function besideNode(conv, node, draw) {
	return el("div", { class: "beside" }, siblings(conv, node).map((n, i) => el("section", { class: n === node ? "chosen" : null, "aria-label": t("variant", { n: i + 1 }) },
		el("h3", {}, t("variant", { n: i + 1 })), el("div", { class: "body" }, draw(n)),
		n === node ? null : button(t("choose"), () => chooseVariant(conv, n, i), { class: "small" }))));
}

// Under an answer that a limit ended: which, and the way on where there is one.
export function cutNode(conv, node) {
	if (node.finish !== "length" || runOf(conv)) return null;
	const s = node.stats, most = (modelInfo() || {}).max_model_len;
	if (most && (s.promptTokens || 0) + s.count >= most) return el("p", { class: "cut" }, t("cutContext", { n: countText(most) }));
	return el("p", { class: "cut" }, t("cutLength", { n: countText(s.count) }), " ", button(t("goOn"), () => goOn(conv, node), {}));
}

const beside = new Set();
const toggleBeside = (node) => {
	if (!beside.delete(node.parent)) beside.add(node.parent);
	app.refresh();
};

function editTurn(conv, node, turn) {
	const area = el("textarea", { value: node.content, rows: 3, "aria-label": t("edit") });
	const save = () => {
		const fresh = addNode(conv, node.parent, { role: node.role, content: area.value.trim(), files: node.files });
		generate(conv, addNode(conv, fresh.id, { role: "assistant", ids: [], tokens: [] }));
	};
	area.addEventListener("keydown", (e) => {
		if (e.isComposing || e.keyCode === 229) return;
		if (e.key === "Enter" && !e.shiftKey) {
			e.preventDefault();
			save();
		} else if (e.key === "Escape") {
			e.stopPropagation();
			app.refresh();
		}
	});
	fill(turn, area, el("div", { class: "tools open" }, button(t("saveSend"), save, { class: "main" }), button(t("cancel"), () => app.refresh())));
	turn.classList.add("editing");
	fit(area);
	area.focus();
}

function userTurn(conv, node) {
	const who = t(node.role === "user" ? "you" : "toolSaid") + (node.name ? ": " + node.name : "");
	const turn = el("article", { class: "turn user" + (node.role === "user" ? "" : " exec"), "aria-label": who, data: { id: node.id } });
	const edit = button(t("edit"), () => editTurn(conv, node, turn), { class: "small", disabled: Boolean(runOf(conv)) });
	return fill(turn, el("div", { class: "who" }, who), fileNodes(node.files), node.content ? el("div", { class: "body plain" }, node.content) : null,
		el("div", { class: "tools" }, variantTools(conv, node, false, () => {}).slice(0, 1), copyButton(node.content), edit));
}

const inTokens = (node) => pref("colours") === true && node.tokens.length > 0;
const answer = (conv, node) => (inTokens(node) ? tokenNodes(conv, node, 0) : markdown(node.content));

function modelTurn(conv, node) {
	const running = runningNode(conv, node), all = beside.has(node.parent) && siblings(conv, node).length > 1;
	const body = all ? besideNode(conv, node, (n) => markdown(n.content)) : inTokens(node) ? reachTokens(el("div", { class: "body manuscript", on: { keydown: tokenKeys } }, answer(conv, node)))
		: el("div", { class: "body" }, answer(conv, node));
	const [receiptButton, receipt] = !running && node.plan && node.fingerprint ? receiptTools(node) : [null, null];
	return el("article", { class: "turn model" + (running ? " running" : ""), "aria-label": t("assistant"), "aria-busy": running ? "true" : null, data: { id: node.id } },
		el("div", { class: "who" }, t("assistant")), el("div", { class: "parts" }, partNodes(node)), body, resultBoxes(conv, node), node.error ? errorNode(conv, node) : cutNode(conv, node),
		running ? null : el("div", { class: "tools" }, variantTools(conv, node, all, () => toggleBeside(node)), copyButton(node.content),
			button(t("again"), () => regenerate(conv, node), { class: "small" }),
			node.content && !node.error ? button(t("goOn"), () => goOn(conv, node), { class: "small" }) : null, receiptButton, node.tokens.length ? probabilityBox() : null), receipt);
}

export function showChat(log, conv) {
	const turns = pathOf(conv).map((n) => (n.role === "assistant" ? modelTurn(conv, n) : userTurn(conv, n)));
	fill(log, turns.length ? turns : emptyNode("chat"));
}

export function updateChat(log, conv, node) {
	const turn = log.querySelector('[data-id="' + node.id + '"]');
	if (!turn || !turn.querySelector(".body")) return;
	fill(turn.querySelector(".body"), answer(conv, node));
	const parts = turn.querySelector(".parts");
	if (parts.childElementCount === partCount(node)) fillParts(parts, node);
	else fill(parts, partNodes(node));
}

// exec: the result of a tool, a message of its own before the user's.
export function say(conv, text, files, exec) {
	const path = pathOf(conv);
	let last = path.length ? path[path.length - 1].id : "root";
	if (exec) last = addNode(conv, last, { role: "exec", content: exec }).id;
	if (text || files.length) last = addNode(conv, last, { role: "user", content: text, ...(files.length ? { files } : {}) }).id;
	return generate(conv, addNode(conv, last, { role: "assistant", ids: [], tokens: [] }));
}

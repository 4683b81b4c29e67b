// chat.js - the turns of a chat.
import { el, fill, button, fit } from "./dom.js";
import { t } from "./words.js";
import { markdown } from "./markdown.js";
import { app, pathOf, addNode, siblings, chooseVariant, generate, regenerate, goOn } from "./conversation.js";
import { copyButton, errorNode, emptyNode } from "./completion.js";
import { receiptNode } from "./receipt.js";

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

const beside = new Set();
const toggleBeside = (node) => {
	if (!beside.delete(node.parent)) beside.add(node.parent);
	app.refresh();
};

function editTurn(conv, node, turn) {
	const area = el("textarea", { value: node.content, rows: 3, "aria-label": t("edit") });
	const save = () => {
		const fresh = addNode(conv, node.parent, { role: "user", content: area.value.trim() });
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
	fill(turn, area, el("div", { class: "tools" }, button(t("saveSend"), save, { class: "main" }), button(t("cancel"), () => app.refresh())));
	fit(area);
	area.focus();
}

function userTurn(conv, node) {
	const turn = el("article", { class: "turn user", "aria-label": t("you"), data: { id: node.id } });
	const edit = button(t("edit"), () => editTurn(conv, node, turn), { class: "small", disabled: Boolean(app.run) });
	return fill(turn, el("div", { class: "who" }, t("you")), el("div", { class: "body plain" }, node.content),
		el("div", { class: "tools" }, variantTools(conv, node, false, () => {}).slice(0, 1), copyButton(node.content), edit));
}

function modelTurn(conv, node) {
	const running = app.run && app.run.node === node, all = beside.has(node.parent) && siblings(conv, node).length > 1;
	const body = all ? besideNode(conv, node, (n) => markdown(n.content)) : el("div", { class: "body" }, markdown(node.content));
	return el("article", { class: "turn model" + (running ? " running" : ""), "aria-label": t("assistant"), "aria-busy": running ? "true" : null, data: { id: node.id } },
		el("div", { class: "who" }, t("assistant")), body, node.error ? errorNode(conv, node) : null,
		running ? null : el("div", { class: "tools" }, variantTools(conv, node, all, () => toggleBeside(node)), copyButton(node.content),
			button(t("again"), () => regenerate(conv, node), { class: "small" }),
			node.content && !node.error ? button(t("goOn"), () => goOn(conv, node), { class: "small" }) : null),
		!running && node.plan && node.fingerprint ? receiptNode(node) : null);
}

export function showChat(log, conv) {
	const turns = pathOf(conv).map((n) => (n.role === "user" ? userTurn(conv, n) : modelTurn(conv, n)));
	fill(log, turns.length ? turns : emptyNode("chat"));
}

export function updateChat(log, node) {
	const turn = log.querySelector('[data-id="' + node.id + '"]');
	if (turn && turn.querySelector(".body")) fill(turn.querySelector(".body"), markdown(node.content));
}

export function say(conv, text) {
	const path = pathOf(conv), last = path.length ? path[path.length - 1].id : "root";
	const user = addNode(conv, last, { role: "user", content: text });
	return generate(conv, addNode(conv, user.id, { role: "assistant", ids: [], tokens: [] }));
}

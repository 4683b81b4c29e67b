// completion.js - the text that a model continues: prompt and what was generated, token by token.
import { byId, el, fill, button, copyText, fit } from "./dom.js";
import { t } from "./words.js";
import { pref } from "./store.js";
import { tokenNode, tokenTexts, tokenKeys, isId, idOf } from "./tokens.js";
import { app, addNode, siblings, generate, regenerate, goOn, branchAt } from "./conversation.js";
import { receiptNode } from "./receipt.js";
import { variantTools, besideNode } from "./chat.js";

export function copyButton(text) {
	const b = button(t("copy"), async () => {
		await copyText(text);
		b.textContent = t("copied");
		setTimeout(() => (b.textContent = t("copy")), 1500);
	}, { class: "small" });
	return b;
}

export function errorNode(conv, node) {
	const more = node.errorStatus === 501 && conv.mode === "chat" ? t("noChat") : node.errorStatus === 401 ? t("needKey") : null;
	return el("div", { class: "error", role: "alert" }, el("strong", {}, t("failed") + ":"), " ", node.error, more ? el("p", {}, more) : null,
		el("div", { class: "tools" }, node.errorStatus === 501 ? button(t("toText"), () => document.querySelector('[name=mode][value="text"]').click(), { class: "small" })
			: button(t("retry"), () => (node.content ? goOn(conv, node) : generate(conv, node)), { class: "small" })));
}

export function emptyNode(mode) {
	const use = (key) => button(t(key), () => {
		byId("input").value = t(key);
		byId("input").dispatchEvent(new Event("input"));
		byId("input").focus();
	}, { class: "sample" });
	return el("div", { class: "empty" }, el("p", { class: "large" }, t(mode === "chat" ? "emptyChat" : "emptyText")),
		el("p", {}, t(mode === "chat" ? "emptyChatMore" : "emptyTextMore")), mode === "text" ? el("p", { class: "samples" }, use("sampleText"), use("sampleText2")) : null);
}

// The node's tokens as far as they make up its content: a stop string held back or cut off is not shown. Text that belongs to no
// token (bytes that are not characters) is plain.
function tokenNodes(conv, node, from) {
	const choose = (k, name) => branchAt(conv, node, k, name);
	if (!node.content && node.tokens.every((k) => isId(k.t))) return node.tokens.slice(from).map((k, i) => tokenNode(k, " " + idOf(k.t), from + i, choose));
	const texts = tokenTexts(node.tokens), out = [];
	let at = 0;
	for (let i = 0; i < texts.length && at < node.content.length; i++) {
		const rest = node.content.slice(at, at + texts[i].length);
		if (!texts[i].startsWith(rest)) break;
		if (i >= from && rest) out.push(tokenNode(node.tokens[i], rest, i, choose));
		at += rest.length;
	}
	if (at < node.content.length) out.push(el("span", { class: "generated" }, node.content.slice(at)));
	return out;
}

const plainOutput = (node) => [el("span", { class: "generated" }, node.content)];
const output = (conv, node) => (pref("colours") !== false && node.tokens.length && tokenNodes(conv, node, 0)) || plainOutput(node);

function reachTokens(box) {
	const first = box.querySelector(".t");
	if (first) first.tabIndex = 0;
	return box;
}

const promptNode = (node) => el("span", { class: "prompt" }, node.prompt);

function legend() {
	const box = el("input", { type: "checkbox", checked: pref("colours") !== false });
	box.addEventListener("change", () => {
		pref("colours", box.checked);
		app.refresh();
	});
	return el("label", { class: "default colours" }, box, el("span", {}, t("colours")), el("span", { class: "scale", "aria-hidden": "true" },
		["> 90 %", "50", "20", "5", "<"].map((text, i) => el("span", { class: "t s" + i }, text))));
}

let allBeside = false;

export function showText(log, conv) {
	const root = conv.nodes.root, node = conv.nodes[root.children[root.at]];
	if (!node) {
		fill(log, emptyNode("text"));
		return;
	}
	const running = app.run && app.run.node === node, all = allBeside && siblings(conv, node).length > 1;
	const body = all ? besideNode(conv, node, (n) => [promptNode(n), ...output(conv, n)])
		: reachTokens(el("div", { class: "body manuscript", on: { keydown: tokenKeys } }, promptNode(node), output(conv, node)));
	const asPrompt = () => {
		const input = byId("input");
		input.value = node.prompt + node.content;
		fit(input);
		input.focus();
	};
	fill(log, el("article", { class: "turn text" + (running ? " running" : ""), "aria-busy": running ? "true" : null, data: { id: node.id } }, body,
		node.error ? errorNode(conv, node) : null,
		running ? null : el("div", { class: "tools" }, variantTools(conv, node, all, () => {
			allBeside = !allBeside;
			app.refresh();
		}), copyButton(node.prompt + (node.content || " " + (node.ids || []).join(" "))), button(t("again"), () => regenerate(conv, node), { class: "small" }),
		node.content || node.tokens.length ? button(t("goOn"), () => goOn(conv, node), { class: "small" }) : null, button(t("asPrompt"), asPrompt, { class: "small" }), legend()),
		!running && node.plan && node.fingerprint ? receiptNode(node) : null));
}

export function updateText(log, conv, node) {
	const body = log.querySelector('[data-id="' + node.id + '"] .manuscript');
	if (!body) return;
	const shown = [...body.querySelectorAll(".t")].length;
	const last = shown ? Number(body.lastChild.dataset.at) + 1 : 0;
	const fresh = pref("colours") !== false && shown === body.childElementCount - 1 && node.tokens.length ? tokenNodes(conv, node, last) : null;
	if (fresh) body.append(...fresh);
	else fill(body, promptNode(node), output(conv, node));
}

export function write(conv, prompt) {
	return generate(conv, addNode(conv, "root", { role: "text", prompt, ids: [], tokens: [] }));
}

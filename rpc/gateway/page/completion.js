// completion.js - the text that a model continues: prompt and what was generated, token by token.
import { byId, el, fill, button, fit } from "./dom.js";
import { t } from "./words.js";
import { pref } from "./store.js";
import { copyButton } from "./format.js";
import { tokenNode, tokenTexts, tokenKeys, isId, idOf } from "./tokens.js";
import { advice, adviceNodes } from "./errors.js";
import { app, addNode, siblings } from "./conversation.js";
import { runningNode, generate, regenerate, goOn, branchAt } from "./run.js";
import { receiptTools } from "./receipt.js";
import { variantTools, besideNode, cutNode } from "./chat.js";
import { modelInfo } from "./server.js";

export function errorNode(conv, node) {
	const [, help] = advice(node.errorStatus, node.errorCode, node.error);
	const way = help === "text" ? button(t("toText"), () => document.querySelector('[name=mode][value="text"]').click(), {})
		: help === "new" ? button(t("new"), () => byId("new").click(), {})
			: help === "again" ? button(t("retry"), () => (node.content ? goOn(conv, node) : generate(conv, node)), {}) : null;
	return el("div", { class: "error", role: "alert" }, adviceNodes(node.errorStatus, node.errorCode, node.error), way);
}

// Why the page offers no chat, with what the server says to who runs it.
function noChatNode() {
	const info = modelInfo();
	if (!info || info.chat !== "" || !info.no_chat) return null;
	return el("div", { class: "why" }, el("p", {}, t("chatOff")), el("details", { class: "operator" }, el("summary", {}, t("details")), el("p", {}, info.no_chat)));
}

export function emptyNode(mode) {
	const use = (key) => button(t(key), () => {
		byId("input").value = t(key);
		byId("input").dispatchEvent(new Event("input"));
		byId("input").focus();
	}, { class: "sample" });
	const chat = mode === "chat", samples = chat ? ["sampleChat", "sampleChat2", "sampleChat3"] : ["sampleText", "sampleText2"];
	return el("div", { class: "empty" }, el("p", { class: "large" }, t(chat ? "emptyChat" : "emptyText")), el("p", {}, t(chat ? "emptyChatMore" : "emptyTextMore")),
		el("p", { class: "samples" }, samples.map(use)), chat ? null : noChatNode());
}

// The node's tokens as far as they make up its content: a stop string held back or cut off is not shown. Text that belongs to no
// token (bytes that are not characters) is plain.
export function tokenNodes(conv, node, from) {
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
const output = (conv, node) => (pref("colours") === true && node.tokens.length && tokenNodes(conv, node, 0)) || plainOutput(node);

export function reachTokens(box) {
	const first = box.querySelector(".t");
	if (first) first.tabIndex = 0;
	return box;
}

const promptNode = (node) => el("span", { class: "prompt" }, node.prompt);

// The switch of probabilities and, where they are shown, what the colours mean.
export function probabilityBox() {
	const on = pref("colours") === true, box = el("input", { type: "checkbox", checked: on });
	box.addEventListener("change", () => {
		pref("colours", box.checked);
		app.refresh();
	});
	return el("label", { class: "default colours" }, box, el("span", {}, t("colours")), on ? el("span", { class: "scale" }, t("coloursMean") + " ",
		["> 90 %", "> 50 %", "> 20 %", "> 5 %", "< 5 %"].map((text, i) => el("span", { class: "t s" + i }, text))) : null);
}

let allBeside = false;

export function showText(log, conv) {
	const root = conv.nodes.root, node = conv.nodes[root.children[root.at]];
	if (!node) {
		fill(log, emptyNode("text"));
		return;
	}
	const running = runningNode(conv, node), all = allBeside && siblings(conv, node).length > 1;
	const body = all ? besideNode(conv, node, (n) => [promptNode(n), ...output(conv, n)])
		: reachTokens(el("div", { class: "body manuscript", on: { keydown: tokenKeys } }, promptNode(node), output(conv, node)));
	const asPrompt = () => {
		const input = byId("input");
		input.value = node.prompt + node.content;
		fit(input);
		input.focus();
	};
	const [receiptButton, receipt] = !running && node.plan && node.fingerprint ? receiptTools(node) : [null, null];
	fill(log, el("article", { class: "turn text" + (running ? " running" : ""), "aria-busy": running ? "true" : null, data: { id: node.id } }, body,
		node.error ? errorNode(conv, node) : cutNode(conv, node),
		running ? null : el("div", { class: "tools" }, variantTools(conv, node, all, () => {
			allBeside = !allBeside;
			app.refresh();
		}), copyButton(node.prompt + (node.content || " " + (node.ids || []).join(" "))), button(t("again"), () => regenerate(conv, node), { class: "small" }),
		node.content || node.tokens.length ? button(t("goOn"), () => goOn(conv, node), { class: "small" }) : null, button(t("asPrompt"), asPrompt, { class: "small" }), receiptButton,
		node.tokens.length ? probabilityBox() : null), receipt));
}

export function updateText(log, conv, node) {
	const body = log.querySelector('[data-id="' + node.id + '"] .manuscript');
	if (!body) return;
	const shown = [...body.querySelectorAll(".t")].length;
	const last = shown ? Number(body.lastChild.dataset.at) + 1 : 0;
	const fresh = pref("colours") === true && shown === body.childElementCount - 1 && node.tokens.length ? tokenNodes(conv, node, last) : null;
	if (fresh) body.append(...fresh);
	else fill(body, promptNode(node), output(conv, node));
}

export function write(conv, prompt) {
	return generate(conv, addNode(conv, "root", { role: "text", prompt, ids: [], tokens: [] }));
}

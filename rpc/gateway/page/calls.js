// calls.js - what an answer holds beside its text, folded: reasoning, and calls of tools, whose results can be given.
import { el, fill, button } from "./dom.js";
import { t } from "./words.js";
import { addNode, pathOf } from "./conversation.js";
import { runOf, generate } from "./run.js";

// Adds what a delta of the stream says; returns whether it said something.
export function takeDelta(node, delta) {
	const thought = delta.reasoning_content ?? delta.reasoning ?? "", calls = delta.tool_calls || [];
	if (thought) node.reasoning = (node.reasoning || "") + thought;
	for (const c of calls) {
		node.calls ||= [];
		const one = (node.calls[c.index] ||= { id: c.id, name: "", args: "" });
		if (c.function && c.function.name) one.name = c.function.name;
		if (c.function && c.function.arguments) one.args += c.function.arguments;
	}
	return Boolean(thought) || calls.length > 0;
}

const pretty = (args) => {
	try {
		return JSON.stringify(JSON.parse(args), null, 2);
	} catch {
		return args;
	}
};

// The texts inside, so that a stream can fill them in place.
export function fillParts(box, node) {
	const thought = box.querySelector(".reasoning pre");
	if (thought) fill(thought, node.reasoning);
	(node.calls || []).forEach((c, i) => {
		const args = box.querySelectorAll(".call pre")[i];
		if (args) fill(args, pretty(c.args));
	});
}

export const partCount = (node) => (node.reasoning ? 1 : 0) + (node.calls || []).length;

const fold = (kind, title, text, open) => el("details", { class: "fold " + kind, open }, el("summary", {}, title), el("pre", {}, text));

export function partNodes(node) {
	return [node.reasoning ? fold("reasoning", t("reasoning"), node.reasoning, false) : null,
		...(node.calls || []).map((c) => fold("call", t("callOf", { name: c.name }), pretty(c.args), false))];
}

// Below the last turn: a box for the result of each call, which are sent together.
export function resultBoxes(conv, node) {
	const path = pathOf(conv);
	if (!(node.calls || []).length || path[path.length - 1] !== node || runOf(conv)) return null;
	const boxes = node.calls.map((c, i) => el("textarea", { rows: 2, spellcheck: "false", "aria-label": t("resultOf", { name: c.name }), placeholder: t("resultOf", { name: c.name }), data: { at: i } }));
	const send = () => {
		let last = node.id;
		boxes.forEach((box, i) => (last = addNode(conv, last, { role: "tool", content: box.value, call: node.calls[i].id, name: node.calls[i].name }).id));
		generate(conv, addNode(conv, last, { role: "assistant", ids: [], tokens: [] }));
	};
	return el("div", { class: "results" }, boxes, button(t("sendResult"), send, { class: "main" }));
}

// A message of a request.
export function messageOf(n, content) {
	if (n.role === "tool") return { role: "tool", tool_call_id: n.call, name: n.name, content };
	if (!(n.calls || []).length) return { role: n.role, content };
	const calls = n.calls.map((c) => ({ id: c.id, type: "function", function: { name: c.name, arguments: c.args } }));
	return { role: n.role, content: content || null, tool_calls: calls };
}

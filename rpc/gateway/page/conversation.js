// conversation.js - a conversation is a tree: each node may have several children, its variants, and `at` names the one that is
// shown. This file holds the tree, and makes requests from it.
import { newId, drawSeed } from "./format.js";
import { storePut } from "./store.js";
import { call } from "./api.js";
import { sampling } from "./settings.js";
import { formFields } from "./forms.js";
import { messageOf } from "./calls.js";
import { withFiles } from "./files.js";
import { currentModel, modelInfo, hasTokenizer } from "./server.js";

// conv: the one that is shown. unread: ids of those whose answer ended while another was shown.
export const app = { conv: null, unread: new Set(), refresh() {}, update() {}, listed() {}, notice() {} };

export function newConversation(mode) {
	return { id: newId(), title: "", mode, system: "", created: Date.now(), updated: Date.now(), nodes: { root: { id: "root", children: [], at: 0 } } };
}

export function addNode(conv, parent, fields) {
	const node = { id: newId(), parent, children: [], at: 0, content: "", ...fields };
	conv.nodes[node.id] = node;
	const above = conv.nodes[parent];
	above.at = above.children.push(node.id) - 1;
	return node;
}

export const siblings = (conv, node) => conv.nodes[node.parent].children.map((id) => conv.nodes[id]);

export function chooseVariant(conv, node, to) {
	const above = conv.nodes[node.parent];
	above.at = Math.min(Math.max(to, 0), above.children.length - 1);
	keep(conv);
	app.refresh();
}

// From the root down, as shown.
export function pathOf(conv, until) {
	const out = [];
	for (let n = conv.nodes.root; n.children.length;) {
		n = conv.nodes[n.children[n.at]];
		if (n.id === until) break;
		out.push(n);
	}
	return out;
}

export function keep(conv, quiet) {
	if (!quiet) conv.updated = Date.now();
	if (!conv.title) {
		const first = Object.values(conv.nodes).find((n) => n.prompt || n.role === "user");
		if (first) conv.title = [...String(first.prompt || first.content).trim().replace(/\s+/g, " ")].slice(0, 48).join("");
	}
	if (Object.keys(conv.nodes).length > 1) storePut(structuredClone(conv)).then(() => quiet || app.listed());
}

// ---- requests ----

// The sampled values that are the user's; logprobs as the endpoint of the mode names them.
function common(mode) {
	const { top_logprobs: top, ...set } = sampling();
	if (set.seed === undefined && set.temperature !== 0) set.seed = drawSeed();
	const shown = mode === "text" ? { logprobs: top ?? 5 } : top ? { logprobs: true, top_logprobs: top } : {};
	return { model: currentModel(), ...set, ...shown, stream_options: { include_usage: true, continuous_usage_stats: true }, return_token_ids: true };
}

const looksLikeIds = (text) => /^\s*\d+([\s,]+\d+)*[\s,]*$/.test(text);
const promptOf = (text) => (!hasTokenizer() && looksLikeIds(text) ? text.match(/\d+/g).map(Number) : text);

function messagesOf(conv, until, draft) {
	const list = conv.system.trim() ? [{ role: "system", content: conv.system }] : [];
	for (const n of pathOf(conv, until)) list.push(messageOf(n, withFiles(n.content, n.files)));
	if (draft) list.push({ role: "user", content: draft });
	return list;
}

async function idsOf(body, signal) {
	return (await call("POST", "/tokenize", { model: currentModel(), ...body }, signal)).tokens;
}

// /v1/completions makes 16 tokens where max_tokens is unset: until the model ends are as many as the context leaves.
function untilItEnds(body, used) {
	const info = modelInfo() || {}, left = info.max_model_len ? Math.max(1, info.max_model_len - used) : undefined;
	if (body.max_tokens === undefined) body.max_tokens = Math.min(left ?? 1024, (info.defaults && info.defaults.max_tokens) || Infinity);
	return body;
}

async function completionOf(body, prompt, signal) {
	if (body.max_tokens !== undefined) return ["/v1/completions", { ...body, prompt }];
	const used = Array.isArray(prompt) ? prompt.length : (await idsOf({ prompt }, signal)).length;
	return ["/v1/completions", untilItEnds({ ...body, prompt }, used)];
}

export async function planFor(conv, node, draft, signal) {
	if (conv.mode === "chat") return ["/v1/chat/completions", { ...common("chat"), ...formFields("chat"), messages: messagesOf(conv, node && node.id, draft) }];
	return completionOf({ ...common("text"), ...formFields("text") }, promptOf(draft ?? node.prompt), signal);
}

// Continues where the node ends, by its token ids if they are known, so that its text is not tokenized again.
export async function planToGoOn(conv, node, signal) {
	const body = { ...common("text"), logprobs: conv.mode === "text" || sampling().top_logprobs ? sampling().top_logprobs ?? 5 : undefined };
	if (conv.mode === "text" && !node.ids && !Array.isArray(promptOf(node.prompt))) return completionOf(body, node.prompt + node.content, signal);
	const ids = node.ids || (await idsOf({ prompt: node.content, add_special_tokens: false }, signal));
	const before = conv.mode === "chat" ? await idsOf({ messages: messagesOf(conv, node.id) }, signal)
		: Array.isArray(promptOf(node.prompt)) ? promptOf(node.prompt) : await idsOf({ prompt: node.prompt }, signal);
	return completionOf(body, before.concat(ids), signal);
}

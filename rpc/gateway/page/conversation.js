// conversation.js - a conversation is a tree: each node may have several children, its variants, and `at` names the one that is
// shown. This file holds the tree, and the run that fills a node with what the server streams.
import { newId, drawSeed } from "./format.js";
import { storePut } from "./store.js";
import { ApiError, call, stream } from "./api.js";
import { sampling } from "./settings.js";
import { status, meterText, finishText } from "./stats.js";
import { tokenTexts, isId, idOf } from "./tokens.js";
import { currentModel, modelInfo, lookNow, hasTokenizer } from "./server.js";
import { t } from "./words.js";

export const app = { conv: null, run: null, refresh() {}, update() {}, listed() {} };

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

export function keep(conv) {
	conv.updated = Date.now();
	if (!conv.title) {
		const first = Object.values(conv.nodes).find((n) => n.prompt || n.role === "user");
		if (first) conv.title = [...String(first.prompt || first.content).trim().replace(/\s+/g, " ")].slice(0, 48).join("");
	}
	if (Object.keys(conv.nodes).length > 1) storePut(structuredClone(conv)).then(() => app.listed());
}

// ---- requests ----

const common = () => {
	const set = sampling();
	if (set.seed === undefined && set.temperature !== 0) set.seed = drawSeed();
	return { model: currentModel(), ...set, stream_options: { include_usage: true }, return_token_ids: true };
};

const looksLikeIds = (text) => /^\s*\d+([\s,]+\d+)*[\s,]*$/.test(text);
export const promptOf = (text) => (!hasTokenizer() && looksLikeIds(text) ? text.match(/\d+/g).map(Number) : text);

export function messagesOf(conv, until, draft) {
	const list = conv.system.trim() ? [{ role: "system", content: conv.system }] : [];
	for (const n of pathOf(conv, until)) list.push({ role: n.role, content: n.content });
	if (draft) list.push({ role: "user", content: draft });
	return list;
}

export function planFor(conv, node, draft) {
	if (conv.mode === "chat") return ["/v1/chat/completions", { ...common(), messages: messagesOf(conv, node && node.id, draft) }];
	return ["/v1/completions", { ...common(), prompt: promptOf(draft ?? node.prompt), logprobs: 5 }];
}

async function idsOf(body, signal) {
	return (await call("POST", "/tokenize", { model: currentModel(), ...body }, signal)).tokens;
}

// Continues where the node ends, by its token ids if they are known, so that its text is not tokenized again.
async function planToGoOn(conv, node, signal) {
	const body = { ...common(), logprobs: conv.mode === "text" ? 5 : undefined };
	if (conv.mode === "text" && !node.ids && !Array.isArray(promptOf(node.prompt))) return ["/v1/completions", { ...body, prompt: node.prompt + node.content }];
	const ids = node.ids || (await idsOf({ prompt: node.content, add_special_tokens: false }, signal));
	const before = conv.mode === "chat" ? await idsOf({ messages: messagesOf(conv, node.id) }, signal)
		: Array.isArray(promptOf(node.prompt)) ? promptOf(node.prompt) : await idsOf({ prompt: node.prompt }, signal);
	return ["/v1/completions", { ...body, prompt: before.concat(ids) }];
}

// ---- the run ----

function takeEvent(run, event) {
	const node = run.node, c = event.choices && event.choices[0], s = node.stats;
	node.fingerprint = event.system_fingerprint || node.fingerprint;
	node.request = event.id || node.request;
	if (event.usage) {
		s.promptTokens = event.usage.prompt_tokens;
		s.cached = (event.usage.prompt_tokens_details || {}).cached_tokens || 0;
		s.count = event.usage.completion_tokens;
	}
	if (!c) return;
	const text = (c.text ?? (c.delta && c.delta.content)) || "", lp = c.logprobs;
	const ids = c.token_ids || [];
	if (text || ids.length) arrived(run, ids.length || 1);
	node.content += text;
	if (node.ids) node.ids.push(...ids);
	if (lp && lp.tokens) {
		lp.tokens.forEach((name, i) => node.tokens.push({ t: name, lp: lp.token_logprobs[i], top: Object.entries((lp.top_logprobs || [])[i] || {}) }));
	}
	if (c.finish_reason) {
		node.finish = c.finish_reason;
		if (c.finish_reason === "stop" && node.ids && typeof c.stop_reason !== "string") node.ids.pop(); // an end token
	}
}

function arrived(run, n) {
	const s = run.node.stats, now = performance.now();
	if (s.first === undefined) {
		s.first = now - run.sent;
		s.firstAt = now;
	}
	s.last = now;
	s.count += n;
	if (run.away) {
		run.away = false;
		run.resumedAt = now;
		status("resumed", t("resumed"));
	}
	if (!run.drawing) {
		run.drawing = true;
		setTimeout(() => {
			run.drawing = false;
			app.update(run.node);
			tellRun(run);
		}, 40);
	}
}

function tellRun(run) {
	if (app.run !== run || run.away || run.holding) return;
	const s = run.node.stats, resumed = run.resumedAt && performance.now() - run.resumedAt < 3000;
	const info = modelInfo() || {};
	if (s.first !== undefined) status(resumed ? "resumed" : "streaming", t(resumed ? "resumed" : "streaming") + " · " + meterText(s, info.max_model_len));
	else if (run.place > 0) status("busy", t("queued", { n: run.place }));
	else status("waiting", t("waiting"));
}

async function askPlace(run) {
	try {
		run.place = (await call("GET", "/v1/requests/" + run.id)).queue_place;
	} catch {
		run.place = 0;
	}
	tellRun(run);
}

// Shows the server's state while a run is open: when a lost daemon is back, the stream continues.
export function serverSaid(info) {
	const run = app.run;
	if (!run) return false;
	if (info.state !== "ready" && info.state !== "draining") {
		run.away = true;
		status("reconnecting", t("reconnecting"));
	} else if (info.waiting > 0 && run.id && run.node.stats.first === undefined) {
		askPlace(run);
	} else {
		tellRun(run);
	}
	return true;
}

function pause(ms, signal) {
	return new Promise((done, failed) => {
		const timer = setTimeout(done, ms);
		signal.addEventListener("abort", () => {
			clearTimeout(timer);
			failed(new DOMException("stopped", "AbortError"));
		}, { once: true });
	});
}

async function waitBusy(run, e) {
	run.holding = true;
	for (let left = Math.max(1, e.retry || 2); left > 0; left--) {
		status("busy", t("busy", { n: left }));
		await pause(1000, run.abort.signal);
	}
	run.holding = false;
}

async function waitBack(run) {
	run.away = true;
	status("reconnecting", t("reconnecting"));
	for (const end = performance.now() + 90000; ; ) {
		await pause(700, run.abort.signal);
		try {
			await call("GET", "/health/ready", null, run.abort.signal);
			return;
		} catch (e) {
			if (e.name === "AbortError" || performance.now() > end) throw e;
		}
	}
}

const isBusy = (e) => e.status === 429 || e.status === 503;
const isCut = (e) => e instanceof TypeError || e.code === "cut" || (e.status === 0 && (e.code === "unreachable" || e.code === "loading"));

async function runPlan(run, makePlan) {
	const node = run.node, wanted = sampling().max_tokens, had = node.tokens.length;
	for (let tries = 0; ; tries++) {
		try {
			const plan = (node.plan = await makePlan(run.abort.signal));
			node.planFrom = node.content.length;
			node.planIds = node.ids ? node.ids.length : 0;
			run.sent = performance.now();
			run.id = "page-" + [...crypto.getRandomValues(new Uint32Array(3))].map((n) => n.toString(36)).join("");
			run.place = 0;
			await stream(plan[0], plan[1], run.abort.signal, (event) => takeEvent(run, event), run.id);
			return;
		} catch (e) {
			if (e.name === "AbortError" || tries > 60) throw e;
			if (isBusy(e)) {
				await waitBusy(run, e);
			} else if (isCut(e)) {
				await waitBack(run);
				if (node.content.length > (node.planFrom || 0)) makePlan = async (signal) => {
					const plan = await planToGoOn(run.conv, node, signal);
					const made = node.tokens.length - had || node.stats.count;
					if (wanted) plan[1].max_tokens = Math.max(1, wanted - made);
					return plan;
				};
			} else {
				throw e;
			}
		}
	}
}

export async function startRun(conv, node, makePlan) {
	await stopRun();
	node.stats = { count: 0 };
	node.tokens ||= [];
	node.error = node.finish = null;
	const run = (app.run = { conv, node, abort: new AbortController() });
	run.over = (async () => {
		app.refresh();
		lookNow();
		tellRun(run);
		try {
			await runPlan(run, makePlan);
		} catch (e) {
			if (e.name === "AbortError") node.finish = "abort";
			else Object.assign(node, { finish: "error", error: e.message, errorStatus: e instanceof ApiError ? e.status : 0 });
		}
		app.run = null;
		const info = modelInfo() || {};
		status(node.error ? "error" : "done", node.error ? t("failed") : finishText(node.finish) + " · " + meterText(node.stats, info.max_model_len));
		keep(conv);
		app.refresh(node.error ? null : node);
	})();
	return run.over;
}

export async function stopRun() {
	const run = app.run;
	if (!run) return;
	run.abort.abort();
	await run.over;
}

export function generate(conv, node) {
	return startRun(conv, node, async () => planFor(conv, node));
}

export function regenerate(conv, node) {
	const fresh = addNode(conv, node.parent, { role: node.role, prompt: node.prompt, ids: [], tokens: [] });
	return generate(conv, fresh);
}

export const goOn = (conv, node) => startRun(conv, node, (signal) => planToGoOn(conv, node, signal));

// Makes a variant in which token `at` of the node is replaced by the one called `name`, and continues behind it.
export async function branchAt(conv, node, at, name) {
	await stopRun();
	const own = name === node.tokens[at].t, old = node.tokens[at];
	const chosen = own ? old : { t: name, lp: (old.top.find(([n]) => n === name) || [name, null])[1], top: old.top };
	const tokens = [...node.tokens.slice(0, at), chosen];
	const before = node.ids && node.ids.length > at && (own || isId(name)) ? node.ids.slice(0, at) : null;
	const ids = before && before.concat(own ? node.ids[at] : idOf(name));
	const fresh = addNode(conv, node.parent, { role: node.role, prompt: node.prompt, ids, tokens, content: tokenTexts(tokens).join("") });
	return goOn(conv, fresh);
}

// run.js - a run fills a node of a conversation with what the server streams. Each conversation may have one, shown or not.
import { ApiError, call, stream } from "./api.js";
import { sampling } from "./settings.js";
import { status, meterText, finishText } from "./stats.js";
import { tokenTexts, isId, idOf } from "./tokens.js";
import { modelInfo, lookNow } from "./server.js";
import { app, addNode, keep, planFor, planToGoOn } from "./conversation.js";
import { takeDelta } from "./calls.js";
import { t } from "./words.js";

const SAVE_MS = 3000;
const runs = new Map();

export const runOf = (conv) => runs.get(conv.id) || null;
export const liveOf = (conv) => (runs.has(conv.id) ? runs.get(conv.id).conv : conv);
export const anyRun = () => runs.size > 0;
export const runningNode = (conv, node) => runs.has(conv.id) && runs.get(conv.id).node === node;
const isShown = (run) => app.conv === run.conv;

function tell(run, kind, text) {
	if (isShown(run)) status(kind, text);
}

function takeEvent(run, event) {
	const node = run.node, c = event.choices && event.choices[0], s = node.stats;
	node.fingerprint = event.system_fingerprint || node.fingerprint;
	node.request = event.id || node.request;
	if (event.usage) {
		s.promptTokens = event.usage.prompt_tokens;
		s.cached = (event.usage.prompt_tokens_details || {}).cached_tokens || 0;
		s.count = event.usage.completion_tokens;
		s.counted = true;
	}
	if (!c) return;
	const text = (c.text ?? (c.delta && c.delta.content)) || "", lp = c.logprobs;
	const ids = c.token_ids || [];
	const parts = c.delta ? takeDelta(node, c.delta) : false;
	if (text || ids.length || parts) arrived(run, ids.length || 1);
	node.content += text;
	if (node.ids) node.ids.push(...ids);
	if (lp && lp.content) {
		for (const k of lp.content) node.tokens.push({ t: k.token, lp: k.logprob, top: k.top_logprobs.map((p) => [p.token, p.logprob]) });
	}
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
	if (!s.counted) s.count += n;
	if (now - (run.saved || run.sent) > SAVE_MS) {
		run.saved = now;
		keep(run.conv, true);
	}
	if (run.away) {
		run.away = false;
		run.resumedAt = now;
		tell(run, "resumed", t("resumed"));
	}
	if (!run.drawing) {
		run.drawing = true;
		setTimeout(() => {
			run.drawing = false;
			if (isShown(run)) app.update(run.node);
			tellRun(run);
		}, 40);
	}
}

function tellRun(run) {
	if (!isShown(run) || runs.get(run.conv.id) !== run || run.away || run.holding) return;
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
function serverSaidTo(run, info) {
	if (info.state !== "ready" && info.state !== "draining") {
		run.away = true;
		tell(run, "reconnecting", t("reconnecting"));
	} else if (info.waiting > 0 && run.id && run.node.stats.first === undefined) {
		askPlace(run);
	} else {
		tellRun(run);
	}
}

// Returns whether the shown conversation has a run, whose state then stands in the status line.
export function serverSaid(info) {
	for (const run of runs.values()) serverSaidTo(run, info);
	return runs.has(app.conv.id);
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
		tell(run, "busy", t(e.code === "loading" ? "busyLoading" : e.code === "draining" ? "draining" : "busy", { n: left }));
		await pause(1000, run.abort.signal);
	}
	run.holding = false;
}

async function waitBack(run) {
	run.away = true;
	tell(run, "reconnecting", t("reconnecting"));
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

function ended(run) {
	const { conv, node } = run, info = modelInfo() || {};
	runs.delete(conv.id);
	if (isShown(run)) status(node.error ? "error" : "done", node.error ? t("failed") : finishText(node.finish) + " · " + meterText(node.stats, info.max_model_len));
	else app.unread.add(conv.id);
	keep(conv);
	if (isShown(run)) app.refresh();
	app.listed();
}

async function startRun(conv, node, makePlan) {
	await stopRun(conv);
	node.stats = { count: 0 };
	node.tokens ||= [];
	node.error = node.finish = null;
	const run = { conv, node, abort: new AbortController() };
	runs.set(conv.id, run);
	run.over = (async () => {
		app.refresh();
		app.listed();
		lookNow();
		tellRun(run);
		try {
			await runPlan(run, makePlan);
		} catch (e) {
			if (e.name === "AbortError") node.finish = "abort";
			else Object.assign(node, { finish: "error", error: e.message, errorStatus: e instanceof ApiError ? e.status : 0, errorCode: e.code || null });
		}
		ended(run);
	})();
	return run.over;
}

export async function stopRun(conv) {
	const run = runs.get(conv.id);
	if (!run) return;
	run.abort.abort();
	await run.over;
}

// Shows the state of the conversation that was opened.
export function showRun(conv) {
	if (runs.has(conv.id)) tellRun(runs.get(conv.id));
	else status("", "");
}

export function generate(conv, node) {
	return startRun(conv, node, (signal) => planFor(conv, node, undefined, signal));
}

export function regenerate(conv, node) {
	const fresh = addNode(conv, node.parent, { role: node.role, prompt: node.prompt, ids: [], tokens: [] });
	return generate(conv, fresh);
}

export const goOn = (conv, node) => startRun(conv, node, (signal) => planToGoOn(conv, node, signal));

// Makes a variant in which token `at` of the node is replaced by the one called `name`, and continues behind it.
export async function branchAt(conv, node, at, name) {
	await stopRun(conv);
	const own = name === node.tokens[at].t, old = node.tokens[at];
	const chosen = own ? old : { t: name, lp: (old.top.find(([n]) => n === name) || [name, null])[1], top: old.top };
	const tokens = [...node.tokens.slice(0, at), chosen];
	const before = node.ids && node.ids.length > at && (own || isId(name)) ? node.ids.slice(0, at) : null;
	const ids = before && before.concat(own ? node.ids[at] : idOf(name));
	const fresh = addNode(conv, node.parent, { role: node.role, prompt: node.prompt, ids, tokens, content: tokenTexts(tokens).join("") });
	return goOn(conv, fresh);
}

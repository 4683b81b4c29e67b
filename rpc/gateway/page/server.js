// server.js - the server's state: models, loading, ranks. It is requested once a second while it matters.
import { byId, el, fill } from "./dom.js";
import { t } from "./words.js";
import { call } from "./api.js";
import { status, loadProgress, phaseProgress } from "./stats.js";
import { bytesText, countText, durationText, msText } from "./format.js";
import { anyRun, serverSaid } from "./run.js";
import { pref } from "./store.js";

let models = [], failure = null, timer = 0, looked = false, shownDefaults = "";
let changed = () => {};

export const currentModel = () => byId("model").value || undefined;
export const modelInfo = () => models.find((m) => m.id === currentModel()) || models[0] || null;
export const hasTokenizer = () => !modelInfo() || modelInfo().tokenizer === undefined || modelInfo().tokenizer !== "";

// --title of the gateway, in place of the page's own.
function showTitle(title) {
	if (document.title === title) return;
	document.title = title;
	fill(byId("brand"), title);
}

function showModels() {
	const select = byId("model"), names = models.map((m) => m.id);
	if (names.join("\n") !== [...select.options].map((o) => o.value).join("\n")) {
		const was = select.value || pref("model");
		fill(select, names.map((name) => el("option", { value: name }, name)));
		if (names.includes(was)) select.value = was;
	}
	const facts = JSON.stringify([names, models.map((m) => [m.chat, m.no_chat, m.defaults, m.max_model_len, m.state === "ready"]), select.value]);
	if (facts !== shownDefaults) changed();
	shownDefaults = facts;
	select.closest("label").classList.toggle("lone", names.length < 2);
}

// For a daemon that cannot be reached only the state is known.
function showState(info) {
	byId("progress").hidden = true;
	if (serverSaid(info)) return;
	if (info.state === "loading" && info.phase) phaseProgress(info.phase, info.phase_done, info.phase_total);
	else if (info.state === "loading" && info.load_total > 0 && info.load_bytes < info.load_total) loadProgress(info.load_bytes, info.load_total);
	else if (info.state === "loading") status("loading", t("starting"));
	else if (info.state === "draining") status("busy", t("draining"));
	else if (info.state !== "ready") status("reconnecting", t("unreachable"));
	else if (byId("status").dataset.kind !== "done" && byId("status").dataset.kind !== "error") status("ready", t("ready"));
}

function stacked(rank, most) {
	const parts = [["weights", rank.weight_bytes], ["cache", rank.kv_bytes], ["workspace", rank.work_bytes]];
	const text = parts.map(([k, v]) => t(k) + " " + bytesText(v)).join(", ");
	return el("div", { class: "rank" }, el("div", { class: "setting-head" }, el("span", {}, t("rank", { n: rank.rank })),
		el("span", { class: "num" }, bytesText(parts.reduce((a, [, v]) => a + v, 0)))),
	el("div", { class: "stack", role: "img", "aria-label": text, title: text }, parts.map(([k, v]) => {
		const bar = el("span", { class: k });
		bar.style.flexGrow = v / most;
		return bar;
	}), el("span", { class: "rest" })));
}

// All ranks compute a step together. Shows the mean since the last request, or the previous mean while nothing runs.
let seen = null, stepMs = null;
function countSteps(m) {
	const now = performance.now();
	if (seen && seen.id === m.id && m.steps - seen.steps > 3 && m.running > 0 && seen.running > 0) stepMs = (now - seen.now) / (m.steps - seen.steps);
	seen = { id: m.id, steps: m.steps, running: m.running, now };
}

function facts(m) {
	const rows = [["state", t(m.state === "silent" ? "unreachable" : m.state)], ["model", m.id], ["architecture", m.architecture],
		["parameters", m.parameters && countText(m.parameters)], ["tokenizer", m.tokenizer], ["chatFormat", m.chat], ["device", m.device && m.device + (m.isa ? " · " + m.isa : "")],
		["promptAttention", m.prompt_attention], ["kernelOverlap", m.kernel_overlap],
		["threads", m.threads_per_rank], ["contextLength", m.max_model_len && countText(m.max_model_len)],
		["requests", m.running !== undefined && t("requestsOf", { a: m.running, b: m.waiting })], ["stepTime", stepMs && msText(Math.max(1, stepMs))], ["uptime", m.uptime_s !== undefined && durationText(m.uptime_s)],
		["fingerprint", m.fingerprint]];
	return el("dl", {}, rows.filter(([, v]) => v).map(([k, v]) => [el("dt", {}, t(k)), el("dd", {}, String(v))]));
}

export function showServer() {
	const pane = byId("pane-server"), m = modelInfo();
	if (pane.hidden) return;
	if (!m) {
		fill(pane, el("p", {}, failure || t("noDaemon")));
		return;
	}
	const ranks = m.rank || [], sum = (r) => r.weight_bytes + r.kv_bytes + r.work_bytes, most = Math.max(1, ...ranks.map(sum));
	for (const r of ranks) r.rest = most - sum(r);
	const used = m.kv_blocks ? m.kv_blocks_held / m.kv_blocks : null;
	fill(pane, facts(m), used === null ? null : el("div", { class: "rank" }, el("div", { class: "setting-head" }, el("span", { id: "kv-label" }, t("cacheUse")),
		el("span", { class: "num" }, Math.round(used * 100) + " %")), el("meter", { min: 0, max: 1, value: used, "aria-labelledby": "kv-label" })),
	ranks.length ? el("h2", {}, t("ranks")) : null, ranks.map((r) => stacked(r, most)),
	ranks.length ? el("p", { class: "fine legend" }, ["weights", "cache", "workspace"].map((k) => el("span", { class: "key " + k }, t(k)))) : null);
	pane.querySelectorAll(".stack .rest").forEach((bar, i) => (bar.style.flexGrow = ranks[i].rest / most));
}

async function look() {
	clearTimeout(timer);
	try {
		const j = await call("GET", "/server_info");
		models = Array.isArray(j.models) ? j.models : [];
		if (j.title) showTitle(j.title);
		failure = null;
		showModels();
		if (modelInfo()) {
			countSteps(modelInfo());
			showState(modelInfo());
		}
	} catch (e) {
		failure = e.status === 401 ? t("needKey") : t("unreachable");
		if (!anyRun()) status(e.status === 401 ? "error" : "reconnecting", failure);
	}
	looked = true;
	showServer();
	const near = anyRun() || !byId("pane-server").hidden || failure || !modelInfo() || modelInfo().state !== "ready";
	clearTimeout(timer);
	timer = setTimeout(look, document.hidden ? 10000 : near ? 1000 : 5000);
}

export const lookNow = () => looked && look();

export function watchServer(told) {
	changed = told;
	byId("model").addEventListener("change", () => {
		pref("model", byId("model").value);
		told();
		look();
	});
	document.addEventListener("visibilitychange", () => !document.hidden && look());
	look();
}

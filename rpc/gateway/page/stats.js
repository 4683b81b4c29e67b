// stats.js - the line under the input: what is running, how fast, and how much of the context is used.
import { byId } from "./dom.js";
import { t } from "./words.js";
import { bytesText, msText, countText } from "./format.js";

let said = "";
const phases = { preparing: "phasePreparing", memory: "phaseMemory", weights: "phaseWeights", packing: "phasePacking", cache: "phaseCache", graphs: "phaseGraphs", "warm-up": "phaseWarm" };

export function status(kind, text) {
	const line = byId("status");
	line.dataset.kind = kind;
	if (text !== said) line.textContent = said = text;
}

export function loadProgress(done, total) {
	const bar = byId("progress");
	bar.hidden = !(total > 0);
	if (total > 0) {
		bar.value = done / total;
		status("loading", t("loadingOf", { a: bytesText(done), b: bytesText(total) }));
	}
}

// What the start does, where the server says it: a phase without a measure has no bar.
export function phaseProgress(phase, done, total) {
	const bar = byId("progress"), name = t(phases[phase] || "loading");
	bar.hidden = !(total > 0);
	if (total > 0) bar.value = Math.min(0.99, done / total);
	const counts = phase === "graphs" || phase === "warm-up", amount = (n) => (counts ? countText(n) : bytesText(n));
	status("loading", total > 0 ? t("phaseOf", { p: name, a: amount(done), b: amount(total) }) : name);
}

export function meterText(s, limit) {
	const parts = [], speed = (s.count - 1) / ((s.last - s.firstAt) / 1000);
	if (s.count > 1 && s.last > s.firstAt) parts.push(t("speed", { n: speed < 100 ? speed.toFixed(1) : countText(Math.round(speed)) }));
	if (s.first !== undefined) parts.push(t("first", { n: msText(s.first) }));
	const used = (s.promptTokens || 0) + s.count;
	if (used) parts.push(limit ? t("context", { a: countText(used), b: countText(limit) }) : t("contextOnly", { a: countText(used) }));
	return parts.map((part) => part.replace(/ /g, "\u00a0")).join(" · ");
}

export const finishText = (reason) => (reason === "stop" ? t("finishStop") : reason === "length" ? t("finishLength") : t("finishAbort"));

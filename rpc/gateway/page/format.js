// format.js - numbers, sizes and names for people.
import { isChinese, t } from "./words.js";
import { button, copyText } from "./dom.js";

export function copyButton(text, label) {
	const b = button(t("copy"), async () => {
		await copyText(text);
		b.textContent = t("copied");
		setTimeout(() => (b.textContent = t("copy")), 1500);
	}, { class: "small", "aria-label": label || null });
	return b;
}

export function bytesText(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;
	while (n >= 1024 && i < 4) {
		n /= 1024;
		i++;
	}
	return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + " " + units[i];
}

export const msText = (ms) => (ms < 1000 ? Math.round(ms) + " ms" : (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + " s");

export function durationText(seconds) {
	const h = Math.floor(seconds / 3600), m = Math.floor(seconds / 60) % 60;
	return h ? h + " h " + m + " min" : m ? m + " min " + (seconds % 60) + " s" : seconds + " s";
}

export const countText = (n) => n.toLocaleString(isChinese() ? "zh-CN" : "en");

export const percentText = (logprob) => {
	const p = 100 * Math.exp(logprob);
	return (p >= 10 ? p.toFixed(0) : p >= 0.1 ? p.toFixed(1) : "<0.1") + " %";
};

// Spaces and line ends made visible, for single tokens.
export const visible = (text) => text.replace(/ /g, "␣").replace(/\n/g, "↵").replace(/\t/g, "⇥");

export const fileName = (title) => title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40) || "xverse";

export function newId() {
	return [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

export const drawSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

// settings.js - sampling: each value is the user's or, unset, the server's default, which is shown. Ranges are those of
// /openapi.json; a slider shows the part of a range that is of use, the box beside it takes all.
import { byId, el, fill, button } from "./dom.js";
import { t } from "./words.js";
import { pref } from "./store.js";
import { apiKey, call, setApiKey } from "./api.js";
import { biasChooser } from "./bias.js";
import { formChooser } from "./forms.js";
import { modelInfo } from "./server.js";

const first = [{ name: "max_tokens", step: 1 }, { name: "temperature", step: 0.05, to: 2 }, { name: "top_k", step: 1, from: 0, to: 100 }, { name: "top_p", step: 0.01 },
	{ name: "repetition_penalty", step: 0.05, from: 1, to: 2 }];
const more = [{ name: "min_p", step: 0.01 }, { name: "presence_penalty", step: 0.1 }, { name: "frequency_penalty", step: 0.1 }, { name: "top_logprobs", step: 1 }];

let values = pref("sampling") || {};
let told = () => {}, ranges = null;

function put(name, value) {
	values = { ...values };
	if (value === null) delete values[name];
	else values[name] = value;
	pref("sampling", values);
	told();
}

// Returns the values that are set, for a request.
export function sampling() {
	const { bias, ...out } = values;
	if (out.stop) out.stop = out.stop.split("\n").filter(Boolean).slice(0, 16);
	if (!out.stop || !out.stop.length) delete out.stop;
	if (bias && bias.length) out.logit_bias = Object.fromEntries(bias.map((k) => [k.id, k.bias]));
	return out;
}

const defaultOf = (name) => ((modelInfo() || {}).defaults || {})[name];
const rangeOf = (name) => (ranges && ranges[name]) || {};

function windowOf(s) {
	const { minimum: low = s.from ?? 0, maximum: high = s.to ?? 1 } = rangeOf(s.name), info = modelInfo() || {};
	const top = s.name === "max_tokens" ? info.max_model_len || 2048 : s.to ?? high;
	return { min: Math.max(low, s.from ?? (s.name === "max_tokens" ? 1 : low)), max: Math.min(high === 1 && !rangeOf(s.name).maximum ? top : high, top) };
}

// Text of an unset value, and where the slider's thumb stands.
function unsetOf(s, most) {
	const value = defaultOf(s.name);
	if (value !== undefined) return [String(value), value];
	return s.name === "max_tokens" ? [t("untilEnd"), most] : s.name === "top_logprobs" ? ["–", 0] : ["–", 0];
}

function slider(s) {
	const id = "set-" + s.name, { min, max } = windowOf(s), { minimum, maximum } = rangeOf(s.name);
	const range = el("input", { type: "range", id, min, max, step: s.step });
	const box = el("input", { type: "number", id: id + "-value", min: minimum ?? null, max: maximum ?? null, step: "any", "aria-label": t(s.name) });
	const reset = button("↺", () => change(null), { class: "small reset", "aria-label": t("serverDefault") + ": " + t(s.name), title: t("serverDefault") });
	const row = el("div", { class: "setting" }, el("div", { class: "setting-head" }, el("label", { for: id }, t(s.name)), reset, box), range);
	const show = () => {
		const set = s.name in values, [text, at] = unsetOf(s, max);
		row.classList.toggle("unset", !set);
		reset.classList.toggle("gone", !set);
		reset.disabled = !set;
		box.value = set ? values[s.name] : "";
		box.placeholder = text;
		range.value = set ? values[s.name] : at;
		range.style.setProperty("--at", (100 * (range.value - min)) / (max - min || 1) + "%");
		range.setAttribute("aria-valuetext", set ? String(values[s.name]) : t("serverDefault") + ": " + text);
	};
	const change = (value) => {
		put(s.name, value);
		show();
	};
	range.addEventListener("input", () => change(Number(range.value)));
	box.addEventListener("change", () => {
		const n = Number(box.value), { exclusiveMinimum: above } = rangeOf(s.name);
		if (box.value === "" || !Number.isFinite(n)) return change(null);
		const inside = Math.min(maximum ?? n, Math.max(minimum ?? n, s.step === 1 ? Math.round(n) : n));
		change(s.name === "max_tokens" && inside < 1 ? 1 : above && inside <= minimum ? range.min : inside);
	});
	show();
	return row;
}

function seedRow() {
	const box = el("input", { id: "set-seed", inputmode: "numeric", pattern: "[0-9]*", placeholder: t("seedHint"), value: values.seed ?? "" });
	box.addEventListener("input", () => {
		const n = box.value.trim();
		put("seed", /^\d{1,15}$/.test(n) ? Number(n) : null);
	});
	return el("div", { class: "setting" }, el("div", { class: "setting-head" }, el("label", { for: "set-seed" }, t("seed"))), box);
}

function stopRow() {
	const box = el("textarea", { id: "set-stop", rows: 2, placeholder: t("none"), value: values.stop ?? "", spellcheck: "false" });
	box.addEventListener("input", () => put("stop", box.value || null));
	return el("div", { class: "setting" }, el("div", { class: "setting-head" }, el("label", { for: "set-stop" }, t("stopStrings"))), box);
}

function keyRow() {
	const box = el("input", { id: "set-key", type: "password", autocomplete: "new-password", placeholder: t("apiKeyHint"), value: apiKey() });
	box.addEventListener("change", () => {
		setApiKey(box.value.trim());
		ranges = null;
		readRanges();
	});
	return el("div", { class: "setting" }, el("div", { class: "setting-head" }, el("label", { for: "set-key" }, t("apiKey"))), box);
}

async function readRanges() {
	try {
		const paths = (await call("GET", "/openapi.json")).paths, fieldsOf = (path) => paths[path].post.requestBody.content["application/json"].schema.properties;
		ranges = { ...fieldsOf("/v1/completions"), ...fieldsOf("/v1/chat/completions") };
		showSettings();
	} catch {
		ranges = null;
	}
}

export function showSettings(changed) {
	const pane = byId("pane-sampling");
	if (changed) {
		told = changed;
		readRanges();
	}
	if (pane.contains(document.activeElement) && pane.childElementCount && !changed && document.activeElement.matches("input, textarea")) return;
	const reset = button(t("resetAll"), () => {
		values = {};
		pref("sampling", values);
		showSettings();
		told();
	});
	const set = more.some((s) => s.name in values) || (values.bias && values.bias.length) || values.stop, was = pane.querySelector("#more-sampling"), forms = pane.querySelector("#forms");
	const chooser = formChooser(told);
	if (forms) chooser.open = forms.parentNode.open;
	fill(pane, first.map(slider), seedRow(), el("details", { class: "more-settings", id: "more-sampling", open: was ? was.open : Boolean(set) }, el("summary", {}, t("more")),
		more.map(slider), stopRow(), biasChooser(values.bias || [], (list) => put("bias", list.length ? list : null))), chooser, reset, keyRow());
}

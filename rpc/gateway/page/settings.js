// settings.js - sampling: each value is the user's or, unset, the server's own.
import { byId, el, fill, button } from "./dom.js";
import { t } from "./words.js";
import { pref } from "./store.js";
import { apiKey, setApiKey } from "./api.js";

const sliders = [
	{ name: "max_tokens", min: 1, max: 512, step: 1, start: 100 },
	{ name: "temperature", min: 0, max: 1, step: 0.05, start: 1 },
	{ name: "top_k", min: 0, max: 50, step: 1, start: 50 },
	{ name: "top_p", min: 0, max: 1, step: 0.02, start: 0.92 },
	{ name: "repetition_penalty", min: 1, max: 2, step: 0.05, start: 1.1 },
];

let values = { max_tokens: 100, ...pref("sampling") };
let told = () => {};

function put(name, value) {
	values = { ...values };
	if (value === null) delete values[name];
	else values[name] = value;
	pref("sampling", values);
	told();
}

// Returns the values that are set, for a request.
export function sampling() {
	const out = { ...values };
	if (out.stop) out.stop = out.stop.split("\n").filter(Boolean).slice(0, 16);
	if (!out.stop || !out.stop.length) delete out.stop;
	return out;
}

function setting(name, id, labelText, control, value, set) {
	const check = el("input", { type: "checkbox", id: id + "-default", checked: value === undefined });
	check.addEventListener("change", () => set(check.checked));
	return el("div", { class: "setting" }, el("div", { class: "setting-head" }, el("label", { for: id }, labelText),
		el("output", { for: id, id: id + "-value" })),
	control, el("label", { class: "default" }, check, el("span", {}, t("serverDefault"), el("span", { class: "away" }, ": " + labelText))));
}

function slider(s) {
	const id = "set-" + s.name;
	const range = el("input", { type: "range", id, min: s.min, max: s.max, step: s.step, value: values[s.name] ?? s.start });
	const row = setting(s.name, id, t(s.name), range, values[s.name], (on) => {
		put(s.name, on ? null : Number(range.value));
		show();
	});
	const show = () => {
		const set = s.name in values;
		row.classList.toggle("unset", !set);
		row.querySelector("output").textContent = set ? String(values[s.name]) : "–";
		row.querySelector("[type=checkbox]").checked = !set;
		range.setAttribute("aria-valuetext", set ? String(values[s.name]) : t("serverDefault"));
	};
	range.addEventListener("input", () => {
		put(s.name, Number(range.value));
		show();
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
	box.addEventListener("change", () => setApiKey(box.value.trim()));
	return el("div", { class: "setting" }, el("div", { class: "setting-head" }, el("label", { for: "set-key" }, t("apiKey"))), box);
}

export function showSettings(changed) {
	if (changed) told = changed;
	const reset = button(t("resetAll"), () => {
		values = {};
		pref("sampling", values);
		showSettings();
		told();
	});
	fill(byId("pane-sampling"), sliders.map(slider), seedRow(), stopRow(), reset, keyRow());
}

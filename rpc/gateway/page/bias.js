// bias.js - chooses tokens for logit_bias: a text is split, and each of its tokens can get a bias.
import { el, fill, button } from "./dom.js";
import { t } from "./words.js";
import { call } from "./api.js";
import { currentModel } from "./server.js";
import { visible } from "./format.js";

const MOST_BIASES = 300;

function biasRow(list, k, change) {
	const box = el("input", { type: "number", min: -100, max: 100, step: 1, value: k.bias, "aria-label": t("biasOf", { t: k.text }) });
	box.addEventListener("change", () => {
		k.bias = Math.min(100, Math.max(-100, Number(box.value) || 0));
		box.value = k.bias;
		change(list);
	});
	return el("li", {}, el("span", { class: "tok" }, k.text), el("span", { class: "num" }, String(k.id)), box,
		button("✕", () => change(list.filter((x) => x !== k), true), { class: "small", "aria-label": t("remove") + ": " + k.text }));
}

// list: [{id, text, bias}]; put(list) keeps it.
export function biasChooser(list, put) {
	const rows = el("ul", { class: "biases" }), found = el("p", { class: "pieces choices" });
	const box = el("input", { id: "set-bias", placeholder: t("biasHint"), autocomplete: "off", spellcheck: "false" });
	const change = (next, redraw) => {
		list = next;
		put(list);
		if (redraw) show();
	};
	const show = () => fill(rows, list.map((k) => biasRow(list, k, change)));
	const add = (id, text) => {
		if (list.length >= MOST_BIASES || list.some((k) => k.id === id)) return;
		change([...list, { id, text, bias: -100 }], true);
	};
	let timer = 0;
	box.addEventListener("input", () => {
		clearTimeout(timer);
		timer = setTimeout(async () => {
			try {
				const j = box.value ? await call("POST", "/tokenize", { model: currentModel(), prompt: box.value, add_special_tokens: false, return_token_strs: true }) : { tokens: [] };
				fill(found, j.tokens.slice(0, 50).map((id, i) => button(visible((j.token_strs || [])[i] || String(id)), () => add(id, visible((j.token_strs || [])[i] || String(id))), { class: "small", title: String(id) })));
			} catch {
				const ids = box.value.match(/\d{1,9}/g) || [];
				fill(found, ids.slice(0, 50).map((id) => button(id, () => add(Number(id), id), { class: "small" })));
			}
		}, 200);
	});
	show();
	return el("div", { class: "setting" }, el("div", { class: "setting-head" }, el("label", { for: "set-bias" }, t("logitBias"))), box, found, rows);
}

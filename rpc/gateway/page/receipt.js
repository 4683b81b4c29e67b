// receipt.js - shows which model and numerics produced an answer, and whether running it again gives the same.
import { el, fill, button } from "./dom.js";
import { t } from "./words.js";
import { call } from "./api.js";
import { adviceNodes } from "./errors.js";
import { countText } from "./format.js";

function firstDifference(a, b) {
	const x = [...a], y = [...b];
	let i = 0;
	while (i < x.length && i < y.length && x[i] === y[i]) i++;
	return i === x.length && i === y.length ? -1 : i;
}

const sameIds = (a, b) => !a || !b || a.length === 0 || a.every((id, i) => id === b[i]);

async function compare(node, out) {
	fill(out, t("running"));
	try {
		const [path, body] = node.plan, whole = { ...body };
		delete whole.stream_options;
		const j = await call("POST", path, whole), c = j.choices[0];
		let text = c.text ?? c.message.content, was = node.content.slice(node.planFrom);
		if (node.finish === "abort") text = text.slice(0, was.length);
		const at = firstDifference(was, text), ids = node.ids && node.ids.slice(node.planIds);
		if (j.system_fingerprint !== node.fingerprint) fill(out, t("otherReceipt", { a: j.system_fingerprint }));
		else if (at < 0 && sameIds(ids, c.token_ids)) fill(out, t("identical", { n: countText(node.stats.count) }));
		else fill(out, t("differs", { n: at + 1, a: was.slice(Math.max(0, at), at + 20), b: text.slice(Math.max(0, at), at + 20) }));
		out.dataset.same = at < 0;
	} catch (e) {
		fill(out, adviceNodes(e.status ?? 0, e.code, e.message));
		out.dataset.same = "failed";
	}
}

// The button of the tool row, and what it opens.
export function receiptTools(node) {
	const box = receiptNode(node);
	const press = button(t("receipt"), () => {
		box.hidden = !box.hidden;
		press.setAttribute("aria-expanded", String(!box.hidden));
	}, { class: "small", "aria-expanded": "false" });
	return [press, box];
}

function receiptNode(node) {
	const [, body] = node.plan, out = el("div", { class: "verdict", role: "status" });
	const set = ["max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias", "seed", "stop"].filter((k) => k in body)
		.map((k) => k + " " + JSON.stringify(body[k])).join(", ");
	const rows = [
		["fingerprint", node.fingerprint], ["requestId", node.request], ["model", body.model], ["settings", set],
		["promptTokens", node.stats.promptTokens !== undefined ? countText(node.stats.promptTokens) : null],
		["cachedTokens", node.stats.cached ? countText(node.stats.cached) : null], ["outputTokens", countText(node.stats.count)],
	].filter(([, v]) => v);
	return el("div", { class: "receipt", hidden: true }, el("dl", {}, rows.map(([k, v]) => [el("dt", {}, t(k)), el("dd", {}, String(v))])),
		button(t("receiptSame"), () => compare(node, out), { class: "small" }), out);
}

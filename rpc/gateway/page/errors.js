// errors.js - what a person at the page can do about an error; the server's own text, which is for who runs it, stands behind it.
import { el } from "./dom.js";
import { t } from "./words.js";

// Key of the words, and what helps: "again", "text" (completion mode), "new" (a new conversation), "" (nothing here).
const byCode = {
	context_length_exceeded: ["errLength", "new"], rank_failed: ["errRank", "again"], deadline: ["errDeadline", "again"], model_changed: ["errChanged", "again"],
	queue_full: ["errBusy", "again"], loading: ["errLoading", "again"], draining: ["errDraining", "again"], unreachable: ["errAway", "again"], cut: ["errAway", "again"],
	cancelled: ["errCancelled", "again"], unsupported: ["errSetting", ""], limit_exceeded: ["errLarge", ""],
};
const byStatus = { 400: ["errSetting", ""], 401: ["needKey", ""], 403: ["errForbidden", ""], 404: ["errModel", ""], 408: ["errAway", "again"], 413: ["errLarge", ""], 429: ["errBusy", "again"], 501: ["noChat", "text"], 503: ["errAway", "again"], 504: ["errDeadline", "again"] };

const isLength = (text) => /maximum context length|max-model-len/.test(text);

// For an error's status (0: in a stream, or no answer), code and text.
export function advice(status, code, text) {
	if (isLength(text)) return byCode.context_length_exceeded;
	const found = (Object.hasOwn(byCode, code || "") && byCode[code]) || (Object.hasOwn(byStatus, status) && byStatus[status]);
	return found || (status === 0 && !code ? ["errAway", "again"] : ["errServer", "again"]);
}

export function adviceNodes(status, code, text) {
	return [el("p", {}, t(advice(status, code, text)[0])), el("details", { class: "operator" }, el("summary", {}, t("details")),
		el("p", {}, [status || null, code, text].filter(Boolean).join(" · ")))];
}

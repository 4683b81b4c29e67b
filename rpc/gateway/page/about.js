// about.js - dialogs: questions, the keys, and what this page and its server are.
import { byId, el, fill, button } from "./dom.js";
import { t } from "./words.js";
import { modelInfo } from "./server.js";

function dialog(title, body, buttons) {
	const box = byId("dialog");
	fill(box, el("h2", { id: "dialog-title" }, title), body, el("div", { class: "row" }, el("span", { class: "grow" }), buttons));
	box.returnValue = "";
	box.showModal();
	return new Promise((done) => box.addEventListener("close", () => done(box.returnValue), { once: true }));
}

const closer = (text, value, props) => button(text, () => byId("dialog").close(value), props);

// Whether the person says yes.
export async function ask(question, yes) {
	return (await dialog(question, null, [closer(t("cancel"), "", { autofocus: true }), closer(yes, "yes", { class: "main" })])) === "yes";
}

const keys = [["Enter", "keySend"], ["Shift Enter", "keyLine"], ["Esc", "keyStop"], ["Alt N", "keyNew"], ["Ctrl K", "keySearch"], ["Ctrl B", "keySide"], ["Ctrl .", "keyPanel"], ["/", "keyInput"], ["?", "keyHelp"]];

export function showKeys() {
	dialog(t("shortcuts"), el("dl", { class: "keys" }, keys.map(([k, text]) => [el("dt", {}, k.split(" ").map((part) => el("kbd", {}, part))), el("dd", {}, t(text))])), closer(t("close"), ""));
}

const outside = (path) => el("a", { href: path, target: "_blank", rel: "noopener" }, path);

export function showAbout() {
	const m = modelInfo() || {};
	const rows = [["version", m.version], ["model", m.id], ["architecture", m.architecture], ["tokenizer", m.tokenizer], ["chatFormat", m.chat], ["numericsClass", m.numerics_class], ["fingerprint", m.fingerprint]].filter(([, v]) => v);
	dialog("xverse", [el("p", {}, t("aboutText")), el("dl", {}, rows.map(([k, v]) => [el("dt", {}, t(k)), el("dd", {}, String(v))]), el("dt", {}, t("links")), el("dd", {}, outside("/metrics"), " · ", outside("/openapi.json"), " · ", outside("/server_info"))),
		el("p", { class: "fine" }, t("aboutKept"))], closer(t("close"), ""));
}

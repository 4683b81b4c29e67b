// forms.js - what an answer has to be: a JSON Schema, or tools that the model may call. Both are kept as the text that was typed.
import { el, fill } from "./dom.js";
import { t } from "./words.js";
import { pref } from "./store.js";

const choices = () => [["auto", t("callsAuto")], ["required", t("callsRequired")], ["none", t("callsNone")]];
let typed = pref("forms") || {};

// Returns the value of a text, null where it is empty; throws with the reason where it is not what it should be.
function schemaFrom(text) {
	if (!text || !text.trim()) return null;
	const schema = JSON.parse(text);
	if (typeof schema !== "object" || schema === null || Array.isArray(schema)) throw new Error(t("formObject"));
	return schema;
}

// A list of tools, one tool, or the function alone.
function toolsFrom(text) {
	if (!text || !text.trim()) return null;
	const value = JSON.parse(text), list = Array.isArray(value) ? value : [value];
	for (const one of list) if (typeof one !== "object" || one === null || !(one.function || one).name) throw new Error(t("formTools"));
	return list.length ? list.map((one) => (one.function ? { type: "function", ...one } : { type: "function", function: one })) : null;
}

function valueOf(read, text) {
	try {
		return read(text);
	} catch {
		return null;
	}
}

// The fields of a request; what cannot be read is left out, and its box says so.
export function formFields(mode) {
	const schema = valueOf(schemaFrom, typed.schema), tools = mode === "chat" ? valueOf(toolsFrom, typed.tools) : null;
	const out = tools ? { tools, tool_choice: typed.choice || "auto" } : {};
	const must = tools && out.tool_choice === "required"; // then the answer is a call
	return schema && !must ? { ...out, response_format: { type: "json_schema", json_schema: { name: "answer", schema } } } : out;
}

function formBox(name, label, hint, read, put) {
	const id = "set-" + name, fault = el("p", { class: "fault", id: id + "-fault", role: "status" });
	const box = el("textarea", { id, rows: 4, placeholder: hint, value: typed[name] || "", spellcheck: "false", "aria-describedby": id + "-fault" });
	const judge = () => {
		try {
			read(box.value);
			fill(fault, "");
			box.removeAttribute("aria-invalid");
		} catch (e) {
			fill(fault, t("formBad", { e: e.message }));
			box.setAttribute("aria-invalid", "true");
		}
	};
	box.addEventListener("input", () => {
		put(name, box.value);
		judge();
	});
	judge();
	return el("div", { class: "setting" }, el("div", { class: "setting-head" }, el("label", { for: id }, label)), box, fault);
}

export function formChooser(told) {
	const put = (name, value) => {
		typed = { ...typed, [name]: value };
		pref("forms", typed);
		told();
	};
	const choice = el("select", { id: "set-tool-choice" }, choices().map(([c, text]) => el("option", { value: c }, text)));
	choice.value = typed.choice || "auto";
	choice.addEventListener("change", () => put("choice", choice.value));
	return el("details", { class: "more-settings", open: Boolean(typed.schema || typed.tools) }, el("summary", { id: "forms" }, t("formsTitle")),
		formBox("schema", t("schema"), '{"type": "object", "properties": {"city": {"type": "string"}}}', schemaFrom, put),
		formBox("tools", t("tools"), '{"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}', toolsFrom, put),
		el("div", { class: "setting" }, el("div", { class: "setting-head" }, el("label", { for: "set-tool-choice" }, t("toolChoice"))), choice));
}

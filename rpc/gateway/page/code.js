// code.js - the current request as a command and as a program.
import { byId, el, fill } from "./dom.js";
import { t } from "./words.js";
import { copyButton } from "./format.js";
import { highlight } from "./highlight.js";

const quoted = (text) => "'" + text.replace(/'/g, "'\\''") + "'";

function asCurl(path, body) {
	return "curl -N " + quoted(location.origin + path) + " \\\n  -H 'Content-Type: application/json' \\\n  -d " +
		quoted(JSON.stringify({ ...body, stream: true }, null, 2));
}

// JSON as a Python literal; only three names differ.
function literal(value, indent) {
	const next = indent + "    ";
	if (value === null) return "None";
	if (typeof value === "boolean") return value ? "True" : "False";
	if (Array.isArray(value)) return "[" + value.map((v) => literal(v, next)).join(", ") + "]";
	if (typeof value === "object") return "{" + Object.entries(value).map(([k, v]) => JSON.stringify(k) + ": " + literal(v, next)).join(", ") + "}";
	return JSON.stringify(value);
}

const known = ["model", "prompt", "messages", "max_tokens", "temperature", "top_p", "seed", "stop", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "logit_bias"];

function asPython(path, body) {
	const extra = Object.fromEntries(Object.entries(body).filter(([k]) => !known.includes(k)));
	const own = Object.entries(body).filter(([k]) => known.includes(k));
	if (Object.keys(extra).length) own.push(["extra_body", extra]);
	const chat = path.includes("chat");
	return "from openai import OpenAI\n\nclient = OpenAI(base_url=" + JSON.stringify(location.origin + "/v1") + ', api_key="none")\n' +
		"stream = client." + (chat ? "chat." : "") + "completions.create(\n    stream=True,\n" +
		own.map(([k, v]) => "    " + k + "=" + literal(v, "    ") + ",\n").join("") + ")\n" +
		"for piece in stream:\n    if piece.choices:\n        print(piece.choices[0]." + (chat ? 'delta.content or ""' : "text") + ', end="", flush=True)\n';
}

function snippet(title, language, text) {
	return el("figure", { class: "code" }, el("figcaption", {}, el("span", {}, title), copyButton(text, t("copy") + ": " + title)),
		el("pre", { tabindex: "0" }, el("code", {}, highlight(language, text))));
}

export function showCode([path, body]) {
	const plain = Object.fromEntries(Object.entries(body).filter(([k]) => !["stream_options", "return_token_ids"].includes(k)));
	fill(byId("pane-code"), snippet(t("asCurl"), "bash", asCurl(path, plain)), snippet(t("asPython"), "python", asPython(path, plain)));
}

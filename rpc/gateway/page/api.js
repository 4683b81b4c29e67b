// api.js - requests to the server that this page came from, whole and streamed.

export class ApiError extends Error {
	constructor(message, status, code, retry) {
		super(message);
		this.status = status;
		this.code = code;
		this.retry = retry;
	}
}

let key = "";
try {
	key = sessionStorage.getItem("xverse.key") || "";
} catch {
	key = "";
}

export const apiKey = () => key;

export function setApiKey(value) {
	key = value;
	try {
		sessionStorage.setItem("xverse.key", value);
	} catch {
		// the key is kept for this page only
	}
}

async function send(method, path, body, signal, id) {
	const headers = id ? { "X-Request-Id": id } : {};
	if (body) headers["Content-Type"] = "application/json";
	if (key) headers.Authorization = "Bearer " + key;
	const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
	if (answer.ok) return answer;
	let error = {};
	try {
		error = (await answer.json()).error || {};
	} catch {
		error = {};
	}
	throw new ApiError(error.message || answer.status + " " + answer.statusText, answer.status, error.code,
		Number(answer.headers.get("Retry-After")) || 0);
}

export async function call(method, path, body, signal) {
	return (await send(method, path, body, signal)).json();
}

// Server-sent events, each as parsed JSON. A body that ends without [DONE] is incomplete: an error without status.
export async function stream(path, body, signal, take, id) {
	const reader = (await send("POST", path, { ...body, stream: true }, signal, id)).body.getReader();
	const decoder = new TextDecoder();
	let rest = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) throw new ApiError("the stream was cut", 0, "cut");
		rest += decoder.decode(value, { stream: true });
		const blocks = rest.split("\n\n");
		rest = blocks.pop();
		for (const block of blocks) {
			if (!block.startsWith("data: ")) continue;
			if (block === "data: [DONE]") return;
			const event = JSON.parse(block.slice(6));
			if (event.error) throw new ApiError(event.error.message, 0, event.error.code || "failed");
			take(event);
		}
	}
}

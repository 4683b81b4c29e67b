// dom.js - nodes are made only here, and text is inserted as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function el(tag, props = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (value === undefined || value === null || value === false) continue;
		if (name === "on") for (const [event, f] of Object.entries(value)) node.addEventListener(event, f);
		else if (name === "class") node.className = value;
		else if (name === "data") Object.assign(node.dataset, value);
		else if (name === "value" || name === "checked") node[name] = value;
		else node.setAttribute(name, value === true ? "" : value);
	}
	node.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
	return node;
}

export const fill = (node, ...children) => {
	node.replaceChildren(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
	return node;
};

export const button = (text, click, props = {}) => el("button", { type: "button", ...props, on: { click } }, text);

// Grows with its text, up to what its style allows.
export function fit(area) {
	area.style.height = "auto";
	area.style.height = area.scrollHeight + 2 + "px";
}

export function download(name, type, text) {
	const url = URL.createObjectURL(new Blob([text], { type }));
	el("a", { href: url, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// The clipboard API exists on https and on localhost; the old way works elsewhere.
export async function copyText(text) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		const area = el("textarea", { class: "away", value: text });
		document.body.append(area);
		area.select();
		document.execCommand("copy");
		area.remove();
	}
}

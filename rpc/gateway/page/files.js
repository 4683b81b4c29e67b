// files.js - text files that are dropped on the page or chosen: they go along with the next message, or become the prompt.
import { byId, el, fill, button } from "./dom.js";
import { t } from "./words.js";
import { bytesText } from "./format.js";

const LARGEST_FILES = 1 << 20, MOST_FILES = 8; // bytes of all files, files
let waitingFiles = [], complain = () => {}, asPrompt = () => {};

// The content that a message with files has. A fence is longer than any in the file.
export function withFiles(content, files) {
	const parts = (files || []).map(({ name, text }) => {
		const longest = Math.max(2, ...(text.match(/`+/g) || []).map((run) => run.length)), fence = "`".repeat(longest + 1);
		return name + ":\n" + fence + "\n" + text.replace(/\n?$/, "\n") + fence;
	});
	return [...parts, content].filter(Boolean).join("\n\n");
}

export const fileNodes = (files) => (files || []).map(({ name, text }) => el("details", { class: "file" }, el("summary", {}, name + " · " + bytesText(new Blob([text]).size)), el("pre", { tabindex: "0" }, text.slice(0, 20000))));

function showFiles() {
	const box = byId("files");
	box.hidden = !waitingFiles.length;
	fill(box, waitingFiles.map((f, i) => el("li", {}, f.name + " · " + bytesText(new Blob([f.text]).size) + " ", button("✕", () => {
		waitingFiles.splice(i, 1);
		showFiles();
	}, { class: "small", "aria-label": t("removeFile", { name: f.name }) }))));
}

export function takeFiles() {
	const out = waitingFiles;
	waitingFiles = [];
	showFiles();
	return out;
}

export const hasFiles = () => waitingFiles.length > 0;

async function readText(file) {
	if (file.size > LARGEST_FILES) throw new Error(t("fileLarge", { name: file.name, n: bytesText(LARGEST_FILES) }));
	const text = await file.arrayBuffer().then((bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes)).catch(() => null);
	if (text === null || text.includes("\0")) throw new Error(t("fileNoText", { name: file.name }));
	return text;
}

export async function addFiles(list) {
	for (const file of list) {
		try {
			if (waitingFiles.length >= MOST_FILES) throw new Error(t("fileMany", { n: MOST_FILES }));
			const text = await readText(file);
			if (waitingFiles.reduce((n, f) => n + f.text.length, text.length) > LARGEST_FILES) throw new Error(t("fileLarge", { name: file.name, n: bytesText(LARGEST_FILES) }));
			if (!asPrompt(text)) waitingFiles.push({ name: file.name.slice(0, 200), text });
		} catch (e) {
			complain(e.message);
		}
	}
	showFiles();
}

// toPrompt(text): takes the text where it is the prompt itself, and says whether it did.
export function watchFiles(notice, toPrompt) {
	complain = notice;
	asPrompt = toPrompt;
	const main = document.querySelector("main"), holds = (e) => [...(e.dataTransfer ? e.dataTransfer.types : [])].includes("Files");
	document.addEventListener("dragover", (e) => {
		if (!holds(e)) return;
		e.preventDefault();
		main.classList.add("dropping");
	});
	for (const name of ["dragleave", "drop", "dragend"]) document.addEventListener(name, (e) => (name !== "dragleave" || !e.relatedTarget) && main.classList.remove("dropping"));
	document.addEventListener("drop", (e) => {
		if (!holds(e)) return;
		e.preventDefault();
		addFiles(e.dataTransfer.files);
	});
	byId("attach").addEventListener("click", () => byId("attach-file").click());
	byId("attach-file").addEventListener("change", async (e) => {
		await addFiles(e.target.files);
		e.target.value = "";
	});
}

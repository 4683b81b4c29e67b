// list.js - the conversations that are kept: found, opened, renamed, exported, imported.
import { byId, el, fill, button, download } from "./dom.js";
import { t } from "./words.js";
import { storeAll, storePut, storeRemove } from "./store.js";
import { fileName, newId } from "./format.js";
import { app, pathOf } from "./conversation.js";
import { runOf, stopRun } from "./run.js";
import { ask } from "./about.js";
import { withFiles } from "./files.js";

let opener = () => {}, starter = () => {}, announce = () => {};

const textOf = (c) => Object.values(c.nodes).map((n) => (n.prompt || "") + " " + (n.content || "")).join(" ").toLowerCase();

function asMarkdown(c) {
	const turns = pathOf(c).map((n) => (c.mode === "text" ? "**" + n.prompt + "**" + n.content : "## " + t(n.role === "user" ? "you" : n.role === "exec" ? "toolSaid" : "assistant") + "\n\n" + withFiles(n.content, n.files)));
	return "# " + (c.title || t("untitled")) + "\n\n" + (c.system ? "> " + c.system.replace(/\n/g, "\n> ") + "\n\n" : "") + turns.join("\n\n") + "\n";
}

const asJson = (list) => JSON.stringify({ format: "xverse-conversations", version: 1, conversations: list }, null, 1);

function rename(c, item) {
	const box = el("input", { value: c.title, "aria-label": t("rename") });
	const done = async (take) => {
		if (take && box.value.trim()) {
			c.title = box.value.trim().slice(0, 120);
			if (app.conv && app.conv.id === c.id) app.conv.title = c.title;
			const live = runOf(c) ? runOf(c).conv : c;
			live.title = c.title;
			await storePut(structuredClone(live));
		}
		await showList();
		const row = byId("list").querySelector('[data-id="' + c.id + '"] .open');
		if (row) row.focus();
	};
	box.addEventListener("keydown", (e) => {
		if (e.isComposing) return;
		if (e.key === "Enter") done(true);
		if (e.key === "Escape") {
			e.stopPropagation();
			done(false);
		}
	});
	fill(item, box);
	box.focus();
	box.select();
}

// Asked once; what was deleted can be put back while the notice stands.
async function removeAll(list, question) {
	if (!list.length || !(await ask(question, t("remove")))) return;
	for (const c of list) await stopRun(c);
	const ids = new Set(list.map((c) => c.id)), gone = (await storeAll()).filter((c) => ids.has(c.id)), shown = ids.has(app.conv.id) ? app.conv.id : null;
	for (const c of gone) await storeRemove(c.id);
	if (shown) await starter();
	await showList();
	byId("new").focus();
	announce(t("removed", { n: gone.length }), t("undo"), async () => {
		for (const c of gone) await storePut(c);
		await showList();
		if (shown) opener(gone.find((c) => c.id === shown));
	});
}

function row(c) {
	const item = el("li", { class: app.conv && app.conv.id === c.id ? "current" : null, data: { id: c.id } });
	const mark = runOf(c) ? el("span", { class: "mark busy", role: "img", "aria-label": t("streaming") }) : app.unread.has(c.id) ? el("span", { class: "mark", role: "img", "aria-label": t("unread") }) : null;
	const open = button([mark, c.title || t("untitled")], () => opener(c), { class: "open", "aria-current": app.conv && app.conv.id === c.id ? "true" : null });
	const more = el("details", { class: "more" }, el("summary", { "aria-label": t("panel") + ": " + (c.title || t("untitled")) }, "⋯"), el("div", { class: "menu" },
		button(t("rename"), () => rename(c, item)), button(t("exportJson"), () => download(fileName(c.title) + ".json", "application/json", asJson([c]))),
		button(t("exportMarkdown"), () => download(fileName(c.title) + ".md", "text/markdown", asMarkdown(c))), button(t("remove"), () => removeAll([c], t("removeSure")))));
	return fill(item, open, more);
}

export async function showList() {
	const wanted = byId("search").value.trim().toLowerCase();
	const all = (await storeAll()).filter((c) => !wanted || (c.title || "").toLowerCase().includes(wanted) || textOf(c).includes(wanted));
	fill(byId("list"), all.length ? all.map(row) : wanted ? el("li", { class: "fine" }, t("nothing")) : null);
}

// ---- import: only what the page itself writes, field by field ----

const str = (v, most = 4e6) => (typeof v === "string" ? v.slice(0, most) : "");
const num = (v) => (Number.isFinite(v) ? v : 0);

function cleanToken(k) {
	return { t: str(k && k.t, 1000), lp: k && Number.isFinite(k.lp) ? k.lp : null, top: (Array.isArray(k && k.top) ? k.top : []).slice(0, 21).map((p) => [str(p[0], 1000), num(p[1])]) };
}

function cleanNode(n, nodes) {
	const children = (Array.isArray(n.children) ? n.children : []).filter((id) => typeof id === "string" && id !== "root" && Object.hasOwn(nodes, id));
	const out = { id: str(n.id, 64), parent: str(n.parent, 64), children, at: Math.min(Math.max(0, Math.floor(num(n.at))), Math.max(0, children.length - 1)), content: str(n.content) };
	out.role = ["user", "assistant", "text", "exec"].includes(n.role) ? n.role : "assistant";
	if (typeof n.prompt === "string") out.prompt = n.prompt;
	if (Array.isArray(n.files)) out.files = n.files.slice(0, 8).map((f) => ({ name: str(f && f.name, 200), text: str(f && f.text) }));
	out.tokens = (Array.isArray(n.tokens) ? n.tokens : []).map(cleanToken);
	out.ids = Array.isArray(n.ids) && n.ids.every(Number.isInteger) ? n.ids : null;
	out.finish = str(n.finish, 20) || null;
	out.fingerprint = str(n.fingerprint, 300);
	out.request = str(n.request, 200);
	out.stats = { count: num(n.stats && n.stats.count) };
	if (n.stats && Number.isFinite(n.stats.promptTokens)) out.stats.promptTokens = n.stats.promptTokens;
	if (Array.isArray(n.plan) && ["/v1/completions", "/v1/chat/completions"].includes(n.plan[0]) && n.plan[1] && typeof n.plan[1] === "object") {
		Object.assign(out, { plan: [n.plan[0], n.plan[1]], planFrom: num(n.planFrom), planIds: num(n.planIds) });
	}
	return out;
}

// The nodes that the root reaches, each once.
function cleanTree(nodes) {
	const out = {}, todo = ["root"];
	while (todo.length) {
		const id = todo.pop();
		const node = cleanNode(nodes[id], nodes);
		node.children = node.children.filter((k) => !(k in out) && !todo.includes(k));
		node.at = Math.min(node.at, Math.max(0, node.children.length - 1));
		node.id = id;
		out[id] = node;
		todo.push(...node.children);
	}
	for (const node of Object.values(out)) for (const k of node.children) out[k].parent = node.id;
	return out;
}

function cleanConversation(c) {
	if (!c || typeof c !== "object" || !["text", "chat"].includes(c.mode) || !c.nodes || !Object.hasOwn(c.nodes, "root")) throw new Error("not ours");
	return { id: newId(), title: str(c.title, 120), mode: c.mode, system: str(c.system), created: num(c.created), updated: Date.now(), nodes: cleanTree(c.nodes) };
}

async function importFile(file) {
	try {
		const j = JSON.parse(await file.text());
		if (j.format !== "xverse-conversations" || !Array.isArray(j.conversations)) throw new Error("not ours");
		const list = j.conversations.map(cleanConversation);
		for (const c of list) await storePut(c);
		announce(t("imported", { n: list.length }));
		showList();
		if (list.length) opener(list[0]);
	} catch {
		announce(t("importBad"));
	}
}

export function watchList(open, start, tell) {
	opener = open;
	starter = start;
	announce = tell;
	byId("search").addEventListener("input", showList);
	byId("import").addEventListener("click", () => byId("import-file").click());
	byId("import-file").addEventListener("change", (e) => {
		if (e.target.files[0]) importFile(e.target.files[0]);
		e.target.value = "";
	});
	byId("export-all").addEventListener("click", async () => download("xverse-conversations.json", "application/json", asJson(await storeAll())));
	byId("delete-all").addEventListener("click", async () => {
		const all = await storeAll();
		removeAll(all, t("removeAllSure", { n: all.length }));
	});
	byId("list").addEventListener("toggle", (e) => {
		if (e.target.open) for (const d of byId("list").querySelectorAll("details[open]")) if (d !== e.target) d.open = false;
	}, true);
}

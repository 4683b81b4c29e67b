// main.js - puts the parts together: modes, panels, keys, language and colours.
import { byId, button, el, fill, fit } from "./dom.js";
import { t, speak } from "./words.js";
import { openStore, storeAll, pref } from "./store.js";
import { status } from "./stats.js";
import { showSettings } from "./settings.js";
import { showTokenizer, watchHint, hideHint } from "./tokens.js";
import { showCode } from "./code.js";
import { app, newConversation, keep, planFor } from "./conversation.js";
import { runOf, liveOf, stopRun, showRun } from "./run.js";
import { showChat, updateChat, say } from "./chat.js";
import { showText, updateText, write } from "./completion.js";
import { addFiles, hasFiles, takeFiles, watchFiles } from "./files.js";
import { formulas } from "./math.js";
import { showList, watchList } from "./list.js";
import { showServer, watchServer, lookNow, hasTokenizer, modelInfo } from "./server.js";
import { showAbout, showKeys } from "./about.js";

const tabs = ["sampling", "tokens", "code", "server"];

// Stays for some seconds, longer with a button.
function notice(text, label, act) {
	const box = byId("notice");
	fill(box, el("span", {}, text), label ? [" ", button(label, () => {
		box.hidden = true;
		act();
	})] : null);
	box.hidden = !text;
	clearTimeout(notice.timer);
	notice.timer = setTimeout(() => (box.hidden = true), label ? 15000 : 6000);
}

function showInput() {
	const chat = app.conv.mode === "chat", input = byId("input"), running = Boolean(runOf(app.conv)), info = modelInfo() || {};
	byId("input-label").textContent = t(chat ? "messageLabel" : "promptLabel");
	input.placeholder = t(chat ? "messageHint" : hasTokenizer() ? "promptHint" : "promptIds");
	byId("system").placeholder = t("systemHint");
	byId("exec").placeholder = t("execHint");
	byId("system-box").hidden = !chat;
	byId("exec-row").hidden = info.chat !== "xverse-v2";
	showSystem();
	byId("send-text").textContent = t(chat ? "send" : "generate");
	byId("stop").hidden = !running;
	byId("send").hidden = running;
	for (const radio of document.querySelectorAll("[name=mode]")) radio.checked = radio.value === app.conv.mode;
	const off = info.chat === "", chatLabel = document.querySelector("[name=mode][value=chat]");
	chatLabel.disabled = off && !chat;
	chatLabel.parentNode.title = off ? t("chatOff") : "";
	byId("title").textContent = app.conv.title || t("new");
}

// The one line that stands for the box while it is closed.
function showSystem() {
	const text = byId("system").value.trim().replace(/\s+/g, " "), exec = byId("exec").value.trim();
	byId("system-summary").textContent = t("system") + (text ? ": " + [...text].slice(0, 60).join("") : "") + (exec ? " · " + t("toolSaid") : "");
}

// What the server says about the model came or changed. The page opens in chat where the model chats, unless the person chose.
function modelChanged() {
	const info = modelInfo(), empty = app.conv.nodes.root.children.length === 0 && !byId("input").value;
	if (info && info.chat !== undefined && empty) {
		const wanted = info.chat === "" ? "text" : pref("mode") || "chat";
		if (wanted !== app.conv.mode) start(wanted);
	}
	showSettings();
	refresh();
}

const nearEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 80;

function refresh() {
	const log = byId("log"), end = nearEnd(log);
	const focused = log.contains(document.activeElement);
	hideHint();
	if (app.conv.mode === "chat") showChat(log, app.conv);
	else showText(log, app.conv);
	log.setAttribute("aria-busy", String(Boolean(runOf(app.conv))));
	if (focused && !log.contains(document.activeElement)) log.focus({ preventScroll: true });
	if (end) log.scrollTop = log.scrollHeight;
	showInput();
	showRequest();
}

function update(node) {
	const log = byId("log"), end = nearEnd(log);
	if (app.conv.mode === "chat") updateChat(log, app.conv, node);
	else updateText(log, app.conv, node);
	if (end) log.scrollTop = log.scrollHeight;
}

function showRequest() {
	clearTimeout(showRequest.timer);
	if (byId("pane-code").hidden) return;
	const draft = byId("input").value || t(app.conv.mode === "chat" ? "messageHint" : "sampleText");
	showRequest.timer = setTimeout(async () => showCode(await planFor(app.conv, null, draft).catch(() => [app.conv.mode === "chat" ? "/v1/chat/completions" : "/v1/completions", {}])), 150);
}

// A run goes on while another conversation is shown.
async function open(conv) {
	app.conv = liveOf(conv);
	app.unread.delete(conv.id);
	byId("system").value = app.conv.system;
	byId("exec").value = "";
	byId("system-box").open = false;
	if (app.conv.mode === "text") {
		const root = app.conv.nodes.root, node = app.conv.nodes[root.children[root.at]];
		byId("input").value = node ? node.prompt : "";
	} else {
		byId("input").value = "";
	}
	fit(byId("input"));
	if (matchMedia("(max-width: 760px)").matches) drawer("side", false);
	showRun(app.conv);
	lookNow();
	refresh();
	byId("log").scrollTop = byId("log").scrollHeight;
	await showList();
}

const start = (mode) => open(newConversation(typeof mode === "string" ? mode : app.conv.mode));

function submitChat(input) {
	const exec = byId("exec").value.trim(), text = input.value.trim();
	if (!text && !exec && !hasFiles()) return;
	input.value = byId("exec").value = "";
	byId("system-box").open = false;
	fit(input);
	say(app.conv, text, takeFiles(), exec);
	keep(app.conv);
}

function submitText(text) {
	const root = app.conv.nodes.root, shown = app.conv.nodes[root.children[root.at]];
	if (!text) return;
	if (shown && shown.prompt !== text) app.conv = newConversation("text");
	write(app.conv, text);
	keep(app.conv);
}

function submit() {
	if (runOf(app.conv)) return;
	if (app.conv.mode === "chat") submitChat(byId("input"));
	else submitText(byId("input").value);
	byId("log").scrollTop = byId("log").scrollHeight;
}

// A dropped file is the prompt itself where text is continued.
function fileAsPrompt(text) {
	if (app.conv.mode === "chat") return false;
	byId("input").value += text;
	fit(byId("input"));
	byId("input").focus();
	return true;
}

function drawer(name, on, quiet) {
	const box = byId(name), opener = byId("open-" + name);
	const narrow = matchMedia(name === "side" ? "(max-width: 760px)" : "(max-width: 1080px)").matches;
	document.body.classList.toggle(name + "-open", on);
	if (!narrow) pref(name, on);
	opener.setAttribute("aria-expanded", String(on));
	box.inert = !on;
	if (on && narrow && !quiet) box.querySelector("button, input").focus();
	else if (!on && narrow && box.contains(document.activeElement)) opener.focus();
}

function showTab(name) {
	for (const k of tabs) {
		const on = k === name;
		byId("pane-" + k).hidden = !on;
		byId("tab-" + k).setAttribute("aria-selected", String(on));
		byId("tab-" + k).tabIndex = on ? 0 : -1;
	}
	if (name === "tokens") showTokenizer();
	if (name === "code") showRequest();
	if (name === "server") lookNow();
	showServer();
}

function watchTabs() {
	tabs.forEach((name, i) => {
		const tab = byId("tab-" + name);
		tab.addEventListener("click", () => showTab(name));
		tab.addEventListener("keydown", (e) => {
			const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? tabs.length - 1 : 0;
			if (!step) return;
			const to = tabs[(i + step) % tabs.length];
			showTab(to);
			byId("tab-" + to).focus();
		});
	});
}

function setTheme(name) {
	if (name) document.documentElement.dataset.theme = name;
	else delete document.documentElement.dataset.theme;
	pref("theme", name);
}

function switchTheme() {
	const dark = matchMedia("(prefers-color-scheme: dark)").matches, now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
	setTheme(now === "dark" ? "light" : "dark");
}

function setLanguage(code) {
	speak(code);
	pref("language", code);
	if (!app.conv) return;
	showSettings();
	if (!byId("pane-tokens").hidden) showTokenizer();
	delete byId("status").dataset.kind;
	status("", "");
	lookNow();
	refresh();
	showList();
}

function escape() {
	if (!byId("hint").hidden) hideHint();
	else if (runOf(app.conv)) stopRun(app.conv);
	else for (const name of ["side", "panel"]) if (document.body.classList.contains(name + "-open") && byId(name).contains(document.activeElement)) drawer(name, false);
}

function findConversation() {
	if (matchMedia("(max-width: 760px)").matches) drawer("side", true);
	byId("search").focus();
	byId("search").select();
}

const chords = {
	KeyK: findConversation,
	KeyB: () => drawer("side", !document.body.classList.contains("side-open")),
	Period: () => drawer("panel", !document.body.classList.contains("panel-open")),
};

function pressed(e) {
	const writing = e.target.matches("input, textarea, select"), bare = !e.ctrlKey && !e.metaKey && !e.altKey;
	if (e.altKey && e.code === "KeyN") return () => start().then(() => byId("input").focus());
	if ((e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey && chords[e.code]) return chords[e.code];
	if (bare && !writing && e.key === "?") return showKeys;
	if (bare && !writing && e.key === "/") return () => byId("input").focus();
	return null;
}

function watchKeys() {
	byId("input").addEventListener("keydown", (e) => {
		if (e.key !== "Enter" || e.shiftKey || e.isComposing || e.keyCode === 229) return;
		e.preventDefault();
		submit();
	});
	document.addEventListener("keydown", (e) => {
		if (e.isComposing || byId("dialog").open) return;
		const act = pressed(e);
		if (act) {
			e.preventDefault();
			act();
		} else if (e.key === "Escape") {
			escape();
		}
	});
}

function watchButtons() {
	byId("composer").addEventListener("submit", (e) => {
		e.preventDefault();
		submit();
	});
	byId("input").addEventListener("input", () => {
		fit(byId("input"));
		showRequest();
	});
	byId("system").addEventListener("input", () => {
		app.conv.system = byId("system").value;
		showSystem();
		showRequest();
	});
	byId("exec").addEventListener("input", showSystem);
	byId("input").addEventListener("paste", (e) => {
		if (!e.clipboardData || !e.clipboardData.files.length) return;
		e.preventDefault();
		addFiles(e.clipboardData.files);
	});
	byId("stop").addEventListener("click", () => stopRun(app.conv).then(() => byId("input").focus()));
	byId("clear").addEventListener("click", () => {
		byId("input").value = "";
		fit(byId("input"));
		byId("input").focus();
	});
	byId("new").addEventListener("click", () => start().then(() => byId("input").focus()));
	for (const radio of document.querySelectorAll("[name=mode]")) {
		radio.addEventListener("change", () => {
			pref("mode", radio.value);
			start(radio.value).then(() => document.querySelector("[name=mode]:checked").focus());
		});
	}
	for (const name of ["side", "panel"]) {
		byId("open-" + name).addEventListener("click", () => drawer(name, !document.body.classList.contains(name + "-open")));
		byId("close-" + name).addEventListener("click", () => drawer(name, false));
	}
	byId("about").addEventListener("click", showAbout);
	byId("keys").addEventListener("click", showKeys);
	byId("theme").addEventListener("click", switchTheme);
	byId("language").addEventListener("click", () => setLanguage(document.documentElement.lang === "en" ? "zh" : "en"));
}

function showDrawers() {
	drawer("side", pref("side") !== false && matchMedia("(min-width: 761px)").matches);
	drawer("panel", pref("panel") !== false && matchMedia("(min-width: 1081px)").matches);
}

async function begin() {
	setTheme(pref("theme"));
	setLanguage(pref("language") || (navigator.language.startsWith("zh") ? "zh" : "en"));
	Object.assign(app, { refresh, update, listed: showList, notice, conv: newConversation(pref("mode") || "text") });
	document.addEventListener("securitypolicyviolation", () => notice(t("blocked")));
	watchKeys();
	watchButtons();
	watchTabs();
	watchHint();
	watchList(open, start, notice);
	watchFiles(notice, fileAsPrompt);
	formulas.loaded = refresh;
	showSettings(showRequest);
	showDrawers();
	for (const query of ["(max-width: 760px)", "(max-width: 1080px)"]) matchMedia(query).addEventListener("change", showDrawers);
	refresh();
	watchServer(modelChanged);
	await openStore();
	const all = await storeAll();
	if (all.length && (!pref("mode") || all[0].mode === app.conv.mode) && app.conv.nodes.root.children.length === 0) await open(all[0]);
	else showList();
}

begin();

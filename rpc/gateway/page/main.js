// main.js - puts the parts together: modes, panels, keys, language and colours.
import { byId, fit } from "./dom.js";
import { t, speak } from "./words.js";
import { openStore, storeAll, pref } from "./store.js";
import { status } from "./stats.js";
import { showSettings } from "./settings.js";
import { showTokenizer, watchHint, hideHint } from "./tokens.js";
import { showCode } from "./code.js";
import { app, newConversation, keep, planFor, stopRun } from "./conversation.js";
import { showChat, updateChat, say } from "./chat.js";
import { showText, updateText, write } from "./completion.js";
import { showList, watchList } from "./list.js";
import { showServer, watchServer, lookNow, hasTokenizer } from "./server.js";

const tabs = ["sampling", "tokens", "code", "server"];

function notice(text) {
	const box = byId("notice");
	box.textContent = text;
	box.hidden = !text;
	clearTimeout(notice.timer);
	notice.timer = setTimeout(() => (box.hidden = true), 6000);
}

function showInput() {
	const chat = app.conv.mode === "chat", input = byId("input");
	byId("input-label").textContent = t(chat ? "messageLabel" : "promptLabel");
	input.placeholder = t(chat ? "messageHint" : hasTokenizer() ? "promptHint" : "promptIds");
	byId("system").placeholder = t("systemHint");
	byId("system-box").hidden = !chat;
	byId("send-text").textContent = t(chat ? "send" : "generate");
	byId("stop").hidden = !app.run;
	byId("send").hidden = Boolean(app.run);
	for (const radio of document.querySelectorAll("[name=mode]")) radio.checked = radio.value === app.conv.mode;
	byId("title").textContent = app.conv.title || t("new");
}

const nearEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 80;

function refresh() {
	const log = byId("log"), end = nearEnd(log);
	const focused = log.contains(document.activeElement);
	hideHint();
	if (app.conv.mode === "chat") showChat(log, app.conv);
	else showText(log, app.conv);
	log.setAttribute("aria-busy", String(Boolean(app.run)));
	if (focused && !log.contains(document.activeElement)) log.focus({ preventScroll: true });
	if (end) log.scrollTop = log.scrollHeight;
	showInput();
	showRequest();
}

function update(node) {
	const log = byId("log"), end = nearEnd(log);
	if (app.conv.mode === "chat") updateChat(log, node);
	else updateText(log, app.conv, node);
	if (end) log.scrollTop = log.scrollHeight;
}

function showRequest() {
	if (byId("pane-code").hidden) return;
	const draft = byId("input").value || t(app.conv.mode === "chat" ? "messageHint" : "sampleText");
	showCode(planFor(app.conv, null, draft));
}

async function open(conv) {
	await stopRun();
	app.conv = conv;
	byId("system").value = conv.system;
	if (conv.mode === "text") {
		const root = conv.nodes.root, node = conv.nodes[root.children[root.at]];
		byId("input").value = node ? node.prompt : "";
	} else {
		byId("input").value = "";
	}
	fit(byId("input"));
	drawer("side", false);
	refresh();
	showList();
}

const start = (mode) => open(newConversation(typeof mode === "string" ? mode : app.conv.mode));

function submit() {
	const input = byId("input"), text = app.conv.mode === "chat" ? input.value.trim() : input.value;
	if (!text || app.run) return;
	if (app.conv.mode === "chat") {
		input.value = "";
		fit(input);
		say(app.conv, text);
	} else {
		const root = app.conv.nodes.root, shown = app.conv.nodes[root.children[root.at]];
		if (shown && shown.prompt !== text) app.conv = newConversation("text");
		write(app.conv, text);
	}
	keep(app.conv);
	byId("log").scrollTop = byId("log").scrollHeight;
}

function drawer(name, on) {
	const box = byId(name), opener = byId("open-" + name);
	const narrow = matchMedia(name === "side" ? "(max-width: 760px)" : "(max-width: 1080px)").matches;
	document.body.classList.toggle(name + "-open", on);
	if (!narrow && name === "panel") pref("panel", on);
	opener.setAttribute("aria-expanded", String(on));
	box.inert = !on && narrow;
	if (on && narrow) box.querySelector("button, input").focus();
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

function watchKeys() {
	byId("input").addEventListener("keydown", (e) => {
		if (e.key !== "Enter" || e.shiftKey || e.isComposing || e.keyCode === 229) return;
		e.preventDefault();
		submit();
	});
	document.addEventListener("keydown", (e) => {
		if (e.isComposing) return;
		if (e.altKey && e.code === "KeyN") {
			e.preventDefault();
			start();
			byId("input").focus();
		}
		if (e.key !== "Escape") return;
		if (!byId("hint").hidden) hideHint();
		else if (app.run) stopRun();
		else for (const name of ["side", "panel"]) if (!byId("open-" + name).closest("[inert]") && document.body.classList.contains(name + "-open") && byId(name).contains(document.activeElement)) drawer(name, false);
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
		showRequest();
	});
	byId("stop").addEventListener("click", () => stopRun().then(() => byId("input").focus()));
	byId("clear").addEventListener("click", () => {
		byId("input").value = "";
		fit(byId("input"));
		byId("input").focus();
	});
	byId("new").addEventListener("click", () => start().then(() => byId("input").focus()));
	for (const radio of document.querySelectorAll("[name=mode]")) {
		radio.addEventListener("change", () => {
			pref("mode", radio.value);
			start(radio.value);
		});
	}
	for (const name of ["side", "panel"]) {
		byId("open-" + name).addEventListener("click", () => drawer(name, !document.body.classList.contains(name + "-open")));
		byId("close-" + name).addEventListener("click", () => drawer(name, false));
	}
	byId("theme").addEventListener("click", switchTheme);
	byId("language").addEventListener("click", () => setLanguage(document.documentElement.lang === "en" ? "zh" : "en"));
}

async function begin() {
	setTheme(pref("theme"));
	setLanguage(pref("language") || (navigator.language.startsWith("zh") ? "zh" : "en"));
	Object.assign(app, { refresh, update, listed: showList, conv: newConversation(pref("mode") || "text") });
	document.addEventListener("securitypolicyviolation", () => notice(t("blocked")));
	watchKeys();
	watchButtons();
	watchTabs();
	watchHint();
	watchList(open, start, notice);
	showSettings(showRequest);
	drawer("panel", pref("panel") !== false && matchMedia("(min-width: 1081px)").matches);
	drawer("side", false);
	for (const query of ["(max-width: 760px)", "(max-width: 1080px)"]) {
		matchMedia(query).addEventListener("change", () => {
			drawer("side", false);
			drawer("panel", pref("panel") !== false && matchMedia("(min-width: 1081px)").matches);
		});
	}
	refresh();
	watchServer(showInput);
	await openStore();
	const all = await storeAll();
	if (all.length && all[0].mode === app.conv.mode) await open(all[0]);
	else showList();
}

begin();

// store.js - conversations in IndexedDB, small preferences in localStorage; nothing on the server. If the browser keeps
// nothing (a private window), everything lasts as long as the page.

const memory = new Map();
let database = null;

function wait(request) {
	return new Promise((done, failed) => {
		request.onsuccess = () => done(request.result);
		request.onerror = () => failed(request.error);
	});
}

export async function openStore() {
	try {
		const request = indexedDB.open("xverse", 1);
		request.onupgradeneeded = () => request.result.createObjectStore("conversations", { keyPath: "id" });
		database = await wait(request);
	} catch {
		database = null;
	}
}

const table = (how) => database.transaction("conversations", how).objectStore("conversations");

export async function storeAll() {
	const all = database ? await wait(table("readonly").getAll()) : [...memory.values()];
	return all.sort((a, b) => b.updated - a.updated);
}

export async function storePut(conversation) {
	if (database) await wait(table("readwrite").put(conversation));
	else memory.set(conversation.id, conversation);
}

export async function storeRemove(id) {
	if (database) await wait(table("readwrite").delete(id));
	else memory.delete(id);
}

const fallback = {};

export function pref(name, value) {
	try {
		if (value === undefined) return JSON.parse(localStorage.getItem("xverse." + name));
		localStorage.setItem("xverse." + name, JSON.stringify(value));
	} catch {
		if (value === undefined) return fallback[name] ?? null;
		fallback[name] = value;
	}
	return value;
}

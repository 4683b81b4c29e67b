// Run by check_patterns in a copy of the page's folder.
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const LENGTH = 20000; // characters of an adversarial line
const PATTERN_MS = 200, MARKDOWN_MS = 1000; // a quadratic pattern takes seconds
const here = fileURLToPath(new URL(".", import.meta.url));
const full = process.argv.includes("--full");
let passed = 0, failed = 0;

function check(name, ok, text) {
	if (ok) passed++;
	else {
		failed++;
		console.log(`FAILED ${name}: ${text}`);
	}
}

// As much of a document as the page's modules need to build nodes.
class Node {
	constructor(tag, text = "") {
		Object.assign(this, { tagName: tag.toUpperCase(), text, childNodes: [], dataset: {}, attributes: {} });
	}
	append(...nodes) {
		this.childNodes.push(...nodes.map((n) => (typeof n === "string" ? new Node("#text", n) : n)));
	}
	setAttribute(name, value) {
		this.attributes[name] = value;
	}
	addEventListener() {}
}
globalThis.document = { createElement: (tag) => new Node(tag), createTextNode: (text) => new Node("#text", text), documentElement: new Node("html") };
globalThis.localStorage = { getItem: () => null, setItem() {} };
if (!globalThis.navigator) globalThis.navigator = { language: "en", languages: ["en"] };
globalThis.document.getElementById = () => ({ content: {} }); // a page whose build had no KaTeX
const { markdown } = await import("./markdown.js");
const { highlight } = await import("./highlight.js");

// The quickest of a few tries, since other programs run beside this one.
function quickest(limit, f) {
	let best = Infinity;
	for (let i = 0; i < 5 && best > limit; i++) {
		const start = process.hrtime.bigint();
		f();
		best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e6);
	}
	return best;
}

// Regular expressions of a source file: a slash where a value may begin, up to the slash that ends it.
function patternsOf(source) {
	const literal = /(?:[(,=:[!&|?]|=>)\s*\/((?:[^\/\\\n[*]|\\.|\[(?:[^\]\\\n]|\\.)*\])(?:[^\/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])*)\/([a-z]*)/g;
	return [...source.matchAll(literal)].map((m) => new RegExp(m[1], m[2]));
}

// Characters that mean something to a pattern, and some that do not.
const lettersOf = (pattern) => [...new Set([...pattern.source.replace(/\\[dwspLN{}]/g, "a1 "), " ", "x", "\n"])].slice(0, 16);

function* linesFor(letters, heads) {
	const tails = full ? ["", "x", "\u0001"] : ["\u0001"];
	for (const head of heads) for (const a of letters) for (const tail of tails) yield head + a.repeat(LENGTH) + tail;
	for (const [i, a] of letters.entries()) for (const [k, b] of letters.entries()) if (full ? i !== k : k === i + 1) yield (a + b).repeat(LENGTH / 2) + "\u0001";
}

function slowLine(pattern, lines, limit) {
	for (const line of lines) {
		const ms = quickest(limit, () => {
			pattern.lastIndex = 0;
			pattern.exec(line);
		});
		if (ms > limit) return `${Math.round(ms)} ms for ${JSON.stringify(line.slice(0, 12))}... of ${line.length} characters`;
	}
	return "";
}

function checkPatterns() {
	let n = 0;
	for (const file of readdirSync(here).filter((f) => f.endsWith(".js")))
		for (const pattern of patternsOf(readFileSync(here + file, "utf8"))) {
			const letters = lettersOf(pattern), heads = ["", ...letters[0] || "", "# a", "|---|"];
			const slow = slowLine(pattern, linesFor(letters, heads), PATTERN_MS);
			check(`${file}: ${pattern}`, !slow, slow);
			n++;
		}
	check("the page's patterns are found", n > 30, n);
	const planted = slowLine(/^ *\|?( *:?-+:? *\|)+ *:?-* *:? *\|? *$/, ["|---|" + " ".repeat(260) + "x"], PATTERN_MS);
	check("a pattern that is worse than linear is seen", planted, "nothing");
}

const MARKS = ["`", "*", "**", "_", "~~", "[", "![", "[a](", "[a](b \"", "<https://", "http://", "https://,", "\\", " ", "# ", ">", "> ", "- ", "1. ", "|", "|-", ":-|", "-",
	"~~~", "```", "*a ", "_a ", "**a ", "`a", "``a`", "[a]", "]", ")", "*a**", "a*", "a_", "&", "é", "$", "$a ", "\\("];
const HEADS = ["", "a|b\n|---|", "a|b\n", "# a", "```", "- ", "> ", "*", "**a", "`"];

function adversarial() {
	const lines = [];
	for (const mark of MARKS) for (const head of HEADS) for (const tail of ["", "x"]) lines.push(head + mark.repeat(LENGTH / mark.length) + tail);
	for (const [i, a] of MARKS.entries()) for (const [k, b] of MARKS.entries()) if (full || (i + k) % 5 === 0) lines.push((a + b).repeat(LENGTH / (a + b).length) + "x");
	lines.push("# a" + " ".repeat(LENGTH) + "x", "``` " + " ".repeat(LENGTH) + "`", "[a](" + " ".repeat(LENGTH) + "b");
	lines.push(Array.from({ length: 200 }, (_, i) => "`".repeat(i + 1)).join("a"));
	for (const mark of ["> ", "- ", "*"]) lines.push(Array.from({ length: 150 }, (_, i) => mark.repeat(i) + "x").join("\n"));
	return lines;
}

function checkMarkdown() {
	let worst = 0, of = "";
	for (const text of adversarial()) {
		const ms = quickest(MARKDOWN_MS, () => markdown(text));
		if (ms > worst) [worst, of] = [ms, text.slice(0, 24)];
	}
	check(`Markdown of ${LENGTH} characters`, worst <= MARKDOWN_MS, `${Math.round(worst)} ms for ${JSON.stringify(of)}...`);
	console.log(`  the slowest of ${adversarial().length} lines took ${worst.toFixed(1)} ms: ${JSON.stringify(of)}...`);
}

const shown = (node) => (node.tagName === "#TEXT" ? node.text : `<${node.tagName.toLowerCase()}>${node.childNodes.map(shown).join("")}</>`);
const depthOf = (node) => 1 + Math.max(0, ...node.childNodes.map(depthOf));

function checkDepth() {
	for (const mark of ["*", "_", "**", "> ", "- ", "~~"]) {
		const forms = [mark.repeat(3000) + "x", mark.repeat(1500) + "x" + mark.trim().repeat(1500),
			Array.from({ length: 600 }, (_, i) => (i % 2 ? "*a " : "**b ")).join("") + Array.from({ length: 600 }, (_, i) => (i % 2 ? " c**" : " d*")).join("")];
		for (const text of forms) {
			const depth = Math.max(...markdown(text).map(depthOf));
			check(`${JSON.stringify(mark)} nested`, depth <= 30, depth);
		}
	}
}

function checkMeaning() {
	const cases = {
		"a **b** c": "<p>a <strong>b</>", "*a*": "<em>a", "a_b_c": "a_b_c", "_a_ b": "<em>a", "~~a~~": "<del>a", "`a*b*`": "<code>a*b*", "``a`b``": "<code>a`b",
		"** a**": "** a**", "**a": "**a", "*a **b** c*": "<em>a <strong>b</> c", "# a ##": "<h3>a</>", "# a#": "<h3>a#", "a|b\n---|:-:\n1|2": "<table>",
		"a|b\n|---|x": "<p>a|b\n|---|x", "[a](https://e.org)": "<a>a", "[a](javascript:x)": "<p>a", "a  \nb": "<br>", "\\*a\\*": "<p>*a*",
		"```c\nx\n```": "<figure>", "``` `\nx": "<p>", "- a\n- b": "<ul><li>a</><li>b", "> a": "<blockquote>", "---": "<hr>", "https://e.org/a_b_c.": "<a>https://e.org/a_b_c</>.",
	};
	for (const [text, wanted] of Object.entries(cases)) {
		const got = markdown(text).map(shown).join("");
		check(JSON.stringify(text), got.includes(wanted), got);
	}
}

const LANGUAGES = ["c", "cpp", "csharp", "java", "kotlin", "swift", "javascript", "typescript", "go", "rust", "php", "python", "ruby", "bash", "sql", "json", "yaml", "ini", "css", "html", "diff"];
const CODE_MARKS = ['"', "'", "`", '"""', "/*", "//", "#", "<" + "!--", "<", "--", "1", "1e", "a", "\\", "{", "\n", "@", "角"];
const flat = (nodes) => nodes.map((n) => (typeof n === "string" ? n : n.text || flat(n.childNodes))).join("");

// Colours take linear time and change no text.
function checkHighlight() {
	for (const language of LANGUAGES) {
		let worst = 0, of = "", lost = "";
		for (const a of CODE_MARKS) for (const b of full ? CODE_MARKS : [""]) {
			const text = ("x " + a + b).repeat(LENGTH / (a + b + "x ").length), ms = quickest(MARKDOWN_MS, () => highlight(language, text));
			if (ms > worst) [worst, of] = [ms, a + b];
			if (flat(highlight(language, text)) !== text) lost = a + b;
		}
		check(`${language} in colours`, worst <= MARKDOWN_MS && !lost, `${Math.round(worst)} ms for ${JSON.stringify(of)}; text lost for ${JSON.stringify(lost)}`);
	}
}

function checkExports() {
	const sources = readdirSync(here).filter((f) => f.endsWith(".js")).map((f) => [f, readFileSync(here + f, "utf8")]);
	const imported = new Set(sources.flatMap(([, s]) => [...s.matchAll(/^import \{ ([^}]*) \} from/gm)].flatMap((m) => m[1].split(", "))));
	for (const [file, source] of sources)
		for (const m of source.matchAll(/^export (?:async )?(?:const|let|class|function) (\w+)/gm)) check(`${file}: ${m[1]} is used elsewhere`, imported.has(m[1]), "no module imports it");
	const own = sources.flatMap(([file, s]) => [...s.matchAll(/^import \{ ([^}]*) \} from/gm)].flatMap((m) => m[1].split(", ")).filter((name) => s.match(new RegExp("\\b" + name + "\\b", "g")).length < 2).map((name) => `${file}: ${name}`));
	check("what a module imports it uses", own.length === 0, own);
}

checkExports();
checkHighlight();
checkMeaning();
checkDepth();
checkMarkdown();
checkPatterns();
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);

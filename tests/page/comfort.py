"""comfort.py - what a person at the page meets: defaults, errors, running answers, files, formulas, keys, pictures. parts() takes the
module of page.py, whose helpers these use, and returns the tests."""
import json
import os
import re
import threading
import time

import shots
from browser import *
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys


def parts(page):
    names = "check limit same skip d mock text fresh write click key Gateway MODEL URL OVER WORDS".split()
    globals().update({k: getattr(page, k) for k in names if hasattr(page, k)}, daemon=page.sock)
    real = [opens_in_chat, lasting_hint, title] if page.MODEL else []
    return [opening, limits, defaults, several, removal, quiet, tool_results, folded, files, formulas, colours_of_code, keys, errors, phases, pictures] + real


def js(script, *args):
    return d.execute_script("return " + script, *args)


def info(**facts):
    """What /server_info of the mock says besides its usual facts; without arguments those alone."""
    for k in ("chat", "no_chat", "defaults", "phase", "phase_done", "phase_total"):
        mock.info.pop(k, None)
    mock.info.update(facts)


def seen_info(url, **prefs):
    fresh(url, **prefs)
    until(d, "document.querySelector('#status').dataset.kind === 'ready'")


def opens_in_chat():
    fresh(URL, mode=None)
    check("a model that chats: the page opens in chat", until(d, "document.querySelector('[name=mode][value=chat]').checked"))


def opening():
    info(chat="", no_chat="start the server with --chat-template NAME")
    fresh(mock.url, mode=None)
    check("a model that does not: in completion", until(d, "document.querySelector('[name=mode][value=text]').checked && document.querySelector('.why') !== null"))
    same("and it says why, with the operator's text behind", (js("document.querySelector('.why > p').textContent"), js("document.querySelector('.why details').open"), js("document.querySelector('.why details p').textContent")),
         (WORDS["chatOff"][0], False, "start the server with --chat-template NAME"))
    check("chat cannot be chosen", not one(d, "[name=mode][value=chat]").is_enabled())
    fresh(mock.url, mode="chat")
    check("even where it was before", until(d, "document.querySelector('[name=mode][value=text]').checked"))
    info(chat="xverse-v1", no_chat="")
    fresh(mock.url, mode=None)
    check("the mock that chats", until(d, "document.querySelector('[name=mode][value=chat]').checked"))
    fresh(mock.url, mode="text")
    check("what the person chose stays", until(d, "document.querySelector('#status').dataset.kind === 'ready' && document.querySelector('[name=mode][value=text]').checked"))
    info()


def limits():
    fresh(mock.url)
    mock.pieces = ["a ", "b "]
    write("x")
    same("completion: as many tokens as the context leaves", mock.asked("/v1/completions")[-1]["max_tokens"], 511)
    check("cut: the answer itself says so", "Cut after 2 tokens" in text(".cut"), text())
    click("Continue", ".cut")
    check("and goes on", until(d, OVER + " && document.querySelector('.manuscript').textContent === 'xa b a b '"), text(".manuscript"))
    info(chat="xverse-v1", no_chat="", defaults={"max_tokens": 40})
    seen_info(mock.url)
    write("x")
    same("the makers' own limit counts", mock.asked("/v1/completions")[-1]["max_tokens"], 40)
    fresh(mock.url, "chat")
    write("x")
    same("chat: no limit of the page", "max_tokens" in mock.asked("/v1/chat/completions")[-1], False)
    mock.info["max_model_len"] = 7
    seen_info(mock.url, mode="chat")
    write("x")
    check("a full context: no way on is offered", "context of 7 tokens is full" in text(".cut") and not every(d, ".cut button"), text())
    mock.info["max_model_len"] = 512
    info()


def slide(name, value):
    d.execute_script("const s = document.querySelector('#set-' + arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))", name, value)


def defaults():
    info(defaults={"temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.15, "presence_penalty": 0, "frequency_penalty": 0})
    seen_info(mock.url)
    shown = js("Object.fromEntries([...document.querySelectorAll('#pane-sampling .unset input[type=number]')].map(b => [b.id.slice(4, -6), b.placeholder]))")
    same("unset values show the default in force", shown, {"max_tokens": "until it ends", "temperature": "0.7", "top_k": "40", "top_p": "0.9", "repetition_penalty": "1.15",
                                                           "min_p": "0.05", "presence_penalty": "0", "frequency_penalty": "0", "top_logprobs": "–"})
    same("and stand there", js("[...document.querySelectorAll('#set-temperature, #set-top_k, #set-min_p')].map(r => +r.value)"), [0.7, 40, 0.05])
    fields = {**mock.openapi["paths"]["/v1/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"],
              **mock.openapi["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]}
    until(d, "document.querySelector('#set-temperature-value').max !== ''")
    boxes = js("Object.fromEntries([...document.querySelectorAll('#pane-sampling .setting-head input[type=number]')].map(b => [b.id.slice(4, -6), [+b.min, +b.max]]))")
    same("ranges are those of /openapi.json", boxes, {k: [fields[k]["minimum"], fields[k]["maximum"]] for k in boxes})
    d.execute_script("document.querySelector('.more-settings').open = true")
    for name, value in (("min_p", 0.1), ("presence_penalty", -1.5), ("frequency_penalty", 0.5), ("temperature", 2), ("top_logprobs", 3)):
        slide(name, value)
    one(d, "#set-bias").send_keys("t")
    until(d, "document.querySelector('.choices button') !== null")
    one(d, ".choices button").click()
    d.execute_script("const b = document.querySelector('.biases input'); b.value = 7; b.dispatchEvent(new Event('change'))")
    write("x")
    body = mock.asked("/v1/completions")[-1]
    same("what is behind More is sent", [body[k] for k in ("min_p", "presence_penalty", "frequency_penalty", "temperature", "logprobs", "logit_bias")], [0.1, -1.5, 0.5, 2, 3, {"0": 7}])
    d.execute_script("const b = document.querySelector('#set-temperature-value'); b.value = 99999; b.dispatchEvent(new Event('change'))")
    same("a box takes the whole range and no more", js("JSON.parse(localStorage.getItem('xverse.sampling')).temperature"), fields["temperature"]["maximum"])
    fresh(mock.url, "chat", sampling={"top_logprobs": 2})
    write("x")
    body = mock.asked("/v1/chat/completions")[-1]
    same("in a chat", (body["logprobs"], body["top_logprobs"]), (True, 2))
    click("All to server defaults", "#pane-sampling")
    same("all unset again", js("localStorage.getItem('xverse.sampling')"), "{}")
    info()


def several():
    """Two conversations at a time: the first goes on while the second is shown."""
    fresh(mock.url)
    mock.gate, mock.pieces = threading.Event(), ["one ", "two ", "three ", "four"]
    write("first", "document.querySelector('.manuscript').textContent.includes('two')")
    one(d, "#new").click()
    check("a mark shows the running answer", until(d, "document.querySelector('#list .mark.busy') !== null") and not every(d, ".running .body"))
    check("the other conversation can be used", one(d, "#send").is_displayed())
    gate, mock.gate = mock.gate, None
    mock.script = [{"pieces": ["else"]}]
    check("and has an answer of its own", write("second") and text(".manuscript") == "secondelse", text(".manuscript"))
    gate.set()
    check("the first ended: another mark", until(d, "document.querySelector('#list .mark:not(.busy)') !== null"))
    d.execute_script("[...document.querySelectorAll('#list .open')].find(b => b.textContent === 'first').click()")
    check("complete", until(d, "document.querySelector('.manuscript')?.textContent === 'firstone two three four'"), text())
    check("the mark is gone", not every(d, "#list .mark"))
    mock.pieces = ["a"]


def removal():
    fresh(mock.url)
    write("keep me")
    until(d, "document.querySelectorAll('#list .open').length === 1")
    remove = "[...document.querySelectorAll('#list .menu button')].find(b => b.textContent === 'Delete').click()"
    d.execute_script(remove)
    check("deleting asks", until(d, "document.querySelector('#dialog').open"))
    click("Cancel", "#dialog")
    same("no is no", js("document.querySelectorAll('#list .open').length"), 1)
    d.execute_script(remove)
    click("Delete", "#dialog")
    check("deleted", until(d, "document.querySelectorAll('#list .open').length === 0 && !document.querySelector('#notice').hidden"))
    click("Undo", "#notice")
    check("and put back, and shown again", until(d, "document.querySelectorAll('#list .open').length === 1 && document.querySelector('.manuscript')?.textContent === 'keep mea'"), text())
    one(d, "#delete-all").click()
    until(d, "document.querySelector('#dialog').open")
    click("Delete", "#dialog")
    check("all of them", until(d, "document.querySelectorAll('#list .open').length === 0"))
    click("Undo", "#notice")
    check("too", until(d, "document.querySelectorAll('#list .open').length === 1"))


def opacity(css):
    time.sleep(0.2)
    return float(js("getComputedStyle(document.querySelector(arguments[0])).opacity", css))


def quiet():
    fresh(mock.url, "chat")
    write("x")
    ActionChains(d).move_to_element(one(d, "#search")).perform()
    same("tools wait for the pointer", opacity(".turn.model .tools"), 0)
    ActionChains(d).move_to_element(one(d, ".turn.model .body")).perform()
    same("and are there under it", opacity(".turn.model .tools"), 1)
    ActionChains(d).move_to_element(one(d, "#search")).perform()
    d.execute_script("document.querySelector('.turn.model .tools button').focus()")
    same("or with the focus", opacity(".turn.model .tools"), 1)
    same("one row, with the receipt", js("[...document.querySelectorAll('.turn.model .tools > button')].map(b => b.textContent)"), ["Copy", "Regenerate", "Continue", "Receipt"])
    same("the system prompt is one line", js("[document.querySelector('#system-box').open, document.querySelector('#system-box').offsetHeight < 30]"), [False, True])
    fresh(mock.url)
    write("x")
    same("no colours before they are asked for", (len(every(d, ".manuscript .t")), js("document.querySelector('.colours input').checked")), (0, False))
    d.execute_script("document.querySelector('.colours input').click()")
    check("then with what they mean", len(every(d, ".manuscript .t")) == 1 and WORDS["coloursMean"][0] in text(".colours"))


def lasting_hint():
    """No hint without a move of the mouse, and none over tools."""
    fresh(URL, colours=True, sampling={"max_tokens": 60, "seed": 1})
    write("In the beginning")
    ActionChains(d).move_to_element(every(d, ".manuscript .t")[2]).move_by_offset(1, 1).perform()
    check("a move shows alternatives", until(d, "!document.querySelector('#hint').hidden"))
    d.execute_script("""window.shown = 0; new MutationObserver(() => { if (!document.querySelector('#hint').hidden) window.shown++; }).observe(document.querySelector('#hint'), {attributes: true});
        document.querySelector('#hint').hidden = true; window.shown = 0; [...document.querySelectorAll('.tools button')].find(b => b.textContent === 'Regenerate').click()""")
    check("text that grows under a resting pointer does not", until(d, OVER + " && document.querySelector('.variants .num')?.textContent === '2/2'") and js("window.shown") == 0, js("window.shown"))
    over = []
    n = js("document.querySelectorAll('.manuscript .t').length")
    for i in sorted({0, n // 3, n // 2, n - 2, n - 1}):
        ActionChains(d).move_to_element(every(d, ".manuscript .t")[i]).move_by_offset(1, 1).perform()
        until(d, "!document.querySelector('#hint').hidden")
        over += js("""(() => { const h = document.querySelector('#hint').getBoundingClientRect();
            return [...document.querySelectorAll('#log .tools, #log .cut, #composer')].filter(n => { const r = n.getBoundingClientRect(); return r.left < h.right && h.left < r.right && r.top < h.bottom && h.top < r.bottom; }).map(n => [arguments[0], n.className]); })()""", i)
    same("the hint lies over no tools", over, [])


def tool_results():
    info(chat="xverse-v2", no_chat="")
    seen_info(mock.url, mode="chat")
    d.execute_script("document.querySelector('#system-box').open = true")
    one(d, "#system").send_keys("Be brief")
    one(d, "#exec").send_keys("42")
    write("What does it say?")
    same("a tool's result goes along as exec", mock.asked("/v1/chat/completions")[-1]["messages"],
         [{"role": "system", "content": "Be brief"}, {"role": "exec", "content": "42"}, {"role": "user", "content": "What does it say?"}])
    check("closed again, with the prompt in its line", js("!document.querySelector('#system-box').open") and "Be brief" in text("#system-summary"), text("#system-summary"))
    same("and stands in the talk", text(".exec .who"), "Tool")
    info(chat="llama-2", no_chat="")
    seen_info(mock.url, mode="chat")
    check("other formats have no exec", js("document.querySelector('#exec-row').hidden"))
    info()


DROP = """const t = new DataTransfer(); for (const [name, bytes] of arguments[0]) t.items.add(new File([new Uint8Array(bytes)], name));
    for (const kind of ['dragover', 'drop']) document.querySelector('main').dispatchEvent(new DragEvent(kind, {dataTransfer: t, bubbles: true, cancelable: true}))"""


def drop(*named):
    d.execute_script(DROP, [[name, list(data)] for name, data in named])


def files():
    fresh(mock.url, "chat")
    drop(("a.txt", "Grüße\n```\n".encode()), ("<img src=x>.md", b"# b"))
    check("dropped files are listed", until(d, "document.querySelectorAll('#files li').length === 2"), text("#files"))
    write("Read them")
    same("and go along with the message, fenced", mock.asked("/v1/chat/completions")[-1]["messages"][-1]["content"],
         "a.txt:\n````\nGrüße\n```\n````\n\n<img src=x>.md:\n```\n# b\n```\n\nRead them")
    same("folded in the talk", (text(".user .body"), len(every(d, ".user .file")), js("document.querySelectorAll('.user .file[open]').length")), ("Read them", 2, 0))
    drop(("x.bin", bytes([0, 255, 254])))
    check("what is no text is refused", until(d, "document.querySelector('#notice').textContent.includes('x.bin is not a text')"), text("#notice"))
    drop(("big.txt", b"a" * ((1 << 20) + 1)))
    check("and what is too large", until(d, "document.querySelector('#notice').textContent.includes('big.txt is too large')"), text("#notice"))
    drop(*[(f"{i}.txt", b"x") for i in range(10)])
    check("or too many", until(d, "document.querySelectorAll('#files li').length === 8 && document.querySelector('#notice').textContent.includes('At most 8')"), text("#notice"))
    for _ in range(8):
        one(d, "#files button").click()
    same("each can be taken out", len(every(d, "#files li")), 0)
    fresh(mock.url)
    drop(("p.txt", b"Once upon"))
    check("in completion a file is the prompt", until(d, "document.querySelector('#input').value === 'Once upon'"))


FORMULAS = ["$x^2$", "$$\\frac{a}{b}$$", "\\(\\alpha\\)", "\\[\n\\sum_{i=1}^n i\n\\]", "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}", "$$\n- x\n+ y\n$$", "\\[ \\left(\\begin{matrix} 1 & 2 \\\\ 3 & 4 \\end{matrix}\\right) \\]",
            "$\\mathbb{R}$ and $\\text{角}$", "$\\color{red}{x}$", "$\\boxed{x}$", "$\\pmb{x} \\cancel{y}$"]
TEXTS = ["costs $5 and $10", "`$x$`", "$ 5 and 6 $", "$\\frac{$", "US$ and CA$", "\\$x\\$"]
HOSTILE = ["$\\href{javascript:window.alarm=1}{x}$", "$\\url{javascript:window.alarm=1}$", "$\\includegraphics{http://127.0.0.1:9/x.png}$", "$\\htmlClass{a}{x}$", "$\\htmlStyle{color:red}{x}$",
           "$\\htmlData{a=b}{x}$", "$\\text{<img src=x onerror=window.alarm=1>}$", "$\\def\\a{\\a\\a}\\a$", "$\\rule{99999em}{99999em}$", "$" + "{" * 1900 + "x" + "}" * 1900 + "$",
           "$" + "\\sqrt{" * 600 + "x" + "}" * 600 + "$", "$\\begin{matrix}" + "1&" * 1500 + "\\end{matrix}$", "$\\def\\b#1{#1#1#1#1#1#1#1#1}" + "\\b{" * 12 + "x" + "}" * 12 + "$",
           "$\\def\\b#1{#1#1}" + "\\b{" * 50 + "x" * 1700 + "}" * 50 + "$", "$" + "\\left(" * 200 + "\\right)" * 200 + "$"]


def said_as(pieces):
    mock.script = [{"pieces": [pieces]}]
    one(d, "#new").click()
    write("x")


def formulas():
    if not mock.katex:
        skip("the build has no KaTeX")
        return
    fresh(mock.url, "chat")
    d.execute_script("window.reports = []; document.addEventListener('securitypolicyviolation', e => window.reports.push(e.violatedDirective + ' ' + e.sourceFile))")
    same("no formula, no script", js("typeof katex"), "undefined")
    said_as("\n\n".join("so " + f if "\n" not in f else f for f in FORMULAS))
    check("formulas are set", until(d, "document.querySelectorAll('.model math').length >= arguments[0]", len(FORMULAS)),
          js("[...document.querySelectorAll('.model .formula')].filter(n => !n.querySelector('math')).map(n => n.textContent)"))
    said_as("$$\\int_0^1 x\\,dx = \\tfrac12$$")
    check("in MathML, whose text a screen reader reads", js("document.querySelector('.model math').namespaceURI") == "http://www.w3.org/1998/Math/MathML" and js("document.querySelector('.model math msubsup') !== null"))
    said_as("\n\n".join(TEXTS))
    same("prices and code are none", js("[...document.querySelectorAll('.model math')].map(n => n.textContent)"), [])
    bad, slow = [], 0
    for f in HOSTILE:
        start = time.time()
        said_as(f)
        slow = max(slow, time.time() - start)
        if js("window.alarm || document.querySelectorAll('#log a, #log img, #log [style], #log [class=a], #log [href]').length"):
            bad.append(f[:60])
    same("nothing hostile gets through", (bad, js("window.reports")), ([], []))
    check("nor takes long", slow < limit(5), slow)
    katex, mock.katex = mock.katex, None
    fresh(mock.url, "chat")
    said_as("so $x^2$")
    check("a gateway without KaTeX: formulas stay text", "so $x^2$" in text(".model .body") and not every(d, "math"))
    complaints(d)
    mock.katex = katex


CODE = {"c": "int main(void) { return 0; } // x", "cpp": "auto x = nullptr; /* y */", "java": "public class A { }", "javascript": "const f = async () => `a`;", "typescript": "interface A { b: string }",
        "python": "def f(a): # b\n    return 'c'", "go": "func main() { var x int }", "rust": "fn main() { let x = 1u8; }", "bash": "for f in *; do echo \"$f\"; done # x", "sql": "SELECT a FROM b -- c", "json": "{\"a\": true, \"b\": 1.5e3}",
        "html": "<p class=\"a\">b</p>", "css": "p { color: red; } /* x */", "ruby": "def a\n  'b'\nend", "php": "function a() { return 1; }", "yaml": "a: true # b", "kotlin": "fun main() { val x = 1 }", "swift": "func a() { let b = \"c\" }", "csharp": "using System; class A { }",
        "diff": "+ a\n- b", "rs": "let x = 1;", "py": "import os"}


def colours_of_code():
    fresh(mock.url, "chat")
    said_as("\n\n".join(f"```{language}\n{code}\n```" for language, code in CODE.items()))
    found = js("[...document.querySelectorAll('.model .code')].map(n => [n.querySelector('figcaption span').textContent, n.querySelector('pre').textContent, n.querySelector('pre [class^=h-]') !== null])")
    same("each language has colours, and its text unchanged", found, [[language, code, True] for language, code in CODE.items()])
    said_as("```brainfuck\n+++ int return\n```")
    same("an unknown one has none", len(every(d, ".model pre [class^=h-]")), 0)


def keys():
    fresh(mock.url)
    ActionChains(d).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).perform()
    same("Ctrl K searches", js("document.activeElement.id"), "search")
    ActionChains(d).key_down(Keys.CONTROL).send_keys("b").key_up(Keys.CONTROL).perform()
    check("Ctrl B puts the conversations away", not one(d, "#side").is_displayed() and one(d, "#open-side").is_displayed())
    one(d, "#open-side").click()
    check("and a button brings them back", one(d, "#side").is_displayed())
    d.execute_script("document.querySelector('#log').focus()")
    key("?")
    listed = text("#dialog") if js("document.querySelector('#dialog').open") else ""
    check("? lists the keys", all(k in listed for k in ("Ctrl", "Esc", "search conversations")), listed)
    key(Keys.ESCAPE)
    check("Escape closes the list", until(d, "!document.querySelector('#dialog').open"))
    one(d, "#input").send_keys("what?")
    check("in the input it is a character", js("document.querySelector('#input').value") == "what?" and not js("document.querySelector('#dialog').open"))
    mock.info.update(version="9.9", numerics_class="a/b/c")
    fresh(mock.url)
    one(d, "#about").click()
    about = text("#dialog")
    check("About: version, model, class", all(k in about for k in ("9.9", "mock", "a/b/c")), about)
    same("and links", [a.get_attribute("href").split("/", 3)[3] for a in every(d, "#dialog a")], ["metrics", "openapi.json", "server_info"])
    click("Close", "#dialog")
    write("x")
    d.execute_script("document.querySelector('#list summary').click()")
    same("exports are named", js("[...document.querySelectorAll('#list .menu button')].map(b => b.textContent)"), ["Rename", "Export as JSON", "Export as Markdown", "Delete"])


ERRORS = [({"status": 400, "code": "context_length_exceeded", "message": "the prompt has 601 tokens; --max-model-len is 512"}, "errLength", "New"),
          ({"status": 400, "code": "limit_exceeded", "message": "9 prompt tokens and max_tokens 9 exceed --max-model-len 8"}, "errLength", "New"),
          ({"status": 400, "message": "top_p must be at most 1"}, "errSetting", None), ({"status": 401, "message": "no key"}, "needKey", None), ({"status": 404, "code": "not_found", "message": "no model x"}, "errModel", None),
          ({"status": 413, "message": "body over --max-body"}, "errLarge", None), ({"status": 403, "message": "--allowed-host"}, "errForbidden", None), ({"status": 501, "message": "--chat-template"}, "noChat", "Switch to completion"),
          ({"status": 500, "code": "rank_failed", "message": "rank 1 was lost"}, "errRank", "Try again"), ({"status": 504, "code": "deadline", "message": "after 3 s"}, "errDeadline", "Try again"),
          ({"status": 409, "code": "model_changed", "message": "fingerprint"}, "errChanged", "Try again"), ({"status": 500, "code": "internal", "message": "REQUIRE"}, "errServer", "Try again"), ({"status": 418, "message": "teapot"}, "errServer", "Try again")]


def errors():
    for language, shown in (("en", ERRORS), ("zh", ERRORS[::4])):
        fresh(mock.url, "chat", language)
        for how, words, way in shown:
            mock.script = [how]
            d.execute_script("document.querySelector('#new').click()")
            write("x", "document.querySelector('.error') !== null")
            found = js("[document.querySelector('.error > p').textContent, document.querySelector('.error details').open, document.querySelector('.error details p').textContent, document.querySelector('.error > button')?.textContent ?? null]")
            wanted = way and next(v[language == "zh"] for k, v in WORDS.items() if v[0] == way)
            check(f"{language}: {how['status']} {how.get('code')}", found[0] == WORDS[words][language == "zh"] and not found[1] and how["message"] in found[2] and found[3] == wanted, found)
    fresh(mock.url, "chat")
    mock.script = [{"status": 503, "code": "loading", "retry": 1}, {"pieces": ["fine"]}]
    write("x", "document.querySelector('#status').textContent.includes('still loading')")
    check("while it loads the message waits", until(d, OVER) and "fine" in text(".model .body"))


def phases():
    fresh(mock.url)
    said = []
    one(d, "#tab-server").click()
    for phase, done, total in (("weights", 1 << 30, 4 << 30), ("cache", 1 << 30, 1 << 30), ("graphs", 3, 20), ("warm-up", 0, 0)):
        info(phase=phase, phase_done=done, phase_total=total, state="loading", load_bytes=1 << 30, load_total=1 << 30)
        word = {"weights": "Loading the weights: 1.0 GiB of 4.0 GiB", "cache": "Getting memory for the KV cache: 1.0 GiB of 1.0 GiB", "graphs": "Recording CUDA graphs: 3 of 20", "warm-up": "Warming up"}[phase]
        if not until(d, "document.querySelector('#status').textContent === arguments[0]", word):
            said.append((phase, text("#status")))
        if js("document.querySelector('#progress').value") >= 1 or js("document.querySelector('#progress').hidden") != (total == 0):
            said.append((phase, "bar"))
    same("each phase of the start, never full", said, [])
    info(state="ready", load_total=0)
    info()


def title():
    g = Gateway("--model", daemon, "--port=0", "--title=<b>Our model</b> 模型")
    d.get(f"http://127.0.0.1:{g.port}/")
    check("--title", until(d, "document.title === '<b>Our model</b> 模型'") and text("#brand") == "<b>Our model</b> 模型" and not every(d, "#brand b"), text("#brand"))
    g.stop()


def rails(name):
    """Whether each slider's rail is near the page's ground, in light and dark: the browser's own may glare."""
    points = d.execute_script(shots.RAILS)
    colours = d.execute_async_script("""const [png, points, done] = arguments, i = new Image(); i.onload = () => { const c = document.createElement('canvas'); c.width = i.width; c.height = i.height;
        const x = c.getContext('2d', {willReadFrequently: true}); x.drawImage(i, 0, 0); done(points.map(([a, b]) => [...x.getImageData(Math.round(a), Math.round(b), 1, 1).data].slice(0, 3))); }; i.src = 'data:image/png;base64,' + png;""",
                                         d.get_screenshot_as_base64(), points)
    dark = name == "dark"
    return [c for c in colours if (sum(c) > 3 * 110 if dark else sum(c) < 3 * 150)] if len(colours) >= 5 else ["no sliders seen"]


def pictures():
    """Each size class, scheme and language: what is measured is what an eye would object to."""
    long = [shots.ANSWER[i:i + 9] for i in range(0, len(shots.ANSWER), 9)]
    info(chat="xverse-v2", no_chat="", defaults={"temperature": 0.7, "top_k": 40, "top_p": 0.9, "repetition_penalty": 1.1})
    for size in shots.SIZES:
        shots.size(d, size)
        for theme in ("light", "dark"):
            for language in ("en", "zh"):
                for state in ("talk", "open", "text") if (theme == "light") == (language == "en") else ("talk",):
                    fresh(mock.url, "text" if state == "text" else "chat", language, theme=theme, colours=state == "text", sampling={"temperature": 0.5})
                    if state in ("talk", "text"):
                        mock.script = [{"pieces": long if state == "talk" else [f" word{i}" for i in range(60)]}]
                        write(shots.TALK[language])
                        until(d, "document.querySelector('math') !== null" if state == "talk" and mock.katex else "true")
                    if state == "open":
                        d.execute_script("document.querySelector('#system-box').open = true; document.querySelector('.more-settings').open = true")
                    faults = d.execute_script(shots.FAULTS)
                    same(f"a {size}, {theme}, {language}, {state}", faults, [])
                    shots.keep(d, f"{size}-{theme}-{language}-{state}")
            if size == "desktop":
                fresh(mock.url, theme=theme)
                same(f"rails in {theme}", rails(theme), [])
    shots.plain(d)
    shots.size(d, "phone")
    fresh(mock.url, "chat")
    d.execute_script("document.querySelector('#composer').style.minHeight = document.querySelector('#composer').style.maxHeight = '60vh'; document.querySelector('#system').rows = 1; document.querySelector('#system-box').open = true; document.querySelector('#system').style.height = '10px'")
    seen = " ".join(d.execute_script(shots.FAULTS))
    check("a composer that is too high is seen, and an empty box that scrolls", "composer" in seen and "scrolls though empty" in seen, seen)
    shots.plain(d)
    info()


def folded():
    """Reasoning and calls stream into folds of their own; the call goes back with its result."""
    fresh(mock.url, "chat")
    call = lambda **f: {"tool_calls": [{"index": 0, **f}]}
    mock.script = [{"deltas": [{"reasoning_content": "Let me "}, {"reasoning_content": "see <b>"}, {"content": "I look."},
                               call(id="c1", type="function", function={"name": "get_weather", "arguments": ""}),
                               call(function={"arguments": '{"city":'}), call(function={"arguments": ' "Paris"}'})], "finish": "tool_calls"}]
    check("an answer with parts", write("The weather?"))
    found = d.execute_script("return [...document.querySelectorAll('.turn.model .fold')].map(f => [f.open, f.querySelector('summary').textContent, f.querySelector('pre').textContent])")
    same("its folds", found, [[False, "Reasoning", "Let me see <b>"], [False, "Call: get_weather", '{\n  "city": "Paris"\n}']])
    same("its text", text(".turn.model .body"), "I look.")
    mock.bodies.clear()
    d.execute_script("document.querySelector('.results textarea').value = 'warm'")
    click("Send results")
    check("an answer to the result", until(d, OVER + " && document.querySelectorAll('.turn').length === 4"))
    said = mock.asked("/v1/chat/completions")[-1]["messages"][1:]
    same("what went back", said, [
        {"role": "assistant", "content": "I look.", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}]},
        {"role": "tool", "tool_call_id": "c1", "name": "get_weather", "content": "warm"}])

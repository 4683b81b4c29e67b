"""page.py - the web page by keyboard and DOM in headless Chromium: against a daemon with a small model, and against a mock that
misbehaves as models and servers may."""
import base64
import gzip
import hashlib
import json
import os
import sys
import threading

sys.path[:0] = ["tests/gateway", "tests/page"]
from gw import *
from browser import *
from mock import Mock
import comfort
from payloads import PAYLOADS
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

MODEL = next((m for m in ("launch/demo/model", STORIES) if os.path.exists(m + "/config.json")), None)
if MODEL:
    _, sock = start_daemon(MODEL, "small", chat_template="llama-2", max_model_len=512)
else:
    _, sock = start_daemon()
gateway = Gateway("--model", sock, "--port=0")
URL = f"http://127.0.0.1:{gateway.port}/"
mock = Mock(gateway.port)
d = open_browser(WORK)
OVER = "!document.querySelector('.running') && document.querySelector('.turn .tools') !== null"


def free_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    return port


def up(g):
    try:
        return g.get("/health/ready")[0] == 200
    except OSError:
        return False


def descendants(pid):
    out = [int(p) for t in os.listdir(f"/proc/{pid}/task") for p in open(f"/proc/{pid}/task/{t}/children").read().split()]
    return out + [p for c in out for p in descendants(c)]


def key(*keys):
    ActionChains(d).send_keys(*keys).perform()


def text(css="#log"):
    return d.execute_script("return document.querySelector(arguments[0]).textContent", css)


def fresh(url, mode="text", language="en", **prefs):
    """The page with nothing kept."""
    d.get(url)
    prefs.update(mode=mode, language=language)
    d.execute_async_script("""const [prefs, done] = arguments; localStorage.clear();
        for (const [k, v] of Object.entries(prefs)) localStorage.setItem('xverse.' + k, JSON.stringify(v));
        const all = indexedDB.open('xverse', 1); all.onsuccess = () => { const s = all.result.transaction('conversations', 'readwrite');
        s.objectStore('conversations').clear(); s.oncomplete = () => { all.result.close(); done(); }; };""", prefs)
    d.get(url)
    until(d, "document.querySelector('#model').options.length > 0")


def write(words, over=OVER):
    one(d, "#input").clear()
    one(d, "#input").send_keys(words, Keys.ENTER)
    return until(d, over) if over else True


def click(label, within="#log"):
    d.execute_script("""[...document.querySelectorAll(arguments[0] + ' button, ' + arguments[0] + ' summary')]
        .find(b => b.textContent.trim() === arguments[1] && !b.disabled).click()""", within, label)


WORDS = dict((k, (a, b)) for k, a, b in re.findall(r"^\t(\w+): \[\"([^\"]+)\",\s*\"([^\"]+)\"\]", open("rpc/gateway/page/words.js").read(), re.M))


def served():
    status, page, head = gateway.request("GET", "/")
    policy = head["Content-Security-Policy"]
    same("the page is served", (status, head["Content-Type"]), (200, "text/html; charset=utf-8"))
    check("at most 160 KB, 50 KB compressed", len(page) <= 160 * 1024 and len(gzip.compress(page, 9)) <= 50 * 1024, len(page))
    status, katex, head = gateway.request("GET", "/katex.js")
    check("the script of formulas, under its own hash", status == 404 or (head["Content-Type"] == "text/javascript; charset=utf-8" and
          base64.b64encode(hashlib.sha256(katex).digest()).decode() in policy and b"Permission is hereby granted" in katex), status, head)
    check("policy", all(p in policy for p in ("default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "trusted-types 'none'",
                                              "require-trusted-types-for 'script'")) and "unsafe" not in policy, policy)
    check("nothing from elsewhere", not re.search(rb"(src|href)=\"?https?:", page) and not re.search(rb"\burl\(|@import", page))
    same("other paths stay unknown", gateway.get("/index.html")[0], 404)


def completion():
    fresh(URL, colours=True, sampling={"max_tokens": 24, "seed": 1})  # of a drawn seed the text might end, and nothing would come behind the end
    same("first focusable is the skip link", (key(Keys.TAB), d.switch_to.active_element.text)[1], "Skip to the input")
    check("completion ends", write("Once upon a time"))
    node = d.execute_script("return [document.querySelector('.prompt').textContent, document.querySelectorAll('.manuscript .t').length]")
    check("prompt and tokens", node[0] == "Once upon a time" and node[1] > 3, node)
    check("meter", "context" in text("#status") and "first\u00a0after" in text("#status"), text("#status"))
    first = text(".manuscript")
    click("Receipt")
    click("Run again and compare")
    same("the same again", until(d, "(document.querySelector('.verdict') || {dataset: {}}).dataset.same"), "true")
    click("Regenerate")
    check("a second variant", until(d, OVER + " && document.querySelector('.variants .num')?.textContent === '2/2'"))
    d.execute_script("document.querySelector('.variants button').click()")
    same("the first variant is kept", text(".manuscript"), first)
    click("Side by side")
    same("two beside each other", len(every(d, ".beside section")), 2)
    click("One at a time")
    click("Continue")
    longer = f" && document.querySelector('.manuscript').textContent.length > {len(first.encode('utf-16-le')) // 2}"
    check("it goes on", until(d, OVER + longer) and text(".manuscript").startswith(first), text(".manuscript"))


def alternatives():
    d.execute_script("document.querySelectorAll('.manuscript .t')[1].focus()")
    check("alternatives by keyboard", until(d, "!document.querySelector('#hint').hidden && document.querySelectorAll('#hint li').length > 2"))
    key(Keys.ARROW_RIGHT)
    same("arrows move", d.switch_to.active_element.get_attribute("data-at"), "2")
    before = d.execute_script("return [...document.querySelectorAll('.manuscript .t')].slice(0, 2).map(t => t.textContent).join('')")
    # An alternative that is not what stands there.
    name = d.execute_script("""const b = document.querySelector('#hint li:not(.own) button'); b.click();
        return b.querySelector('.tok').textContent.replaceAll('␣', ' ').replaceAll('↵', '\\n')""")
    check("a branch from the alternative", until(d, OVER + " && document.querySelector('.variants .num')?.textContent === '3/3'") and
          text(".manuscript").startswith("Once upon a time" + before + name), before + name, text(".manuscript"))
    ActionChains(d).move_to_element(every(d, ".manuscript .t")[3]).move_by_offset(1, 1).perform()
    check("alternatives under the mouse", until(d, "!document.querySelector('#hint').hidden"))
    key(Keys.ESCAPE)
    check("Escape closes them", d.execute_script("return document.querySelector('#hint').hidden"))
    d.execute_script("document.querySelector('.colours input').click()")
    same("colours off", len(every(d, ".manuscript .t")), 0)


def tools():
    one(d, "#tab-sampling").click()
    key(Keys.ARROW_RIGHT)
    check("pieces", until(d, "document.querySelectorAll('#pane-tokens .ids td').length > 6"))
    one(d, "#tab-code").click()
    until(d, "document.querySelector('#pane-code pre') !== null")
    code = text("#pane-code")
    check("curl and Python", "curl -N" in code and "from openai import OpenAI" in code and '"seed"' in code, code)
    one(d, "#tab-server").click()
    check("ranks", until(d, "document.querySelectorAll('#pane-server .stack').length === 1 && document.querySelector('#pane-server dl') !== null"))
    one(d, "#tab-sampling").click()
    limits = d.execute_script("return [...document.querySelectorAll('#pane-sampling [type=range]')].map(r => [r.id.slice(4), +r.min, +r.max])")
    same("the sliders, within the server's ranges", limits, [["max_tokens", 1, 512], ["temperature", 0, 2], ["top_k", 0, 100], ["top_p", 0, 1],
         ["repetition_penalty", 1, 2], ["min_p", 0, 1], ["presence_penalty", -2, 2], ["frequency_penalty", -2, 2], ["top_logprobs", 0, 20]])


def kept():
    d.get(URL)
    check("kept over a reload", until(d, "document.querySelector('#list .current') !== null") and "Once upon" in text("#list"))
    d.execute_script("document.querySelector('#list summary').click()")
    click("Rename", "#list")
    key("My tale", Keys.ENTER)
    check("renamed", until(d, "document.querySelector('#list .open')?.textContent === 'My tale'"))
    one(d, "#search").send_keys("upon a")
    check("found by its text", until(d, "document.querySelectorAll('#list .open').length === 1"))
    one(d, "#search").send_keys("zzz")
    check("not found", until(d, "document.querySelectorAll('#list .open').length === 0"))
    one(d, "#search").clear()
    d.execute_script("document.querySelector('#search').dispatchEvent(new Event('input'))")
    d.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": WORK})
    one(d, "#export-all").click()
    path = WORK + "/xverse-conversations.json"
    exported = wait_for(lambda: os.path.exists(path) and os.path.getsize(path) and json.load(open(path)))
    check("exported", exported and exported["conversations"][0]["title"] == "My tale")
    one(d, "#import-file").send_keys(path)
    check("imported", until(d, "document.querySelectorAll('#list .open').length === 2"), text("#notice"))
    json.dump({"format": "xverse-conversations", "conversations": [{"mode": "text", "nodes": 5}]}, open(WORK + "/bad.json", "w"))
    one(d, "#import-file").send_keys(WORK + "/bad.json")
    check("a wrong file is refused", until(d, "document.querySelector('#notice').textContent.includes('holds no')"))


def chat(language="en", said=("Tell me a story", "And then?", "Tell me of a dog")):
    word = lambda k: WORDS[k][language == "zh"]
    fresh(URL, "chat", language, sampling={"max_tokens": 20})
    same(f"{language}: chat speaks it", (text("#send-text"), one(d, "#input").get_attribute("placeholder"), WORDS["emptyChat"][language == "zh"] in text()),
         (word("send"), word("messageHint"), True))
    check(f"{language}: an answer", write(said[0]) and text(".turn.model .body"))
    same(f"{language}: who speaks", [text(".user .who"), text(".model .who"), text(".user .body")], [word("you"), word("assistant"), said[0]])
    check(f"{language}: the meter", word("context").split()[0] in text("#status") and word("first").split("{")[0].strip() in text("#status").replace("\u00a0", " "), text("#status"))
    check(f"{language}: a second turn", write(said[1], OVER + " && document.querySelectorAll('.turn').length === 4"))
    d.execute_script("[...document.querySelectorAll('.user button')].find(b => b.textContent === arguments[0]).click()", word("edit"))
    ActionChains(d).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys(said[2], Keys.ENTER).perform()
    check(f"{language}: an edited turn is a variant", until(d, OVER + " && document.querySelectorAll('.turn').length === 2 && document.querySelector('.user .num')?.textContent === '2/2'"))
    before = text(".turn.model .body")
    click(word("goOn"))
    check(f"{language}: chat goes on", until(d, OVER) and text(".turn.model .body").startswith(before.rstrip()[:20]), before, text(".turn.model .body"))
    click(word("again"))
    check(f"{language}: again, a variant", until(d, OVER + " && document.querySelector('.model .num')?.textContent === '2/2'"))
    click(word("variants"))
    same(f"{language}: side by side", [s.text.split("\n")[0] for s in every(d, ".beside section h3")], [word("variant").replace("{n}", n) for n in "12"])
    click(word("one"))
    click(word("receipt"))
    click(word("receiptSame"))
    same(f"{language}: the same again", until(d, "(document.querySelector('.verdict') || {dataset: {}}).dataset.same"), "true")
    check(f"{language}: and told so", word("identical").split("{")[0].strip() in text(".verdict"), text(".verdict"))
    check(f"{language}: in the list", said[2] in text("#list") or said[0] in text("#list"), text("#list"))


def chat_in_chinese():
    chat("zh", ("给我讲一个故事。", "后来呢？", "讲一只狗的故事。"))


def no_chat():
    mock.script = [{"status": 501, "message": "no template"}]
    fresh(mock.url, "chat")
    write("x")
    check("no chat: said, with a way on", "no chat format" in text(".error"))
    click("Switch to completion")
    check("in completion mode", until(d, "document.querySelector('[name=mode][value=text]').checked"))


def chinese():
    fresh(URL, language="zh")
    same("Chinese", (text("#send-text"), d.execute_script("return document.documentElement.lang")), ("生成", "zh-CN"))
    check("Chinese completion", write("从前") and "上下文" in text("#status"), text("#status"))
    one(d, "#language").click()
    same("back to English", text("#send-text"), "Generate")
    used = set(re.findall(r"\bt\(\"(\w+)\"", "".join(open("rpc/gateway/page/" + f).read() for f in os.listdir("rpc/gateway/page") if f.endswith(".js"))))
    check("every text has both languages", used and not used - set(WORDS), used - set(WORDS))


def stop_and_keys():
    fresh(mock.url, colours=True)
    mock.pieces, mock.delay = [f"w{i} " for i in range(200)], 0.03
    write("go", "document.querySelectorAll('.t').length > 3")
    check("busy while it writes", text("#status").startswith("Writing") and one(d, "#log").get_attribute("aria-busy") == "true")
    key(Keys.ESCAPE)
    check("Escape stops", until(d, OVER) and "stopped" in text("#status") and "w199" not in text())
    mock.pieces, mock.delay = ["a"], 0
    n = len(mock.asked("/v1/completions"))
    one(d, "#input").send_keys(Keys.SHIFT, Keys.ENTER)
    d.execute_script("""for (const how of [{isComposing: true}, {keyCode: 229}])
        document.querySelector('#input').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true, ...how}))""")
    same("Shift+Enter and an input method's Enter send nothing", len(mock.asked("/v1/completions")), n)
    d.execute_script("""const s = document.querySelector('#set-top_p'); s.value = 0.5; s.dispatchEvent(new Event('input'));
        const stop = document.querySelector('#set-stop'); stop.value = 'X\\nY'; stop.dispatchEvent(new Event('input'))""")
    write("with settings")
    body = mock.asked("/v1/completions")[-1]
    same("settings are sent, defaults are not", (body["top_p"], body["stop"], body["max_tokens"], "temperature" in body, "top_k" in body), (0.5, ["X", "Y"], 511, False, False))


def troubles():
    fresh(mock.url, colours=True)
    mock.script = [{"status": 429, "retry": 1, "code": "queue_full"}, {"pieces": ["fine"]}]
    write("x", "document.querySelector('#status').textContent.startsWith('Server busy')")
    check("busy, then served", until(d, OVER) and "fine" in text(".manuscript"))
    mock.script = [{"pieces": ["one ", "two "], "cut": 1}, {"pieces": ["three"]}]
    write("y", "document.querySelector('#status').textContent.startsWith('Connection lost')")
    check("cut, then goes on by token ids", until(d, OVER) and text(".manuscript") == "yone two three" and mock.asked("/v1/completions")[-1]["prompt"][-2:] == [10, 11], text(".manuscript"))
    mock.script = [{"pieces": ["a", "b"], "error": 0, "message": "rank 1 was lost"}]
    write("z")
    check("an error in the stream: what to do, and what the server says", "Try again continues" in text(".error p") and "rank 1 was lost" in text(".error details") and text("#status") == "Failed")
    mock.script = [{"pieces": ["c"]}]
    click("Try again")
    check("and tried again from where it stood", until(d, OVER + " && !document.querySelector('.error')") and text(".manuscript") == "zac", text(".manuscript"))
    mock.gate = threading.Event()
    mock.pieces = ["p", "q", "r", "s"]
    write("away", "document.querySelectorAll('.t').length === 2")
    mock.info["state"] = "unreachable"
    check("a daemon that went away", until(d, "document.querySelector('#status').textContent.startsWith('Connection lost')"))
    mock.info["state"] = "ready"
    mock.gate.set()
    check("and came back", until(d, OVER) and text(".manuscript") == "awaypqrs")
    mock.gate, mock.pieces, mock.place = threading.Event(), ["p"], 2
    mock.info["waiting"] = 3
    write("queue", "document.querySelector('#status').textContent === 'In the queue, place 2'")
    mock.place = 1
    check("its place in the queue", until(d, "document.querySelector('#status').textContent === 'In the queue, place 1'"), text("#status"))
    mock.info["waiting"] = 0
    mock.gate.set()
    check("and then its text", until(d, OVER) and text(".manuscript") == "queuep")
    mock.gate = None
    mock.info.update(state="loading", load_bytes=1 << 30, load_total=4 << 30)
    check("loading with progress", until(d, "document.querySelector('#progress').value === 0.25 && document.querySelector('#status').textContent.includes('1.0 GiB')"))
    mock.info.update(state="ready", load_total=0)


def injections():
    nodes = "return [...document.querySelectorAll('script:not([src]),style,img,iframe,object,embed,link,base,meta,svg,form,video,template')].length"
    for mode in ("chat", "text"):
        fresh(mock.url, mode, colours=True)
        d.execute_script("""window.reports = []; document.addEventListener('securitypolicyviolation', e => window.reports.push(e.violatedDirective))""")
        before = d.execute_script(nodes)
        complaints(d)
        bad = []
        for i, p in enumerate(PAYLOADS):
            if i % 8 == 0:
                one(d, "#new").click()
            mock.script = [{"pieces": [p[:7], p[7:]]}]
            mock.token_strs = [p]
            ok = d.execute_async_script("""const [p, done] = arguments, i = document.querySelector('#input'), wanted = document.querySelectorAll('.turn.user').length + 1; i.value = p;
                document.querySelector('#composer').requestSubmit();
                const wait = () => document.querySelector('.running') || !document.querySelector('.turn .tools') || (document.querySelector('.user') && document.querySelectorAll('.turn.user').length < wanted) ? setTimeout(wait, 5) : done(
                    !window.alarm && ![...document.querySelectorAll('#log a')].some(a => !/^(https?|mailto):/.test(a.href)));
                setTimeout(wait, 5);""", p)
            if not ok or d.execute_script(nodes) != before:
                bad.append(p)
        same(f"{len(PAYLOADS)} payloads, {mode}", (bad, complaints(d), d.execute_script("return window.reports")), ([], [], []))
    mock.script = [{"status": 400, "message": PAYLOADS[1]}]
    mock.info["architecture"] = PAYLOADS[1]
    write("x")
    one(d, "#tab-server").click()
    one(d, "#tab-tokens").click()
    until(d, "document.querySelectorAll('#pane-tokens td').length > 0")
    same("in errors, tokens and the server's facts", (d.execute_script(nodes), d.execute_script("return window.alarm || 0"), complaints(d)), (before, 0, []))
    mock.info["architecture"] = "A"
    # Each of these would run or fetch if it were not for the policy.
    d.execute_script("""window.reports = []; window.refused = []; const b = document.createElement('b');
        for (const f of [() => b.setAttribute('onclick', 'window.alarm=1'), () => (b.innerHTML = '<img src=x onerror=window.alarm=1>'), () => setTimeout('window.alarm=1'),
            () => (document.createElement('script').textContent = 'window.alarm=1')]) try { f(); window.refused.push(''); } catch (e) { window.refused.push(e.name); }
        new Image().src = 'http://127.0.0.1:9/x.png'; fetch('http://127.0.0.1:9/').catch(() => 0);""")
    same("the policy stops and reports what would run", (until(d, "window.reports.length >= 6 && [...new Set(window.reports)].sort()"), d.execute_script("return [window.alarm || 0, window.refused]")),
         (["connect-src", "img-src", "require-trusted-types-for"], [0, ["TypeError"] * 4]))
    check("and the page says so", "policy" in text("#notice"))
    complaints(d)


def shapes():
    d.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})
    fresh(URL)
    write("Once upon a time")
    check("a phone: nothing beside the screen", d.execute_script("return document.documentElement.scrollWidth <= innerWidth && !document.querySelector('#panel').matches('.panel-open *')"))
    one(d, "#open-panel").click()
    check("drawer opens with the focus in it", until(d, "document.querySelector('#panel').contains(document.activeElement)"))
    key(Keys.ESCAPE)
    check("and closes by Escape", until(d, "document.activeElement.id === 'open-panel' && document.querySelector('#panel').inert"))
    fresh(URL, "chat", sampling={"max_tokens": 8})
    write("Hello")
    check("every turn is seen on a phone", all(t.is_displayed() for t in every(d, ".turn")) and len(every(d, ".turn")) == 2)
    d.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    d.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}, {"name": "prefers-reduced-motion", "value": "reduce"}]})
    colour = "getComputedStyle(document.body).backgroundColor"
    same("dark by the system", d.execute_script("return " + colour), "rgb(24, 23, 20)")
    one(d, "#theme").click()
    same("light by the switch", d.execute_script("return " + colour), "rgb(251, 250, 247)")


TOOL = '{"name": "f", "parameters": {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": false}}'


def obeyed():
    """A schema and a tool that the person defines hold for the answer of a model that knows nothing of them."""
    put = "const b = document.querySelector(arguments[0]); b.value = arguments[1]; b.dispatchEvent(new Event('input'));"
    fresh(URL, "chat", sampling={"max_tokens": 60, "seed": 3})
    d.execute_script("document.querySelector('#forms').parentNode.open = true")
    d.execute_script(put, "#set-schema", "{oops")
    check("what is no JSON is told", "Not used" in text("#set-schema-fault"), text("#set-schema-fault"))
    d.execute_script(put, "#set-schema", '{"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"], "additionalProperties": false}')
    check("an answer", text("#set-schema-fault") == "" and write("Tell me"))
    found = d.execute_script("return document.querySelector('.turn.model .body').textContent")
    check("it obeys the schema", re.fullmatch(r'\s*\{\s*.a.\s*:\s*.[xy].\s*\}\s*', found.replace("“", '"').replace("”", '"')), found)
    fresh(URL, "chat", sampling={"max_tokens": 100, "seed": 3})
    d.execute_script(put, "#set-tools", TOOL)
    d.execute_script("const s = document.querySelector('#set-tool-choice'); s.value = 'required'; s.dispatchEvent(new Event('change'))")
    check("a call", write("Go"))
    folds = d.execute_script("return [...document.querySelectorAll('.turn.model')].pop().querySelectorAll('.fold.call').length")
    shown = d.execute_script("const f = document.querySelector('.fold.call'); return [f.open, f.querySelector('summary').textContent, f.querySelector('pre').textContent]")
    check("it is folded, and valid", folds >= 1 and shown[0] is False and shown[1] == "Call: f" and json.loads(shown[2])["n"] in (1, 2), folds, shown)
    d.execute_script("const s = document.querySelector('#set-tool-choice'); s.value = 'none'; s.dispatchEvent(new Event('change'))")
    d.execute_script("document.querySelectorAll('.results textarea').forEach(b => { b.value = 'done'; })")
    click("Send results")
    check("results go back", until(d, OVER + " && document.querySelectorAll('.turn').length >= 4") and "done" in text())


def accessible():
    try:
        from axe_selenium_python import Axe
    except ImportError:
        skip("axe-selenium-python is not installed")
        return
    d.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    for scheme, mode in (("light", "text"), ("dark", "chat"), ("dark", "text"), ("light", "chat")):
        fresh(URL, mode, theme=scheme, colours=mode == "text", sampling={"max_tokens": 20})
        write("Once upon a time")
        d.execute_script("document.querySelectorAll('details').forEach(n => n.open = n.matches('.more-settings, #system-box'))")
        axe = Axe(d)
        axe.inject()
        found = axe.run()["violations"]
        same(f"axe, {scheme}, {mode}", [(v["id"], [n["target"] for n in v["nodes"]][:4]) for v in found], [])
    d.execute_cdp_cmd("Page.setBypassCSP", {"enabled": False})


def ids():
    """A model without tokenizer: prompts and answers are token ids."""
    _, bare = start_daemon(None, "bare")
    g = Gateway("--model", bare, "--port=0")
    fresh(f"http://127.0.0.1:{g.port}/", colours=True, sampling={"max_tokens": 5, "seed": 1})
    write("3 1 4")
    whole = g.complete(prompt=[3, 1, 4], max_tokens=5, seed=1, return_token_ids=True)[1]["choices"][0]["token_ids"]
    same("token ids", [int(i) for i in text(".manuscript").split()], [3, 1, 4] + whole)
    click("Continue")
    check("it goes on", until(d, OVER + " && document.querySelectorAll('.manuscript .t').length > 5"))
    g.stop()


def lost_rank():
    """A rank is killed, then the gateway, each in the middle of a stream: the text goes on; after the first to the byte."""
    model, port = WORK + "/slow", free_port()
    subprocess.run(["/usr/bin/python3", "tests/e2e/make_model.py", model, "hidden=768", "ffn=2048", "layers=10", "heads=12", "kv_heads=12", "vocab=512" if PUBLISHED else "vocab=5120", "seed=3"], check=True)
    for name in ("tokenizer.model",) if PUBLISHED else ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"{TEXT_MODEL}/{name}", model)
    job = subprocess.Popen([BIN + "xverse-launch", "-n", "2", "--restart", "--http", str(port), model, "--uds", WORK + "/slow.sock"],
                           stdin=subprocess.DEVNULL, stdout=open(WORK + "/slow.log", "w"), stderr=subprocess.STDOUT)
    running.append(job)
    g = Gateway.__new__(Gateway)
    g.port = port
    wait_for(lambda: up(g))
    settings = {"max_tokens": 300, "temperature": 0}
    whole = g.complete(prompt="Once", **settings)[1]["choices"][0]["text"]
    for name, pattern, exact in (("rank", "bin/xversed", True), ("gateway", "xverse-gateway", False)):
        fresh(f"http://127.0.0.1:{port}/", colours=True, sampling=settings)
        write("Once", "document.querySelectorAll('.t').length > 8")
        victims = [p for p in descendants(job.pid) if pattern in open(f"/proc/{p}/cmdline").read().split("\0")[0]]
        os.kill(victims[-1], signal.SIGKILL)
        check(f"{name} killed in mid-stream", not d.execute_script("return " + OVER), "it was over before")
        check(f"{name}: told", until(d, "document.querySelector('#status').textContent.startsWith('Connection lost')"), text("#status"))
        check(f"{name}: and that it goes on", until(d, "document.querySelector('#status').dataset.kind === 'resumed'"), text("#status"))
        check(f"{name}: to its end", until(d, OVER) and "length reached" in text("#status"), text("#status"))
        same(f"{name}: the text", text(".manuscript")[:len("Once" + whole)] if exact else bool(len(text(".manuscript")) > 100), "Once" + whole if exact else True)
    job.terminate()
    job.wait(20)


def part(f):
    start = time.time()
    try:
        f()
    except Exception as e:
        check(f"{f.__name__} runs to its end", False, type(e).__name__, e)
    print(f"  {f.__name__}: {time.time() - start:.1f} s", flush=True)


try:
    served()
    with_words = [completion, alternatives, tools, kept, chat, chat_in_chinese, chinese, shapes, obeyed, accessible]
    only = [a for a in sys.argv[1:] if not a.startswith("-") and "/" not in a]
    if not MODEL:
        skip("no model with a tokenizer: the page against a daemon")
    here = sys.modules[__name__]
    for f in (with_words if MODEL else []) + [ids, no_chat, stop_and_keys, troubles, injections] + comfort.parts(here) + ([lost_rank] if MODEL and "--full" in sys.argv else []):
        if not only or f.__name__ in only:
            part(f)
    same("console", complaints(d), [])
finally:
    d.quit()
done()

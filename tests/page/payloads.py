"""payloads.py - texts that a careless page would run or fetch. ALARM is what each would set off."""
ALARM = "window.alarm=1"
PAYLOADS = [p.replace("ALARM", ALARM) for p in (
    "<script>ALARM</script>", "<img src=x onerror=ALARM>", "<svg onload=ALARM>", "<svg><script>ALARM</script></svg>",
    "<iframe srcdoc='<script>parent.ALARM</script>'></iframe>", "<iframe src=javascript:parent.ALARM>", "<body onload=ALARM>",
    "<details open ontoggle=ALARM>", "<input autofocus onfocus=ALARM>", "<video><source onerror=ALARM></video>",
    "<math><mtext><table><mglyph><style><img src=x onerror=ALARM>", "<a href=javascript:ALARM>a</a>", "<form action=javascript:ALARM><button>b</button></form>",
    "<object data=javascript:ALARM>", "<embed src=javascript:ALARM>", "<link rel=stylesheet href=http://127.0.0.1:9/x.css>",
    "<style>@import 'http://127.0.0.1:9/x.css';</style>", "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<base href=http://127.0.0.1:9/>", "<template><script>ALARM</script></template>", "<noscript><p title='</noscript><img src=x onerror=ALARM>'>",
    "--><script>ALARM</script><!--", "</script><script>ALARM</script>", "</style><script>ALARM</script>", "</textarea><script>ALARM</script>",
    "</title><script>ALARM</script>", "\"><script>ALARM</script>", "' onmouseover='ALARM' x='", "[a](javascript:ALARM)", "[a](JaVaScRiPt:ALARM)",
    "[a](data:text/html,<script>ALARM</script>)", "[a](vbscript:ALARM)", "![a](http://127.0.0.1:9/x.png?secret)", "![a](javascript:ALARM)",
    "[![a](http://127.0.0.1:9/x.png)](http://127.0.0.1:9/)", "<javascript:ALARM>", "[a]( java\tscript:ALARM )", "[a](http://x\" onclick=\"ALARM)",
    "```html\n<script>ALARM</script>\n```", "```\"><img src=x onerror=ALARM>\nx\n```", "`<img src=x onerror=ALARM>`",
    "| a |\n|---|\n| <img src=x onerror=ALARM> |", "# <img src=x onerror=ALARM>", "> <script>ALARM</script>", "- <script>ALARM</script>",
    "&lt;img src=x onerror=ALARM&gt;", "\u202e<script>ALARM</script>", "<scr\u0000ipt>ALARM</script>", "{{constructor.constructor('ALARM')()}}",
    "${ALARM}", "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>ALARM</x:script>",
)]

"""shots.py - the page in each size class, scheme and language: what a picture of it would show is measured, and with --pictures DIR the
pictures are kept there."""
import sys

from browser import *

SIZES = {"phone": (390, 844, True), "tablet": (820, 1180, True), "desktop": (1280, 800, False)}
ANSWER = """Gauss found, for $n \\ge 1$:

$$\\sum_{k=1}^{n} k = \\frac{n(n+1)}{2}$$

1. **Pair** the first with the last.
2. Each pair has the sum \\(n + 1\\).

| n | sum |
|---|---|
| 10 | 55 |

```python
def total(n: int) -> int:  # the sum of 1 to n
    return n * (n + 1) // 2 if n > 0 else 0
```"""
TALK = {"en": "How does one add the numbers from 1 to n?", "zh": "怎样把 1 到 n 的数相加？"}


def size(d, name):
    w, h, mobile = SIZES[name]
    d.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": w, "height": h, "deviceScaleFactor": 1, "mobile": mobile})
    d.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": mobile})


def plain(d):
    d.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    d.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def keep(d, name):
    """Saves a picture where --pictures DIR asks for it."""
    if "--pictures" in sys.argv:
        d.save_screenshot(sys.argv[sys.argv.index("--pictures") + 1] + f"/{name}.png")


# What is wrong with the picture that stands there; each entry names its element.
FAULTS = """
const out = [], seen = (n) => n.checkVisibility({visibilityProperty: true}) && n.getBoundingClientRect().width > 0, name = (n) => n.id || n.className || n.tagName;
const lum = (c) => { const [r, g, b, a] = c.match(/[\\d.]+/g).map(Number); return a === 0 ? null : (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255; };
if (document.documentElement.scrollWidth > innerWidth) out.push('wider than the screen');
const composer = document.querySelector('#composer').getBoundingClientRect();
if (innerWidth < 500 && composer.height > innerHeight / 3) out.push('composer ' + composer.height);
if (composer.bottom > innerHeight + 1) out.push('composer below the screen');
for (const n of document.querySelectorAll('textarea, input')) if (seen(n) && !n.value && n.clientHeight && n.scrollHeight > n.clientHeight + 1) out.push('scrolls though empty: ' + name(n));
for (const n of document.querySelectorAll('button, select, header label')) {
    const r = n.getBoundingClientRect();
    if (seen(n) && !n.closest('.away') && !n.matches('.skip') && (r.left < -1 || r.right > innerWidth + 1) && !n.closest('pre, #side, #panel')) out.push('cut at the edge: ' + name(n));
    if (seen(n) && n.scrollWidth > n.clientWidth + 2 && getComputedStyle(n).textOverflow !== 'ellipsis' && !n.closest('#log')) out.push('text cut: ' + name(n) + ' ' + n.textContent);
}
const users = [...document.querySelectorAll('.turn.user .body')], models = [...document.querySelectorAll('.turn.model .body')];
if (users.length && models.length && getComputedStyle(users[0]).backgroundColor === getComputedStyle(models[0]).backgroundColor) out.push('speakers look alike');
if (users.length && users[0].getBoundingClientRect().left <= models[0].getBoundingClientRect().left + 8) out.push('speakers stand alike');
const tools = document.querySelector('.turn.model .tools'), hovers = matchMedia('(hover: hover)').matches;
if (tools && tools.getBoundingClientRect().height > (innerWidth < 500 ? 112 : 60)) out.push('tools take ' + tools.getBoundingClientRect().height);
return out;
"""
# The colour of the middle of each slider's rail, from a picture.
RAILS = "return [...document.querySelectorAll('#pane-sampling input[type=range]')].filter(n => n.checkVisibility()).map(n => { const r = n.getBoundingClientRect(); return [r.right - 18, r.top + r.height / 2]; })"

"""Texts that find differences between tokenizers, the same ones at every run."""
import random
import unicodedata

WORDS = """the of and a to in he have it that for they with as not on she at by this we you do but from or which one would all will
there say who make when can more if no man out other so what time up go about than into could state only new year some take come
these know see use get like then first any work now may such give over think most even find day also after way many must look
before great back through long where much should well people down own just because good each those feel seem how high too place
little world very still nation hand old life tell write become here show house both between need mean call develop under last
right move thing general school never same another begin while number part turn real leave might want point form off child few
small since against ask late home interest large person end open public follow during present without again hold govern around
possible head consider word program problem however lead system set order eye plan run keep face fact group play stand increase
early course change help line don't I'm we'll they've she'd it's HELLO World's""".split()
LANGUAGES = ["Größe straße naïve café", "Ελληνικά γλώσσα", "Привет мир ёлка", "שלום עולם", "مرحبا بالعالم ١٢٣", "नमस्ते दुनिया १२३", "สวัสดีชาวโลก",
             "こんにちは世界カタカナｶﾀｶﾅ", "안녕하세요 세계", "你好，世界！我们在学习。", "繁體中文測試", "Xin chào thế giới", "Zażółć gęślą jaźń", "Příliš žluťoučký kůň",
             "İstanbul ığdır", "ქართული", "Հայերեն", "አማርኛ", "தமிழ்", "తెలుగు", "ಕನ್ನಡ", "മലയാളം", "বাংলা", "ગુજરાતી", "ਪੰਜਾਬੀ", "සිංහල", "ລາວ",
             "ខ្មែរ", "မြန်မာ", "བོད་", "ᠮᠣᠩᠭᠣᠯ", "ᏣᎳᎩ", "ꦗꦮ", "ⵜⵉⴼⵉⵏⴰⵖ", "𐌲𐌿𐍄𐌹𐍃𐌺", "𝓗𝓮𝓵𝓵𝓸 𝟙𝟚𝟛", "ﬁ ﬂ ﬀ ㎏ ㈱ № ℡ ㋿", "¼ ½ ² ³ ₁ Ⅷ ⅳ ①",
             "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 🦙", "e\u0301 a\u0323\u0302 \u1e69 s\u0323\u0307 s\u0307\u0323"]
CODE = ["def f(x):\n    return x**2  # squared\n", "for (int i=0;i<10;++i){a[i]+=b->c;}", "\tif err != nil {\n\t\treturn err\n\t}", "SELECT * FROM t WHERE a>=3.14e-5;",
        "<div class=\"x\">&nbsp;</div>", "{\"a\": [1, 2, null], \"b\": \"\\u00e9\"}", "$ ls -la | grep '^d' > /dev/null 2>&1", "x = 0x1F_FF; y = 1e10; z=.5"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n", "\u00a0", "\u3000", "\u2003", "\u200b", "\u2028", "\x0b", "\x0c", "\x85", "\u1680", "\ufeff", "▁", "▁▁"]
CONTROL = [chr(i) for i in range(32)] + ["\x7f", "\x80", "\x9f", "\u200d", "\u2060", "\ufffd", "\ufffe", "\U0010ffff", "\ue000"]


def any_char(rng):
    while True:
        c = rng.choice([rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x10000), rng.randrange(0x20000), rng.randrange(0x110000)])
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


MARKS = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and unicodedata.combining(chr(c))]


def one(rng, special):
    kind = rng.randrange(12)
    n = rng.choice([1, 2, 3, 5, 8, 20])
    if kind == 0:
        return " ".join(rng.choice(WORDS) for _ in range(n))
    if kind == 1:
        return "".join(any_char(rng) for _ in range(n))
    if kind == 2:
        return "".join(rng.choice(WORDS) + rng.choice(SPACES) * rng.randrange(3) for _ in range(n))
    if kind == 3:
        return rng.choice(LANGUAGES) + rng.choice(SPACES) + rng.choice(LANGUAGES)
    if kind == 4:
        return "".join(rng.choice(CODE) for _ in range(1 + n // 8))
    if kind == 5:
        return "".join(rng.choice("0123456789.,-+ eE%") for _ in range(n))
    if kind == 6:
        return "".join(rng.choice(rng.choice([SPACES, CONTROL, WORDS])) for _ in range(n))
    if kind == 7:
        return "".join(rng.choice("aeouAÅが가ᄀ한") + "".join(rng.choice(MARKS) for _ in range(rng.randrange(4))) for _ in range(n))
    if kind == 8 and special:
        return "".join(rng.choice(special + ["", " ", "x", "\n"]) + rng.choice(["", " ", "a", "Hello", "  ", "你"]) for _ in range(n))
    if kind == 9:
        return "".join(chr(0x4E00 + rng.randrange(0x51A6)) for _ in range(n)) + rng.choice("，。！？、：")
    if kind == 10:
        return rng.choice(WORDS)[:1] * rng.choice([1, 30, 100, 300])
    return "".join(rng.choice(rng.choice(LANGUAGES)) for _ in range(n))


def make(count, special=(), seed=1):
    rng = random.Random(seed)
    fixed = ["", " ", "  ", "a", "▁", " a", "a ", "\n", "Hello world", "Hello  world ", "<0x41>", "<s>", "\0", "a\0b",
             "a\u302a\U0001d16f", "a\u0334\u0f39\u1ce2\u031b"]
    return fixed + [one(rng, list(special)) for _ in range(count - len(fixed))]

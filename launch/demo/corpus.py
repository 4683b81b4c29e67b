#!/usr/bin/python3
"""The text that the demo model is trained on, out of Debian packages.

	corpus.py DIR     downloads the packages, unpacks them under DIR, writes DIR/corpus.jsonl

One line a document: {"language", "source", "held_out", "text"}. A document is a chapter, a page or a scene; one in fifty
(by a hash of its text) is held out. Lines that occurred before, in any document, are dropped.
"""
import gettext
import glob
import gzip
import hashlib
import html.parser
import json
import os
import re
import struct
import subprocess
import sys
import unicodedata
import zlib

PACKAGES = """sword-text-web fortunes-zh debian-handbook debian-reference-en debian-reference-zh-cn debian-faq-zh-cn
 maint-guide-zh-cn libreoffice-help-zh-cn gnome-user-docs debmake-doc installation-guide-amd64
 debian-edu-doc-zh-cn wesnoth-1.16-data wesnoth-1.16-did wesnoth-1.16-dm wesnoth-1.16-dw wesnoth-1.16-ei
 wesnoth-1.16-httt wesnoth-1.16-l wesnoth-1.16-low wesnoth-1.16-nr wesnoth-1.16-sof wesnoth-1.16-sota
 wesnoth-1.16-sotbe wesnoth-1.16-thot wesnoth-1.16-trow wesnoth-1.16-tsg wesnoth-1.16-ttb wesnoth-1.16-utbs""".split()
HELD_OUT = 50  # one document in this many
CJK = re.compile("[\u4e00-\u9fff]")


def unpack(root):
	os.makedirs(root + "/deb", exist_ok=True)
	have = {name.split("_")[0] for name in os.listdir(root + "/deb")}
	missing = [p for p in PACKAGES if p not in have]
	if missing:
		subprocess.run(["apt-get", "download", "-qq"] + missing, cwd=root + "/deb", check=True)
	for package in PACKAGES:
		where = f"{root}/x/{package}"
		if not os.path.isdir(where):
			os.makedirs(where)
			subprocess.run(["dpkg-deb", "-x", glob.glob(f"{root}/deb/{package}_*.deb")[0], where], check=True)


def tidy(text):
	"""One paragraph: no control characters, one kind of space, plain quotes in English."""
	text = "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c)[0] not in "CZ" or c in " \t\n")
	text = re.sub(r"\s+", " ", text).strip()
	if CJK.search(text):
		return re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])", "", text)
	return text.translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2026: "...", 0x2014: " - ", 0x2013: "-"})


def is_prose(text, language):
	letters = sum(c.isalpha() for c in text)
	han = len(CJK.findall(text))
	if re.search(r"[{}<>\\|=$#@_]|https?:|\.\./|&[a-z]+;", text) or letters < 0.55 * len(text.replace(" ", "")):
		return False
	if language == "zh":
		return han >= 8 and han >= 0.5 * letters
	return han == 0 and len(text.split()) >= 5 and all(ord(c) < 0x250 for c in text)


class Page(html.parser.HTMLParser):
	"""The paragraphs of an HTML or Mallard page; program text, navigation and notes of the translators are left out."""
	BLOCK = {"p", "li", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "td", "th", "title", "item", "div", "tr", "body", "table", "ul", "ol"}
	DROP = {"script", "style", "pre", "nav", "header", "aside", "footer", "info", "code-block", "screen", "code", "noscript",
		"example", "textarea", "sup", "table"}

	def __init__(self):
		super().__init__(convert_charrefs=True)
		self.paragraphs, self.now, self.dropped = [], "", []

	def flush(self):
		if self.now.strip():
			self.paragraphs.append(self.now)
		self.now = ""

	def handle_starttag(self, tag, attrs):
		attrs = dict(attrs)
		if tag in self.DROP and tag != "code" or re.search("nav|footer|legal|toc", attrs.get("class") or "") and tag != "body":
			self.dropped.append(tag)
		if tag in self.BLOCK:
			self.flush()

	def handle_endtag(self, tag):
		if self.dropped and self.dropped[-1] == tag:
			self.dropped.pop()
		if tag in self.BLOCK:
			self.flush()

	def handle_data(self, data):
		if not self.dropped:
			self.now += data


def pages(root, language, source, pattern):
	for path in sorted(glob.glob(f"{root}/x/{pattern}", recursive=True)):
		page = Page()
		page.feed(open(path, encoding="utf-8", errors="ignore").read())
		page.flush()
		yield language, source, page.paragraphs


def bible(root):
	"""The World English Bible, a chapter a document, from the SWORD module's compressed books."""
	base = root + "/x/sword-text-web/usr/share/sword/modules/texts/ztext/engWEB2015eb/"
	for part in "ot", "nt":
		index, data = (open(base + part + end, "rb").read() for end in (".bzs", ".bzz"))
		for offset, size, _ in struct.iter_unpack("<III", index):
			book = zlib.decompress(data[offset:offset + size]).decode()
			book = re.sub(r"<note.*?</note>|<title.*?</title>", "", book, flags=re.S)
			for chapter in re.split(r"<chapter [^>]*>", book):
				chapter = re.sub(r'<(?:div|l|lg|q) [^>]*(?:type="x-p"|eID)[^>]*>', "\n", chapter)
				chapter = re.sub(r"</?[^>]*>", "", chapter)
				yield "en", "sword-text-web", chapter.split("\n")


def unquote(text):
	return re.sub(r"^[a-z_ ]+\^", "", text).replace('""', '"')


def scenes(root):
	"""Dialogue of the Wesnoth campaigns in the order of the scenes, English and its Chinese translation."""
	translated = {}
	for path in glob.glob(f"{root}/x/wesnoth-*/**/zh_CN/LC_MESSAGES/*.mo", recursive=True):
		translated.update(gettext.GNUTranslations(open(path, "rb"))._catalog)
	for path in sorted(glob.glob(f"{root}/x/wesnoth-*/**/data/**/*.cfg", recursive=True)):
		strings = re.findall(r'_ *"((?:[^"]|"")*)"', open(path, encoding="utf-8", errors="ignore").read())
		english, chinese = [], []
		for string in strings:
			other = translated.get(string.replace('""', '"'), "")
			english += re.sub(r"<[^>]*>", "", unquote(string)).split("\n")
			chinese += re.sub(r"<[^>]*>", "", unquote(other)).split("\n")
		yield "en", "wesnoth", english
		yield "zh", "wesnoth", chinese


def poems(root):
	"""Tang and Song poems: 《title》, author, lines; kept as they stand."""
	for name in "tang300", "song100":
		text = open(f"{root}/x/fortunes-zh/usr/share/games/fortunes/{name}", encoding="utf-8").read()
		for poem in re.sub(r"\x1b\[\d*m", "", text).split("\n%"):
			yield "zh", "fortunes-zh", [line for line in poem.split("\n")]


def documents(root):
	yield from bible(root)
	yield from scenes(root)
	yield from poems(root)
	handbook = "debian-handbook/usr/share/doc/debian-handbook/html/"
	yield from pages(root, "en", "debian-handbook", handbook + "en-US/*.html")
	yield from pages(root, "zh", "debian-handbook", handbook + "zh-CN/*.html")
	yield from pages(root, "en", "gnome-user-docs", "gnome-user-docs/usr/share/help/C/gnome-help/*.page")
	yield from pages(root, "zh", "gnome-user-docs", "gnome-user-docs/usr/share/help/zh_CN/gnome-help/*.page")
	yield from pages(root, "zh", "libreoffice-help", "libreoffice-help-zh-cn/**/text/**/*.html")
	for package, pattern in (("debian-reference-en", "ch*.en.html"), ("debian-reference-zh-cn", "ch*.zh-cn.html"),
				 ("debian-faq-zh-cn", "*.html"), ("maint-guide-zh-cn", "*.html"), ("debmake-doc", "*.zh-cn.html"),
				 ("installation-guide-amd64", "zh_CN/*.html"), ("debian-edu-doc-zh-cn", "*.html")):
		yield from pages(root, "en" if package.endswith("-en") else "zh", package, f"{package}/usr/share/**/{pattern}")


def main(root):
	seen, count = set(), {}
	unpack(root)
	with open(root + "/corpus.jsonl", "w", encoding="utf-8") as out:
		for language, source, paragraphs in documents(root):
			kept = []
			for text in map(tidy, paragraphs):
				if text not in seen and (source == "fortunes-zh" and len(CJK.findall(text)) > 2 or is_prose(text, language)):
					seen.add(text)
					kept.append(text)
			text = "\n".join(kept)
			if len(text) < 20:
				continue
			held_out = hashlib.sha256(text.encode()).digest()[0] * 256 % (HELD_OUT * 256) < 256
			row = {"language": language, "source": source, "held_out": held_out, "text": text}
			out.write(json.dumps(row, ensure_ascii=False) + "\n")
			key = source, language
			n, size = count.get(key, (0, 0))
			count[key] = n + 1, size + len(text.encode())
	for key, value in count.items():
		print(*key, *value)


if __name__ == "__main__":
	main(sys.argv[1])

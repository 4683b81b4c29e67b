"""browser.py - headless Chromium for the page's tests."""
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By


def open_browser(work, width=1280, height=800, language="en-US"):
    o = Options()
    for a in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={work}/chromium",
              f"--window-size={width},{height}", "--no-first-run", "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4", f"--accept-lang={language}"):
        o.add_argument(a)
    o.binary_location = "/usr/bin/chromium"
    o.add_experimental_option("prefs", {"intl.accept_languages": language, "download.default_directory": work})
    o.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    o.set_capability("unhandledPromptBehavior", "ignore")
    d = webdriver.Chrome(options=o, service=Service("/usr/bin/chromedriver"))
    d.set_script_timeout(60)
    return d


def one(d, css):
    return d.find_element(By.CSS_SELECTOR, css)


def every(d, css):
    return d.find_elements(By.CSS_SELECTOR, css)


def until(d, script, *args, seconds=60):
    """Waits until the JavaScript expression is true; its value."""
    end = time.time() + seconds
    while time.time() < end:
        value = d.execute_script("return " + script, *args)
        if value:
            return value
        time.sleep(0.03)
    return None


def complaints(d):
    """What the console was told since the last look, without requests that failed on purpose."""
    return [e["message"] for e in d.get_log("browser") if e["level"] in ("SEVERE", "WARNING") and "Failed to load resource" not in e["message"]]

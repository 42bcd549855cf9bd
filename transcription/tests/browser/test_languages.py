"""The site in other languages: every text is translatable and has room, and the choice of a language lasts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from transcription.tests.browser.conftest import OPERATOR, Watch
from transcription.tests.browser.test_pages import PAGES
from transcription.tests.pseudo_locale import PSEUDO

OpenPage = Callable[..., Page]

pytestmark = pytest.mark.timeout(240)

ADMIN = {
    "admin": "/admin/",
    "admin-sessions": "/admin/transcription/transcriptionsession/",
    "admin-segments": "/admin/transcription/transcriptsegment/",
    "admin-keys": "/admin/transcription/apikey/",
    "admin-key-add": "/admin/transcription/apikey/add/",
    "admin-rule-add": "/admin/retention/retentionrule/add/",
    "admin-webhook-add": "/admin/webhooks/webhookendpoint/add/",
}
# Pages of documents are English; the others are made of what those that are left have too.
LEFT_OUT = {
    *("document", "sessions-search", "session-hostile", "session-long", "session-interrupted", "session-cut-off"),
    "numbers-by-language",
}
SHOWN = {name: path for name, path in PAGES.items() if name not in LEFT_OUT} | ADMIN

# Names, codes, and what people said and wrote: the same in every language.
NAMES = re.compile(
    r"\b(Speechsite|operator|viewer|nobody|zoe|Zoe|Pseudo|en-US|tiny-en|LINEAR_PCM|MULAW|ALAW|FLAC|Hz|UTC"
    r"|TXT|SRT|VTT|JSON|CSV|DOCX|Python|Browser|Node\.js|curl|websocat|OpenAI|NVIDIA|Deepgram"
    r"|Mozilla/\S+|Linux \w+|Chrome/\S+"
    r"|Board meeting|Interview, second try|Call from the train|Cut off|interrupted-call|stopped-by-operator"
    r"|transcribe|sessions:read|sessions:write|webhooks|metrics"
    # What others bring along: names of their parts, Esperanto's dates, and a widget without Esperanto.
    r"|Axes|Access attempts|\d+-a de|Remove all items)\b",
)
# Looks for words outside of brackets, in texts and in the attributes that are read to people.
FIND_ENGLISH = """(names) => {
  const left = "script,style,noscript,code,pre,kbd,time,[dir=auto],.mono,.environment,.brand,#site-name,"
    + "#result_list tbody";
  const page = document.documentElement;
  const ignored = new RegExp(names, "g");
  const found = new Set();
  const outside = (text) => {
    let depth = 0;
    let rest = "";
    for (const letter of text) {
      if (letter === "]") depth -= 1;
      if (depth === 0 && letter !== "]") rest += letter === "[" ? " " : letter;
      if (letter === "[") depth += 1;
    }
    return rest.replace(ignored, "").trim();
  };
  const look = (text, where) => {
    if (/[A-Za-z]{2,}/.test(outside(text))) found.add(`${where}: ${text.trim()}`);
  };
  const walk = (element) => {
    if (element.matches(left) || (element.lang && element.lang !== page.lang)) return;
    const texts = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    // Elements within a sentence divide its text: brackets are counted over all of it.
    const hasParts = element.querySelector(":scope > :is(a, time, kbd, code)") !== null;
    if (hasParts && texts.some((node) => /[\\[\\]]/.test(node.data))) {
      const copy = element.cloneNode(true);
      for (const part of copy.querySelectorAll(left)) part.remove();
      return look(copy.textContent, element.tagName);
    }
    for (const node of texts) look(node.data, element.tagName);
    // The picture of Django's search field says that in English only.
    for (const name of element.tagName === "IMG" ? [] : ["title", "aria-label", "placeholder"]) {
      if (element.hasAttribute(name)) look(element.getAttribute(name), name);
    }
    for (const child of element.children) walk(child);
  };
  walk(page);
  return [...found];
}"""
# A number that a script reads must be written the same in every language.
FIND_LOCAL_NUMBERS = """() => [...document.querySelectorAll("*")].flatMap((element) => [...element.attributes])
  .filter(({ name }) => /^(data-|value$|min$|max$|step$|low$|high$|x|y|width|height)/.test(name))
  .filter(({ value }) => /^-?\\d+,\\d+$/.test(value))
  .map(({ name, value }) => `${name}=${value}`)"""


@pytest.mark.parametrize("name", SHOWN)
def test_every_text_is_translatable_and_has_room_to_be_longer(open_page: OpenPage, name: str) -> None:
    page = open_page(SHOWN[name], person=OPERATOR, width=390, language=PSEUDO)
    if name == "health":
        expect(page.locator("[data-checks] li")).to_have_count(5)
    expect(page.locator("html")).to_have_attribute("lang", PSEUDO)
    assert page.evaluate(FIND_ENGLISH, NAMES.pattern) == []
    assert page.evaluate(FIND_LOCAL_NUMBERS) == []
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, "the page scrolls sideways"


def test_a_stranger_chooses_a_language_before_the_login(open_page: OpenPage) -> None:
    page = open_page("/login/", width=390)
    page.locator("[data-menu] summary").click()
    page.get_by_role("button", name="Deutsch").click()
    expect(page).to_have_url(re.compile("/login/$"))
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("h1")).to_have_text("Anmelden")
    page.goto("/")
    expect(page.locator("[data-riva-pill]")).to_have_text("Riva bereit")


def test_the_menu_of_a_person_keeps_the_page_and_its_filters(open_page: OpenPage) -> None:
    page = open_page("/console/sessions/?q=budget&length=10", person=OPERATOR)
    page.locator("[data-menu] summary").click()
    page.get_by_role("button", name="Español").click()
    expect(page).to_have_url(re.compile(r"\?q=budget&length=10$"))
    expect(page.locator("html")).to_have_attribute("lang", "es")
    page.locator("[data-menu] summary").click()
    expect(page.get_by_role("button", name="Español")).to_have_attribute("aria-current", "true")


def test_the_scripts_speak_and_count_in_the_language_of_the_page(open_page: OpenPage, watch: Watch) -> None:
    page = open_page("/console/", person=OPERATOR, language="de-DE")
    expect(page.locator("[data-connection]")).to_have_text(re.compile(r"^Verbunden · vor \d,\d s aktualisiert$"))

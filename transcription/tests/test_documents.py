"""The documents as pages: what becomes of their text, and that no link leads nowhere."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from speechsite.config import BASE_DIR
from transcription.pages.documents import document_paths, list_titles, render, render_document
from transcription.rest.page import address_of
from transcription.tests.test_docs import anchors

THIS_MACHINE = {"Host": "127.0.0.1"}
DOCS = BASE_DIR / "docs"


def html_of(text: str) -> str:
    return render("of-a-test", text, DOCS, lambda path: f"/at/{path}" if path.startswith("docs/") else None).html


def test_html_in_a_document_is_shown_as_text() -> None:
    html = html_of('<script>alert(1)</script>\n\n<b onclick="x">\n\n[a](javascript:alert(1)) `<i>`\n\n```\n<u>\n```\n')
    assert re.findall(r"<(?:script|b|i|u)\b", html) == []
    assert 'href="javascript' not in html


def test_links_lead_to_where_the_site_has_the_file() -> None:
    html = html_of("[a](settings.md#limits) [b](#here) [c](https://example.org/) [d](../Dockerfile) [e](../../../etc)")
    assert re.findall(r'href="([^"]*)"', html) == ["/at/docs/settings.md#limits", "#here", "https://example.org/"]
    assert html.endswith("d e</p>\n")


def test_pictures_become_what_they_show_and_comments_nothing() -> None:
    assert html_of("<!-- begin: a\ntable -->\n![a curve](images/a.svg)\n") == "<p>a curve</p>\n"


def test_tables_and_programs_can_be_scrolled_by_keyboard() -> None:
    html = html_of("| a |\n|---|\n| b |\n\n```sh\nls\n```\n")
    assert html.count('<div class="doc-table" tabindex="0">\n<table>') == 1
    assert html.count('<div class="doc-program" tabindex="0">\n<pre><code>ls') == 1
    assert html.count("</div>") == 2


@pytest.mark.parametrize(("name", "path"), document_paths().items())
def test_every_document_has_the_anchors_that_links_expect(name: str, path: object) -> None:
    document = render_document(name, address_of)
    assert document is not None
    text = re.sub(r"^```.*?^```", "", document_paths()[name].read_text(), flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r'<h\d id="([^"]*)"', document.html)) == anchors(text)
    assert (name, document.title) in list_titles()


@pytest.mark.django_db
def test_every_link_of_every_document_is_answered() -> None:
    client = Client(headers=THIS_MACHINE)
    pages = {reverse("document", args=[name]): "" for name in document_paths()}
    for address in pages:
        answer = client.get(address)
        assert answer.status_code == 200
        pages[address] = answer.content.decode()
    for address, html in pages.items():
        for target in re.findall(r'href="((?:/api/|#)[^"]*)"', html):
            page, _hash, anchor = target.partition("#")
            page = page or address
            if page in pages:
                assert not anchor or f'id="{anchor}"' in pages[page], (address, target)
            else:
                assert client.get(page).status_code == 200, (address, target)


@pytest.mark.django_db
def test_examples_are_served_as_text_and_nothing_beside_them() -> None:
    client = Client(headers=THIS_MACHINE)
    answer = client.get(reverse("example_file", args=["browser.html"]))
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content == (BASE_DIR / "examples/browser.html").read_bytes()
    for name in ("nothing.py", "..", "..%2Fmanage.py", "__pycache__"):
        assert client.get(f"/api/examples/{name}").status_code == 404
    assert client.get("/api/docs/nothing/").status_code == 404


@pytest.mark.django_db
def test_strangers_are_asked_to_log_in() -> None:
    for address in ("/api/docs/http-api/", "/api/examples/rest.sh"):
        assert Client().get(address, REMOTE_ADDR="192.0.2.7").status_code == 302

"""The API page as an HTTP answer: who gets it, and what it carries."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client
from django.urls import reverse

from speechsite.config import BASE_DIR, get_config
from transcription.rest.code_examples import CODE_EXAMPLES
from transcription.tests.rows import make_user

pytestmark = pytest.mark.django_db

THIS_MACHINE = {"Host": "127.0.0.1"}


def test_a_stranger_is_sent_to_the_login_and_back() -> None:
    answer = Client().get(reverse("api_page"), REMOTE_ADDR="192.0.2.7")
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{reverse('login')}?next={reverse('api_page')}"


def test_it_carries_the_programs_as_they_lie_in_the_examples() -> None:
    html = Client(headers=THIS_MACHINE).get(reverse("api_page")).content.decode()
    found = re.search(r'<script id="code-examples" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    shown = {example["file"]: example["text"] for example in json.loads(found[1])}
    assert list(shown) == [example.file for example in CODE_EXAMPLES]
    for name, text in shown.items():
        assert text == (BASE_DIR / "examples" / name).read_text()


def test_every_page_leads_to_it_and_it_to_the_documents_of_the_api() -> None:
    client = Client(headers=THIS_MACHINE)
    client.force_login(make_user())
    assert f'<a href="{reverse("api_page")}" >' in client.get(reverse("sessions")).content.decode()
    html = client.get(reverse("api_page")).content.decode()
    assert f'<a href="{reverse("api_page")}" aria-current="page">' in html
    assert (
        f'<a href="{reverse("api_page")}" aria-current="true">' in client.get("/api/docs/changelog/").content.decode()
    )
    links = re.findall(r'href="(/[^"]*)"', html[html.index('class="card api-links"') :])
    assert f"{get_config().api_v1_str}/docs" in links
    for link in links:
        assert client.get(link).status_code == 200, link

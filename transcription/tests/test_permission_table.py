"""Who may do what: everybody at every page, operation, socket and part of the admin, as access/operations.py has it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.core.management import get_commands
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from model_bakery import baker

from speechsite.config import BASE_DIR
from transcription.access import operations as table
from transcription.access.operations import GROUPS, WHO, Deed, For
from transcription.console.consumers import ConsoleConsumer
from transcription.errors import NotAllowed, NotFound
from transcription.files.endpoints import file_endpoints
from transcription.files.models import FileJob
from transcription.identity.scopes import Scope
from transcription.models import ApiKey, TranscriptionSession
from transcription.past.models import SavedView
from transcription.past.pages import ACTIONS
from transcription.phrases.models import PhraseSet
from transcription.recording.models import SessionRecording
from transcription.rest.api import api
from transcription.retention.models import RetentionRule
from transcription.retention.protecting import protect
from transcription.review import operations as review
from transcription.review.authors import Author
from transcription.review.models import SessionNote
from transcription.review.passages import PassageId
from transcription.routing import websocket_urlpatterns
from transcription.subscriptions.consumer import SubscriptionConsumer
from transcription.tests.rows import make_session, make_user, principal_of
from transcription.tests.test_groups import make_groups
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

API = "/api/v1"
ROLES = ("nobody's group", *GROUPS)
# Of what is refused an answer says that it is not there, and in no other words.
GONE = "not_found"


class World(NamedTuple):
    """What there is to reach: everything belongs to one person."""

    owner: User
    session: TranscriptionSession
    live: TranscriptionSession
    rerun: FileJob
    job: FileJob
    note: SessionNote
    endpoint: WebhookEndpoint
    delivery: WebhookDelivery
    key: ApiKey
    rule: RetentionRule
    view: SavedView
    phrases: PhraseSet


@pytest.fixture
def world() -> World:
    make_groups()
    owner = make_user(is_staff=True)
    session = make_session("what was said", "and what more", owner=owner)
    author = Author.of(principal_of(owner))
    first = PassageId.parse("0")
    assert first is not None
    review.edit(session, author, first, version=0, text="what was said then", speaker=None, reviewed=None)
    baker.make(SessionRecording, session=session, state="deleted", folder="1-20260101000000000000")
    again = make_session("what was set", owner=owner, rerun_of=session)
    endpoint = baker.make(WebhookEndpoint, owner=owner, url="https://example.org/", events=["session.completed"])
    key, _text = ApiKey.create("theirs", owner=owner)
    return World(
        owner=owner,
        session=session,
        live=make_session("being said", owner=owner, state="live"),
        rerun=baker.make(
            FileJob, owner=owner, public_id=again.public_id, state="completed", rerun_of=session, session=again
        ),
        job=baker.make(FileJob, owner=owner, public_id="job-1", state="queued", file_name="a.wav", session=None),
        note=baker.make(SessionNote, session=session, text="a note", by="x", holder=author.holder, kind="note"),
        endpoint=endpoint,
        delivery=baker.make(
            WebhookDelivery, endpoint=endpoint, event_type="session.completed", body="{}", session=session
        ),
        key=key,
        rule=RetentionRule.objects.create(name="thirty", after_days=30),
        view=baker.make(SavedView, user=owner, name="mine", query="state=failed"),
        phrases=baker.make(PhraseSet, owner=owner, name="mine", language="en-US", phrases="Ipswich"),
    )


Act = Callable[[Client, World], Any]


def get(address: str) -> Act:
    return lambda client, world: client.get(address.format(**world._asdict()))


def post(address: str, **data: str) -> Act:
    return lambda client, world: client.post(address.format(**world._asdict()), data)


def send(method: str, address: str, **data: Any) -> Act:
    def act(client: Client, world: World) -> Any:
        filled = address.format(**world._asdict())
        return client.generic(method, filled, json.dumps(data), content_type="application/json")

    return act


def guarded(act: Act) -> Act:
    """With a protection that somebody else made."""

    def protected(client: Client, world: World) -> Any:
        protect(world.session, "hold")
        return act(client, world)

    return protected


def chosen(action: str, **data: str) -> Act:
    def act(client: Client, world: World) -> Any:
        answer = client.post("/console/chosen/", {"action": action, "chosen": world.session.public_id, **data})
        told = [str(message) for message in get_messages(answer.wsgi_request)]
        if told and told[-1].startswith(("Nothing was done. You may not", "No session was chosen")):
            # Said on the list that one comes back to.
            return SimpleNamespace(status_code=403)
        return answer

    return act


PAGE, LIVE_PAGE = "/console/sessions/{session.public_id}/", "/console/sessions/{live.public_id}/"
ONE, LIVE = f"{API}/sessions/{{session.public_id}}", f"{API}/sessions/{{live.public_id}}"
REVIEW, NOTE = f"{ONE}/review", f"{ONE}/notes/{{note.pk}}"
HOOK = f"{API}/webhooks/{{endpoint.public_id}}"

PAGES: dict[str, Act] = {
    "record": get("/"),
    "api_page": get("/api/"),
    "document": get("/api/docs/http-api/"),
    "example_file": get("/api/examples/curl.sh"),
    "health": get("/console/health/"),
    "sessions": get("/console/sessions/?all=1"),
    "sessions_do": post("/console/chosen/", action="export"),
    "saved_views": get("/console/views/"),
    "saved_view_save": post("/console/views/save/", name="failed", query="state=failed"),
    "saved_view_change": post("/console/views/{view.pk}/", action="delete"),
    "phrase_set": get("/phrases/{phrases.pk}/"),
    "live": get("/console/"),
    "live_table": get("/console/table/"),
    "last_hour": get("/console/last-hour/"),
    "day_numbers": get("/console/numbers/"),
    "day_numbers_csv": get("/console/numbers.csv?plot=sessions"),
    "session": get(PAGE),
    "session_timeline": get(f"{LIVE_PAGE}timeline/"),
    "session_rerun": get(f"{PAGE}again/{{rerun.public_id}}/"),
    "session_again": post(f"{PAGE}again/", language="en-US"),
    "session_export": get(f"{PAGE}export.txt"),
    "session_export_form": get(f"{PAGE}export/"),
    "session_stop": post(f"{LIVE_PAGE}stop/"),
    "session_delete": post(f"{PAGE}delete/"),
    "session_protect": post(f"{PAGE}protect/", reason="hold"),
    "session_unprotect": guarded(post(f"{PAGE}unprotect/")),
}
REST: dict[str, Act] = {
    "list_sessions": get(f"{API}/sessions"),
    "list_jobs": get(f"{API}/jobs"),
    "list_webhooks": get(f"{API}/webhooks"),
    "list_models": get(f"{API}/models"),
    "read_usage": get(f"{API}/usage"),
    "create_webhook": send("POST", f"{API}/webhooks", url="https://example.org/", events=["session.completed"]),
    "create_token": send("POST", f"{API}/tokens"),
    "start_transcription": send("POST", f"{API}/start-transcription"),
    "export_transcripts": get(f"{API}/export?format=txt"),
    "read_session": get(ONE),
    "read_review": get(REVIEW),
    "read_review_news": get(f"{REVIEW}/news?since=0"),
    "read_review_figures": get(f"{REVIEW}/figures"),
    "find_text": get(f"{REVIEW}/find?find=said"),
    "list_doubtful_words": get(f"{REVIEW}/doubtful"),
    "list_history": get(f"{REVIEW}/history"),
    "read_history_entry": get(f"{REVIEW}/history/1"),
    "list_notes": get(f"{ONE}/notes"),
    "list_reruns": get(f"{ONE}/reruns"),
    "compare_rerun": get(f"{ONE}/reruns/{{rerun.public_id}}"),
    "read_audio": get(f"{ONE}/audio"),
    "read_peaks": get(f"{ONE}/peaks"),
    "create_rerun": send("POST", f"{ONE}/reruns"),
    "stop_session": send("POST", f"{LIVE}/stop"),
    "add_note": send("POST", f"{ONE}/notes", kind="note", time_ms=0, text="mine"),
    "change_note": send("PATCH", NOTE, text="another"),
    "delete_note": send("DELETE", NOTE),
    "change_segment": send("PATCH", f"{REVIEW}/segments/0", version=1, text="other"),
    "split_segment": send("POST", f"{REVIEW}/segments/0/split", version=1, before="what was", after="said then"),
    "merge_segment": send("POST", f"{REVIEW}/segments/1/merge", version=0, previous_version=1),
    "rename_speaker": send("POST", f"{REVIEW}/speakers", version=1, speaker="", name="Zoe"),
    "replace_text": send("POST", f"{REVIEW}/replace", version=1, find="said", replace="sung"),
    "mark_reviewed": send("POST", f"{REVIEW}/mark-reviewed", version=1),
    "reopen_review": send("POST", f"{REVIEW}/reopen"),
    "undo_change": send("POST", f"{REVIEW}/history/1/undo"),
    "restore_transcript": send("POST", f"{REVIEW}/history/0/restore", version=1),
    "hold_segment": send("PUT", f"{REVIEW}/locks/0"),
    "release_segment": send("DELETE", f"{REVIEW}/locks/0"),
    "change_session": send("PATCH", ONE, title="another"),
    "read_transcript": get(f"{ONE}/transcript"),
    "delete_session": send("DELETE", ONE),
    "protect_session": send("PUT", f"{ONE}/protection", reason="hold"),
    "unprotect_session": guarded(send("DELETE", f"{ONE}/protection")),
    "read_job": get(f"{API}/jobs/{{job.public_id}}"),
    "cancel_job": send("DELETE", f"{API}/jobs/{{job.public_id}}"),
    "read_webhook": get(HOOK),
    "change_webhook": send("PATCH", HOOK, description="another"),
    "delete_webhook": send("DELETE", HOOK),
    "rotate_webhook_secret": send("POST", f"{HOOK}/rotate-secret"),
    "test_webhook": send("POST", f"{HOOK}/test"),
    "list_webhook_deliveries": get(f"{HOOK}/deliveries"),
    "read_webhook_delivery": get(f"{HOOK}/deliveries/{{delivery.event_id}}"),
    "resend_webhook_delivery": send("POST", f"{HOOK}/deliveries/{{delivery.event_id}}/resend"),
}
BULK: dict[str, Act] = {
    "export": chosen("export", format="txt"),
    "export_options": chosen("export_options"),
    "delete": chosen("delete", confirmed="1"),
    "assign": chosen("assign", reviewer="0"),
    "reviewed": chosen("reviewed"),
}
# Beside the list of each model.
ADMIN_MORE: dict[str, tuple[Deed, Act]] = {
    "a session": (Deed.SEE, get("/admin/transcription/transcriptionsession/{session.pk}/change/")),
    "deleting a session": (
        Deed.DELETE,
        post("/admin/transcription/transcriptionsession/{session.pk}/delete/", post="yes"),
    ),
    "an endpoint": (Deed.WEBHOOKS_SEEN, get("/admin/webhooks/webhookendpoint/{endpoint.pk}/change/")),
    "a new endpoint": (Deed.WEBHOOKS, get("/admin/webhooks/webhookendpoint/add/")),
    "a new key": (Deed.KEYS, get("/admin/transcription/apikey/add/")),
    "a key": (Deed.KEYS, get("/admin/transcription/apikey/{key.pk}/change/")),
    "a new phrase set": (Deed.PHRASES, get("/admin/transcription/phraseset/add/")),
    "a rule": (Deed.RULES, get("/admin/retention/retentionrule/{rule.pk}/change/")),
}
# Asked with a server: of what takes whole files by tests of files, of the clip by those of the live page.
WITH_A_SERVER = {"start_test_session", "create_job"}
OPEN_PAGES: dict[str, Act] = {
    "login": get("/login/"),
    "logout": post("/logout/"),
    "script_texts": get("/i18n/en.x.js"),
    "set_language": post("/i18n/setlang/", language="de"),
}


def every_act() -> Iterator[tuple[str, Deed | For, Act]]:
    """What is done, of what kind it is, and how."""
    for kind, acts, kinds in (("page", PAGES, table.PAGES), ("rest", REST, table.REST), ("bulk", BULK, table.BULK)):
        for name, act in acts.items():
            yield f"{kind} {name}", kinds[name], act
    for model, deed in table.ADMIN.items():
        yield f"admin {model}", deed, get(f"/admin/{model.replace('.', '/')}/")
    for name, (deed, act) in ADMIN_MORE.items():
        yield f"admin {name}", deed, act


EVERY_ACT = list(every_act())


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def client_with(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def is_let_in(answer: Any) -> bool:
    """Whatever else then keeps it from being done: what is refused leads to the login, is forbidden, or not there."""
    status = int(answer.status_code)
    assert status < 500 or answer.json()["reason"] == "recogniser_unavailable", status
    if status == 302:
        return "/login/" not in answer["Location"]
    if status == 404 and answer["Content-Type"].startswith("application/json"):
        return bool(answer.json().get("reason") != GONE)
    return status not in (401, 403, 404)


def tried(act: Act, client: Client, world: World) -> Any:
    """The answer; what was done is undone."""
    with transaction.atomic():
        answer = act(client, world)
        transaction.set_rollback(True)
    return answer


def check(client: Client, world: World, may: Callable[[Deed | For], bool], kinds: tuple[str, ...] = ()) -> None:
    wrong = {}
    for name, kind, act in EVERY_ACT:
        if not kinds or name.startswith(kinds):
            answer = tried(act, client, world)
            if is_let_in(answer) is not may(kind):
                wrong[name] = answer.status_code
    assert wrong == {}


@pytest.mark.parametrize("role", ROLES)
def test_each_group_does_what_the_table_says_and_nothing_else(role: str, world: World) -> None:
    user = make_user(is_staff=True)
    if role in GROUPS:
        user.groups.add(Group.objects.get(name=role))
    check(client_of(user), world, lambda kind: kind is For.ONESELF or (isinstance(kind, Deed) and role in WHO[kind]))


def test_superusers_do_everything_but_what_is_somebodys_own(world: World) -> None:
    boss = make_user(is_staff=True, is_superuser=True)
    check(client_of(boss), world, lambda kind: kind not in table.NOT_FOR_SUPERUSERS)


def test_owners_do_everything_with_what_is_theirs(world: World) -> None:
    owner = client_of(world.owner)
    assert not is_let_in(tried(get("/admin/transcription/transcriptionsession/"), owner, world))
    check(owner, world, lambda kind: kind not in table.NOT_FOR_OWNERS, ("page", "rest", "bulk"))


def test_a_key_does_over_the_api_what_its_owner_may(world: World) -> None:
    _key, text = ApiKey.create("all", owner=world.owner, scopes=[scope.value for scope in Scope])
    check(client_with(text), world, lambda kind: kind not in table.NOT_FOR_OWNERS, ("rest",))


def test_a_key_of_somebody_with_every_permission_reaches_nothing_of_others(world: World) -> None:
    boss = make_user(is_superuser=True)
    _key, text = ApiKey.create("boss", owner=boss, scopes=[scope.value for scope in Scope])
    check(client_with(text), world, lambda kind: kind is For.ONESELF, ("rest",))


def test_a_strangers_key_reaches_nothing_anywhere(world: World) -> None:
    _key, text = ApiKey.create("another", scopes=[scope.value for scope in Scope])
    client = client_with(text)
    for name, kind, act in EVERY_ACT:
        if isinstance(kind, Deed):
            assert not is_let_in(tried(act, client, world)), name


def test_nobody_gets_in_without_credentials_but_where_it_is_open(world: World) -> None:
    nobody = Client(REMOTE_ADDR="203.0.113.9")
    check(nobody, world, lambda kind: False)
    for name, act in OPEN_PAGES.items():
        assert is_let_in(tried(act, nobody, world)) or name == "script_texts", name
    assert is_let_in(nobody.get(f"{API}/health"))


@pytest.mark.parametrize("role", [*ROLES, "superuser"])
def test_sockets_let_in_whom_the_table_lets_in(role: str, world: World) -> None:
    user = make_user(is_superuser=role == "superuser")
    if role in GROUPS:
        user.groups.add(Group.objects.get(name=role))
    console: Any = ConsoleConsumer(process_of=lambda: None)  # type: ignore[arg-type,return-value]
    events: Any = SubscriptionConsumer(process_of=lambda: None)  # type: ignore[arg-type,return-value]
    for consumer in (console, events):
        consumer.scope = {"url_route": {"kwargs": {"session_id": world.live.public_id}}, "query_string": b""}
        try:
            consumer.check(principal_of(user))
        except (NotAllowed, NotFound):
            is_in = False
        else:
            is_in = True
        deed = table.SOCKETS[type(consumer).__name__]
        assert isinstance(deed, Deed)
        assert is_in is (role == "superuser" or role in WHO[deed]), deed


# Nothing is missing


def names_of(patterns: Any) -> Iterator[str]:
    """Of every address outside of the API and the admin."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace not in ("api", "admin"):
                yield from names_of(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            yield pattern.name or str(pattern.pattern)


def test_every_page_has_a_row_and_is_tried() -> None:
    realtime = {address.rpartition("/")[2] for address in table.OTHER_ADDRESSES if address.startswith("/v1/realtime/")}
    assert set(names_of(get_resolver().url_patterns)) - realtime == set(table.PAGES)
    assert set(PAGES) | set(OPEN_PAGES) == set(table.PAGES) - WITH_A_SERVER


def test_every_operation_of_the_api_has_a_row_and_is_tried() -> None:
    paths = api.get_openapi_schema()["paths"].values()
    assert {operation["operationId"] for path in paths for operation in path.values()} == set(table.REST)
    assert set(REST) | {"get_health"} == set(table.REST) - WITH_A_SERVER


def test_every_other_address_and_socket_has_a_row() -> None:
    realtime = {address for address in table.OTHER_ADDRESSES if address.startswith("/v1/realtime/")}
    assert set(file_endpoints.keys()) == set(table.OTHER_ADDRESSES) - realtime
    sockets = {pattern.callback.consumer_class.__name__ for pattern in websocket_urlpatterns}
    assert sockets == set(table.SOCKETS)


def test_every_bulk_action_has_a_row_and_is_tried() -> None:
    assert set(ACTIONS) == set(table.BULK) == set(BULK)


def test_every_model_of_the_admin_has_a_row() -> None:
    assert {model._meta.label_lower for model in admin.site._registry} == set(table.ADMIN)


def test_every_command_has_a_row() -> None:
    ours = {name for name, app in get_commands().items() if app == "transcription"}
    assert ours == set(table.COMMANDS)


def test_the_document_has_the_table_as_it_is() -> None:
    text = (BASE_DIR / "docs/security.md").read_text().split("### Groups and what they may do", 1)[1].split("\n## ")[0]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and cells[0] and not re.fullmatch("-+", cells[0]):
            found[cells[0]] = {role for role, cell in zip(ROLES, cells[1:], strict=True) if cell == "yes"}
    assert found == {deed.value: set(groups) for deed, groups in WHO.items()}
    assert set(WHO) == set(Deed)

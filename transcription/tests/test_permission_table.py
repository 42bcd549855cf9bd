"""Who may do what: every group at every page, operation and page of the admin, as docs/security.md tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from model_bakery import baker

from speechsite.config import BASE_DIR
from transcription.console.consumers import ConsoleConsumer
from transcription.errors import NotAllowed, NotFound
from transcription.files.models import FileJob
from transcription.models import ApiKey, TranscriptionSession
from transcription.recording.models import SessionRecording
from transcription.retention.models import RetentionRule
from transcription.retention.protecting import protect
from transcription.subscriptions.consumer import SubscriptionConsumer
from transcription.tests.rows import make_session, make_user, principal_of
from transcription.tests.test_groups import make_groups
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

API = "/api/v1"
GROUPS = ("Viewer", "Operator", "Reviewer", "Manager")
ROLES = ("nobody's group", *GROUPS)
REFUSALS = {302, 401, 403, 404}


class World(NamedTuple):
    """What there is to reach: everything belongs to one person."""

    owner: User
    session: TranscriptionSession
    live: TranscriptionSession
    job: FileJob
    endpoint: WebhookEndpoint
    delivery: WebhookDelivery
    key: ApiKey
    rule: RetentionRule


@pytest.fixture
def world() -> World:
    make_groups()
    owner = make_user(is_staff=True)
    session = make_session("what was said", owner=owner)
    baker.make(SessionRecording, session=session, state="deleted", folder="1-20260101000000000000")
    endpoint = baker.make(WebhookEndpoint, owner=owner, url="https://example.org/", events=["session.completed"])
    key, _text = ApiKey.create("theirs", owner=owner)
    return World(
        owner,
        session,
        make_session("being said", owner=owner, state="live"),
        baker.make(FileJob, owner=owner, public_id="job-1", state="queued", file_name="a.wav", session=None),
        endpoint,
        baker.make(WebhookDelivery, endpoint=endpoint, event_type="session.completed", body="{}", session=None),
        key,
        RetentionRule.objects.create(name="thirty", after_days=30),
    )


Act = Callable[[Client, World], Any]


class Operation(NamedTuple):
    """act: what is done. own: whether the owner may do it too. row: of the table in docs/security.md."""

    row: str
    act: Act
    own: bool = True


def get(address: str) -> Act:
    return lambda client, world: client.get(address.format(**world._asdict()))


def post(address: str, **data: str) -> Act:
    return lambda client, world: client.post(address.format(**world._asdict()), data)


def send(method: str, address: str, **data: Any) -> Act:
    def act(client: Client, world: World) -> Any:
        filled = address.format(**world._asdict())
        return client.generic(method, filled, json.dumps(data), content_type="application/json")

    return act


def unprotect(client: Client, world: World) -> Any:
    protect(world.session, "hold")
    return client.post(f"/console/sessions/{world.session.public_id}/unprotect/")


PAGE, LIVE_PAGE = "/console/sessions/{session.public_id}/", "/console/sessions/{live.public_id}/"
ONE, LIVE = f"{API}/sessions/{{session.public_id}}", f"{API}/sessions/{{live.public_id}}"
ADMIN = "/admin/transcription"
OPERATIONS = {
    "console": Operation("open the console", get("/console/"), own=False),
    "console numbers": Operation("open the console", get("/console/numbers/"), own=False),
    "page": Operation("see that a session exists", get(PAGE)),
    "facts": Operation("see that a session exists", get(ONE)),
    "notes": Operation("read its text, live or past", get(f"{ONE}/notes")),
    "review": Operation("read its text, live or past", get(f"{ONE}/review")),
    "review history": Operation("read its text, live or past", get(f"{ONE}/review/history")),
    "correct": Operation(
        "review its text, and name it reviewed", send("PATCH", f"{ONE}/review/segments/0", version=0, text="other")
    ),
    "mark reviewed": Operation(
        "review its text, and name it reviewed", send("POST", f"{ONE}/review/mark-reviewed", version=0)
    ),
    "audio": Operation("listen to its audio", get(f"{ONE}/audio")),
    "peaks": Operation("listen to its audio", get(f"{ONE}/peaks")),
    "stop page": Operation("stop it", post(f"{LIVE_PAGE}stop/")),
    "stop": Operation("stop it", send("POST", f"{LIVE}/stop")),
    "title": Operation("change its title and metadata", send("PATCH", ONE, title="another")),
    "export page": Operation("export it, alone or with others", get(f"{PAGE}export.txt")),
    "export form": Operation("export it, alone or with others", get(f"{PAGE}export/")),
    "transcript": Operation("export it, alone or with others", get(f"{ONE}/transcript")),
    "delete page": Operation("delete it", post(f"{PAGE}delete/")),
    "delete": Operation("delete it", send("DELETE", ONE)),
    "protect": Operation("protect it, end a protection", post(f"{PAGE}protect/", reason="hold")),
    "unprotect": Operation("protect it, end a protection", unprotect, own=False),
    "job": Operation("see its file job", get(f"{API}/jobs/{{job.public_id}}")),
    "cancel job": Operation("cancel its file job", send("DELETE", f"{API}/jobs/{{job.public_id}}")),
    "admin endpoints": Operation(
        "see webhooks and their log, in the admin",
        get("/admin/webhooks/webhookendpoint/{endpoint.pk}/change/"),
        own=False,
    ),
    "admin deliveries": Operation(
        "see webhooks and their log, in the admin", get("/admin/webhooks/webhookdelivery/"), own=False
    ),
    "admin new endpoint": Operation(
        "make and change webhooks of everybody, in the admin", get("/admin/webhooks/webhookendpoint/add/"), own=False
    ),
    "admin new key": Operation(
        "make and revoke keys of everybody, in the admin", get(f"{ADMIN}/apikey/add/"), own=False
    ),
    "admin key": Operation(
        "make and revoke keys of everybody, in the admin", get(f"{ADMIN}/apikey/{{key.pk}}/change/"), own=False
    ),
    "admin phrase set": Operation("phrase sets of everybody, in the admin", get(f"{ADMIN}/phraseset/add/"), own=False),
    "admin rule": Operation(
        "retention rules, tombstones, audit log, in the admin",
        get("/admin/retention/retentionrule/{rule.pk}/change/"),
        own=False,
    ),
    "admin tombstones": Operation(
        "retention rules, tombstones, audit log, in the admin", get("/admin/retention/tombstone/"), own=False
    ),
    "admin audit": Operation(
        "retention rules, tombstones, audit log, in the admin", get("/admin/audit/auditevent/"), own=False
    ),
}


def table() -> dict[str, set[str]]:
    """Which groups may do each row, as the document has it."""
    text = (BASE_DIR / "docs/security.md").read_text().split("### Groups and what they may do", 1)[1].split("\n## ")[0]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and cells[0] and not re.fullmatch("-+", cells[0]):
            found[cells[0]] = {role for role, cell in zip(ROLES, cells[1:], strict=True) if cell == "yes"}
    return found


TABLE = table()


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def is_let_in(answer: Any) -> bool:
    """A redirect after a deed leads to a session or the list, a refused one to the login."""
    if answer.status_code == 302:
        return "/login/" not in answer["Location"]
    if answer.status_code in (404, 409, 422) and answer["Content-Type"].startswith("application/json"):
        # Let in, and told that there is nothing to hear, or that the job cannot be had.
        return answer.json().get("reason") in {"audio_deleted", "no_audio"}
    return int(answer.status_code) < 400


def tried(operation: Operation, client: Client, world: World) -> Any:
    """The answer; what was done is undone."""
    with transaction.atomic():
        answer = operation.act(client, world)
        transaction.set_rollback(True)
    return answer


@pytest.mark.parametrize("role", ROLES)
def test_each_group_does_what_the_table_says_and_nothing_else(role: str, world: World) -> None:
    user = make_user(is_staff=True)
    if role in GROUPS:
        user.groups.add(Group.objects.get(name=role))
    client = client_of(user)
    for name, operation in OPERATIONS.items():
        answer = tried(operation, client, world)
        assert is_let_in(answer) is (role in TABLE[operation.row]), (name, answer.status_code)
        assert is_let_in(answer) or answer.status_code in REFUSALS, (name, answer.status_code)


@pytest.mark.parametrize("role", ROLES)
def test_sockets_let_in_whom_the_table_lets_in(role: str, world: World) -> None:
    user = make_user()
    if role in GROUPS:
        user.groups.add(Group.objects.get(name=role))
    console: Any = ConsoleConsumer(process_of=lambda: None)  # type: ignore[arg-type,return-value]
    events: Any = SubscriptionConsumer(process_of=lambda: None)  # type: ignore[arg-type,return-value]
    console.scope = {}
    for consumer, row in ((console, "open the console"), (events, "read its text, live or past")):
        consumer.scope = {"url_route": {"kwargs": {"session_id": world.live.public_id}}, "query_string": b""}
        try:
            consumer.check(principal_of(user))
        except (NotAllowed, NotFound):
            is_in = False
        else:
            is_in = True
        assert is_in is (role in TABLE[row]), row


def test_owners_do_everything_with_what_is_theirs_and_strangers_nothing(world: World) -> None:
    _key, text = ApiKey.create("another")
    nobody, another = Client(REMOTE_ADDR="203.0.113.9"), Client(headers={"Authorization": f"Bearer {text}"})
    owner = client_of(world.owner)
    for name, operation in OPERATIONS.items():
        assert not is_let_in(tried(operation, nobody, world)), name
        assert not is_let_in(tried(operation, another, world)), name
        assert is_let_in(tried(operation, owner, world)) is operation.own, name


def test_a_key_does_with_its_own_sessions_what_its_owner_may() -> None:
    owner = make_user()
    key, text = ApiKey.create("theirs", owner=owner)
    client = Client(headers={"Authorization": f"Bearer {text}"})
    for name in ("facts", "notes", "title", "transcript", "delete"):
        world: Any = World(*[None] * 8)._replace(session=make_session("one", owner=owner, api_key=key))  # type: ignore[arg-type]
        assert is_let_in(OPERATIONS[name].act(client, world)), name


def test_a_key_of_somebody_with_every_permission_reaches_no_session_of_others(world: World) -> None:
    boss = make_user(is_superuser=True)
    _key, text = ApiKey.create("boss", owner=boss)
    client = Client(headers={"Authorization": f"Bearer {text}"})
    for name, operation in OPERATIONS.items():
        assert not is_let_in(tried(operation, client, world)), name


def test_every_row_of_the_table_is_tried() -> None:
    assert {operation.row for operation in OPERATIONS.values()} == set(TABLE)

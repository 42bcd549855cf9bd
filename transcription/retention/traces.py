"""Every row that tells of a session, found through the models themselves, so that a new table cannot be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import CASCADE, ForeignKey, Model, QuerySet

from transcription.files.models import FileJob
from transcription.models import TranscriptionSession, TranscriptSegment

# A transaction of this many rows takes a few ms: commits of live sessions must not wait for a deletion.
ROWS_AT_ONCE = 200


def traces_of(session_key: int) -> Iterator[QuerySet[Any]]:
    """What tells of a session, in the order in which it can be deleted; the session's own row is not among them.

    What hangs on segments goes before them, and histories last: a correction made meanwhile would otherwise leave
    its text there.
    """
    histories = []
    segments = TranscriptSegment.objects.filter(session_id=session_key)
    for field in _relations_to(TranscriptSegment):
        rows = field.model._default_manager.filter(**{f"{field.name}__in": segments.values("pk")})
        if _is_history(field.model):
            histories.append(rows)
        else:
            yield rows
    for field in _relations_to(TranscriptionSession):
        rows = field.model._default_manager.filter(**{field.name: session_key})
        if _is_history(field.model):
            histories.append(rows)
        elif field.model is not TranscriptSegment and field.remote_field.on_delete is CASCADE:
            yield rows
    ended = (FileJob.State.COMPLETED, FileJob.State.FAILED, FileJob.State.CANCELLED)
    yield FileJob.objects.filter(session_id=session_key, state__in=ended)
    yield segments
    yield from histories


def delete_traces(session_key: int) -> None:
    """Delete all of it in small pieces, the admin's log of it too."""
    _delete_log(
        TranscriptSegment, TranscriptSegment.objects.filter(session_id=session_key).values_list("pk", flat=True)
    )
    for rows in traces_of(session_key):
        delete_in_pieces(rows)
    _delete_log(TranscriptionSession, [session_key])


def leftovers(session_key: int) -> dict[str, int]:
    """How many rows of each table still tell of a session, none left out; empty when it is gone."""
    own = TranscriptionSession.objects.filter(pk=session_key).count()
    return ({"transcriptionsession": own} if own else {}) | rows_of(session_key)


def rows_of(session_key: int) -> dict[str, int]:
    """The same without its own row, by the names of models."""
    found: dict[str, int] = {}
    for rows in traces_of(session_key):
        name = str(rows.model._meta.model_name)
        found[name] = found.get(name, 0) + rows.count()
    return {name: count for name, count in found.items() if count}


def delete_in_pieces(rows: Any) -> None:
    """Without signals: they would write the deleted text into the history."""
    manager = rows.model._default_manager
    while ids := list(rows.order_by().values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        piece = manager.filter(pk__in=ids)
        if rows.model is TranscriptSegment or not _relations_to(rows.model):
            piece._raw_delete(piece.db)
        else:
            # What hangs on these goes along.
            piece.delete()


def _relations_to(model: type[Model]) -> list[ForeignKey[Any, Any]]:
    """Foreign keys of all tables, those of histories included, which Django knows no way back from."""
    return [
        field
        for other in apps.get_models()
        for field in other._meta.local_fields
        if isinstance(field, ForeignKey) and field.related_model is model
    ]


def _is_history(model: type[Model]) -> bool:
    return hasattr(model, "history_date")


def _delete_log(model: type[Model], keys: Any) -> None:
    """The admin's log has the title of a session and the beginning of a segment's text."""
    entries = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(model))
    if not entries.exists():
        return
    listed = [str(key) for key in keys]
    for start in range(0, len(listed), ROWS_AT_ONCE):
        entries.filter(object_id__in=listed[start : start + ROWS_AT_ONCE]).delete()

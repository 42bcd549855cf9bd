"""What a change did to passages, told so that it can be undone. Pure.

An item is `{"id", "was", "is"}`: of a passage that stays only the values that changed, of one that came or went all
of them, and null where it did not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, TypeAlias

from transcription.review.passages import Passage, PassageId

Item: TypeAlias = dict[str, Any]
Passages: TypeAlias = dict[PassageId, Passage]
_NOT_KEPT = frozenset({"id", "version"})


class CannotUndo(ValueError):
    """Passages that it made or changed are not as it left them. ids: of those."""

    def __init__(self, ids: list[PassageId]) -> None:
        super().__init__(", ".join(map(str, ids)))
        self.ids = ids


def compare(before: Mapping[PassageId, Passage], after: Mapping[PassageId, Passage]) -> list[Item]:
    """What is different, by id; versions do not count."""
    items: list[Item] = []
    for id in sorted({*before, *after}):
        was, new = _values(before.get(id)), _values(after.get(id))
        if was is not None and new is not None:
            changed = [name for name in was if was[name] != new[name]]
            was, new = {name: was[name] for name in changed}, {name: new[name] for name in changed}
        if was != new:
            items.append({"id": str(id), "was": was, "is": new})
    return items


def undo(current: Mapping[PassageId, Passage], items: Iterable[Item], number: int) -> Passages:
    """The passages without change `number`, the last that touched each of its items. Raises CannotUndo."""
    items = list(items)
    touched = {id: item for item in items if (id := PassageId.parse(item["id"])) is not None}
    others = [id for id, item in touched.items() if not _is_as_left(current.get(id), item, number)]
    if others:
        raise CannotUndo(others)
    return rewind(current, [items])


def rewind(current: Mapping[PassageId, Passage], changes: Iterable[Iterable[Item]]) -> Passages:
    """The passages as they were before changes, which are given the newest first."""
    passages = dict(current)
    for items in changes:
        for item in items:
            id = PassageId.parse(item["id"])
            if id is None:
                continue
            if item["was"] is None:
                passages.pop(id, None)
            elif item["is"] is None:
                passages[id] = Passage(id=id, **item["was"])
            elif id in passages:
                passages[id] = replace(passages[id], **item["was"])
    return passages


def _is_as_left(passage: Passage | None, item: Item, number: int) -> bool:
    if item["is"] is None or passage is None:
        return item["is"] is None and passage is None
    return passage.version == number


def _values(passage: Passage | None) -> dict[str, Any] | None:
    if passage is None:
        return None
    return {name: value for name, value in asdict(passage).items() if name not in _NOT_KEPT}

"""Conditions on sessions that went wrong, as an index has them: there are few among many, and they are looked for.

Without parameters: SQLite takes an index over a part of a table only where a query has the very words of its condition.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, Q
from django.db.models.sql.compiler import SQLCompiler

Sql: TypeAlias = tuple[str, tuple[str | int, ...]]
NAME = "session_errors_newest"


class HasErrors(Func):
    """Not completed, or audio was lost. Takes state and gaps."""

    output_field = BooleanField()
    arity = 2

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_options: Any) -> Sql:
        state, gaps = (compiler.compile(source)[0] for source in self.get_source_expressions())
        return f"({state} IN ('failed', 'interrupted') OR {gaps} <> '[]')", ()


class HasLosses(Func):
    """Audio was lost on the way, or before it was answered. Takes state, gaps, audio, committed and flushed bytes."""

    output_field = BooleanField()
    arity = 5

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_args: Any, **_options: Any) -> Sql:
        columns = [compiler.compile(source)[0] for source in self.get_source_expressions()]
        state, gaps, audio, committed, flushed = columns
        unanswered = f"{state} = 'interrupted' AND {audio} > {committed} AND {audio} > {flushed}"
        return f"({gaps} <> '[]' OR ({unanswered}))", ()


def has_errors() -> Q:
    """Sessions that were not completed, or of which audio was lost."""
    return Q(HasErrors("state", "gaps"))


def has_losses() -> Q:
    """Sessions of which audio was lost: some of those with errors."""
    return has_errors() & Q(HasLosses("state", "gaps", "audio_bytes", "committed_bytes", "flushed_bytes"))

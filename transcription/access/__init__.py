"""Who may see, stop, export and delete which transcription sessions; pages, sockets and the API ask here.

Everybody has their own sessions: a user those under their name or made with their keys; a key those made
with it or owned by its owner; a short-lived token the one it was issued for, or those of whoever got it; a
loopback client of the development profile those without owner and key. Beyond that only users get anywhere, by
permission:

    view_live, view_transcriptionsession   that sessions of others exist, and their facts
    view_live                              the figures of all sessions together
    view_captions                          the text of others
    stop_transcriptionsession              stop live sessions of others
    change_transcriptionsession            give sessions of others another title or metadata
    export_transcriptionsession            download what they may read of others
    listen_transcriptionsession            hear what they may read of others, live too
    delete_transcriptionsession            delete sessions of others
    change_transcriptsegment               with view_captions: review transcripts of others
    retention.add_protection               protect sessions of others from deletion
    retention.delete_protection            end protections that others made

Whoever may read the text of a session may put notes on it, and change their own; who may review it, everybody's.

What somebody may not see does not exist for them: the answer is NotFound. NotAllowed is said only of what
they can see. `Who` is a Django user (pages) or a Principal (sockets, API); both get the same answers.

What a key or token may be used for at all is a question before these: require_scope().

A phrase set belongs to its owner, or to everybody; others see it nowhere but in the admin.

A webhook endpoint belongs to whoever made it, and hears of their own sessions; one that reaches all sessions does as
long as its owner has view_captions.
"""

from __future__ import annotations

from transcription.access.endpoints import (
    endpoint_is_trusted,
    hearing_endpoints,
    own_endpoints,
    usable_endpoints,
)
from transcription.access.jobs import (
    get_job,
    may_cancel_job,
    visible_jobs,
)
from transcription.access.people import (
    Permission,
    Who,
    owned_by,
    require_scope,
)
from transcription.access.phrase_sets import (
    usable_phrase_sets,
)
from transcription.access.sessions import (
    audible_sessions,
    changeable_sessions,
    deletable_sessions,
    exportable_sessions,
    get_session,
    listed_sessions,
    may_change,
    may_delete,
    may_export,
    may_list,
    may_listen,
    may_protect,
    may_read_all_captions,
    may_read_text,
    may_review,
    may_see_numbers,
    may_stop,
    may_unprotect,
    may_watch_live,
    protectable_sessions,
    reviewable_sessions,
    reviewers,
    stoppable_sessions,
    visible_sessions,
)

__all__ = [
    "Permission",
    "Who",
    "audible_sessions",
    "changeable_sessions",
    "deletable_sessions",
    "endpoint_is_trusted",
    "exportable_sessions",
    "get_job",
    "get_session",
    "hearing_endpoints",
    "listed_sessions",
    "may_cancel_job",
    "may_change",
    "may_delete",
    "may_export",
    "may_list",
    "may_listen",
    "may_protect",
    "may_read_all_captions",
    "may_read_text",
    "may_review",
    "may_see_numbers",
    "may_stop",
    "may_unprotect",
    "may_watch_live",
    "own_endpoints",
    "owned_by",
    "protectable_sessions",
    "require_scope",
    "reviewable_sessions",
    "reviewers",
    "stoppable_sessions",
    "usable_endpoints",
    "usable_phrase_sets",
    "visible_jobs",
    "visible_sessions",
]

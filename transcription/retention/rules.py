"""What a rule matches."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce, Now

from speechsite.config import Config
from transcription.models import TranscriptionSession
from transcription.retention.along import has_protected_rerun
from transcription.retention.models import OwnTerm, RetentionRule
from transcription.search.metadata_index import has_pair

State = TranscriptionSession.State
ENDED = (State.COMPLETED, State.INTERRUPTED, State.FAILED)
SETTING = "RETAIN_SESSIONS_DAYS"
# The name of the rule that says of each session with a term of its own: at the end of that.
OWN_TERMS = "own term"


def standing_rules(config: Config) -> list[RetentionRule]:
    """Those of the database that are enabled, that of own terms, and the setting's.

    Audio by RETAIN_AUDIO_DAYS goes by recording/.
    """
    rules = list(RetentionRule.objects.filter(enabled=True).order_by("name"))
    if OwnTerm.objects.exists():
        rules.append(RetentionRule(name=OWN_TERMS, after_days=0))
    if config.retain_sessions_days:
        rules.append(RetentionRule(name=SETTING, after_days=config.retain_sessions_days))
    return rules


def expired(rule: RetentionRule) -> QuerySet[TranscriptionSession]:
    """Sessions that a rule takes now, the oldest first. Neither protected ones nor any that has not ended.

    What has a term of its own goes by that alone.
    """
    if not rule.pk and rule.name == OWN_TERMS:
        over = TranscriptionSession.objects.filter(own_term__ends_at__lt=Now(), state__in=ENDED, protection=None)
        return over.exclude(has_protected_rerun()).order_by("own_term__ends_at", "pk")
    before = Now() - timedelta(days=rule.after_days)
    found = (
        TranscriptionSession.objects.filter(
            # No session ends before it is made; this one has an index.
            state__in=ENDED,
            created_at__lt=before,
            protection=None,
            own_term=None,
        )
        .exclude(has_protected_rerun())
        .alias(end=Coalesce(F("ended_at"), F("created_at")))
    )
    found = found.filter(end__lt=before)
    if rule.language:
        found = found.filter(language__iexact=rule.language)
    if rule.api_key_id is not None:
        found = found.filter(api_key_id=rule.api_key_id)
    if rule.metadata_key:
        found = found.filter(has_pair(rule.metadata_key, rule.metadata_value))
    if rule.takes == RetentionRule.Takes.AUDIO:
        found = found.filter(recording__state__in=("complete", "partial", "failed"))
    return found.order_by("created_at", "pk")

"""Languages as clients write them, and as recognisers offer them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

# The region that most speakers of recordings mean, where a client names a language alone and nothing else decides.
USUAL_REGIONS = {
    "ar": "ar-AR", "cs": "cs-CZ", "da": "da-DK", "de": "de-DE", "en": "en-US", "es": "es-US", "fr": "fr-FR",
    "he": "he-IL", "hi": "hi-IN", "it": "it-IT", "ja": "ja-JP", "ko": "ko-KR", "nl": "nl-NL", "nb": "nb-NO",
    "nn": "nn-NO", "no": "nb-NO", "pl": "pl-PL", "pt": "pt-BR", "ru": "ru-RU", "sv": "sv-SE", "th": "th-TH",
    "tr": "tr-TR", "zh": "zh-CN",
}  # fmt: skip
NAMES = {
    "ar": "arabic", "cs": "czech", "da": "danish", "de": "german", "en": "english", "es": "spanish", "fr": "french",
    "he": "hebrew", "hi": "hindi", "it": "italian", "ja": "japanese", "ko": "korean", "nl": "dutch",
    "nb": "norwegian", "nn": "nynorsk", "no": "norwegian", "pl": "polish", "pt": "portuguese", "ru": "russian",
    "sv": "swedish", "th": "thai", "tr": "turkish", "zh": "chinese",
}  # fmt: skip
CODES = {name: code for code, name in reversed(NAMES.items())}
DEFAULT_LANGUAGE = "en-US"


def choose_language(asked: str, offered: Sequence[str]) -> str:
    """The recogniser's code for what a client asked for: BCP 47 (`en-GB`), ISO 639-1 (`en`) or a name (`english`).

    offered: the codes that the recogniser has; empty if it does not say. Nothing asked for: its default. What is not
    offered comes back as it would be written, for the recogniser to refuse.
    """
    if not asked:
        return DEFAULT_LANGUAGE if not offered or DEFAULT_LANGUAGE in offered else offered[0]
    code = CODES.get(asked.lower(), asked).replace("_", "-")
    by_lower_case = {language.lower(): language for language in offered}
    if code.lower() in by_lower_case:
        return by_lower_case[code.lower()]
    if "-" in code:
        return code
    usual = USUAL_REGIONS.get(code.lower(), code)
    if not offered or usual.lower() in by_lower_case:
        return usual
    return next((language for language in offered if primary_of(language) == code.lower()), usual)


def primary_of(language: str) -> str:
    """`en` of `en-US`."""
    return language.partition("-")[0].lower()


def name_of(language: str) -> str:
    """The English name in lower case, or the code where it is not known."""
    return NAMES.get(primary_of(language), language)

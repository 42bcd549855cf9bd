from __future__ import annotations

import pytest

from transcription.languages import choose_language, name_of


@pytest.mark.parametrize(
    ("asked", "offered", "chosen"),
    [
        ("", (), "en-US"),
        ("", ("en-US", "de-DE"), "en-US"),
        ("", ("de-DE",), "de-DE"),
        ("en", (), "en-US"),
        ("en", ("en-GB",), "en-GB"),
        ("en", ("en-GB", "en-US"), "en-US"),
        ("english", (), "en-US"),
        ("English", ("en-AU",), "en-AU"),
        ("es", ("es-ES",), "es-ES"),
        ("pt", (), "pt-BR"),
        ("en-gb", ("en-GB",), "en-GB"),
        ("en_US", (), "en-US"),
        ("de", ("en-US",), "de-DE"),
        ("sw", (), "sw"),
        ("de-CH", ("de-DE",), "de-CH"),
        ("multi", ("multi",), "multi"),
    ],
)
def test_a_language_is_found_as_clients_write_it(asked: str, offered: tuple[str, ...], chosen: str) -> None:
    assert choose_language(asked, offered) == chosen


def test_a_language_has_its_english_name() -> None:
    assert (name_of("en-US"), name_of("de-DE"), name_of("sw-KE")) == ("english", "german", "sw-KE")

"""docs/listen-api.md says what the code does: each parameter, message, close and status."""

from __future__ import annotations

import re

import pytest

from transcription.dialects import listen_errors, listen_messages
from transcription.dialects.listen_parameters import PARAMETERS
from transcription.tests.test_docs import read, rows, section

TEXT = read("listen-api.md")
SERVER_MESSAGES = (
    listen_messages.Results,
    listen_messages.UtteranceEnd,
    listen_messages.SpeechStarted,
    listen_messages.Metadata,
    listen_messages.ErrorMessage,
    listen_messages.ConfigureFailure,
)


def test_every_parameter_is_described_as_it_is_treated() -> None:
    described = rows(section(TEXT, "Parameters"))

    assert {name: cells[1:] for name, cells in described.items()} == {
        name: [parameter.live.value, parameter.file.value, parameter.note] for name, parameter in PARAMETERS.items()
    }


@pytest.mark.parametrize("kind", listen_messages.CLIENT_MESSAGE_TYPES)
def test_every_message_of_the_client_is_described(kind: str) -> None:
    assert kind in rows(section(TEXT, "What the client says"))


@pytest.mark.parametrize("model", SERVER_MESSAGES, ids=lambda model: model.__name__)
def test_every_message_of_the_service_and_its_fields_are_described(model: type[listen_messages.Results]) -> None:
    [_kind, _when, fields] = rows(section(TEXT, "What the service says"))[model.model_fields["type"].default]

    named = set(re.findall(r"[a-z_0-9]+", fields))
    assert named >= set(model.model_fields) - {"type"}


def test_every_close_is_described() -> None:
    described = {
        (line.split("|")[1].strip(), reason)
        for line in section(TEXT, "How it ends").splitlines()
        if line.startswith("| 1")
        for reason in re.findall(r"`([^`]+)`", line.split("|")[2]) or [""]
    }
    for kind, (code, reason) in listen_errors.CLOSES.items():
        assert (str(code), reason or ("" if code == 1009 else kind.default_reason)) in described, kind
    assert (str(listen_errors.RESTARTS), listen_errors.DRAINING) in described


def test_every_status_of_a_file_is_described() -> None:
    described = section(TEXT, "Whole files")
    for status, err_code in listen_errors.HTTP.values():
        if status not in (404, 409):
            assert re.search(rf"^\| [0-9, ]*{status}", described, re.MULTILINE)
            assert f"`{err_code}`" in described

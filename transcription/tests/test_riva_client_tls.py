"""Plain, TLS and mutual TLS differ by the target alone."""

from __future__ import annotations

import grpc
import pytest

from transcription.engine.recognition import Result
from transcription.errors import RecogniserFailed
from transcription.fake_riva.audio import spoken
from transcription.fake_riva.server import ScriptedRiva
from transcription.options import TranscriptionConfig
from transcription.riva.client import RivaRecogniser
from transcription.riva.target import RivaTarget
from transcription.tests.certificates import Authority

AUTHORITY = Authority()
SERVER = AUTHORITY.issue("localhost")
CLIENT = AUTHORITY.issue("speechsite")
STRANGER = Authority("somebody else").issue("speechsite")


def tls_riva(*, mutual: bool = False) -> ScriptedRiva:
    credentials = grpc.ssl_server_credentials(
        [(SERVER.key, SERVER.certificate)],
        root_certificates=AUTHORITY.certificate if mutual else None,
        require_client_auth=mutual,
    )
    return ScriptedRiva(credentials=credentials)


async def first_final(target: RivaTarget) -> str:
    recogniser = RivaRecogniser([target])
    try:
        stream = await recogniser.open(TranscriptionConfig(enable_interim_results=False))
        await stream.send(spoken(1))
        await stream.half_close()
        heard: list[Result] = []
        await stream.hear(heard.append)
        [final] = heard
        return getattr(final, "text", "")
    finally:
        await recogniser.aclose()


async def test_a_trusted_server_is_spoken_to_over_tls() -> None:
    async with tls_riva() as riva:
        target = RivaTarget(riva.address, True, AUTHORITY.certificate)
        assert await first_final(target) == "word0001"


async def test_a_server_of_an_unknown_authority_gets_nothing() -> None:
    async with tls_riva() as riva:
        with pytest.raises(RecogniserFailed):
            await first_final(RivaTarget(riva.address, True, Authority().certificate))
        assert riva.streams == []


async def test_a_plain_client_gets_no_further_than_the_door() -> None:
    async with tls_riva() as riva:
        with pytest.raises(RecogniserFailed):
            await first_final(RivaTarget(riva.address))
        assert riva.streams == []


async def test_mutual_tls_shows_our_certificate() -> None:
    async with tls_riva(mutual=True) as riva:
        target = RivaTarget(riva.address, True, AUTHORITY.certificate, CLIENT.certificate, CLIENT.key)
        assert await first_final(target) == "word0001"


@pytest.mark.parametrize("pair", [None, STRANGER])
async def test_mutual_tls_refuses_strangers(pair: object) -> None:
    certificate, key = (STRANGER.certificate, STRANGER.key) if pair else (None, None)
    async with tls_riva(mutual=True) as riva:
        with pytest.raises(RecogniserFailed):
            await first_final(RivaTarget(riva.address, True, AUTHORITY.certificate, certificate, key))
        assert riva.streams == []

"""Transcribe a WAV file with NVIDIA's realtime client (pip install nvidia-riva-client):
nvidia_realtime.py FILE [HOST:PORT]
"""

import argparse
import asyncio
import os
import sys

from riva.client.realtime import RealtimeClientASR

# What NVIDIA's own script realtime_asr_client.py hands over where nothing else is typed.
USUAL = {
    "endpoint": "/v1/realtime", "query_params": "intent=transcription", "use_ssl": False, "ssl_root_cert": None,
    "ssl_client_cert": None, "ssl_client_key": None, "mic": False, "prompt": "", "language_code": "en-US",
    "model_name": "", "sample_rate_hz": 16000, "num_channels": 1, "max_alternatives": 1, "automatic_punctuation": True,
    "word_time_offsets": False, "profanity_filter": False, "no_verbatim_transcripts": False,
    "speaker_diarization": False, "diarization_max_speakers": 0, "boosted_lm_words": [], "boosted_lm_score": 4.0,
    "custom_configuration": "", "start_history": -1, "start_threshold": -1.0, "stop_history": -1,
    "stop_history_eou": -1, "stop_threshold": -1.0, "stop_threshold_eou": -1.0,
}  # fmt: skip


def chunks_of(path):
    with open(path, "rb") as audio:
        while chunk := audio.read(3200):
            yield chunk


async def main(path, server="127.0.0.1:8000") -> None:
    client = RealtimeClientASR(
        argparse.Namespace(server=server, mint_api_key=os.environ.get("SPEECHSITE_API_KEY"), **USUAL)
    )
    await client.connect()
    try:
        await asyncio.gather(client.send_audio_chunks(chunks_of(path)), client.receive_responses())
    finally:
        await client.disconnect()
    print(client.final_transcript)


asyncio.run(main(*sys.argv[1:3]))

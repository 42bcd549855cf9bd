"""Stream a 16-bit mono WAV file with OpenAI's library (pip install "openai[realtime]"):
openai_realtime.py FILE [http://HOST:PORT]
"""

import asyncio
import base64
import os
import sys
import wave

from openai import AsyncOpenAI

TURN_DETECTION = None  # one item for all of it; {"type": "server_vad"} makes one of each utterance


async def send(connection, audio) -> None:
    rate = audio.getframerate()
    listened_to = {
        "format": {"type": "audio/pcm", "rate": rate},
        "transcription": {"language": "en-US"},
        "turn_detection": TURN_DETECTION,
    }
    await connection.session.update(session={"type": "transcription", "audio": {"input": listened_to}})
    while chunk := audio.readframes(rate // 10):
        await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
        await asyncio.sleep(0.1)  # as fast as it was spoken, like a microphone
    await connection.input_audio_buffer.commit()


async def main(path, site="http://127.0.0.1:8000") -> None:
    client = AsyncOpenAI(base_url=f"{site}/v1", api_key=os.environ["SPEECHSITE_API_KEY"])
    query = {"intent": "transcription"}
    with wave.open(path) as audio:
        async with client.realtime.connect(extra_query=query) as connection:
            sending = asyncio.create_task(send(connection, audio))
            async for event in connection:
                match event.type.removeprefix("conversation.item.input_audio_transcription."):
                    case "delta":
                        print(event.delta, end="", flush=True)
                    case "completed":
                        print()
                        break
                    case "error":
                        raise SystemExit(event.error.message)
            await sending


asyncio.run(main(*sys.argv[1:3]))

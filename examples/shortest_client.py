"""Stream a 16-bit mono WAV file and print what is said: shortest_client.py FILE [ws://HOST:PORT]"""

import asyncio, json, os, sys, uuid, websockets

CONFIG = {"language": "en-US", "sample_rate_hertz": 16000}
CHUNK_BYTES = 3200  # 100 ms of it
KEY = os.environ.get("SPEECHSITE_API_KEY")


async def send(socket, audio):
    await socket.send(json.dumps({"type": "start_transcription", "config": CONFIG}))
    while chunk := audio.read(CHUNK_BYTES):
        await socket.send(chunk)
        await asyncio.sleep(0.1)  # as fast as it was spoken, like a microphone
    await socket.send(json.dumps({"type": "stop_transcription"}))


async def main(path, server="ws://127.0.0.1:8000"):
    url = f"{server}/api/v1/transcribe/{uuid.uuid4().hex}"
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    async with websockets.connect(url, additional_headers=headers) as socket:
        sending = asyncio.create_task(send(socket, open(path, "rb")))
        async for event in (json.loads(message) async for message in socket):
            if event["event"] == "error":
                raise SystemExit(event["message"])
            if event.get("durable"):  # a final result, and stored
                print(event["text"], flush=True)
        await sending


asyncio.run(main(*sys.argv[1:3]))

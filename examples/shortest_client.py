"""Stream a WAV file (16-bit mono) and print its final results: shortest_client.py FILE [ws://HOST:PORT]"""

import asyncio, json, sys, uuid, wave, websockets  # noqa: E401, I001 - the shortest


async def send(socket, path):
    with wave.open(path) as audio:
        rate = audio.getframerate()
        await socket.send(json.dumps({"type": "start_transcription", "config": {"sample_rate_hertz": rate}}))
        while chunk := audio.readframes(rate // 10):
            await socket.send(chunk)
            await asyncio.sleep(0.1)  # as fast as it was spoken, like a microphone
    await socket.send(json.dumps({"type": "stop_transcription"}))


async def main(path, server="ws://127.0.0.1:8000"):
    async with websockets.connect(f"{server}/api/v1/transcribe/{uuid.uuid4().hex}") as socket:
        sending = asyncio.create_task(send(socket, path))
        async for event in (json.loads(message) async for message in socket):
            if event["event"] == "error" or event.get("durable"):  # durable: a final result, and stored
                print(event.get("text", event.get("message")), flush=True)
        sending.cancel()


asyncio.run(main(*sys.argv[1:3]))

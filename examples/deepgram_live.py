"""Stream a WAV file with Deepgram's library (pip install deepgram-sdk): deepgram_live.py FILE [http://HOST:PORT]"""

import os
import sys
import threading
import time

from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment

path, site = (*sys.argv[1:3], "http://127.0.0.1:8000")[:2]
socket_site = site.replace("http", "ws", 1)
environment = DeepgramClientEnvironment(base=site, production=socket_site, agent=socket_site, agent_rest=site)
client = DeepgramClient(api_key=os.environ["SPEECHSITE_API_KEY"], environment=environment)


def show(message) -> None:
    if message.type == "Results" and message.is_final:
        print(message.channel.alternatives[0].transcript, flush=True)


with client.listen.v1.connect(model="nova-3", language="en-US") as socket, open(path, "rb") as audio:
    socket.on(EventType.MESSAGE, show)
    listening = threading.Thread(target=socket.start_listening)
    listening.start()
    while chunk := audio.read(3200):
        socket.send_media(chunk)
        time.sleep(0.1)  # as fast as it was spoken, like a microphone
    socket.send_close_stream()
    listening.join()

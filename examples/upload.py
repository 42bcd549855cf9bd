"""Transcribe a recording with OpenAI's library (pip install openai): upload.py FILE [http://HOST:PORT]"""

import os
import sys
from pathlib import Path

from openai import OpenAI

path, site = (*sys.argv[1:3], "http://127.0.0.1:8000")[:2]
client = OpenAI(base_url=f"{site}/v1", api_key=os.environ["SPEECHSITE_API_KEY"])
answer = client.audio.transcriptions.create(
    file=Path(path), model="default", response_format="verbose_json", timestamp_granularities=["segment"]
)
for segment in answer.segments or []:
    print(f"{segment.start:7.2f} {segment.end:7.2f}  {segment.text.strip()}")

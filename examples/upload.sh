#!/bin/sh
# Transcribe a recording: upload.sh FILE [FORMAT] [http://HOST:PORT]
# Any common container (WAV, MP3, M4A, MP4, WebM, OGG, FLAC); FORMAT: text (default), json, srt, vtt or verbose_json.
set -eu
file=$1
format=${2:-text}
site=${3:-http://127.0.0.1:8000}

# --fail-with-body: an error's JSON says what was wrong.
curl --silent --show-error --fail-with-body \
    ${SPEECHSITE_API_KEY:+--header "Authorization: Bearer $SPEECHSITE_API_KEY"} \
    --form "file=@$file" --form "response_format=$format" "$site/v1/audio/transcriptions"

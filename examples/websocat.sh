#!/bin/sh
# Stream a 16-bit mono WAV file from the shell and print every event: websocat.sh FILE [ws://HOST:PORT]
# Audio goes as base64 in text messages, one a line, for a shell cannot tell text from binary ones.
set -eu
config='{"language": "en-US", "sample_rate_hertz": 16000}'
chunk_characters=4264 # of base64: 100 ms of it
file=$1
server=${2:-ws://127.0.0.1:8000}

messages() {
    printf '{"type": "start_transcription", "config": %s}\n' "$config"
    base64 <"$file" | tr -d '\n' | fold -w "$chunk_characters" | while read -r audio || [ -n "$audio" ]; do
        printf '{"type": "audio", "audio": "%s"}\n' "$audio"
        sleep 0.1 # as fast as it was spoken
    done
    echo '{"type": "stop_transcription"}'
}

session=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
# --no-close: the last words still come after the last line was sent; then the service closes.
messages | websocat --no-close --text ${SPEECHSITE_API_KEY:+-H="Authorization: Bearer $SPEECHSITE_API_KEY"} \
    "$server/api/v1/transcribe/$session"

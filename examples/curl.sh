#!/bin/sh
# The same over HTTP: curl.sh FILE [http://HOST:PORT]
set -eu
config='{"language": "en-US", "sample_rate_hertz": 16000}'
file=$1
site=${2:-http://127.0.0.1:8000}

# --fail-with-body: an error's JSON says what was wrong.
call() {
    curl --silent --show-error --fail-with-body --max-time 60 \
        ${SPEECHSITE_API_KEY:+--header "Authorization: Bearer $SPEECHSITE_API_KEY"} "$@"
    echo
}

# A whole recording, of any common format.
call "$site/v1/audio/transcriptions" --form "file=@$file" --form language=en-US --form response_format=json

# A session with these options. The answer has the address to stream to, and a token that may start it within 60 s.
call "$site/api/v1/start-transcription" --header "Content-Type: application/json" --data "$config"

# The newest session that has ended, and what was said in it, as subtitles.
session=$(call "$site/api/v1/sessions?state=completed&limit=1" | sed -n 's/.*"session_id": "\([^"]*\)".*/\1/p')
[ -z "$session" ] || call "$site/api/v1/sessions/$session/transcript?format=srt"

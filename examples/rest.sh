#!/bin/sh
# The HTTP API around one recording: make a session, stream a WAV file to it, read it, delete it.
# usage: [SPEECHSITE_API_KEY=spk_...] rest.sh FILE.wav [http://HOST:PORT]
set -eu
file=$1
site=${2:-http://127.0.0.1:8000}
api=$site/api/v1
here=$(dirname "$0")
python=${PYTHON:-python3}

# --fail-with-body: an error's JSON says what was wrong.
call() {
    if [ -n "${SPEECHSITE_API_KEY:-}" ]; then
        set -- --header "Authorization: Bearer $SPEECHSITE_API_KEY" "$@"
    fi
    curl --silent --show-error --fail-with-body --max-time 30 "$@"
}

field() { "$python" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

echo "# health"
call "$api/health"

echo
echo "# make a session with its options; the token may start this one session within 60 s"
made=$(call --header 'Content-Type: application/json' "$api/start-transcription" \
    --data '{"title": "From the shell", "metadata": {"ticket": "4711"}}')
session=$(echo "$made" | field session_id)
token=$(echo "$made" | field token)

echo "# stream the audio"
SPEECHSITE_API_KEY=$token "$python" "$here/speech_client.py" --server "ws${site#http}" --session "$session" "$file"

echo "# its facts"
call "$api/sessions/$session"

echo
echo "# its transcript, as subtitles"
call "$api/sessions/$session/transcript?format=srt"

echo "# find it again by its words or title"
call --get "$api/sessions" --data-urlencode "q=shell" --data "limit=1"

echo
echo "# delete it"
call --request DELETE "$api/sessions/$session"

// Stream a 16-bit mono WAV file and print what is said: node node_client.mjs FILE [ws://HOST:PORT]
// Node.js 22 or later, or 20 with --experimental-websocket. No packages.

import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const config = { language: "en-US", sample_rate_hertz: 16000 };
const chunkBytes = 3200; // 100 ms of it
const [path, server = "ws://127.0.0.1:8000"] = process.argv.slice(2);
const key = process.env.SPEECHSITE_API_KEY;

const protocols = key ? ["speech.v1", `speech.token.${key}`] : [];
const socket = new WebSocket(`${server}/api/v1/transcribe/${randomUUID()}`, protocols);
const tell = (message) => socket.send(JSON.stringify(message));

async function send() {
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(chunk);
    await sleep(100); // as fast as it was spoken, like a microphone
  }
  tell({ type: "stop_transcription" });
}

socket.onopen = () => tell({ type: "start_transcription", config });
socket.onmessage = ({ data }) => {
  const event = JSON.parse(data);
  if (event.event === "transcription_started") send();
  else if (event.event === "transcript" && event.durable) console.log(event.text); // a final result, and stored
  else if (event.event === "error") console.error(`${event.message} (${event.code} ${event.reason})`);
};
socket.onclose = ({ code }) => {
  if (code === 1000) return;
  console.error(`The connection was closed with ${code}.`);
  process.exitCode = 1;
};

/**
 * Microphone to captions in a page of yours. Plain browser APIs, no library.
 *
 * The service lets pages of other sites in when ALLOWED_ORIGINS names their origin:
 *     ALLOWED_ORIGINS=http://localhost:8080 make serve
 *     python3 -m http.server --directory examples 8080
 * and then http://localhost:8080/browser.html.
 */

// Audio is kept until the service says that it is settled: 10 min of 48 kHz mono. Beyond this the recording ends.
const MAX_HELD_BYTES = 57_600_000;
// Waits before connecting again: 0.25 s, doubled up to 8 s, each ±50 %.
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 8000;
const STABLE_MS = 5000;

/**
 * A session's address and a token that may start it once within 60 s.
 *
 * In development this page may ask the service itself. In production let your own server do this one
 * call, with its API key, and hand websocket_url and token to the page: a key never belongs in a page.
 */
async function makeSession(site, options) {
  const response = await fetch(`${site}/api/v1/start-transcription`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(options),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

/** Blocks of 16-bit samples of 100 ms from the microphone. */
async function openMicrophone(onBlock) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true } });
  const context = new AudioContext();
  await context.audioWorklet.addModule("microphone-worklet.js");
  const worklet = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
  worklet.port.onmessage = ({ data }) => onBlock(data);
  context.createMediaStreamSource(stream).connect(worklet);
  return {
    sampleRate: context.sampleRate,
    async close() {
      for (const track of stream.getTracks()) track.stop();
      if (context.state !== "closed") await context.close();
    },
  };
}

/**
 * One recording: sends blocks within the service's credit and reports what comes back. When the connection is lost it
 * is made again, the session resumed, and audio sent from where the service wants it.
 */
class Recording {
  #held = []; // blocks that are not settled, oldest first
  #heldFrom = 0; // where the first of them begins, in bytes from the beginning of the session
  #heldBytes = 0;
  #sent = 0;
  #limit = 0;
  #stopAsked = false;
  #stopSent = false; // on this connection
  #stopped = false;
  #resumeToken = null;
  #received = 0; // how many final results
  #attempt = 0;
  #lostAt = null;
  #windowMs = 0;
  #error = null;

  constructor({ websocket_url, token }, { onTranscript, onRevised, onStatus, onEnd }) {
    Object.assign(this, { url: websocket_url, token, onTranscript, onRevised, onStatus, onEnd });
    this.#connect();
  }

  send(block) {
    if (this.#heldBytes + block.byteLength > MAX_HELD_BYTES) {
      this.#error = { message: "The service has settled nothing for too long.", retryable: false };
      this.socket.close();
      return;
    }
    this.#held.push(block);
    this.#heldBytes += block.byteLength;
    this.#pump();
  }

  /** No more audio will come; the last words still arrive, then onEnd is called. */
  stop() {
    this.#stopAsked = true;
    this.#pump();
  }

  #connect() {
    this.#limit = 0;
    this.#stopSent = false;
    this.#error = null;
    // The service answers with the first of the two; the second carries the token, for a page can set no header. It
    // starts the session once; to resume it, it serves for as long as the session may be resumed.
    this.socket = new WebSocket(this.url, ["speech.v1", `speech.token.${this.token}`]);
    this.socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    this.socket.onclose = ({ code }) => this.#closed(code);
  }

  #closed(code) {
    clearTimeout(this.stable);
    if (this.#stopped) return this.onEnd(this.#error?.message ?? null);
    const problem = this.#error?.message ?? "The connection was lost.";
    this.#lostAt ??= Date.now();
    const isOver = code === 1000 || Date.now() - this.#lostAt > this.#windowMs;
    if (!this.#resumeToken || this.#error?.retryable === false || isOver) return this.onEnd(problem);
    const waitMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#attempt) * (0.5 + Math.random());
    this.#attempt += 1;
    this.onStatus(`${problem} Connecting again …`);
    setTimeout(() => this.#connect(), Math.max(waitMs, this.#error?.retry_after_ms ?? 0));
  }

  #pump() {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    let position = this.#heldFrom;
    for (const block of this.#held) {
      if (position + block.byteLength > this.#limit) return;
      if (position + block.byteLength > this.#sent) {
        this.socket.send(block.slice(Math.max(0, this.#sent - position)));
        this.#sent = position + block.byteLength;
      }
      position += block.byteLength;
    }
    if (!this.#stopAsked || this.#stopSent || !this.#limit) return;
    this.#stopSent = true;
    this.#tell({ type: "stop_transcription" });
  }

  /** Forget the blocks before a position that is settled. */
  #forget(position) {
    while (this.#held.length && this.#heldFrom + this.#held[0].byteLength <= position) {
      const { byteLength } = this.#held.shift();
      this.#heldFrom += byteLength;
      this.#heldBytes -= byteLength;
    }
  }

  #opening() {
    // The options were given when the session was made; fields given here would override them.
    if (!this.#resumeToken) return { type: "start_transcription", config: {} };
    return {
      type: "resume_transcription",
      resume_token: this.#resumeToken,
      received_segments: this.#received,
      held_from: this.#heldFrom,
    };
  }

  #take(event) {
    switch (event.event) {
      case "session_created":
        this.#windowMs = event.limits.resume_window_ms;
        this.#tell(this.#opening());
        break;
      case "transcription_started":
        this.#resumeToken = event.resume_token;
        this.onStatus("Speak now.");
        break;
      case "transcription_resumed":
        this.#sent = event.audio_offset;
        this.#lostAt = null;
        this.stable = setTimeout(() => (this.#attempt = 0), STABLE_MS);
        this.onStatus("Connected again.");
        break;
      case "audio_ack":
        this.#limit = event.limit;
        this.#forget(Math.min(event.safe, this.#sent));
        this.#pump();
        break;
      case "transcript":
        if (event.is_final) this.#received = Math.max(this.#received, event.segment + 1);
        this.onTranscript(event);
        break;
      case "revised":
        this.#received = Math.min(this.#received, event.from_segment);
        this.onRevised(event.from_segment);
        break;
      case "recogniser_status":
        this.onStatus(event.state === "ok" ? "" : `The recogniser is ${event.state}.`);
        break;
      case "transcription_stopped":
        this.#stopped = true;
        break;
      case "error":
        this.#error = event;
        break;
    }
  }

  #tell(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}

const element = (id) => document.getElementById(id);
const finals = new Map();

function showTranscript({ segment, is_final: isFinal, text }) {
  element("interim").textContent = isFinal ? "" : text;
  if (!isFinal) return;
  // By index: a final that was shown before it was stored comes a second time.
  finals.set(segment, text);
  element("final").textContent = [...finals.values()].join(" ");
}

/** Words that were cut off by a lost connection: they come again, whole. */
function withdraw(fromSegment) {
  for (const segment of [...finals.keys()]) if (segment >= fromSegment) finals.delete(segment);
  element("final").textContent = [...finals.values()].join(" ");
}

const showStatus = (text) => {
  element("status").textContent = text;
};

function setRunning(isRunning) {
  element("start").disabled = isRunning;
  element("stop").disabled = !isRunning;
}

async function start() {
  setRunning(true);
  finals.clear();
  showTranscript({ segment: 0, is_final: false, text: "" });
  element("final").textContent = "";
  let recording = null;
  let microphone = null;
  const early = [];
  const end = async (problem) => {
    await microphone?.close();
    showStatus(problem ?? "Done.");
    setRunning(false);
  };
  try {
    // Listening begins before the session is open, so that no first word is lost.
    microphone = await openMicrophone((block) => (recording ? recording.send(block) : early.push(block)));
    const session = await makeSession(element("site").value, { sample_rate_hertz: microphone.sampleRate });
    const listeners = { onTranscript: showTranscript, onRevised: withdraw, onStatus: showStatus, onEnd: end };
    recording = new Recording(session, listeners);
    for (const block of early) recording.send(block);
    element("stop").onclick = async () => {
      element("stop").disabled = true;
      await microphone.close();
      recording.stop();
    };
  } catch (error) {
    await end(error.message);
  }
}

element("start").onclick = start;

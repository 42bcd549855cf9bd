/**
 * Microphone to captions in a page of yours. Plain browser APIs, no library.
 *
 * The service lets pages of other sites in when ALLOWED_ORIGINS names their origin:
 *     ALLOWED_ORIGINS=http://localhost:8080 make serve
 *     python3 -m http.server --directory examples 8080
 * and then http://localhost:8080/browser.html.
 */

// Audio that waits because the service asked for a pause; beyond this the recording ends.
const MAX_WAITING_BYTES = 5_000_000;

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

/** One recording: sends blocks within the service's credit and reports what comes back. */
class Recording {
  #waiting = [];
  #waitingBytes = 0;
  #sent = 0;
  #limit = 0;
  #stopping = false;

  constructor({ websocket_url, token }, { onTranscript, onStatus, onEnd }) {
    this.onTranscript = onTranscript;
    this.onStatus = onStatus;
    this.onEnd = onEnd;
    this.problem = null;
    // The service answers with the first of the two; the second carries the token, for a page can set no header.
    this.socket = new WebSocket(websocket_url, ["speech.v1", `speech.token.${token}`]);
    this.socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    this.socket.onclose = ({ code }) => this.onEnd(code === 1000 ? null : (this.problem ?? "The connection was lost."));
  }

  send(block) {
    this.#waiting.push(block);
    this.#waitingBytes += block.byteLength;
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#fail("The service takes no more audio.");
    this.#pump();
  }

  /** No more audio will come; the last words still arrive, then onEnd is called. */
  stop() {
    this.#stopping = true;
    this.#pump();
  }

  #pump() {
    while (this.#waiting.length && this.#sent + this.#waiting[0].byteLength <= this.#limit) {
      const block = this.#waiting.shift();
      this.#waitingBytes -= block.byteLength;
      this.#sent += block.byteLength;
      this.socket.send(block);
    }
    if (this.#stopping && !this.#waiting.length && this.#limit) {
      this.#stopping = false;
      this.#tell({ type: "stop_transcription" });
    }
  }

  #take(event) {
    switch (event.event) {
      case "session_created":
        // The options were given when the session was made; fields given here would override them.
        this.#tell({ type: "start_transcription", config: {} });
        break;
      case "transcription_started":
        this.onStatus("Speak now.");
        break;
      case "audio_ack":
        this.#limit = event.limit;
        this.#pump();
        break;
      case "transcript":
        this.onTranscript(event);
        break;
      case "recogniser_status":
        this.onStatus(event.state === "ok" ? "" : `The recogniser is ${event.state}.`);
        break;
      case "error":
        this.problem = event.message;
        break;
    }
  }

  #tell(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #fail(problem) {
    this.problem = problem;
    this.socket.close();
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
    recording = new Recording(session, { onTranscript: showTranscript, onStatus: showStatus, onEnd: end });
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

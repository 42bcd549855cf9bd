/** A WebSocket without a network: the test is the server. */

export class FakeWebSocket {
  static last = null;

  constructor(url, protocols) {
    Object.assign(this, { url, protocols, sent: [], bufferedAmount: 0, readyState: 1, isClosed: false });
    FakeWebSocket.last = this;
  }

  send(data) {
    this.sent.push(data);
  }

  close() {
    this.isClosed = true;
    this.readyState = 3;
  }

  /** The server sends a message. */
  tell(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  /** The server or the network ends the connection. */
  drop(code, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }

  get messages() {
    return this.sent.filter((data) => typeof data === "string").map((data) => JSON.parse(data));
  }

  get audio() {
    return this.sent.filter((data) => typeof data !== "string");
  }

  get audioBytes() {
    return this.audio.reduce((sum, data) => sum + data.byteLength, 0);
  }

  /** token: the session may be resumed with it. */
  start(limit = null, token = null, limits = {}) {
    this.greet(limits);
    const resume = { resume_token: token, resumable: token !== null };
    this.tell({ event: "transcription_started", session_id: "a", config: {}, ...resume, audio_offset: 0 });
    this.ack(0, limit);
  }

  greet(limits = {}) {
    this.tell({ event: "session_created", session_id: "a", protocol: "speech.v1", limits: { max_audio_bytes: 65536, ...limits } });
  }

  resume(offset, limit = null) {
    this.greet();
    this.tell({ event: "transcription_resumed", session_id: "a", audio_offset: offset, next_segment: 0 });
    this.ack(offset, limit);
  }

  fail(code, fields = {}) {
    this.tell({ event: "error", code, reason: "scripted", message: "As scripted.", retryable: true, retry_after_ms: null, ...fields });
    this.drop(code);
  }

  ack(safe, limit) {
    this.tell({ event: "audio_ack", received: safe, safe, limit });
  }
}

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

  get audioBytes() {
    return this.sent.filter((data) => typeof data !== "string").reduce((sum, data) => sum + data.byteLength, 0);
  }

  start(limit = null) {
    this.tell({ event: "session_created", session_id: "a", protocol: "speech.v1", limits: { max_audio_bytes: 65536 } });
    this.tell({ event: "transcription_started", session_id: "a", config: {}, audio_offset: 0 });
    this.ack(0, limit);
  }

  ack(safe, limit) {
    this.tell({ event: "audio_ack", received: safe, safe, limit });
  }
}

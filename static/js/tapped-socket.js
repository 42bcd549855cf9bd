/** A WebSocket class whose every message is told to somebody, for TranscriptionSocket's WebSocketClass. */

/**
 * tap: called with {direction, data} for each message, and with {direction: "note", name, text} when the
 * connection opens and closes. direction: "sent" or "received".
 */
export function tapWebSocket(tap, Base = globalThis.WebSocket) {
  return class TappedWebSocket extends Base {
    constructor(url, protocols) {
      super(url, protocols);
      this.addEventListener("open", () => tap({ direction: "note", name: "open", text: url }));
      this.addEventListener("message", ({ data }) => tap({ direction: "received", data }));
      this.addEventListener("close", ({ code, reason }) => {
        tap({ direction: "note", name: "close", text: [code, reason].filter(Boolean).join(" ") });
      });
    }

    send(data) {
      tap({ direction: "sent", data });
      super.send(data);
    }
  };
}

/** 128 random bits. `crypto.randomUUID` is missing where the address is not secure, and files may be sent from there. */
export function makeSessionId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

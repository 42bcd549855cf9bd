/** What the recording page says, in plain words: what happened, what is safe, what to do. Pure. */

import { formatDuration, formatLeft, formatLength, formatMoment, formatWait, formatWholeSeconds } from "./format.js";
import { gettext, interpolate } from "./i18n.js";

/** A notice: tone (info, warn, danger, ok), text, and optionally help and the actions that make sense. */
function notice(tone, text, { help = "", actions = [], requestId = "" } = {}) {
  return { tone, text, help, actions, requestId };
}

export const insecureAddress = () =>
  notice("warn", gettext("Recording needs HTTPS or localhost. You can still send a file."));

export const askingPermission = () => notice("info", gettext("Your browser will ask to use the microphone."));

/** error: what getUserMedia raised. */
export function microphoneError(error) {
  const again = { actions: ["retry"] };
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return notice("danger", gettext("The microphone is blocked for this site."), {
        ...again,
        help: gettext("Allow the microphone in the site settings beside the address bar, and in your system's privacy settings; then try again. You can still send a file."),
      });
    case "NotFoundError":
    case "OverconstrainedError":
      return notice("danger", gettext("No microphone found. Plug one in; this page will notice."), {
        help: gettext("You can still send a file."),
      });
    case "NotReadableError":
    case "AbortError":
      return notice("danger", gettext("Another program is using the microphone."), {
        ...again,
        help: gettext("Close the other program, then try again."),
      });
    default:
      return notice("danger", gettext("The microphone could not be started."), { ...again, help: error.message });
  }
}

const FILE_WORDS = {
  empty: () => gettext("This file has no sound in it."),
  size: () => gettext("This file is too large. Up to 500 MB can be read here."),
  decode: () => gettext("This file is no audio that your browser can read. WAV, MP3, M4A, OGG, FLAC and WebM usually work."),
};

/** error: a FileError. */
export function fileError(error, durationMs, limitMs) {
  if (error.reason !== "length") return notice("danger", FILE_WORDS[error.reason]());
  const text = gettext("This file is %(length)s long; the limit is %(limit)s.");
  return notice("danger", interpolate(text, { length: formatDuration(durationMs), limit: formatDuration(limitMs) }));
}

const LEVEL_WORDS = {
  silent: () => notice("warn", gettext("We can't hear anything. Is the microphone muted?")),
  clipping: () => notice("warn", gettext("Too loud; move back a little.")),
};

export const levelNotice = (word) => LEVEL_WORDS[word]?.() ?? null;

export function levelText(word) {
  const texts = {
    normal: gettext("Input level normal"),
    quiet: gettext("Input level too quiet"),
    clipping: gettext("Input level clipping"),
    silent: gettext("No sound"),
  };
  return texts[word] ?? "";
}

/** status: a recogniser_status event; null when nothing need be said. */
export function recogniserNotice({ state, lag_ms: lagMs }) {
  if (state === "lagging") return notice("warn", interpolate(gettext("Captions are running %(lag)s behind."), { lag: formatWholeSeconds(lagMs ?? 0) }));
  if (state === "reconnecting") return notice("warn", gettext("The recogniser is being reconnected. Your recording goes on."));
  return null;
}

/** expiring: a session_expiring event. One that goes on elsewhere is no news: the connection is made again at once. */
export function expiringNotice({ in_ms: inMs, reason, resume_elsewhere: goesOn = false }) {
  const left = formatLeft(inMs);
  if (goesOn) return null;
  if (reason === "draining") return notice("info", gettext("This server is being updated. This recording will be finished cleanly soon."));
  if (reason === "idle_timeout") return notice("warn", interpolate(gettext("Nothing was heard for a while. %(left)s before this recording ends."), { left }));
  return notice("warn", left);
}

export const slowNetworkNotice = () => notice("warn", gettext("Your connection is slow. Audio is kept here and sent as it can."));

/** From so much on, sending what was kept takes long enough to be told. */
const LONG_CATCH_UP_MS = 10_000;

/** phase: lost, sending (connected again, with audio that waited) or back. state: the recording's. */
export function connectionNotice({ phase, state, isRecogniserDown = false, lateMs = 0 }) {
  if (phase === "back") {
    const text = interpolate(gettext("Back. %(late)s were sent late."), { late: formatLength(lateMs) });
    return notice("ok", text, { help: state === "paused" ? gettext("The recording is paused: press Continue to go on.") : "" });
  }
  if (phase === "sending") {
    if (lateMs < LONG_CATCH_UP_MS) return null;
    return notice("info", interpolate(gettext("Back. Sending the %(late)s that were kept on this device…"), { late: formatLength(lateMs) }));
  }
  if (state !== "recording") return notice("warn", gettext("Connection lost. What you said is kept on this device…"));
  if (!isRecogniserDown) return notice("warn", gettext("Connection lost. Still recording on this device (up to 10 min)…"));
  return notice("warn", gettext("Captions are unavailable. We can keep recording and transcribe it later."), { actions: ["keep", "stop"] });
}

/** isFull: false once the person goes on. capturedMs: until when everything is kept here. */
export function bufferFullNotice({ isFull }, { capturedMs, isConnected }) {
  if (!isFull) return null;
  const text = isConnected
    ? gettext("Paused: nothing could be saved for 10 min. What you said until %(time)s is safe.")
    : gettext("Paused: no connection for 10 min. What you said until %(time)s is safe.");
  return notice("danger", interpolate(text, { time: formatDuration(capturedMs) }), {
    help: gettext("It is kept on this device and sent as soon as that is possible. Keep this page open, and press Continue then."),
  });
}

/** What is said of a recording that an earlier visit left behind. */
export function recoveredText(startedAt, lengthMs) {
  const values = { time: formatMoment(new Date(startedAt)), length: formatLength(lengthMs) };
  return interpolate(gettext("A recording from %(time)s was interrupted (%(length)s)."), values);
}

export const recoveredHelp = () => gettext("What had not reached the server is kept in this browser. Recover sends it and finishes the recording.");

export const askDiscard = () => gettext("Discard it? What is kept in this browser cannot be brought back.");

/** The session was over, so what was held went into a new one. */
export function resentNotice(startedAt, heldMs) {
  const text = gettext("The recording from %(time)s could not be gone on with: too much time has passed. Its last %(length)s, which this browser had kept, are saved as a recording of their own.");
  return notice("info", interpolate(text, { time: formatMoment(new Date(startedAt)), length: formatLength(heldMs) }));
}

export const microphoneLostNotice = (capturedMs) =>
  notice("warn", interpolate(gettext("The microphone went away at %(time)s. The recording is being finished."), { time: formatDuration(capturedMs) }));

function whatIsSafe(safeMs) {
  if (!safeMs) return gettext("Nothing was saved.");
  return interpolate(gettext("What was said until %(time)s is saved."), { time: formatDuration(safeMs) });
}

const FAILURE_WORDS = {
  4401: () => gettext("Please log in to record."),
  4403: () => gettext("Your account may not record here."),
  4409: () => gettext("This recording was taken up by another page."),
  4408: () => gettext("The recording ended because nothing was sent for too long."),
  4415: () => gettext("The server could not read this audio."),
  4429: () => gettext("The server was sent more than it takes."),
  4502: () => gettext("Captions are unavailable: the recogniser does not answer."),
  4504: () => gettext("Captions are unavailable: the recogniser does not answer."),
  4507: () => gettext("The server cannot save anything right now."),
};

function atCapacity(error) {
  if (error.reason === "draining") return gettext("This server is being updated.");
  return gettext("All places are taken.");
}

function tryAgainIn(error) {
  if (!error.retry_after_ms) return gettext("Please try again in a moment.");
  return interpolate(gettext("Try again in %(wait)s."), { wait: formatWait(error.retry_after_ms) });
}

function failed({ error, safeMs }) {
  if (!error) return notice("danger", gettext("The recording ended unexpectedly."), { help: whatIsSafe(safeMs), actions: ["new"] });
  const say = FAILURE_WORDS[error.code];
  const isFull = error.code === 4503;
  const text = isFull ? atCapacity(error) : (say?.() ?? error.message);
  const help = [whatIsSafe(safeMs), isFull ? tryAgainIn(error) : "", say || isFull ? "" : gettext("Please try again.")];
  const actions = error.code === 4401 ? ["login"] : [safeMs ? "new" : "retry"];
  return notice(isFull ? "warn" : "danger", text, { help: help.filter(Boolean).join(" "), actions, requestId: error.request_id ?? "" });
}

const OUTCOME_WORDS = {
  saved: () => null,
  cancelled: ({ safeMs }) => notice("info", gettext("Cancelled."), { help: whatIsSafe(safeMs) }),
  limit: () => notice("info", gettext("The longest time for one recording is reached. Everything is saved."), { actions: ["new"] }),
  stopped_by_operator: ({ error }) =>
    notice("warn", error?.message || gettext("An operator stopped this recording."), {
      help: gettext("Everything that was said is saved."),
      actions: ["new"],
    }),
  lost: ({ safeMs }) => notice("danger", `${gettext("Connection lost.")} ${whatIsSafe(safeMs)}`, { actions: ["new"] }),
  too_late: ({ safeMs }) =>
    notice("danger", gettext("Too much time has passed to go on with this recording."), { help: whatIsSafe(safeMs), actions: ["new"] }),
  unreachable: () => notice("danger", gettext("The server cannot be reached."), { help: gettext("Nothing was saved."), actions: ["retry"] }),
  unfinished: ({ safeMs }) => notice("warn", gettext("The last words did not arrive in time."), { help: whatIsSafe(safeMs), actions: ["new"] }),
  failed,
};

/** What was to be recovered could not be; unless its time is over it can be tried again. */
export function notRecoveredNotice(ended) {
  const { help, ...said } = outcomeNotice(ended);
  const isKept = ended.outcome !== "too_late";
  return { ...said, help: isKept ? gettext("What is kept in this browser stays there. Try again later.") : help, actions: ["new"] };
}

/** ended: a recording's `ended` event. Returns a notice, or null where the saved card says it all. */
export function outcomeNotice(ended) {
  return OUTCOME_WORDS[ended.outcome](ended);
}

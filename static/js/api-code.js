/**
 * A program of `examples/` with the values of the form in it. Pure.
 *
 * The programs are ordinary ones that run as they are. What is replaced: the address of the service, the one line with
 * the options (of a foreign library: the language), and how many bytes 100 ms of the audio have.
 */

import { bytesPerSecond } from "./wire-audio.js";

const SITE = "http://127.0.0.1:8000";
const HOST = "127.0.0.1:8000";
const SOCKET_SITE = "ws://127.0.0.1:8000";
const API_PATH = "/api/v1";
const LONGEST_LINE = 100;
const CHUNKS_PER_SECOND = 10;

/** kind -> where the options are, and how they are written. */
const KINDS = {
  python: { options: /^CONFIG = .*$/m, write: (config) => `CONFIG = ${toPython(config)}` },
  javascript: { options: /^const config = .*$/m, write: (config) => `const config = ${toJavaScript(config)};` },
  browser: { options: /^  const config = .*$/m, write: (config) => `  const config = ${toJavaScript(ofMicrophone(config), "  ")};` },
  shell: { options: /^config='.*'$/m, write: (config) => `config=${toShell(config)}` },
  library: { options: /"en-US"/, write: ({ language }) => JSON.stringify(language) },
};

/** example: {kind, text}. site: the origin, such as "https://speech.example.org". apiPath: the prefix of the API. */
export function fillIn({ kind, text }, { site, apiPath = API_PATH, config }) {
  const { options, write } = KINDS[kind];
  const chunkBytes = Math.round(bytesPerSecond(formatOf(config)) / CHUNKS_PER_SECOND);
  return text
    .replace(options, () => write(config))
    .replaceAll(SITE, site)
    .replaceAll(SOCKET_SITE, site.replace(/^http/, "ws"))
    .replaceAll(HOST, new URL(site).host)
    .replace('"use_ssl": False', site.startsWith("https:") ? '"use_ssl": True' : '"use_ssl": False')
    .replaceAll("language=en-US", `language=${config.language}`)
    .replaceAll(`${API_PATH}/`, `${apiPath}/`)
    .replace(/^(CHUNK_BYTES = |const chunkBytes = )\d+/m, (_, name) => `${name}${chunkBytes}`)
    .replace(/^(chunk_characters=)\d+/m, (_, name) => `${name}${wholeBase64(chunkBytes)}`);
}

/** A browser's microphone decides on the rate and is no telephone. */
function ofMicrophone({ sample_rate_hertz: _rate, encoding: _encoding, ...config }) {
  return config;
}

function formatOf({ encoding = "LINEAR_PCM", sample_rate_hertz: sampleRateHz }) {
  return { encoding, sampleRateHz };
}

/** Characters of base64 that hold about so many bytes, in whole samples and without padding. */
function wholeBase64(bytes) {
  return Math.floor(bytes / 6) * 8;
}

export function toPython(value) {
  return laidOut(value, { name: JSON.stringify, literals: { true: "True", false: "False", null: "None" }, tab: "    " });
}

export function toJavaScript(value, indent = "") {
  return laidOut(value, { name: (key) => key, literals: {}, tab: "  ", isPadded: true, indent });
}

/** JSON on one line between single quotes. */
export function toShell(value) {
  const json = laidOut(value, { name: JSON.stringify, literals: {}, longest: Number.POSITIVE_INFINITY });
  return `'${json.replaceAll("'", "'\\''")}'`;
}

/** A value on one line, or, where that is too long, an entry a line. */
function laidOut(value, style) {
  const line = onOneLine(value, style);
  if (line.length <= (style.longest ?? LONGEST_LINE) || typeof value !== "object") return line;
  const indent = style.indent ?? "";
  const inner = { ...style, indent: indent + style.tab };
  const entries = Array.isArray(value)
    ? value.map((item) => laidOut(item, inner))
    : Object.entries(value).map(([key, item]) => `${style.name(key)}: ${laidOut(item, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return `${open}\n${entries.map((entry) => `${inner.indent}${entry},\n`).join("")}${indent}${close}`;
}

function onOneLine(value, style) {
  if (Array.isArray(value)) return `[${value.map((item) => onOneLine(item, style)).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const pad = style.isPadded ? " " : "";
    const entries = Object.entries(value).map(([key, item]) => `${style.name(key)}: ${onOneLine(item, style)}`);
    return `{${pad}${entries.join(", ")}${pad}}`;
  }
  const json = JSON.stringify(value);
  return style.literals[json] ?? json;
}

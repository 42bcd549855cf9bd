/** What /readyz says, in the few words the pages need. */

const TIMEOUT_MS = 5000;
const SLOW_MS = 1000;

/**
 * Returns {isReady, checks, recogniser, since, detail, isDraining}: checks as the server reports them, recogniser "ok",
 * "slow", "down" or "unknown" (the server did not answer, or says nothing of it). since: a Date, and detail: the last
 * error in words, where it is down.
 */
export async function readHealth(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
    const report = await response.json();
    return { isReady: response.ok, ...understand(report.checks ?? []) };
  } catch {
    return { isReady: false, checks: null, recogniser: "unknown" };
  }
}

function understand(checks) {
  const recogniser = recogniserState(checks);
  const { failing_since: since, detail } = checks.find(({ name }) => name === "recogniser") ?? {};
  const isDraining = checks.some(({ name, ok }) => name === "draining" && !ok);
  return { checks, recogniser, isDraining, ...(recogniser === "down" && { since: since ? new Date(since) : null, detail }) };
}

function recogniserState(checks) {
  const check = checks.find(({ name }) => name === "recogniser");
  if (!check) return "unknown";
  if (!check.ok) return "down";
  return check.duration_ms > SLOW_MS ? "slow" : "ok";
}

/** What /readyz says, in the few words the pages need. */

const TIMEOUT_MS = 5000;
const SLOW_MS = 1000;

/**
 * Returns {isReady, checks, recogniser}: checks as the server reports them, recogniser "ok", "slow", "down" or
 * "unknown" (the server did not answer, or says nothing of it).
 */
export async function readHealth(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
    const report = await response.json();
    return { isReady: response.ok, checks: report.checks ?? [], recogniser: recogniserState(report.checks ?? []) };
  } catch {
    return { isReady: false, checks: null, recogniser: "unknown" };
  }
}

function recogniserState(checks) {
  const check = checks.find(({ name }) => name === "recogniser");
  if (!check) return "unknown";
  if (!check.ok) return "down";
  return check.duration_ms > SLOW_MS ? "slow" : "ok";
}

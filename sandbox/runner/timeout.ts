/**
 * How long one entry into an isolate may last. isolated-vm has one thread that sleeps until the next end there is, and finds out only then
 * that the entry was over long ago. Ends spread evenly over time woke it for nearly each entry, which took a tenth of the runner's
 * processor time; so ends are moved to the next of some common moments, and one waking is enough for all that end there.
 */

/** An entry may last this part longer than it was given, at most. */
const STEPS = 64;

/** Whole milliseconds, never fewer than `timeoutMs`. @param nowMs of a clock that never goes back */
export function entryTimeout(timeoutMs: number, nowMs: number): number {
  const stepMs = Math.max(1, Math.floor(timeoutMs / STEPS));
  const past = (nowMs + timeoutMs) % stepMs;
  return timeoutMs + Math.floor(stepMs - past);
}

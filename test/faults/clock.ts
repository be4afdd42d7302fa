/** This process's clock, put forward or back: what a machine's clock does to a host when someone sets it. Timers go on as before. Import this first. */
const Real = Date;
let offsetMs = 0;

class JumpingDate extends Real {
  constructor(...given: [] | [value: number | string | Date]) {
    if (given.length === 0) super(Real.now() + offsetMs);
    else super(given[0]);
  }

  static override now(): number {
    return Real.now() + offsetMs;
  }
}

// Before anything else is loaded: others keep Date.now as they find it.
globalThis.Date = JumpingDate as DateConstructor;

/** From now on the time is off by this. */
export function jumpClock(ms: number): void {
  offsetMs = ms;
}

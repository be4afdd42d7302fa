/**
 * What `this.now()` and `now()` give: a Date with the arithmetic and the texts that the guide's modules use. Adding makes another one, so
 * that an instant that was kept cannot change under its holder. Texts are in UTC, as everything the host stores is.
 */
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export class Moment extends Date {
  addSeconds(seconds: number): Moment {
    return new Moment(this.getTime() + seconds * SECOND_MS);
  }
  addMinutes(minutes: number): Moment {
    return new Moment(this.getTime() + minutes * MINUTE_MS);
  }
  addHours(hours: number): Moment {
    return new Moment(this.getTime() + hours * HOUR_MS);
  }
  addDays(days: number): Moment {
    return new Moment(this.getTime() + days * DAY_MS);
  }
  subDays(days: number): Moment {
    return this.addDays(-days);
  }
  /** '2026-11-22 18:30:00' */
  toDateTimeString(): string {
    return this.toISOString().slice(0, 19).replace('T', ' ');
  }
  /** '2026-11-22' */
  override toDateString(): string {
    return this.toISOString().slice(0, 10);
  }
}

export function now(): Moment {
  return new Moment();
}

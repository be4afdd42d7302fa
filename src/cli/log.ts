/** The host's own log on a terminal: one line each, errors with their cause. */
import type { LogLevel } from '../host.ts';

export function createConsoleLog(
  verbose: boolean,
): (level: LogLevel, message: string, detail?: unknown) => void {
  return (level, message, detail) => {
    if (level === 'debug' && !verbose) return;
    if (level === 'info' && !verbose) {
      console.log(`  ${message}`);
      return;
    }
    const text =
      detail instanceof Error
        ? `${message}: ${detail.stack ?? detail.message}`
        : detail === undefined
          ? message
          : `${message} ${JSON.stringify(detail)}`;
    console.error(`${new Date().toISOString()} ${level} ${text}`);
  };
}

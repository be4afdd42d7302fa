/** The host's own log on a terminal: one line each, errors with their cause. */
import type { LogLevel } from '../host.ts';

/** Errors may hold texts of strangers: to a terminal an escape sequence in one is a command. */
function shown(text: string): string {
  return text.replace(
    /[^\P{Cc}\n\t]/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

export function createConsoleLog(
  verbose: boolean,
): (level: LogLevel, message: string, detail?: unknown) => void {
  return (level, message, detail) => {
    if (level === 'debug' && !verbose) return;
    if (level === 'info' && !verbose) {
      console.log(`  ${shown(message)}`);
      return;
    }
    const text =
      detail instanceof Error
        ? `${message}: ${detail.stack ?? detail.message}`
        : detail === undefined
          ? message
          : `${message} ${JSON.stringify(detail)}`;
    console.error(`${new Date().toISOString()} ${level} ${shown(text)}`);
  };
}

/**
 * logs: lines of modules, with passwords and the like taken out by name, cut to a size, and no faster than a person could ever
 * want: a flood is counted and said once, not stored.
 */
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { redact } from '../secrets/redact-by-key.ts';
import type { Broker, Scope } from './broker.ts';

export interface LogSink {
  line(
    scope: Scope,
    line: { level: string; action: string; request: unknown; response: unknown; source: 'module' | 'host' },
  ): void;
}

function cut(value: unknown): unknown {
  if (value === undefined) return null;
  const text = JSON.stringify(value);
  return text.length <= LIMITS.logLineBytes ? value : `${text.slice(0, LIMITS.logLineBytes)}…`;
}

interface Window {
  startedAt: number;
  lines: number;
  bytes: number;
  dropped: number;
}

const WINDOW_MS = 1_000;

/** The host's rate, or what the admin left of it (capability compute). */
function linesPerSecondOf(scope: Scope): number {
  const granted = scope.grants['compute']?.['log_lines'];
  return typeof granted === 'number' ? Math.min(granted, LIMITS.logLinesPerSecond) : LIMITS.logLinesPerSecond;
}

export function createLogsBroker(sink: LogSink): Broker<'logs'> {
  const windows = new Map<string, Window>();

  /** True if the line may be written; the first one over the rate says so in the log. */
  function admit(scope: Scope, bytes: number, linesPerSecond: number): boolean {
    const now = performance.now();
    let window = windows.get(scope.installationId);
    if (window === undefined || now - window.startedAt >= WINDOW_MS) {
      window = { startedAt: now, lines: 0, bytes: 0, dropped: 0 };
      windows.set(scope.installationId, window);
    }
    window.lines++;
    window.bytes += bytes;
    if (window.lines <= linesPerSecond && window.bytes <= LIMITS.logBytesPerSecond) return true;
    if (window.dropped++ === 0) {
      const request = `More than ${linesPerSecond} lines or ${LIMITS.logBytesPerSecond} bytes a second: further lines of this second are dropped.`;
      sink.line(scope, { level: 'warning', action: 'log flood', request, response: null, source: 'host' });
    }
    return false;
  }

  return {
    write: async (scope, input) => {
      const request = cut(redact(input.request));
      const response = cut(redact(input.response));
      const bytes = input.action.length + JSON.stringify([request, response]).length;
      if (admit(scope, bytes, linesPerSecondOf(scope)))
        sink.line(scope, { level: input.level, action: input.action, request, response, source: 'module' });
    },
  };
}

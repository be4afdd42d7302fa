/** Where the queue says what an operator should know. Injected, so that it ends up in the host's own log. */
export type JobLogLevel = 'debug' | 'info' | 'warning' | 'error';

export type JobLog = (
  level: JobLogLevel,
  message: string,
  detail?: Readonly<Record<string, unknown>>,
) => void;

/** The text of anything thrown. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * The environment PostgreSQL's programs get: nothing of the host's but what finding programs needs. English messages
 * (the host waits for one of them) and UTC, wherever the machine is.
 */
export const ENVIRONMENT: NodeJS.ProcessEnv = {
  PATH: process.env['PATH'],
  LC_ALL: 'C',
  TZ: 'UTC',
  ...(process.platform === 'win32'
    ? { SystemRoot: process.env['SystemRoot'], TEMP: process.env['TEMP'] }
    : {}),
};

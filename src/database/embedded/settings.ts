/**
 * What the embedded PostgreSQL is started with. The sizes are for one machine that also runs the host and strangers'
 * queries: every one of those is bounded in memory, in temporary files and to one core.
 */

export type Settings = Readonly<Record<string, string | number>>;

/**
 * Address space of each PostgreSQL process, on Linux. It holds shared_buffers and the libraries (about 0.3 GiB) and
 * still lets a query use more than any honest one needs; a query that asks for more fails with "out of memory" and the
 * server lives on, where the kernel would otherwise kill whichever process it likes.
 */
export const MEMORY_LIMIT_MIB = 2048;

export const DEFAULT_SETTINGS: Settings = {
  max_connections: 120,
  shared_buffers: '128MB',
  // A sort without an index spills here; without a limit until the disk is full.
  temp_file_limit: '1GB',
  // One query, one core; parallel workers also need more of /dev/shm than a container has.
  max_parallel_workers_per_gather: 0,
  max_logical_replication_workers: 0,
  jit: 'off',
  // Levels are ordered ERROR < LOG: strangers' failing statements, and the data in them, stay out of the log.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
  log_line_prefix: '',
};

/** `-c name=value` for each setting. */
export function settingArguments(settings: Settings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

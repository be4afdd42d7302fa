/**
 * `npm run bench`: measures what the program exists for beside what its users would pick instead, and says for each line of its
 * targets whether it is met. `-- --only requests,jobs`, `--quick`, `--minutes 30` (long run; `--pause 200` waits so many milliseconds
 * between two requests of a connection, to leave the machine to others too), `--profile` (that alone), `--json file`, `--write` (puts
 * the table into docs/performance.md).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { machine } from './lib/machine.ts';
import { type Row, toMarkdown, toText, verdict } from './lib/report.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DOC = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
const BEGIN = '<!-- figures: written by npm run bench -- --write -->';
const END = '<!-- /figures -->';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '2' },
    pause: { type: 'string' },
    json: { type: 'string', default: 'bench.json' },
    write: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
  },
});

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The peers are heavy and nobody else needs them, so they are no part of `npm ci`. */
function installPeers(): void {
  if (existsSync(`${HERE}node_modules`)) return;
  say('Installing what is compared with (test/bench/package.json) …');
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: HERE,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error('npm ci failed in test/bench');
}

function document(rows: readonly Row[]): string {
  const { cpu, cores, memoryGiB, system, node } = machine();
  const when = new Date().toISOString().slice(0, 10);
  return [
    BEGIN,
    `Measured ${when} on ${cores} cores (${cpu}), ${memoryGiB} GiB, ${system}, Node ${node}.`,
    toMarkdown(rows),
    END,
  ].join('\n\n');
}

function writeDocument(rows: readonly Row[]): void {
  const text = readFileSync(DOC, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error('docs/performance.md has no place for the figures');
  writeFileSync(DOC, text.slice(0, begin) + document(rows) + text.slice(end + END.length));
}

installPeers();
const { CASES, profile } = await import('./cases/all.ts');
const only = values.only?.split(',');
const chosen = values.profile ? [profile] : CASES.filter(({ name }) => only?.includes(name) ?? true);
if (chosen.length === 0) throw new Error(`There is ${CASES.map(({ name }) => name).join(', ')}.`);
const rows: Row[] = [];
const how = {
  quick: values.quick,
  minutes: Number(values.minutes),
  ...(values.pause === undefined ? {} : { pauseMs: Number(values.pause) }),
  say,
};
for (const { title, run } of chosen) {
  say(title);
  rows.push(...(await run(how)));
}
writeFileSync(
  values.json,
  `${JSON.stringify({ machine: machine(), at: new Date().toISOString(), rows }, null, 2)}\n`,
);
if (values.write) writeDocument(rows);
console.log(toText(rows));
const judged = rows.map(verdict);
console.log(
  `\n${judged.filter((one) => one === 'pass').length} lines pass, ${judged.filter((one) => one === 'short').length} are short`,
);

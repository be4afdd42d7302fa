/** The guide's headings without content, answered by docs/modules: prerequisites, the four phases, and what to do when something does not work. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../sandbox/contract/envelope.ts';
import { moduleCommand } from '../../src/cli/commands/module.ts';

function read(name: string): string {
  return readFileSync(fileURLToPath(new URL(`../../docs/modules/${name}`, import.meta.url)), 'utf8');
}

/** The text under a heading, up to the next of its kind. */
function section(text: string, heading: string): string {
  return text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
}

/** The cells of a table's rows, without its heading. */
function rowsOf(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const GUIDE = read('README.md');
const PHASES = rowsOf(section(GUIDE, 'The four phases'));
const COMMANDS = moduleCommand().commands.map((command) => command.name());

function phase(name: string): string {
  return PHASES.find(([first]) => first === name)?.join(' ') ?? '';
}

describe('the guide for authors', () => {
  it('begins with the prerequisites (A36) [GS-01]', () => {
    expect(GUIDE.indexOf('## Prerequisites')).toBe(GUIDE.indexOf('## '));
    expect(section(GUIDE, 'Prerequisites')).toMatch(/Node 24/);
  });

  it('has the four phases, each with commands that there are (A36) [WF-01..WF-04 WF-31 WF-32 WF-36]', () => {
    expect(PHASES.map(([name]) => name)).toEqual(['design', 'implement', 'test', 'deploy']);
    for (const cells of PHASES) {
      const named = [...(cells.at(-1) ?? '').matchAll(/`module (\w+)`/g)].map(([, command]) => command);
      expect(named.length, cells[0]).toBeGreaterThan(0);
      for (const command of named) expect(COMMANDS).toContain(command);
    }
    // What it offers, its APIs, its tables, its pages.
    for (const word of [/offer/, /API/, /tables/, /pages/]) expect(phase('design')).toMatch(word);
    for (const word of [/by hand/, /performance/]) expect(phase('test')).toMatch(word);
    expect(phase('deploy')).toMatch(/look at the module’s page|look at the module's page/);
  });
});

describe('troubleshooting', () => {
  it.each(['The module does not load', 'Routes do not work', 'Jobs are not processed'])(
    '%s: where it is seen, by which code, and what to do (A34) [TS-01..TS-03]',
    (heading) => {
      const rows = rowsOf(section(read('troubleshooting.md'), heading));
      expect(rows.length).toBeGreaterThan(4);
      for (const [seen = '', where = '', , mend = ''] of rows)
        expect(
          [seen, where, mend].every((cell) => cell.length > 2),
          seen,
        ).toBe(true);
      const codes = rows.flatMap(([, , code = '']) =>
        [...code.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name),
      );
      expect(codes.length).toBeGreaterThan(2);
      for (const code of codes) expect(Object.keys(ERROR_CODES)).toContain(code);
    },
  );
});

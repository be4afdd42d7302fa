/** What docs/modules says is there: its links, the commands it names, the error codes, and the names it says 'bulkhead' exports. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../sandbox/contract/envelope.ts';
import { moduleCommand } from '../../src/cli/commands/module.ts';
import { moduleScript, useSandbox } from '../support/sandbox.ts';

const DOCS = fileURLToPath(new URL('../../docs/modules', import.meta.url));
const pages = readdirSync(DOCS)
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, text: readFileSync(join(DOCS, name), 'utf8') }));
const textOf = (page: string): string => pages.find(({ name }) => name === page)?.text ?? '';

const { value } = useSandbox();

describe('docs/modules', () => {
  it.each(pages)('$name links to what is there (A34 A36)', ({ text }) => {
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
    expect(links.filter((link) => !existsSync(join(DOCS, link)))).toEqual([]);
    expect(dirname(DOCS)).toMatch(/docs$/);
  });

  it('names only commands that there are, and each of the four phases names one (A36)', () => {
    const known = new Set(moduleCommand().commands.map((command) => command.name()));
    const named = pages.flatMap(({ text }) =>
      [...text.matchAll(/`(?:bulkhead )?module ([a-z]+)/g)].map(([, name = '']) => name),
    );
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
    for (const phase of ['design', 'implement', 'test', 'deploy'])
      expect(textOf('README.md')).toMatch(new RegExp(`^\\| ${phase} .*\`module [a-z]+\``, 'm'));
  });

  it('troubleshooting answers the three issues, with page and error code (A34)', () => {
    const text = textOf('troubleshooting.md');
    for (const heading of ['The module does not load', 'Routes do not work', 'Jobs are not processed'])
      expect(text).toContain(`## ${heading}`);
    const codes = [...text.matchAll(/`([A-Z][A-Z_]{3,})`/g)].map(([, code = '']) => code);
    expect(codes.length).toBeGreaterThan(15);
    expect(
      codes.filter((code) => !Object.hasOwn(ERROR_CODES, code) && !code.startsWith('BULKHEAD_')),
    ).toEqual([]);
  });

  it('coming-from-php names what a module really gets', async () => {
    const right = textOf('coming-from-php.md')
      .split('\n')
      .map((line) => line.split(/(?<!\\)\|/)[2] ?? '')
      .join('\n');
    const onThis = [...new Set([...right.matchAll(/\bthis\.(\w+)/g)].map(([, name = '']) => name))];
    expect(onThis.length).toBeGreaterThan(20);
    const granted = ['db', 'http', 'tasks', 'cache', 'events', 'mail', 'smtp', 'secrets'];
    const missing = await value(
      moduleScript('missing(names) { return names.filter((name) => !(name in this)); }'),
      'missing',
      [onThis],
      { context: { capabilities: granted } },
    );
    expect(missing).toEqual([]);
  });
});

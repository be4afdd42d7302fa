/** What the host says on its operator's terminal. */
import { afterEach, expect, it, vi } from 'vitest';
import { createConsoleLog } from '../../src/cli/log.ts';

afterEach(() => void vi.restoreAllMocks());

it('a stranger’s text in an error moves no cursor and sets no title', () => {
  const said: string[] = [];
  vi.spyOn(console, 'error').mockImplementation((text: string) => void said.push(text));
  vi.spyOn(console, 'log').mockImplementation((text: string) => void said.push(text));
  const log = createConsoleLog(false);
  const hostile = '\u001b[2J\u001b]0;owned\u0007\r\u009b1A\bgone';
  log('error', `module ${hostile}`, new Error(hostile));
  log('info', hostile);
  const text = said.join('\n');
  expect(text).toContain('\\x1b[2J');
  expect(text).not.toMatch(/[^\P{Cc}\n\t]/u);
});

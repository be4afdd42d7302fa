/** The mail server, spoken to by hand, so that each rule is seen on the wire. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import type { FakeCloud } from '../../src/fakecloud/spawn.ts';
import { SmtpTalk, until } from './support.ts';

let cloud: FakeCloud;
beforeAll(async () => {
  cloud = await spawnFakeCloud({ smtpUsername: 'demo', smtpPassword: 'right horse' });
});
beforeEach(() => cloud.control.reset());
afterAll(() => cloud.stop());

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('a mail', () => {
  test('a mail is kept with envelope, headers, decoded subject and body', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    const message = [
      'From: Panel <panel@example.com>',
      `Subject: =?utf-8?B?${base64('Zażółć')}?=`,
      ' =?utf-8?Q?_g=C4=99=C5=9Bl=C4=85?=',
      'X-Folded: one',
      '\ttwo',
      '',
      'Hello',
      'there',
    ].join('\r\n');
    expect(await talk.mail('client@example.com', message)).toMatch(/^250 /);
    expect(await talk.say('QUIT')).toMatch(/^221 /);
    expect(await cloud.control.mails()).toMatchObject([
      {
        from: 'panel@example.com',
        to: ['client@example.com'],
        authenticatedAs: 'demo',
        subject: 'Zażółć gęślą',
        body: 'Hello\r\nthere\r\n',
        headers: { from: 'Panel <panel@example.com>', 'x-folded': 'one two' },
      },
    ]);
    expect(await cloud.control.effects('mail.received')).toHaveLength(1);
  });

  test('stuffed dots are taken out and a lone dot ends the message', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    await talk.mail('a@example.com', 'Subject: dots\r\n\r\n..\r\n..hidden\r\nnot.this');
    expect((await cloud.control.mails())[0]?.body).toBe('.\r\n.hidden\r\nnot.this\r\n');
  });

  test.each([
    ['\n.\n', 'bare line feeds'],
    ['\n.\r\n', 'a bare line feed before'],
    ['\r.\r\n', 'a bare carriage return before'],
    ['\r\n.\n', 'a bare line feed after'],
  ])('a dot between %j does not end a message, so none is smuggled in', async (ending) => {
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    const smuggled = `MAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil`;
    await talk.mail('a@example.com', `Subject: outer\r\n\r\nbody${ending}${smuggled}`);
    const mails = await cloud.control.mails();
    expect(mails.map(({ subject }) => subject)).toEqual(['outer']);
    expect(mails[0]?.body).toContain('smuggled');
  });

  test('a mail that comes byte by byte or with all commands at once is the same mail', async () => {
    using slow = await SmtpTalk.open(cloud);
    await slow.logIn(cloud);
    for (const byte of Buffer.from('MAIL FROM:<a@example.com>\r\n')) slow.write(Buffer.from([byte]));
    expect(await slow.reply()).toMatch(/^250 /);
    slow.write('RCPT TO:<b@example.com>\r\nDATA\r\nSubject: piped\r\n\r\nx\r\n.\r\nNOOP\r\n');
    const replies = [await slow.reply(), await slow.reply(), await slow.reply(), await slow.reply()];
    expect(replies.map((reply) => reply.slice(0, 3))).toEqual(['250', '354', '250', '250']);
    expect((await cloud.control.mails()).map(({ subject }) => subject)).toEqual(['piped']);
  });

  test('two mails over one connection are two mails', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    await talk.mail('a@example.com', 'Subject: one\r\n\r\n');
    await talk.mail('b@example.com', 'Subject: two\r\n\r\n');
    expect((await cloud.control.mails()).map(({ subject, to }) => [subject, to])).toEqual([
      ['one', ['a@example.com']],
      ['two', ['b@example.com']],
    ]);
  });

  test('a connection that ends before the dot leaves no mail', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'DATA']) await talk.say(line);
    talk.write('Subject: half\r\n\r\nhal');
    talk[Symbol.dispose]();
    expect(await cloud.control.mails()).toEqual([]);
  });
});

describe('logging in', () => {
  test('EHLO offers AUTH and SIZE, HELO nothing', async () => {
    using talk = await SmtpTalk.open(cloud);
    const reply = await talk.say('EHLO tester');
    expect(reply).toContain('250-SIZE 10485760\r\n');
    expect(reply).toContain('AUTH PLAIN LOGIN\r\n');
    expect(await talk.say('HELO tester')).toBe('250 fakecloud\r\n');
  });

  test('MAIL before AUTH is refused', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.say('EHLO tester');
    expect(await talk.say('MAIL FROM:<a@example.com>')).toMatch(/^530 /);
  });

  test('AUTH LOGIN asks for name and password', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.say('EHLO tester');
    expect(await talk.say('AUTH LOGIN')).toBe(`334 ${base64('Username:')}\r\n`);
    expect(await talk.say(base64('demo'))).toBe(`334 ${base64('Password:')}\r\n`);
    expect(await talk.say(base64('right horse'))).toMatch(/^235 /);
  });

  test('AUTH PLAIN may send its answer on a line of its own, or cancel', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.say('EHLO tester');
    expect(await talk.say('AUTH PLAIN')).toBe('334 \r\n');
    expect(await talk.say('*')).toMatch(/^501 /);
    await talk.say('AUTH PLAIN');
    expect(await talk.say(base64('\0demo\0right horse'))).toMatch(/^235 /);
  });

  test.each([
    ['a wrong password', 'demo', 'wrong horse'],
    ['a wrong name', 'root', 'right horse'],
    ['nothing', '', ''],
  ])('%s is refused both ways, and MAIL stays refused', async (_what, name, password) => {
    using talk = await SmtpTalk.open(cloud);
    await talk.say('EHLO tester');
    expect(await talk.say(`AUTH PLAIN ${base64(`\0${name}\0${password}`)}`)).toMatch(/^535 /);
    await talk.say('AUTH LOGIN');
    await talk.say(base64(name));
    expect(await talk.say(base64(password))).toMatch(/^535 /);
    expect(await talk.say('MAIL FROM:<a@example.com>')).toMatch(/^530 /);
  });

  test('a server told not to require it takes mail without AUTH, but no wrong password', async () => {
    await using open = await spawnFakeCloud({ smtpAuthRequired: false });
    using talk = await SmtpTalk.open(open);
    await talk.say('EHLO tester');
    expect(await talk.say(`AUTH PLAIN ${base64('\0demo\0wrong')}`)).toMatch(/^535 /);
    expect(await talk.mail('a@example.com', 'Subject: open\r\n\r\n')).toMatch(/^250 /);
    expect(await open.control.mails()).toMatchObject([{ subject: 'open', authenticatedAs: null }]);
  });
});

describe('order and limits', () => {
  test('a command out of order is refused', async () => {
    using talk = await SmtpTalk.open(cloud);
    expect(await talk.say('MAIL FROM:<a@example.com>')).toMatch(/^503 /);
    await talk.logIn(cloud);
    expect(await talk.say('RCPT TO:<a@example.com>')).toMatch(/^503 /);
    expect(await talk.say('DATA')).toMatch(/^503 /);
    await talk.say('MAIL FROM:<a@example.com>');
    expect(await talk.say('DATA')).toMatch(/^503 /);
    expect(await talk.say('MAIL FROM:<a@example.com>')).toMatch(/^503 /);
    await talk.say('RSET');
    expect(await talk.say('RCPT TO:<a@example.com>')).toMatch(/^503 /);
    expect(await talk.say('STARTTLS')).toMatch(/^500 /);
    expect(await talk.say('NOOP')).toMatch(/^250 /);
  });

  test.each(['MAIL FROM:a@example.com', 'MAIL FROM:<a b@example.com>', 'MAIL TO:<a@example.com>'])(
    '%s is a syntax error',
    async (line) => {
      using talk = await SmtpTalk.open(cloud);
      await talk.logIn(cloud);
      expect(await talk.say(line)).toMatch(/^501 /);
    },
  );

  test('a mail announced or sent above the size limit is refused and not kept', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    expect(await talk.say('MAIL FROM:<a@example.com> SIZE=10485761')).toMatch(/^552 /);
    expect(await talk.mail('b@example.com', `${'x'.repeat(998)}\r\n`.repeat(10_600))).toMatch(/^552 /);
    expect(await talk.mail('b@example.com', 'Subject: small\r\n\r\n')).toMatch(/^250 /);
    expect((await cloud.control.mails()).map(({ subject }) => subject)).toEqual(['small']);
  });

  test('the hundred-and-first recipient is refused', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    await talk.say('MAIL FROM:<a@example.com>');
    for (let count = 0; count < 100; count += 1)
      expect(await talk.say(`RCPT TO:<r${count}@example.com>`)).toMatch(/^250 /);
    expect(await talk.say('RCPT TO:<one.more@example.com>')).toMatch(/^452 /);
  });

  test('an endless line and endless errors end the connection', async () => {
    using talk = await SmtpTalk.open(cloud);
    talk.write('x'.repeat(20_000));
    expect(await talk.reply()).toMatch(/^500 /);
    expect(await talk.reply()).toBe('closed');
    using rude = await SmtpTalk.open(cloud);
    let reply = '';
    for (let count = 0; count < 30 && !reply.startsWith('421'); count += 1) reply = await rude.say('WHAT');
    expect(reply).toMatch(/^421 /);
    expect(await rude.reply()).toBe('closed');
  });

  test('a command with a bare line feed is refused', async () => {
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    expect(await talk.say('MAIL FROM:<a@example.com>\nRCPT TO:<b@example.com>')).toMatch(/^500 /);
    expect(await talk.say('RCPT TO:<b@example.com>')).toMatch(/^503 /);
  });
});

describe('faults', () => {
  test('a web fault for everything leaves mail alone', async () => {
    await cloud.control.addFault({ kind: 'drop', forever: true });
    using talk = await SmtpTalk.open(cloud);
    expect(await talk.say('EHLO tester')).toMatch(/^250-/);
  });

  test('try again later: the recipient is refused, the connection goes on', async () => {
    await cloud.control.addFault({
      match: { method: 'SMTP', path: '/smtp/rcpt' },
      kind: 'status',
      status: 451,
    });
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    await talk.say('MAIL FROM:<a@example.com>');
    expect(await talk.say('RCPT TO:<b@example.com>')).toMatch(/^451 /);
    expect(await talk.say('RCPT TO:<b@example.com>')).toMatch(/^250 /);
  });

  test('refused at the message: no mail, and the connection awaits a command again', async () => {
    await cloud.control.addFault({ match: { path: '/smtp/message' }, kind: 'status', status: 452 });
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    expect(await talk.mail('a@example.com', 'Subject: lost\r\n\r\n')).toMatch(/^452 /);
    expect(await talk.mail('a@example.com', 'Subject: kept\r\n\r\n')).toMatch(/^250 /);
    expect((await cloud.control.mails()).map(({ subject }) => subject)).toEqual(['kept']);
  });

  test('refused at DATA although it was taken: the next line is a command, not mail', async () => {
    await cloud.control.addFault({
      match: { path: '/smtp/data' },
      kind: 'status',
      status: 451,
      when: 'after',
    });
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    await talk.say('MAIL FROM:<a@example.com>');
    await talk.say('RCPT TO:<b@example.com>');
    expect(await talk.say('DATA')).toMatch(/^451 /);
    expect(await talk.say('RSET')).toMatch(/^250 /);
  });

  test('answer lost: the mail was taken, the client never hears of it', async () => {
    await cloud.control.addPreset('smtp-answer-lost');
    using talk = await SmtpTalk.open(cloud);
    await talk.logIn(cloud);
    expect(await talk.mail('a@example.com', 'Subject: taken\r\n\r\n')).toBe('closed');
    expect((await cloud.control.mails()).map(({ subject }) => subject)).toEqual(['taken']);
    const lost = await until('the dropped line', async () =>
      (await cloud.control.requests()).find(({ outcome }) => outcome === 'dropped'),
    );
    expect(lost).toMatchObject({ method: 'SMTP', path: '/smtp/message', status: null });
  });

  test('cut at connect: there is not even a greeting', async () => {
    await cloud.control.addFault({ match: { path: '/smtp/connect' }, kind: 'drop' });
    await expect(SmtpTalk.open(cloud).then((talk) => talk.say('NOOP'))).resolves.toBe('closed');
  });
});

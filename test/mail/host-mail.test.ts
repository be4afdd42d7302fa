import { describe, expect, test } from 'vitest';
import { openHostMail } from '../../src/mail/host-mail.ts';

describe('the host’s own mail', () => {
  test('is none without a server', () => {
    expect(openHostMail({})).toBeUndefined();
  });

  test.each([
    ['mail.example.com', 'a@b.test', 'BULKHEAD_SMTP_URL'],
    ['https://mail.example.com', 'a@b.test', 'BULKHEAD_SMTP_URL'],
    ['smtp://mail.example.com', '', 'BULKHEAD_MAIL_FROM'],
    ['smtp://mail.example.com', 'a@b.test\r\nBcc: c@d.test', 'BULKHEAD_MAIL_FROM'],
  ])('refuses %s from %j, naming the setting', (url, from, setting) => {
    expect(() => openHostMail({ BULKHEAD_SMTP_URL: url, BULKHEAD_MAIL_FROM: from })).toThrow(setting);
  });
});

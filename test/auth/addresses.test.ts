import { describe, expect, test } from 'vitest';
import { clientAddress, parseProxies, senderKey } from '../../src/auth/addresses.ts';

const proxies = parseProxies('10.0.0.0/8, 2001:db8:1::/48 192.0.2.7');

describe('the address a request comes from', () => {
  test.each([
    ['its connection’s, if nobody is trusted', '203.0.113.9', '198.51.100.1', [], '203.0.113.9'],
    ['its connection’s, if that is no proxy of ours', '203.0.113.9', '198.51.100.1', proxies, '203.0.113.9'],
    ['what our proxy says', '10.1.2.3', '198.51.100.1', proxies, '198.51.100.1'],
    ['the last that a stranger did not write', '10.1.2.3', '1.1.1.1, 198.51.100.1', proxies, '198.51.100.1'],
    ['behind two proxies of ours', '10.1.2.3', '198.51.100.1, 192.0.2.7', proxies, '198.51.100.1'],
    ['the proxy’s, if it says nothing', '10.1.2.3', undefined, proxies, '10.1.2.3'],
    ['the proxy’s, if what it says is no address', '10.1.2.3', 'unknown', proxies, '10.1.2.3'],
    ['mapped IPv4, as IPv4', '::ffff:10.1.2.3', '::ffff:198.51.100.1', proxies, '198.51.100.1'],
    ['IPv6', '2001:db8:1::5', '2001:db8:9::1', proxies, '2001:db8:9::1'],
  ])('is %s', (_what, remote, header, trusted, expected) => {
    expect(clientAddress(remote, header, trusted)).toBe(expected);
  });

  test('is not looked for without end in a header of many hops', () => {
    expect(clientAddress('10.1.2.3', Array(10_000).fill('10.0.0.1').join(','), proxies)).toBe('10.0.0.1');
  });
});

describe('one sender', () => {
  test('is a whole /64 of IPv6, and one address of IPv4', () => {
    expect(senderKey('2001:db8:1:2::1')).toBe(senderKey('2001:db8:1:2:ffff::9'));
    expect(senderKey('2001:db8:1:2::1')).not.toBe(senderKey('2001:db8:1:3::1'));
    expect(senderKey('192.0.2.1')).not.toBe(senderKey('192.0.2.2'));
    expect(senderKey('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(senderKey('unknown')).toBe('unknown');
  });
});

test.each(['10.0.0.0/33', 'proxy.example.com', '10.0.0'])('"%s" is refused as a proxy, by name', (text) => {
  expect(() => parseProxies(`127.0.0.1 ${text}`)).toThrow(`"${text}" is no address or range`);
});

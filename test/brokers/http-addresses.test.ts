import { describe, expect, it } from 'vitest';

import { mayConnect } from '../../src/brokers/http/addresses.ts';
import { PRIVATE_ADDRESSES, UNREADABLE_ADDRESSES } from '../escape/http-forms.ts';

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '93.184.215.14',
  '172.15.0.1',
  '172.32.0.1',
  '100.63.0.1',
  '100.128.0.1',
  '11.0.0.1',
  '223.255.255.254',
  '2606:4700:4700::1111',
  '2a00:1450:4001:82a::200e',
  '2001:200::1',
  '2003::1',
  '::ffff:8.8.8.8',
  '2a00::5efe',
];

describe('mayConnect', () => {
  it('allows public unicast addresses', () => {
    expect(PUBLIC.filter((address) => !mayConnect(address, 443, []))).toEqual([]);
  });

  it('allows nothing else', () => {
    expect(
      [...PRIVATE_ADDRESSES, ...UNREADABLE_ADDRESSES].filter((address) => mayConnect(address, 443, [])),
    ).toEqual([]);
  });

  it('allows what the operator names, by network and port', () => {
    const allow = [
      { cidr: '10.0.0.0/24', port: 8006 },
      { cidr: 'fd00::/8', port: 443 },
    ];
    expect(['10.0.0.7', '::ffff:10.0.0.7'].map((address) => mayConnect(address, 8006, allow))).toEqual([
      true,
      true,
    ]);
    expect(mayConnect('fd00::1', 443, allow)).toBe(true);
    const not: [string, number][] = [
      ['10.0.0.7', 443],
      ['10.0.1.7', 8006],
      ['fd00::1', 8006],
      ['fe80::1', 443],
      ['::1', 443],
    ];
    expect(not.filter(([address, port]) => mayConnect(address, port, allow))).toEqual([]);
  });
});

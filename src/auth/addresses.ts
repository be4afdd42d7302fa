/**
 * Who a request comes from. Behind a reverse proxy the connection is the proxy's, and the address stands in X-Forwarded-For, which
 * anybody may send: it counts only as far as it was written by proxies that the operator trusts (BULKHEAD_TRUSTED_PROXIES).
 */
import ipaddr from 'ipaddr.js';
import { HostError } from '../../sandbox/contract/envelope.ts';

type Range = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Hops of one header that are looked at: more were written by no chain of proxies there is. */
const HOPS = 20;
const IPV6_NETWORK_BITS = 64;

/**
 * Ranges as the operator writes them: '10.0.0.0/8, 192.0.2.7 ::1'.
 * @throws BAD_INPUT naming what is no address or range
 */
export function parseProxies(text: string): readonly Range[] {
  return text
    .split(/[\s,]+/)
    .filter((part) => part !== '')
    .map((part) => {
      const cidr = part.includes('/') ? part : `${part}/${part.includes(':') ? 128 : 32}`;
      // '10.0.0' would be read as 10.0.0.0.
      const whole = part.includes(':') || ipaddr.IPv4.isValidFourPartDecimal(part.split('/')[0] ?? '');
      if (!whole || !ipaddr.isValidCIDR(cidr))
        throw new HostError(
          'BAD_INPUT',
          `BULKHEAD_TRUSTED_PROXIES: "${part}" is no address or range, for example 10.0.0.0/8.`,
        );
      return ipaddr.parseCIDR(cidr);
    });
}

function isTrusted(address: string, proxies: readonly Range[]): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return proxies.some(([network, bits]) => parsed.kind() === network.kind() && parsed.match(network, bits));
}

/**
 * The nearest address that no trusted proxy has: from the connection backwards through the header, as far as each hop is trusted.
 * @param remote the connection's other end
 */
export function clientAddress(
  remote: string,
  forwardedFor: string | undefined,
  proxies: readonly Range[],
): string {
  if (forwardedFor === undefined || proxies.length === 0) return remote;
  let address = remote;
  const hops = forwardedFor.split(',').slice(-HOPS).reverse();
  for (const hop of hops) {
    if (!isTrusted(address, proxies)) return address;
    const next = hop.trim();
    if (!ipaddr.isValid(next)) return address;
    address = ipaddr.process(next).toString();
  }
  return address;
}

/** What is counted as one sender: an IPv6 customer has a whole /64, and with it more addresses than any counter has room for. */
export function senderKey(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  const network = ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/${IPV6_NETWORK_BITS}`);
  return `${network.toString()}/${IPV6_NETWORK_BITS}`;
}

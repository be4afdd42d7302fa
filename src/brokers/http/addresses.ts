/**
 * Which addresses a module may be connected to: public unicast ones, and those the operator allowed for its tenant by network and
 * port. A name is resolved once; if any of its addresses is not allowed the whole name is refused, since an attacker who answers with a
 * public and a private address only has to wait for the second.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { Scope } from '../broker.ts';
import { failed } from './failure.ts';
import { HTTP_LIMITS } from './limits.ts';
import type { Target } from './target.ts';

export type EgressAllow = Scope['egressAllow'];

/** Every address of a name, in the order to try them. Rejects with a Node DNS error if there is none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export const resolveBySystem: Resolve = async (host) => {
  const answers = await lookup(host, { all: true, verbatim: true });
  return answers.map(({ address }) => address);
};

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** What is assigned as global unicast (RFC 4291). ipaddr.js calls everything unicast that it has no other name for. */
const GLOBAL_V6: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];
/** ISATAP interface identifiers (RFC 5214) carry an IPv4 address too. */
const ISATAP: readonly (readonly [number, number])[] = [
  [0x0000, 0x5efe],
  [0x0200, 0x5efe],
];

/** Strict: dotted decimal or plain IPv6 as resolvers give them, no zone. An IPv4-mapped address becomes the IPv4 one. */
function parseAddress(text: string): Address | undefined {
  const version = isIP(text);
  if (version === 0 || text.includes('%')) return undefined;
  return version === 4 ? ipaddr.IPv4.parse(text) : ipaddr.process(text);
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false;
  if (address instanceof ipaddr.IPv4) return true;
  if (!address.match(GLOBAL_V6)) return false;
  return !ISATAP.some(([high, low]) => address.parts[4] === high && address.parts[5] === low);
}

type Network = ReturnType<typeof ipaddr.parseCIDR> | undefined;
type Allowed = EgressAllow[number];

/** An entry is looked at with each request, and read once. */
const networks = new WeakMap<Allowed, { readonly network: Network }>();

function networkOf(entry: Allowed): Network {
  const known = networks.get(entry);
  if (known !== undefined) return known.network;
  const network = ipaddr.isValidCIDR(entry.cidr) ? ipaddr.parseCIDR(entry.cidr) : undefined;
  networks.set(entry, { network });
  return network;
}

function inNetwork(address: Address, entry: Allowed): boolean {
  const parsed = networkOf(entry);
  if (parsed === undefined) return false;
  const [network, bits] = parsed;
  if (address instanceof ipaddr.IPv4) return network instanceof ipaddr.IPv4 && address.match(network, bits);
  return network instanceof ipaddr.IPv6 && address.match(network, bits);
}

/** True if a module may be connected to this address and port; false for anything that is not an address. */
export function mayConnect(text: string, port: number, allow: EgressAllow): boolean {
  const address = parseAddress(text);
  if (address === undefined) return false;
  return isPublic(address) || allow.some((entry) => entry.port === port && inNetwork(address, entry));
}

/** The same address, written one way. */
export function canonicalAddress(text: string): string | undefined {
  return parseAddress(text)?.toString();
}

function addressRefused(by: string): HostError {
  return new HostError(
    'NOT_GRANTED',
    `${by}: this host is at an address that modules may not reach. If it is a server of your own, ask the operator to allow its network and port for your tenant.`,
  );
}

/**
 * The addresses to connect to, each checked.
 * @param by the capability that asks, for the text of a refusal
 * @throws HostError HTTP_FAILED (dns), NOT_GRANTED if any answer is not allowed
 */
export async function checkedAddresses(
  target: Pick<Target, 'host' | 'port'>,
  allow: EgressAllow,
  resolve: Resolve,
  by = 'http',
): Promise<string[]> {
  const literal = target.host.startsWith('[') ? target.host.slice(1, -1) : target.host;
  const answers = isIP(literal) === 0 ? await resolved(target.host, resolve) : [literal];
  if (answers.some((address) => !mayConnect(address, target.port, allow))) throw addressRefused(by);
  const unique = new Set(answers.map((address) => canonicalAddress(address) ?? address));
  return [...unique].slice(0, HTTP_LIMITS.addressesTried);
}

async function resolved(host: string, resolve: Resolve): Promise<readonly string[]> {
  let answers: readonly string[];
  try {
    answers = await resolve(host);
  } catch (error) {
    throw failed('dns', error);
  }
  if (answers.length === 0) throw failed('dns');
  return answers;
}

/** For the connector: the last look before and after a socket opens. @throws HostError NOT_GRANTED */
export function assertMayConnect(
  address: string | undefined,
  port: number,
  allow: EgressAllow,
  by = 'http',
): void {
  if (address === undefined || !mayConnect(address, port, allow)) throw addressRefused(by);
}

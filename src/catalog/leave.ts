/** Whether a module may send a person to an address: its host is compared, as for requests, with what was granted. */
import type { CapabilityName } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { matchingPattern, parseTarget, type Target } from '../brokers/http/target.ts';
import type { Installation } from './installations.ts';

function hostsOf(installation: Installation, capability: CapabilityName): readonly string[] {
  const granted = installation.grants[capability]?.['hosts'];
  return Array.isArray(granted) ? granted.filter((host): host is string => typeof host === 'string') : [];
}

function targetOf(address: string): Target | undefined {
  try {
    return parseTarget(address);
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

/**
 * The grant that lets it, as `redirect.hosts:pay.example.com`; undefined if none does.
 * @param by the capabilities whose hosts count
 */
export function mayLeaveBy(
  installation: Installation,
  settings: Readonly<Record<string, unknown>>,
  address: string,
  by: readonly ('redirect' | 'http')[],
): string | undefined {
  const target = targetOf(address);
  if (target === undefined) return undefined;
  for (const name of by) {
    const pattern = matchingPattern(target, hostsOf(installation, name), settings);
    if (pattern !== undefined) return `${name}.hosts:${pattern}`;
  }
  return undefined;
}

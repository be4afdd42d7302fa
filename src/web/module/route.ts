/** Finds the declared route a path means. What comes with a request is compared with what was declared, never turned into a name. */
import type { Route } from '../../../sandbox/contract/kinds/module.ts';

/** 'servers/{uuid}' against 'servers/1'. */
export function uriMatches(uri: string, path: string): boolean {
  const wanted = uri.split('/');
  const given = path.split('/');
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => (/^\{[^}]+\}$/.test(part) ? given[index] !== '' : part === given[index]))
  );
}

/** An exact route goes before one with parameters, as its author means it. */
export function matchRoute(
  routes: readonly Route[],
  method: Route['method'],
  path: string,
): Route | undefined {
  const fitting = routes.filter((route) => route.method === method && uriMatches(route.uri, path));
  return fitting.find((route) => !route.uri.includes('{')) ?? fitting[0];
}

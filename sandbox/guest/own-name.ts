/**
 * The guide's global helpers that name a module: view_admin_module() and logModule(). There any module may render and write for any
 * other; here they work for the module's own name and refuse every other (contract A37).
 */
import { LOG_LEVELS } from '../contract/capabilities/logs.ts';
import type { Runtime } from './base.ts';
import { NotGranted } from './errors.ts';

type Data = Readonly<Record<string, unknown>>;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogPart = string | Data | readonly unknown[];

function refuseOthers({ env }: Runtime, helper: string, type: string, name: string): void {
  const own = env.context.module;
  if (type === own.type && name === own.name) return;
  throw new NotGranted({
    code: 'NOT_GRANTED',
    message: `${helper}: this module is ${own.type}/${own.name}; it cannot act for ${String(type)}/${String(name)}.`,
  });
}

export interface OwnNameHelpers {
  /** Renders a template of this module. What `mergeData` names is used where `data` does not. */
  view_admin_module(type: string, name: string, view: string, data?: Data, mergeData?: Data): string;
  /** A line in this module's log, of any level. */
  logModule(
    type: string,
    name: string,
    action: string,
    level: LogLevel,
    request?: LogPart,
    response?: LogPart,
  ): void;
}

export function ownNameHelpers(runtime: Runtime): OwnNameHelpers {
  return {
    view_admin_module(type, name, view, data = {}, mergeData = {}) {
      refuseOthers(runtime, 'view_admin_module', type, name);
      return runtime.render(view, { ...mergeData, ...data });
    },
    logModule(type, name, action, level, request, response) {
      refuseOthers(runtime, 'logModule', type, name);
      if (!LOG_LEVELS.includes(level))
        throw new TypeError(`logModule: the level is one of ${LOG_LEVELS.join(', ')}.`);
      runtime.env.notify('logs', 'write', { level, action, request, response });
    },
  };
}

/**
 * The guide's global helpers that name a module: view_admin_module() and logModule(). There any module may render and write for any
 * other; here they work for the module's own name and refuse every other (contract A37).
 */
import { LOG_LEVELS } from '../contract/capabilities/logs.ts';
import { currentEnv, currentRuntime } from './current.ts';
import { NotGranted } from './errors.ts';

type Data = Readonly<Record<string, unknown>>;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogPart = string | Data | readonly unknown[];

function refuseOthers(helper: string, type: string, name: string): void {
  const own = currentEnv.context.module;
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

export const ownNameHelpers: OwnNameHelpers = {
  view_admin_module(type, name, view, data = {}, mergeData = {}) {
    refuseOthers('view_admin_module', type, name);
    return currentRuntime().render(view, { ...mergeData, ...data });
  },
  logModule(type, name, action, level, request, response) {
    refuseOthers('logModule', type, name);
    if (!LOG_LEVELS.includes(level))
      throw new TypeError(`logModule: the level is one of ${LOG_LEVELS.join(', ')}.`);
    currentEnv.notify('logs', 'write', { level, action, request, response });
  },
};

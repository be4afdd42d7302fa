/**
 * The first and only script of an isolate before a module's own. It hands the runner three functions (define, enter, collect),
 * hardens the world, and runs invocations: each evaluates the module's factory anew, so that nothing a module keeps at its top
 * level survives, and each has an Env of its own, so that every call and every microsecond belongs to somebody. All else that a module
 * sees is made once for all of them and frozen.
 */
import type { CapabilityName, OpInput, OpName, OpOutput } from '../contract/capabilities.ts';
import type { ErrorCode, WireError } from '../contract/envelope.ts';
import type { InvocationInput, ModuleCall } from '../contract/invocation.ts';
import { LIMITS } from '../contract/limits.ts';
import type { Base, Runtime } from './base.ts';
import type { Env } from './env.ts';
import { capabilityError, CapabilityError } from './errors.ts';
import { freezeDeep, freezeOwn, harden } from './harden.ts';
import { currentEnv, setCurrentRuntime } from './current.ts';
import { namespace } from './namespace.ts';
import { createOutbox, MESSAGE } from './outbox.ts';
import { Abort, toCallResult } from './replies.ts';
import { IncomingRequest } from './request.ts';
import { describe } from './describe.ts';
import { createHooks, type Hook, type ModuleEvent } from './hooks.ts';
import { createViews, type Render, type Resources } from './view.ts';
import { createWebGlobals } from './web/globals.ts';

/** Kinds of entry; the runner's DOWN frames use the same numbers. */
export const ENTER = { invoke: 3, answer: 4, cancel: 5, timer: 7 } as const;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface Invocation {
  readonly id: number;
  readonly waiting: Map<number, Waiting>;
  readonly timers: Map<number, () => void>;
  /** Whom it is for: current while it is entered. */
  runtime: Runtime | undefined;
  ended: boolean;
  sequence: number;
}

/** The module's factory: evaluated anew for each invocation, with exports of its own. */
type Factory = (...parameters: unknown[]) => void;

export interface ModuleExports {
  readonly default?: new () => Base;
  readonly controllers?: Readonly<Record<string, new () => Base>>;
}

const NativeFunction = Function;
const { parse, stringify } = JSON;
const outbox = createOutbox({ messages: LIMITS.outboxMessages, bytes: LIMITS.outboxBytes });
const invocations = new Map<number, Invocation>();
const globals = createWebGlobals(currentEnv);
const globalNames = Object.keys(globals);
/** What the factory is called with; module and exports are put in for each invocation. */
const parameters: readonly unknown[] = [require, undefined, undefined, secret, ...Object.values(globals)];
const MODULE_AT = 1;
const FIXED_PARAMETERS = ['require', 'module', 'exports', 'secret'] as const;

let factory: Factory | undefined;
let resources: Resources = { views: {}, lang: {} };
let render: Render = () => '';

/** Compiles the module's script as the body of a function: the Function constructor refuses a text that closes it and goes on. */
function define(name: string, script: string, given: string): void {
  resources = parse(given) as Resources;
  freezeDeep([resources]);
  render = createViews(resources);
  factory = new NativeFunction(
    ...FIXED_PARAMETERS,
    ...globalNames,
    `"use strict";\n${script}\n//# sourceURL=${name}/module.js`,
  ) as Factory;
}

/** The Env of one invocation: what it asks of the host goes into the outbox under its number. */
class InvocationEnv implements Env {
  readonly context: Env['context'];
  step: Env['step'] = undefined;
  readonly #invocation: Invocation;

  constructor(invocation: Invocation, context: Env['context']) {
    this.#invocation = invocation;
    this.context = context;
  }

  call<C extends CapabilityName, O extends OpName<C>>(
    capability: C,
    op: O,
    input: OpInput<C, O>,
  ): Promise<OpOutput<C, O>> {
    return new Promise((resolve, reject) => {
      const invocation = this.#invocation;
      const refuse = (code: ErrorCode, message: string): void => reject(capabilityError({ code, message }));
      if (invocation.ended) return refuse('ENDED', 'The invocation has ended.');
      if (invocation.waiting.size >= LIMITS.callsInFlight)
        return refuse('LIMIT', `More than ${LIMITS.callsInFlight} calls at once; await some first.`);
      const body = stringify(input) ?? 'null';
      if (body.length > LIMITS.callInputBytes)
        return refuse('LIMIT', `${capability}.${op}: the input is over ${LIMITS.callInputBytes} bytes.`);
      const number = ++invocation.sequence;
      if (!outbox.put(MESSAGE.call, invocation.id, `${number} ${capability}.${op}`, body))
        return refuse('LIMIT', 'Too many calls at once.');
      invocation.waiting.set(number, { resolve, reject });
    });
  }

  notify<C extends CapabilityName, O extends OpName<C>>(capability: C, op: O, input: OpInput<C, O>): void {
    const invocation = this.#invocation;
    if (invocation.ended) return;
    const path = `${capability}.${op}`;
    const body = stringify(input) ?? 'null';
    if (body.length <= LIMITS.noticeBytes) outbox.put(MESSAGE.notify, invocation.id, path, body);
    else outbox.put(MESSAGE.notify, invocation.id, 'logs.write', tooLong(path, body.length));
  }

  heapBytes(): Promise<number> {
    const invocation = this.#invocation;
    return new Promise((resolve, reject) => {
      const number = ++invocation.sequence;
      if (invocation.ended || !outbox.put(MESSAGE.heap, invocation.id, String(number), ''))
        return reject(capabilityError({ code: 'LIMIT', message: 'Too many calls at once.' }));
      invocation.waiting.set(number, { resolve: (bytes) => resolve(Number(bytes)), reject });
    });
  }

  setTimer(callback: () => void, ms: number): number {
    const invocation = this.#invocation;
    if (invocation.timers.size >= LIMITS.timersPerInvocation)
      throw new RangeError(`more than ${LIMITS.timersPerInvocation} timers`);
    const id = ++invocation.sequence;
    invocation.timers.set(id, callback);
    const whole = Math.min(Math.max(0, Math.trunc(Number(ms)) || 0), LIMITS.timerMs);
    outbox.put(MESSAGE.timer, invocation.id, String(id), String(whole));
    return id;
  }

  clearTimer(id: number): void {
    const invocation = this.#invocation;
    if (invocation.timers.delete(id)) outbox.put(MESSAGE.clearTimer, invocation.id, String(id), '');
  }
}

function tooLong(path: string, characters: number): string {
  return stringify({ level: 'warning', action: `${path}: ${characters} characters are too many to be sent` });
}

type Entry = new () => Base;

function evaluate(): ModuleExports & { readonly default: Entry } {
  if (factory === undefined)
    throw new CapabilityError({ code: 'LOAD_FAILED', message: 'no module was defined' });
  const module: { exports: ModuleExports } = { exports: {} };
  const values = parameters.slice();
  values[MODULE_AT] = module;
  values[MODULE_AT + 1] = module.exports;
  Reflect.apply(factory, undefined, values);
  const { exports } = module;
  if (typeof exports.default !== 'function')
    throw new CapabilityError({
      code: 'LOAD_FAILED',
      message: 'the entry file must export its class as default',
    });
  return exports as ModuleExports & { readonly default: Entry };
}

/** The module as one invocation has it. Its instance is made when something is asked of it: a controller alone needs none. */
class Evaluation {
  readonly exports = evaluate();
  readonly hooks: readonly Hook[];
  #instance: Base | undefined;

  constructor(hooks: readonly Hook[]) {
    this.hooks = hooks;
  }

  get instance(): Base {
    return (this.#instance ??= new this.exports.default());
  }

  /** A controller sees what the module's getProductData and getServiceData made. */
  controller(name: string): Base {
    const controllers = this.exports.controllers ?? {};
    const Found = Object.hasOwn(controllers, name) ? controllers[name] : undefined;
    if (typeof Found !== 'function')
      throw new CapabilityError({ code: 'NO_METHOD', message: `The module has no controller ${name}.` });
    const controller = new Found();
    const prepared = this.#instance;
    if (prepared === undefined) return controller;
    controller.module_data = prepared.module_data;
    controller.product_data = prepared.product_data;
    controller.service_data = prepared.service_data;
    return controller;
  }
}

function require(name: string): unknown {
  if (name === 'bulkhead') return namespace;
  throw new Error(`cannot require "${name}": a packed module imports only 'bulkhead'`);
}

function secret(name: string): string {
  return currentEnv.context.secrets[name] ?? '';
}

async function run(
  runtime: Runtime,
  hooks: readonly Hook[],
  calls: readonly ModuleCall[],
): Promise<unknown[]> {
  const evaluation = new Evaluation(hooks);
  if (runtime.env.context.instance !== null)
    await readModuleData(evaluation.instance, runtime.env.context.config);
  const results: unknown[] = [];
  for (const call of calls) results.push(await runCall(runtime, evaluation, call));
  return results;
}

/** An instance's settings pass through the module's own getModuleData before anything else is called on it. */
async function readModuleData(instance: Base, settings: Readonly<Record<string, unknown>>): Promise<void> {
  const method: unknown = Reflect.get(instance, 'getModuleData');
  if (typeof method !== 'function') return;
  instance.module_data = { ...settings };
  const made: unknown = await Reflect.apply(method, instance, [{ ...settings }]);
  if (typeof made !== 'object' || made === null || Array.isArray(made))
    throw new CapabilityError({ code: 'BAD_OUTPUT', message: 'getModuleData() must return an object.' });
  instance.module_data = { ...made };
}

async function runCall(runtime: Runtime, evaluation: Evaluation, call: ModuleCall): Promise<unknown> {
  const { target } = call;
  if (target.on === 'runtime') return runtimeCall(evaluation, call);
  if (target.on === 'hook') return runHook(evaluation.hooks[target.number], evaluation.instance, call);
  const receiver = target.on === 'module' ? evaluation.instance : evaluation.controller(target.controller);
  const method: unknown = Reflect.get(receiver, call.method);
  if (typeof method !== 'function')
    throw new CapabilityError({
      code: 'NO_METHOD',
      message: `${receiver.constructor.name} has no method ${call.method}.`,
    });
  const args =
    call.request === undefined
      ? call.args
      : [new IncomingRequest(call.request, runtime.env.context.auth), ...call.args];
  try {
    return toCallResult(await (Reflect.apply(method, receiver, args) as unknown), call.request !== undefined);
  } catch (error) {
    if (error instanceof Abort)
      return {
        response: { kind: 'json', status: error.status, body: { success: false, message: error.message } },
      };
    throw error;
  }
}

/** One handler of hooks.ts; its answer is kept as what it made of the event. */
async function runHook(hook: Hook | undefined, instance: Base, call: ModuleCall): Promise<unknown> {
  if (hook === undefined || hook.event !== call.method)
    throw new CapabilityError({
      code: 'NO_METHOD',
      message: `hooks.ts has no such handler of ${call.method} any more.`,
    });
  return toCallResult(await hook.handler(call.args[0] as ModuleEvent, instance), false);
}

/** What the host asks of the runtime rather than of the module's own methods. */
async function runtimeCall({ exports, hooks, instance }: Evaluation, call: ModuleCall): Promise<unknown> {
  if (call.method === 'describe') return { value: describe(exports, instance, hooks) };
  if (call.method === 'settingsPage') return settingsPage(instance);
  const [template, method] = call.args as [string, string | null];
  const variables =
    method === null
      ? {}
      : ((await Reflect.apply(Reflect.get(instance, method) as () => unknown, instance, [])) as Record<
          string,
          unknown
        >);
  return toCallResult(instance.view(template, variables), true);
}

/** getSettingsPage() gets the data that getModuleData made, and the address to give to the other side. */
async function settingsPage(instance: Base): Promise<unknown> {
  const data = { ...instance.module_data, webhook_url: instance.webhook_url };
  const method: unknown = Reflect.get(instance, 'getSettingsPage');
  if (typeof method !== 'function') return toCallResult('', true);
  return toCallResult(await (Reflect.apply(method, instance, [data]) as unknown), true);
}

/** What may be said of a thrown value; reading it may itself throw or lie. */
function describeError(error: unknown): WireError {
  try {
    if (error instanceof CapabilityError)
      return {
        code: error.code as ErrorCode,
        message: String(error.message).slice(0, 2_000),
        data: { stack: stackOf(error) },
      };
    if (error instanceof Error)
      return {
        code: 'MODULE_ERROR',
        message: String(error.message).slice(0, 2_000),
        data: { name: String(error.name).slice(0, 100), stack: stackOf(error) },
      };
    return {
      code: 'MODULE_ERROR',
      message: (typeof error === 'string' ? error : (stringify(error) ?? String(error))).slice(0, 2_000),
    };
  } catch {
    return { code: 'MODULE_ERROR', message: 'The module threw something that cannot be read.' };
  }
}

/** Frames of the module only: the runtime's own would tell the author nothing. */
function stackOf(error: Error): string {
  const lines = String(error.stack).slice(0, 8_000).split('\n');
  return lines
    .filter((line) => !line.includes('bulkhead:guest'))
    .join('\n')
    .slice(0, 4_000);
}

function finish(invocation: Invocation, envelope: unknown): void {
  if (invocation.ended) return;
  let body = stringify(envelope);
  if (body.length > LIMITS.resultBytes) {
    body = stringify({
      ok: false,
      error: { code: 'LIMIT', message: `The result is over ${LIMITS.resultBytes} bytes.` },
    });
  }
  end(invocation);
  outbox.put(MESSAGE.result, invocation.id, '', body);
}

function end(invocation: Invocation): void {
  invocation.ended = true;
  invocation.waiting.clear();
  invocation.timers.clear();
  invocations.delete(invocation.id);
}

function start(id: number, input: InvocationInput): void {
  const invocation: Invocation = {
    id,
    waiting: new Map(),
    timers: new Map(),
    runtime: undefined,
    ended: false,
    sequence: 0,
  };
  invocations.set(id, invocation);
  const { context } = input;
  const viewScope = { locale: context.locale, assetBase: context.asset_base };
  const env = new InvocationEnv(invocation, context);
  const { on, hooks } = createHooks();
  const runtime: Runtime = {
    env,
    on,
    resources,
    viewScope,
    render: (template, data) => render(template, data, viewScope),
    randomBytes: (length) => globals.crypto.getRandomValues(new Uint8Array(length)),
  };
  invocation.runtime = runtime;
  setCurrentRuntime(runtime);
  const settle = async (): Promise<void> => {
    try {
      const results = await run(runtime, hooks, input.calls);
      finish(invocation, { ok: true, value: { results } });
    } catch (error) {
      finish(invocation, { ok: false, error: describeError(error) });
    }
  };
  void settle();
}

function answer(invocation: Invocation, number: number, body: string): void {
  const waiting = invocation.waiting.get(number);
  if (waiting === undefined) return;
  invocation.waiting.delete(number);
  const envelope = parse(body) as { ok: true; value: unknown } | { ok: false; error: WireError };
  if (envelope.ok) waiting.resolve(envelope.value);
  else waiting.reject(capabilityError(envelope.error));
}

/** What a timer's callback throws has nobody above it: it ends the invocation, as it would end a process. */
function fire(invocation: Invocation, number: number): void {
  const callback = invocation.timers.get(number);
  invocation.timers.delete(number);
  try {
    callback?.();
  } catch (error) {
    finish(invocation, { ok: false, error: describeError(error) });
  }
}

/** The runner's one way in. Nothing a module throws leaves it: the runner would have to read it without a time limit. */
function enter(kind: number, id: number, name: string, body: string): void {
  if (kind === ENTER.invoke) return start(id, parse(body) as InvocationInput);
  const invocation = invocations.get(id);
  if (invocation?.runtime === undefined) return;
  setCurrentRuntime(invocation.runtime);
  if (kind === ENTER.answer) return answer(invocation, Number(name), body);
  if (kind === ENTER.cancel) return end(invocation);
  if (kind === ENTER.timer) fire(invocation, Number(name));
}

/**
 * Called at the very end of the bundle with all of its top-level values (sandbox/supervisor/stage.ts adds that call): classes,
 * functions and tables of this runtime and of the libraries in it are frozen, since modules can reach some of them. What is here by then
 * is kept as a snapshot, from which each isolate begins.
 */
function seal(shared: readonly unknown[]): void {
  const own = new Set<unknown>([invocations, outbox]);
  freezeOwn(
    globalThis,
    shared.filter(
      (value): value is object =>
        ((typeof value === 'object' && value !== null) || typeof value === 'function') && !own.has(value),
    ),
  );
}

/** Called by the runner in each isolate, before any module code: the language is hardened, and this way in is gone. */
function wake(): object {
  Reflect.deleteProperty(globalThis, '__bulkhead');
  harden(globalThis);
  return { define, enter, collect: outbox.collect };
}

Object.defineProperty(globalThis, '__bulkhead', { value: { seal, wake }, configurable: true });

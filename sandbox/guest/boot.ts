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
import { GuestContext } from './context.ts';
import type { Env } from './env.ts';
import { capabilityError, CapabilityError } from './errors.ts';
import { freezeDeep, freezeOwn, harden } from './harden.ts';
import { currentEnv, setCurrentRuntime } from './current.ts';
import { namespace } from './namespace.ts';
import { createOutbox, MESSAGE } from './outbox.ts';
import { Abort, toCallResult } from './replies.ts';
import { IncomingRequest } from './request.ts';
import { describe } from './describe.ts';
import { type Hook, type HookOptions, type ModuleEvent, toHook } from './hooks.ts';
import { createViews, type Render, type Resources, type ViewScope } from './view.ts';
import { createWebGlobals } from './web/globals.ts';

/** Kinds of entry; the runner's DOWN frames use the same numbers. */
export const ENTER = { invoke: 3, answer: 4, cancel: 5, timer: 7 } as const;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** What each invocation has of its own: kept small, since it is made for each; most never wait and never set a timer. */
class Invocation {
  readonly id: number;
  /** Whom it is for: current while it is entered. */
  readonly runtime: InvocationRuntime;
  waiting: Map<number, Waiting> | undefined = undefined;
  timers: Map<number, () => void> | undefined = undefined;
  ended = false;
  sequence = 0;

  constructor(id: number, context: Env['context']) {
    this.id = id;
    this.runtime = new InvocationRuntime(new InvocationEnv(this, context));
  }
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
const FIXED_PARAMETERS = ['require', 'module', 'exports', 'secret'] as const;
const { apply } = Reflect;

/** Calls a factory. What it is called with stands in one list; a copy of it for each invocation took a twentieth of its time. */
function createCaller(): (factory: Factory, module: { readonly exports: ModuleExports }) => void {
  const MODULE_AT = 1;
  const values: unknown[] = [require, undefined, undefined, secret, ...Object.values(globals)];
  return (factory, module) => {
    values[MODULE_AT] = module;
    values[MODULE_AT + 1] = module.exports;
    apply(factory, undefined, values);
  };
}
const callFactory = createCaller();

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
      const waiting = (invocation.waiting ??= new Map());
      if (waiting.size >= LIMITS.callsInFlight)
        return refuse('LIMIT', `More than ${LIMITS.callsInFlight} calls at once; await some first.`);
      const body = stringify(input) ?? 'null';
      if (body.length > LIMITS.callInputBytes)
        return refuse('LIMIT', `${capability}.${op}: the input is over ${LIMITS.callInputBytes} bytes.`);
      const number = ++invocation.sequence;
      if (!outbox.put(MESSAGE.call, invocation.id, `${number} ${capability}.${op}`, body))
        return refuse('LIMIT', 'Too many calls at once.');
      waiting.set(number, { resolve, reject });
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
      invocation.waiting ??= new Map();
      invocation.waiting.set(number, { resolve: (bytes) => resolve(Number(bytes)), reject });
    });
  }

  setTimer(callback: () => void, ms: number): number {
    const invocation = this.#invocation;
    const timers = (invocation.timers ??= new Map());
    if (timers.size >= LIMITS.timersPerInvocation)
      throw new RangeError(`more than ${LIMITS.timersPerInvocation} timers`);
    const id = ++invocation.sequence;
    timers.set(id, callback);
    const whole = Math.min(Math.max(0, Math.trunc(Number(ms)) || 0), LIMITS.timerMs);
    outbox.put(MESSAGE.timer, invocation.id, String(id), String(whole));
    return id;
  }

  clearTimer(id: number): void {
    const invocation = this.#invocation;
    if (invocation.timers?.delete(id) === true) outbox.put(MESSAGE.clearTimer, invocation.id, String(id), '');
  }
}

/** What the instances of one invocation work with. Its functions are the class's: made anew they would cost each invocation. */
class InvocationRuntime implements Runtime {
  readonly env: Env;
  readonly hooks: Hook[] = [];
  readonly randomBytes = randomBytes;

  constructor(env: Env) {
    this.env = env;
  }

  get resources(): Resources {
    return resources;
  }

  get viewScope(): ViewScope {
    const { locale, asset_base } = this.env.context;
    return { locale, assetBase: asset_base };
  }

  render(template: string, data: Readonly<Record<string, unknown>>): string {
    return render(template, data, this.viewScope);
  }

  on(event: string, handler: unknown, options?: HookOptions): void {
    this.hooks.push(toHook(event, handler, options));
  }
}

function randomBytes(length: number): Uint8Array {
  return globals.crypto.getRandomValues(new Uint8Array(length));
}

function tooLong(path: string, characters: number): string {
  return stringify({ level: 'warning', action: `${path}: ${characters} characters are too many to be sent` });
}

type Entry = new () => Base;

function evaluate(): ModuleExports & { readonly default: Entry } {
  if (factory === undefined)
    throw new CapabilityError({ code: 'LOAD_FAILED', message: 'no module was defined' });
  const module: { exports: ModuleExports } = { exports: {} };
  callFactory(factory, module);
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

async function run(runtime: InvocationRuntime, calls: readonly ModuleCall[]): Promise<unknown[]> {
  const evaluation = new Evaluation(runtime.hooks);
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
  invocation.waiting = undefined;
  invocation.timers = undefined;
  invocations.delete(invocation.id);
}

/** The input is two texts with a line break between them: what is shared, read when it is asked for, and what is this invocation's own. */
function start(id: number, input: string): void {
  const split = input.indexOf('\n');
  const { context, calls } = parse(input.slice(split + 1)) as Omit<InvocationInput, 'shared'>;
  const invocation = new Invocation(id, new GuestContext(input.slice(0, split), context));
  invocations.set(id, invocation);
  setCurrentRuntime(invocation.runtime);
  void settle(invocation, calls);
}

async function settle(invocation: Invocation, calls: readonly ModuleCall[]): Promise<void> {
  try {
    const results = await run(invocation.runtime, calls);
    finish(invocation, { ok: true, value: { results } });
  } catch (error) {
    finish(invocation, { ok: false, error: describeError(error) });
  }
}

function answer(invocation: Invocation, number: number, body: string): void {
  const waiting = invocation.waiting?.get(number);
  if (waiting === undefined) return;
  invocation.waiting?.delete(number);
  const envelope = parse(body) as { ok: true; value: unknown } | { ok: false; error: WireError };
  if (envelope.ok) waiting.resolve(envelope.value);
  else waiting.reject(capabilityError(envelope.error));
}

/** What a timer's callback throws has nobody above it: it ends the invocation, as it would end a process. */
function fire(invocation: Invocation, number: number): void {
  const callback = invocation.timers?.get(number);
  invocation.timers?.delete(number);
  try {
    callback?.();
  } catch (error) {
    finish(invocation, { ok: false, error: describeError(error) });
  }
}

/** The runner's one way in. Nothing a module throws leaves it: the runner would have to read it without a time limit. */
function enter(kind: number, id: number, name: string, body: string): void {
  if (kind === ENTER.invoke) return start(id, body);
  const invocation = invocations.get(id);
  if (invocation === undefined) return;
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

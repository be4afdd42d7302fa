/** The little that the bench uses of packages that the project itself does not depend on (test/bench/package.json). */

declare module 'quickjs-emscripten' {
  export interface Handle {
    dispose(): void;
    dup(): Handle;
  }
  export interface DeferredPromise {
    readonly handle: Handle;
    resolve(value: Handle): void;
    dispose(): void;
  }
  export interface Context {
    readonly global: Handle;
    readonly undefined: Handle;
    readonly runtime: { executePendingJobs(): unknown };
    newFunction(name: string, work: (...args: Handle[]) => Handle | void): Handle;
    newNumber(value: number): Handle;
    newString(value: string): Handle;
    newPromise(): DeferredPromise;
    getNumber(handle: Handle): number;
    getString(handle: Handle): string;
    getProp(handle: Handle, name: string): Handle;
    setProp(handle: Handle, name: string, value: Handle): void;
    evalCode(code: string): unknown;
    callFunction(work: Handle, self: Handle, ...args: Handle[]): unknown;
    unwrapResult(result: unknown): Handle;
  }
  export function getQuickJS(): Promise<{ newContext(): Context }>;
}

declare module 'ofetch' {
  export function ofetch<T>(url: string, options?: { readonly dispatcher?: object }): Promise<T>;
}

/** `import { load, conformance } from 'bulkhead/kit'`: what a module's author tests with. The only file of the kit that others import. */
export { fakeApi, type Answer, type Asked, type FakeApi, type Respond } from './api.ts';
export type { ConformanceOptions, Delivery, PaidInvoice } from './conformance/case.ts';
export { conformance, type TestRunner } from './conformance/conformance.ts';
export type { KitDatabases } from './host.ts';
export { load, type AnyMethods, type Loaded, type LoadOptions, type Others, type Remote } from './load.ts';
export type { BookedPayment, LogLine, RequestLine, ServiceState, Values } from './module.ts';
export type { RunTasksOptions, TaskView } from './tasks.ts';

/**
 * A hundred thousand messages that nobody would send, through all that reads messages: frames, the guest's outbox, inputs of calls,
 * results, and the supervisor itself with a runner that says them. `npm run fuzz` does twenty times as much; BULKHEAD_FUZZ_SEED repeats a run.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import { type Frame, frameReader, frameWriter, nextInvocation, UP } from '../../sandbox/contract/wire.ts';
import { createOutbox } from '../../sandbox/guest/outbox.ts';
import { parseOutbox } from '../../sandbox/runner/outbox.ts';
import { countItems, readCall, readNotice } from '../../sandbox/supervisor/calls.ts';
import { readEnvelope, readUsage } from '../../sandbox/supervisor/results.ts';
import { codeOf, FORGED_RUNNER, useForgedSandbox } from './sandbox-support.ts';

const times = Number(process.env['BULKHEAD_FUZZ'] ?? 1);
const seed = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
process.stdout.write(`fuzz: seed ${seed}, ${times} × 100,000 messages\n`);

const TIMEOUT_MS = 60_000 * times;
const MAX_BYTES = 4_096;
const runs = (count: number) => ({ seed, numRuns: count * times });

const kind = fc.oneof(fc.constantFrom(...Object.values(UP)), fc.integer({ min: 0, max: 255 }));
const id = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const paths = Object.entries(capabilities).flatMap(([name, { ops }]) =>
  Object.keys(ops).map((op) => `${name}.${op}`),
);
const path = fc.oneof(
  fc.constantFrom(...paths),
  fc.constantFrom('__proto__.get', 'db.constructor', 'db', '.', ''),
  fc.string(),
);
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.json(),
  fc.constantFrom('null', '{}', '[]', '{"ok":true}', '{"__proto__":{"polluted":1}}'),
);
const name = fc.oneof(
  path,
  fc.tuple(fc.nat(), path).map(([number, op]) => `${number} ${op}`),
  fc.constantFrom('1 1 1'),
);
const frame = fc.record({ kind, id, name, body: text });

/** As the writer does it, synchronously. */
function bytesOf(frames: readonly Frame[]): Promise<Buffer> {
  return new Promise((resolve) => {
    const write = frameWriter(resolve);
    for (const { kind, id, name, body } of frames) write(kind, id, name, body);
  });
}

/** The bytes in pieces of these sizes. */
function piecesOf(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length] ?? 1;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

/** Some bytes of a text or buffer, changed. */
const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
  minLength: 1,
  maxLength: 5,
});

/** How a piece of work failed; empty if it did not. */
function failureOf(work: () => void): string {
  try {
    work();
    return '';
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : 'no Error';
  }
}

function isClean(): void {
  expect(Reflect.get({}, 'polluted')).toBeUndefined();
}

describe('frames', () => {
  it('arrive as they were sent, in whatever pieces', { timeout: TIMEOUT_MS }, async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 20 }), sizes, async (frames, pieces) => {
        const heard: Frame[] = [];
        const read = frameReader(1e7, (one) => heard.push(one));
        for (const piece of piecesOf(await bytesOf(frames), pieces)) read(piece);
        expect(heard).toEqual(
          frames.map((one) => ({ ...one, name: one.name.toWellFormed(), body: one.body.toWellFormed() })),
        );
      }),
      runs(2_000),
    );
  });

  it(
    'that were changed are read as some frames or refused, and never held without end',
    { timeout: TIMEOUT_MS },
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(frame, { minLength: 1, maxLength: 6 }),
          changes,
          async (frames, changed) => {
            const bytes = await bytesOf(frames);
            for (const [at, byte] of changed) bytes[at % bytes.length] = byte;
            let heard = 0;
            const read = frameReader(MAX_BYTES, () => heard++);
            expect(
              failureOf(() => {
                for (const piece of piecesOf(bytes, [64])) read(piece);
              }),
            ).toMatch(/^$|^Error: frame /);
            expect(heard).toBeLessThanOrEqual(bytes.length / 11 + 1);
          },
        ),
        runs(5_000),
      );
    },
  );

  it('of nothing but noise are refused or waited for', { timeout: TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (noise) => {
        const read = frameReader(MAX_BYTES, () => undefined);
        expect(
          failureOf(() => {
            read(Buffer.from(noise));
          }),
        ).toMatch(/^$|^Error: frame /);
      }),
      runs(15_000),
    );
  });

  it('have numbers that fit, are new, and never mean something else', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.set(fc.integer({ min: 1, max: 50 })),
        (last, open) => {
          const next = nextInvocation(last, (candidate) => open.has(candidate));
          expect(next > 0 && next < 2 ** 32 - 1 && next !== last && !open.has(next)).toBe(true);
        },
      ),
      runs(5_000),
    );
    expect(nextInvocation(2 ** 32 - 2, () => false)).toBe(1);
  });
});

describe('the outbox', () => {
  const message = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat(1_000), fc.string(), text);

  it('gives what was put into it', { timeout: TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), (messages) => {
        const outbox = createOutbox({ messages: 1_000, bytes: 1e6 });
        for (const one of messages) outbox.put(...one);
        expect(parseOutbox(outbox.collect()).map((one) => [one.kind, one.id, one.name, one.body])).toEqual(
          messages,
        );
        expect(outbox.collect()).toBe('');
      }),
      runs(2_000),
    );
  });

  it('that was changed gives messages that lie within it, or is refused', { timeout: TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 6 }), changes, (messages, changed) => {
        const outbox = createOutbox({ messages: 1_000, bytes: 1e6 });
        for (const one of messages) outbox.put(...one);
        const letters = outbox.collect().split('');
        for (const [at, byte] of changed)
          letters[at % Math.min(letters.length, 30)] = String.fromCharCode(byte);
        const said = letters.join('');
        expect(
          failureOf(() => {
            const length = parseOutbox(said).reduce((sum, one) => sum + one.name.length + one.body.length, 0);
            expect(length).toBeLessThanOrEqual(said.length);
          }),
        ).toMatch(/^$|^Error: outbox /);
      }),
      runs(15_000),
    );
  });
});

describe('the input of a call', () => {
  it('is what its schema says, or a HostError', { timeout: TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(path, text, (op, input) => {
        expect(
          failureOf(() => {
            readCall(op, input);
            readNotice(op, input);
          }),
        ).toMatch(/^$|^HostError: /);
        isClean();
      }),
      runs(20_000),
    );
  });

  it('has as many items as are counted without parsing it', { timeout: TIMEOUT_MS }, () => {
    const count = (value: unknown): number => {
      if (typeof value !== 'object' || value === null) return 0;
      const items = Object.values(value);
      return 1 + Math.max(0, items.length - 1) + items.reduce((sum: number, item) => sum + count(item), 0);
    };
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        expect(countItems(JSON.stringify(value), 1e6)).toBe(1 + count(value));
      }),
      runs(5_000),
    );
  });
});

describe('a result', () => {
  it('is an envelope with a known code, or no JSON', { timeout: TIMEOUT_MS }, () => {
    const code = fc.oneof(
      fc.constantFrom('INTERNAL', 'INTERRUPTED', 'MODULE_ERROR', 'constructor', 'TIMEOUT'),
      fc.string(),
    );
    const error = fc.record({
      code: fc.oneof(code, fc.jsonValue()),
      message: fc.oneof(fc.string(), fc.jsonValue()),
      data: fc.jsonValue(),
    });
    const results = fc.array(
      fc.oneof(fc.record({ value: fc.jsonValue() }), fc.record({ response: fc.jsonValue() }), fc.jsonValue()),
      { maxLength: 4 },
    );
    const envelope = fc.oneof(
      fc.record({ ok: fc.constant(true), value: fc.record({ results }) }),
      fc.record({ ok: fc.constant(false), error }),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          envelope.map((value) => JSON.stringify(value)),
          text,
        ),
        fc.boolean(),
        (said, byGuest) => {
          expect(
            failureOf(() => {
              const read = readEnvelope(said, byGuest, 2);
              expect(
                read.ok ? read.value.results.length <= 2 : !['INTERNAL', 'CRASHED'].includes(read.error.code),
              ).toBe(true);
            }),
          ).toMatch(/^$|^SyntaxError: /);
          isClean();
        },
      ),
      runs(10_000),
    );
  });

  it('never costs less than nothing or more than the time that has passed', { timeout: TIMEOUT_MS }, () => {
    const number = fc.oneof(
      fc.double(),
      fc.integer(),
      fc.nat(),
      fc.constantFrom('1', '9'.repeat(400), ' ', ''),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.tuple(number, number, fc.nat(1)).map((usage) => usage.join(' ')),
          fc.tuple(fc.nat(), fc.nat(), fc.nat(1)).map((usage) => usage.join(' ')),
          text,
        ),
        (usage) => {
          expect(
            failureOf(() => {
              const { cpuUs, calls } = readUsage(usage, 10, 3);
              expect(cpuUs >= 0 && cpuUs <= 10_000 && calls === 3).toBe(true);
            }),
          ).toMatch(/^$|^Error: a result without its usage/);
        },
      ),
      runs(5_000),
    );
  });
});

/** Kinds after which a runner is not ended at once. */
const VALID: Readonly<Record<number, true>> = { [UP.ready]: true, [UP.notify]: true, [UP.lost]: true };

describe('the supervisor', () => {
  const forged = useForgedSandbox({ runner: FORGED_RUNNER });

  it(
    'hears out a runner that says anything, and believes nothing of others',
    { timeout: TIMEOUT_MS },
    async () => {
      const rejections: unknown[] = [];
      const note = (reason: unknown): void => void rejections.push(reason);
      process.on('unhandledRejection', note);
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.oneof({ weight: 20, arbitrary: frame.filter((one) => one.kind in VALID) }, frame), {
            minLength: 50,
            maxLength: 400,
          }),
          async (frames) => {
            const heard: string[] = [];
            const victim = forged.run(
              'setTimeout(() => api.result(api.id, { ok: true, value: { results: [{ value: "mine" }] } }), 60)',
              {
                group: 'victim',
                onCall: async (op) => heard.push(op),
                onNotify: (op) => heard.push(op),
              },
            );
            const said = frames.map((one) => [one.kind, one.id, one.name.slice(0, 200), one.body]);
            const outcome = await forged.run(
              `for (const f of ${JSON.stringify(said)}) api.send(f[0], f[1] > 15 ? f[1] : api.id, f[2], f[3]); api.result(api.id);`,
              { wallMs: 2_000, onCall: async () => ({}) },
            );
            expect([
              'ok',
              'CRASHED',
              'MODULE_ERROR',
              'BAD_OUTPUT',
              'LIMIT',
              'CPU_LIMIT',
              'INTERRUPTED',
            ]).toContain(codeOf(outcome));
            expect((await victim).envelope).toEqual({ ok: true, value: { results: [{ value: 'mine' }] } });
            expect(heard).toEqual([]);
            isClean();
          },
        ),
        runs(50),
      );
      process.off('unhandledRejection', note);
      expect(rejections).toEqual([]);
    },
  );
});

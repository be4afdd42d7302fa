/**
 * What the guest has to say to its runner, gathered during one entry and collected after it as one text:
 * `<length of header>:<kind,id,name length,body length,…><name><body><name><body>…`. Counted as it queues, so that a flood ends in
 * the module that makes it and never reaches the parent.
 */

export const MESSAGE = { call: 1, notify: 2, result: 3, timer: 4, clearTimer: 5, heap: 6 } as const;

export interface Outbox {
  /** False if the message does not fit the bounds of this entry. */
  put(kind: number, id: number, name: string, body: string): boolean;
  collect(): string;
}

export function createOutbox(bounds: { messages: number; bytes: number }): Outbox {
  let header: number[] = [];
  let bodies: string[] = [];
  let size = 0;
  return {
    put(kind, id, name, body) {
      // A result always fits (its size is bounded where it is made): an invocation must be able to end after a flood of its own.
      if (
        kind !== MESSAGE.result &&
        (header.length / 4 >= bounds.messages || size + name.length + body.length > bounds.bytes)
      )
        return false;
      header.push(kind, id, name.length, body.length);
      bodies.push(name, body);
      size += name.length + body.length;
      return true;
    },
    collect() {
      if (header.length === 0) return '';
      const head = header.join(',');
      const text = `${head.length}:${head}${bodies.join('')}`;
      header = [];
      bodies = [];
      size = 0;
      return text;
    },
  };
}

/** An API on loopback that writes down what it is asked: what really left the host, header by header. */
import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** A JSON body as its value, any other as text; undefined if there was none. */
  readonly body: unknown;
}
/** What it answers; 'hang up' ends the connection without a word. */
export type Answer = { readonly status: number; readonly body: unknown } | 'hang up';

export interface RecordingApi extends AsyncDisposable {
  readonly origin: string;
  readonly port: number;
  /** Every request so far, oldest first. */
  readonly asked: Asked[];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function readAsked(request: IncomingMessage): Promise<{ asked: Asked; text: string }> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  const { method = '', url = '', headers } = request;
  return { asked: { method, path: url, headers, body: text === '' ? undefined : parsed(text) }, text };
}

/** @param respond what to answer; a throw is a 500 */
export async function recordingApi(
  respond: (asked: Asked, text: string) => Promise<Answer> | Answer,
): Promise<RecordingApi> {
  const all: Asked[] = [];
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const { asked, text } = await readAsked(request);
      all.push(asked);
      const said = await respond(asked, text);
      if (said === 'hang up') return void request.socket.destroy();
      response.writeHead(said.status, { 'content-type': 'application/json' });
      response.end(said.status === 204 ? undefined : JSON.stringify(said.body));
    };
    answer().catch((error: unknown) => {
      response.writeHead(500);
      response.end(String(error));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    asked: all,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** One that passes everything on to another. */
export async function recordingProxy(target: string): Promise<RecordingApi> {
  return recordingApi(async ({ method, path, headers }, text) => {
    const kept = ['authorization', 'content-type', 'idempotency-key'].flatMap((name) =>
      typeof headers[name] === 'string' ? [[name, headers[name]]] : [],
    );
    const answer = await fetch(target + path, {
      method,
      headers: Object.fromEntries(kept) as Record<string, string>,
      ...(text === '' ? {} : { body: text }),
    });
    const body = await answer.text();
    return { status: answer.status, body: body === '' ? null : JSON.parse(body) };
  });
}

/** A service of somebody else's, played by a test: it answers on loopback and writes down what it was asked. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The body: parsed if it is JSON, else the text. */
  readonly body: unknown;
}

export interface Answer {
  readonly status?: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface FakeApi extends AsyncDisposable {
  /** 'http://127.0.0.1:41234' */
  readonly origin: string;
  readonly port: number;
  /** Every request so far, oldest first. */
  readonly asked: Asked[];
  close(): Promise<void>;
}

async function readAsked(request: IncomingMessage): Promise<Asked> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  const json = request.headers['content-type']?.includes('json') === true && text !== '';
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    ),
    body: json ? (JSON.parse(text) as unknown) : text,
  };
}

/** One that takes connections and never says anything. */
export async function silentServer(): Promise<
  AsyncDisposable & { readonly origin: string; readonly port: number }
> {
  const open = new Set<Socket>();
  const server = createTcpServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of open) socket.destroy();
    await closed;
  };
  return { origin: `http://127.0.0.1:${port}`, port, [Symbol.asyncDispose]: close };
}

export type Respond = (asked: Asked) => Promise<Answer | undefined> | Answer | undefined;

/**
 * Starts it on a free port. Give `ports: [api.port]` to load(), so that the module may reach it.
 * @param respond what to answer; a throw is a 500, nothing is 404
 */
export async function fakeApi(respond: Respond): Promise<FakeApi> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const one = await readAsked(request);
      asked.push(one);
      const { status = 200, json, text, headers = {} } = (await respond(one)) ?? { status: 404, text: '' };
      response.writeHead(status, {
        'content-type': json === undefined ? 'text/plain' : 'application/json',
        ...headers,
      });
      response.end(json === undefined ? text : JSON.stringify(json));
    };
    answer().catch((error: unknown) => {
      response.writeHead(500, { 'content-type': 'text/plain' });
      response.end(String(error));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { origin: `http://127.0.0.1:${port}`, port, asked, close, [Symbol.asyncDispose]: close };
}

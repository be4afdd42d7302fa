/** Another origin, where whatever leaves a module's frame would arrive. It answers everything, and remembers every connection. */
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createSocket } from 'node:dgram';

export interface Sinkhole extends AsyncDisposable {
  /** 'http://127.0.0.1:{port}' */
  readonly origin: string;
  /** For STUN: packets are noted too. */
  readonly udpPort: number;
  /** What arrived, as 'GET /path', 'connection' or 'packet'. */
  readonly seen: string[];
}

export async function openSinkhole(): Promise<Sinkhole> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const http = createHttpServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.setHeader('access-control-allow-origin', '*').end('x');
  });
  // In front of HTTP, so that a connection without a request (preconnect, WebSocket, TLS) is noted as well.
  const tcp = createServer((socket) => {
    seen.push('connection');
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    http.emit('connection', socket);
  });
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const udp = createSocket('udp4').on('message', () => seen.push('packet'));
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
  const { port } = tcp.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    udpPort: udp.address().port,
    seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => tcp.close(resolve));
      await new Promise<void>((resolve) => udp.close(() => resolve()));
    },
  };
}

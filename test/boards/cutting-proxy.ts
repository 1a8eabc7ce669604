/** A TCP proxy that loses its connections on purpose. */
import { connect, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

export interface CuttingProxy {
  readonly port: number;
  /** Bytes that went to the server, over all connections. */
  sent: number;
  /** Connections that were made. */
  connections: number;
  /** Ends every connection that there is. */
  cut(): void;
  /** Whether new connections are refused. */
  refuses: boolean;
}

/** `cutAfter`: bytes to the server after which the connection with that index is cut; undefined: it is not. */
export async function startProxy(
  t: Test,
  target: number,
  cutAfter: (connection: number) => number | undefined = () => undefined,
): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    if (proxy.refuses) return void client.destroy();
    const index = proxy.connections++;
    const limit = cutAfter(index) ?? Number.POSITIVE_INFINITY;
    let through = 0;
    const upstream = connect(target, '127.0.0.1');
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    upstream.pipe(client);
    client.on('data', (chunk) => {
      const part = chunk.subarray(0, Math.max(0, limit - through));
      through += part.length;
      proxy.sent += part.length;
      if (!upstream.write(part)) {
        client.pause();
        upstream.once('drain', () => client.resume());
      }
      if (through >= limit) upstream.end(() => end());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const proxy: CuttingProxy = { port, sent: 0, connections: 0, cut, refuses: false };
  t.teardown(() => {
    cut();
    server.close();
  });
  return proxy;
}

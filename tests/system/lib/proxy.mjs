// A line that can fail as lines do: between a client and a TCP server, on a port of its own.
import { connect, createServer } from 'node:net';

export async function startProxy(target) {
  const proxy = new Proxy(target);
  await new Promise((done, failed) => {
    proxy.server.once('error', failed);
    proxy.server.listen(0, '127.0.0.1', done);
  });
  proxy.port = proxy.server.address().port;
  return proxy;
}

class Proxy {
  // `target`: a port of 127.0.0.1.
  constructor(target) {
    this.target = target;
    this.silent = false;
    this.pairs = new Set();
    this.server = createServer((client) => this.carry(client));
  }

  carry(client) {
    const server = connect(this.target, '127.0.0.1');
    const pair = [client, server];
    this.pairs.add(pair);
    const end = () => {
      this.pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const [from, to] of [pair, [server, client]]) {
      from.setNoDelay(true);
      from.on('data', (data) => {
        if (!this.silent) to.write(data);
      });
      from.on('error', end);
      from.on('close', () => {
        if (!this.silent) end();
      });
    }
  }

  /* Half-open: connections stay, and new ones are accepted, but nothing comes through and nothing is said. */
  drop() {
    this.silent = true;
  }

  /* Lets through again; connections that lost bytes meanwhile are cut, as a stateful line would. */
  heal() {
    this.silent = false;
    this.cut();
  }

  cut() {
    for (const pair of this.pairs) for (const socket of pair) socket.destroy();
    this.pairs.clear();
  }

  /* A failover: what was connected is cut, and who comes back finds another server. */
  moveTo(target) {
    this.target = target;
    this.cut();
  }

  async stop() {
    this.cut();
    await new Promise((done) => this.server.close(done));
  }
}

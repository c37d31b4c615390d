// The reference server as a benchmark needs it: everybody is in one room, and each line of a TCP feed is an event for it.
// No broker, no database, no judging of tokens: what Causeway does beyond that is to its own account.
import { createServer } from 'node:http';
import { createServer as createFeed } from 'node:net';
import { createInterface } from 'node:readline';
import { Server } from 'socket.io';

const LONG = 3600_000; // no pings, as Causeway is set here
const listening = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));

const http = createServer();
const io = new Server(http, { pingInterval: LONG, pingTimeout: LONG });
io.on('connection', (socket) => socket.join('bench'));

const feed = createFeed((source) => {
  createInterface({ input: source }).on('line', (line) => io.to('bench').emit('bench-tick', JSON.parse(line)));
});

// `gc`: what is garbage is not to be counted as memory of connections.
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'gc') globalThis.gc();
  console.log(JSON.stringify({ event: line, connections: io.engine.clientsCount }));
}).on('close', () => process.exit(0));

console.log(JSON.stringify({ event: 'listening', port: await listening(http), feed: await listening(feed) }));

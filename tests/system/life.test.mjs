// Life: pings go out, a connection that shows none is closed, and one that is merely slow is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { bareClient, bareSocket, connect, frame } from './lib/client.mjs';
import { ADMIN, BUYER, order, placeOrder } from './lib/orders.mjs';
import { sleep, until } from './lib/processes.mjs';

const world = await openWorld('life');
const bridge = await world.serve({ PING_INTERVAL: '1', LIFE_TIMEOUT: '2', SOCKET_SEND_BUFFER: '16KiB' });

test('pings come at their interval, and who answers them stays', async () => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(bridge, { user: BUYER })));
  await until('four pings for each', () => clients.every((client) => client.pings.length >= 4), { timeout: 10000 });
  for (const { pings } of clients) {
    const gaps = pings.slice(1, 4).map((at, i) => at - pings[i]);
    for (const gap of gaps) assert.ok(gap > 700 && gap < 1600, `${gap} ms between two pings`);
  }
  assert.ok(clients.every((client) => !client.end));
  await Promise.all(clients.map((client) => client.close()));
});

test('a client whose machine has gone is closed, and its place is free again', async () => {
  // A bare socket that neither reads nor answers: the kernel takes a few pings, so it is the missing answer that counts.
  const bare = await bareClient(bridge, { user: BUYER });
  const before = await bridge.metric('causeway_connections');
  bare.socket.pause();
  await until('its connection to be counted out', async () => (await bridge.metric('causeway_connections')) < before, { timeout: 8000 });
  assert.equal(await bridge.metric('causeway_connections_closed_total', { code: '4408' }) > 0, true);
  bare.destroy();
});

test('a client that stops reading in the middle of a stream is closed with 4408', async () => {
  const bare = await bareClient(bridge, { user: ADMIN });
  const closed = await bridge.metric('causeway_connections_closed_total', { code: '4408' });
  bare.socket.pause();
  for (let i = 0; i < 20; i++) {
    await world.publish('orders.v1', 'order.created', order({ id: i, comment: 'x'.repeat(200 << 10) }));
  }
  await until('the close', async () => (await bridge.metric('causeway_connections_closed_total', { code: '4408' })) > closed, { timeout: 10000 });
  bare.destroy();
});

test('a reader that is slow but gets on is not closed, and gets everything', async () => {
  const bare = await bareClient(bridge, { user: ADMIN });
  let received = 0;
  bare.socket.removeAllListeners('data');
  bare.socket.pause();
  // Reads 64 KiB four times a second and never answers a ping: the pings wait behind the events.
  const count = 16;
  for (let i = 0; i < count; i++) {
    await world.publish('orders.v1', 'order.created', order({ id: 100 + i, comment: 'x'.repeat(250 << 10) }));
  }
  const began = performance.now();
  const tail = [];
  while (performance.now() - began < 7000) {
    const chunk = bare.socket.read(64 << 10) ?? bare.socket.read();
    if (chunk) received += chunk.length;
    assert.ok(!bare.closed, `closed after ${performance.now() - began} ms`);
    await sleep(250);
  }
  assert.ok(received < count * (250 << 10), 'the reader was not slow enough to show anything');
  bare.socket.on('data', (chunk) => {
    received += chunk.length;
    tail.push(chunk);
    // From here on the client shows life.
    bare.write(frame(10));
  });
  bare.socket.resume();
  await until('the last event', () => Buffer.concat(tail).includes(`"id":${100 + count - 1}`), { timeout: 15000, every: 50 });
  bare.destroy();
});

test('a request that never ends is cut off', async () => {
  const bare = await bareSocket(bridge);
  bare.write('GET / HTTP/1.1\r\nHost: x\r\n');
  const drip = setInterval(() => bare.write('X: y\r\n'), 200);
  await bare.closing(12000).finally(() => clearInterval(drip));
});

test('a frame that never ends is no life', async () => {
  const bare = await bareClient(bridge, { user: BUYER });
  bare.write(frame(1, 'x'.repeat(1000)).subarray(0, 500));
  await bare.closing(10000);
});

test('events still flow to the others', async () => {
  const client = await connect(bridge, { user: ADMIN });
  await placeOrder(world, { id: 999 });
  await client.expect((m) => m.data?.id === 999);
  await client.close();
});

test('the bridge ends in good health', () => world.finish());

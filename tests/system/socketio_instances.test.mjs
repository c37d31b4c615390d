// One polling session, many connections: on two loops of one bridge each request finds its session; in front of two bridges
// the proxy of docker-compose.yml finds the bridge.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { openWorld, token } from './lib/bridge.mjs';
import { Session, request } from './lib/engineio.mjs';
import { BUYER } from './lib/orders.mjs';
import { findProgram, freePorts, root, start, stop, until } from './lib/processes.mjs';
import { seedsCatalogue } from './lib/seeds.mjs';

const world = await openWorld('socketio_instances', { catalogue: seedsCatalogue() });

/* Polls and posts, each on a connection of its own, as Node's client does it. */
async function pollsOnMany(place, rounds = 6) {
  const session = await Session.open(place, { user: BUYER });
  for (let id = 0; id < rounds; id++) {
    assert.deepEqual(await request(place, 'POST', { sid: session.sid }, { body: `42${id}["ping"]` }).then(({ status, body }) => [status, body]), [200, 'ok']);
    for (let found = false; !found;) {
      const { status, body } = await request(place, 'GET', { sid: session.sid });
      assert.equal(status, 200, body);
      found = body.includes(`43${id}[{"ok":true}]`);
    }
  }
  return session;
}

async function officialOnes(port, count) {
  const sockets = Array.from({ length: count }, (_, i) => io(`http://127.0.0.1:${port}`, {
    auth: { token: token({ sub: BUYER }) }, forceNew: true, ...(i % 2 === 0 && { transports: ['polling'] }) }));
  const got = sockets.map(() => []);
  sockets.forEach((socket, i) => socket.on('task.updated', ({ n }) => got[i].push(n)));
  await until('all to be connected', () => sockets.every((socket) => socket.connected));
  await until('the upgrades', () => sockets.every((socket, i) => i % 2 === 0 || socket.io.engine.transport.name === 'websocket'));
  for (let n = 1; n <= 20; n++) await world.publish('tasks.v1', 'task.updated', { id: 'task-1', assigneeId: BUYER, n });
  await until('the events', () => got.every((list) => list.length >= 20));
  for (const list of got) assert.deepEqual(list, Array.from({ length: 20 }, (_, i) => i + 1));
  for (const socket of sockets) socket.close();
}

test('with LOOPS=2 every request finds the loop of its session', async () => {
  const bridge = await world.serve({ LOOPS: '2' });
  const sessions = [];
  for (let i = 0; i < 12; i++) {
    if (i % 2 === 0) await request(bridge, 'GET', '', { path: '/healthz' }); // connections go to the loops in turn
    sessions.push(await pollsOnMany(bridge));
  }
  const loops = new Set(sessions.map(({ sid }) => Buffer.from(sid, 'base64url')[0]));
  assert.deepEqual([...loops].sort(), [0, 1]);
  await officialOnes(bridge.port, 12);
  for (const session of sessions) session.drop();
  await bridge.terminate();
});

const nginx = findProgram('nginx');

/* The proxy of the compose file, with other names for its neighbours. */
async function startNginx(bridges) {
  const dir = join(world.dir, 'nginx');
  mkdirSync(join(dir, 'logs'), { recursive: true });
  const [port] = await freePorts(1);
  const [first, second] = bridges.map((bridge) => `127.0.0.1:${bridge.port}`);
  const text = readFileSync(join(root, 'examples/proxy/nginx.conf'), 'utf8').replace('listen 3000', `listen 127.0.0.1:${port}`)
    .replace('bridge:3000', first).replace('bridge-2:3000', second);
  writeFileSync(join(dir, 'nginx.conf'), `daemon off;\nmaster_process off;\npid ${join(dir, 'pid')};\n${text}`);
  const child = start(nginx, ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', 'stderr'], { log: join(dir, 'log'), name: 'nginx' });
  await until('nginx to listen', async () => {
    assert.ok(!child.end, child.logText());
    return (await request({ port }, 'GET', '', { path: '/healthz' }).catch(() => ({}))).status === 200;
  });
  return { port, child };
}

test('behind the proxy of the compose file a polling session stays with one bridge', { skip: nginx ? false : 'nginx is not installed' }, async () => {
  const bridges = [await world.serve({ TRUSTED_PROXIES: '127.0.0.1' }), await world.serve({ TRUSTED_PROXIES: '127.0.0.1' })];
  const { port, child } = await startNginx(bridges);
  const places = Array.from({ length: 16 }, (_, i) => ({ port, localAddress: `127.0.0.${i + 2}` }));
  const sessions = await Promise.all(places.map((place) => pollsOnMany(place)));
  const held = await Promise.all(bridges.map((bridge) => bridge.metric('causeway_connections')));
  assert.equal(held[0] + held[1], 16);
  assert.ok(held.every((count) => count > 0), `${held}`);
  await officialOnes(port, 8);
  for (const session of sessions) session.drop();
  await stop(child);
  await Promise.all(bridges.map((bridge) => bridge.terminate()));
});

test('finish', () => world.finish());

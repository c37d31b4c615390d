// Many clients that come to nothing: they vanish, drip, stay idle. The bridge stays quiet, and all comes back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuBetween, cpuOf } from '../../bench/lib/cpu.mjs';
import { openWorld } from './lib/bridge.mjs';
import { descriptors, many, returns, sessions } from './lib/crowd.mjs';
import { Line, Session } from './lib/engineio.mjs';
import { BUYER } from './lib/orders.mjs';
import { sleep, until } from './lib/processes.mjs';
import { startProxy } from './lib/proxy.mjs';
import { seedsCatalogue } from './lib/seeds.mjs';

const world = await openWorld('socketio_robust', { catalogue: seedsCatalogue() });

/* The share of a core that the loops take for so long. */
async function loopShare(bridge, ms) {
  const before = cpuOf(bridge.pid);
  const began = performance.now();
  await sleep(ms);
  const { threads } = cpuBetween(before, cpuOf(bridge.pid));
  return threads.filter(([name]) => name.startsWith('loop')).reduce((sum, [, seconds]) => sum + seconds, 0) / ((performance.now() - began) / 1000);
}

const dripped = (async () => { // takes as long as a body may, while the other tests run
  const bridge = await world.serve();
  const session = await Session.open(bridge, { user: BUYER });
  session.posts.send('POST', { sid: session.sid }, { body: '42["pi', length: 1000 });
  const heads = new Line(bridge);
  heads.write('GET /socket.io/?EIO=4');
  const began = performance.now();
  const timer = setInterval(() => {
    for (const line of [session.posts, heads]) if (!line.closed) line.write('xx');
  }, 1000);
  await Promise.all([session.posts.closing(30000), heads.closing(30000)]);
  clearInterval(timer);
  return { bridge, session, took: performance.now() - began };
})();

test('1,000 pollers that vanish without a word cost no CPU, and their descriptors return', async () => {
  const bridge = await world.serve({ PING_INTERVAL: '10', LIFE_TIMEOUT: '13' });
  const proxy = await startProxy(bridge.port);
  const behind = { ...bridge, port: proxy.port };
  const clients = await many(1000, async () => {
    const session = await Session.open(behind, { user: BUYER });
    session.posts.end();
    session.line.send('GET', { sid: session.sid }, { headers: { Connection: 'close' } });
    return session;
  });
  assert.equal(await sessions(bridge), 1000);
  proxy.drop();
  await until('all of them to be timed out', async () => await sessions(bridge) === 0, { timeout: 30000, every: 100 });
  for (const client of clients) client.drop();
  const share = await loopShare(bridge, 2000);
  assert.ok(share < 0.02, `${(share * 100).toFixed(1)} % of a core`);
  await returns(bridge, 15000);
  await proxy.stop();
  await bridge.terminate();
});

for (const [what, go] of [['say goodbye to TCP', (line) => line.end()], ['are reset', (line) => line.reset()]]) {
  test(`1,000 held GETs that ${what} are over at once, without a busy loop`, async () => {
    const bridge = await world.serve();
    const clients = await many(1000, async () => {
      const session = await Session.open(bridge);
      session.posts.end();
      session.hold();
      return session;
    });
    await until('the descriptors of the POSTs', () => descriptors(bridge) === 1000, { every: 20 });
    const held = await loopShare(bridge, 1000);
    assert.ok(held < 0.02, `held: ${(held * 100).toFixed(1)} % of a core`);
    for (const client of clients) go(client.line);
    await returns(bridge, 5000);
    for (const client of clients) client.drop();
    await bridge.terminate();
  });
}

test('500 that probe and abandon their WebSocket go on polling, and leave nothing behind', async () => {
  const bridge = await world.serve();
  const clients = await many(500, async () => {
    const session = await Session.open(bridge, { user: BUYER });
    const wire = await session.wire();
    wire.send('2probe');
    await wire.next('3probe');
    wire.drop();
    assert.equal((await session.post('421["ping"]')).body, 'ok');
    assert.equal(await session.packet('431'), '431[{"ok":true}]');
    return session;
  });
  await Promise.all(clients.map((client) => client.post('1')));
  for (const client of clients) client.drop();
  await returns(bridge, 10000);
  await bridge.terminate();
});

test('a POST whose body drips ends with its time, and the session with it; a head that drips too', async () => {
  const { bridge, session, took } = await dripped;
  assert.ok(took > 15000 && took < 25000, `${took} ms`);
  await session.isGone();
  session.drop();
  await returns(bridge, 5000);
  await bridge.terminate();
});

test('finish', () => world.finish());

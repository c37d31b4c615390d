// Connection-state recovery with the stock client, its default options, and the other of two instances at each
// reconnect: nothing is missing, rooms on request are kept, and somebody else's secrets give nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { openWorld, token } from './lib/bridge.mjs';
import { seedsCatalogue } from './lib/seeds.mjs';
import { BUYER, OTHER_BUYER } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('socketio_recovery', { catalogue: seedsCatalogue() });

/* A client whose requests all go to one instance, until it is told another. */
class Follower {
  constructor(bridge, { user = BUYER, path = '', auth = {}, ...options } = {}) {
    this.numbers = [];
    this.cursors = [];
    this.recovered = [];
    this.others = [];
    this.auth = { token: token({ userId: user }), ...auth };
    this.socket = io(`http://127.0.0.1:${bridge.port}${path}`, {
      auth: this.auth, forceNew: true, ...options });
    this.socket.on('connect', () => this.recovered.push(this.socket.recovered ?? null));
    this.socket.on('task.updated', (...args) => {
      assert.equal(args.length, 1);
      this.numbers.push(args[0].n);
      this.onNumber?.(args[0].n);
    });
    this.socket.on('cursor', (cursor) => this.cursors.push(cursor));
    this.socket.onAny((event, data) => {
      if (!['task.updated', 'cursor'].includes(event)) this.others.push([event, data]);
    });
  }

  get connected() {
    return until('to be connected', () => this.socket.connected, { every: 5 });
  }

  turnTo(bridge) {
    this.socket.io.uri = `http://127.0.0.1:${bridge.port}`;
  }

  cut() {
    this.socket.io.engine.close();
  }

  async comeBack(bridge) {
    this.turnTo(bridge);
    const times = this.recovered.length;
    this.cut();
    await until('the reconnect', () => this.recovered.length > times, { every: 5 });
    return this.recovered.at(-1);
  }

  async have(count) {
    await until(`${count} events`, () => new Set(this.numbers).size >= count, { timeout: 15000 }).catch((error) => {
      throw new Error(`${error.message}; has ${this.numbers.length}, ${JSON.stringify(this.others.slice(-3))}`);
    });
  }
}

let next = 1;
const numbers = (count) => Array.from({ length: count }, () => next++);
const publish = (list, fields = { assigneeId: BUYER }, pad = '') => world.kafka.produce(world.topic('tasks.v1'), ...list.map((n) => ({
  partition: 0, key: 'k', value: { id: `task-${n % 7}`, n, pad, ...fields }, headers: { ce_type: 'task.updated' } })));
const sorted = (list) => [...new Set(list)].sort((a, b) => a - b);

test('a stock client that is cut recovers on the other instance, and misses nothing', async () => {
  const bridges = [await world.serve(), await world.serve()];
  const client = new Follower(bridges[0]);
  await client.connected;
  assert.deepEqual(client.recovered, [false]);
  const all = [];
  for (let round = 1; round <= 6; round++) {
    const before = numbers(5);
    await publish(before);
    all.push(...before);
    await client.have(all.length);
    const missed = numbers(5);
    client.turnTo(bridges[round % 2]);
    client.cut();
    await publish(missed);
    all.push(...missed);
    await client.have(all.length);
  }
  assert.deepEqual(sorted(client.numbers), all);
  assert.deepEqual(client.recovered, [false, ...Array(6).fill(true)]);
  client.socket.close();
  await Promise.all(bridges.map((bridge) => bridge.terminate()));
});

test('no event was received before the cut: what came meanwhile is there all the same', async () => {
  const bridges = [await world.serve(), await world.serve()];
  const client = new Follower(bridges[0]);
  await client.connected;
  await until('the first cursor', () => client.cursors.length > 0);
  client.turnTo(bridges[1]);
  client.cut();
  const missed = numbers(3);
  await publish(missed);
  await client.have(3);
  assert.deepEqual(sorted(client.numbers), missed);
  assert.equal(client.recovered.at(-1), true);
  client.socket.close();
  await Promise.all(bridges.map((bridge) => bridge.terminate()));
});

test('rooms joined on request are recovered too, and one that was left is not', async () => {
  const bridges = [await world.serve(), await world.serve()];
  const client = new Follower(bridges[0]);
  await client.connected;
  for (const taskId of ['task-1', 'task-2', 'task-3']) {
    assert.deepEqual(await client.socket.emitWithAck('subscribe.task', { taskId }), { ok: true, roomId: `task:${taskId}` });
  }
  assert.deepEqual(await client.socket.emitWithAck('unsubscribe.task', { taskId: 'task-2' }), { ok: true, roomId: 'task:task-2' });
  assert.equal(await client.comeBack(bridges[1]), true);
  const list = numbers(14);
  await publish(list, {});
  const mine = list.filter((n) => [1, 3].includes(n % 7));
  await client.have(mine.length);
  const [end] = numbers(1);
  await publish([end]);
  await client.have(mine.length + 1);
  assert.deepEqual(sorted(client.numbers), [...mine, end]);
  client.socket.close();
  await Promise.all(bridges.map((bridge) => bridge.terminate()));
});

// The client is told nothing: it finds its instance dead, waits as long as it does, and the proxy has another one for it.
for (const [transports, count] of [[['polling', 'websocket'], 9000], [['polling'], 600], [['websocket'], 9000]]) {
  test(`kill -9 in mid-replay, again and again, the other instance at each reconnect: nothing is missing (${transports.join(', ')})`, async () => {
    const bridges = [await world.serve(), await world.serve()];
    const client = new Follower(bridges[0], { transports });
    await client.connected;
    const first = numbers(1);
    await publish(first);
    await client.have(1);
    client.turnTo(bridges[1]);
    client.cut();
    const missed = numbers(count);
    let inMidReplay = 0;
    for (let i = 0; i < count; i += 1000) await publish(missed.slice(i, i + 1000), { assigneeId: BUYER }, 'x'.repeat(400));
    for (let round = 1; round <= 3 && new Set(client.numbers).size <= count; round++) {
      const [now, other] = [round % 2, (round + 1) % 2];
      const kills = client.numbers.length + 40;
      await new Promise((done) => {
        client.onNumber = (n) => {
          if (client.numbers.length < kills && n !== missed.at(-1)) return;
          client.onNumber = null;
          client.turnTo(bridges[other]);
          process.kill(bridges[now].pid, 'SIGKILL');
          done();
        };
      });
      await bridges[now].kill();
      await until('the cut', () => !client.socket.connected, { every: 5 });
      if (new Set(client.numbers).size <= count) inMidReplay++;
      bridges[now] = await world.serve();
    }
    await client.have(count + 1);
    assert.ok(inMidReplay > 0, 'all came in one piece');
    assert.deepEqual(sorted(client.numbers), [...first, ...missed]);
    assert.ok(client.recovered.slice(1).every(Boolean), `${client.recovered}`);
    client.socket.close();
    await Promise.all(bridges.map((bridge) => bridge.terminate()));
  });
}

test('a pid, an offset or rooms of somebody else give nothing that is not one\'s own', async () => {
  const bridge = await world.serve();
  const owner = new Follower(bridge, { user: BUYER });
  await owner.connected;
  assert.equal((await owner.socket.emitWithAck('subscribe.task', { taskId: 'task-1' })).ok, true);
  await until('a cursor with the room', () => owner.cursors.at(-1)?.includes('~task:task-1'));
  const stolen = { pid: owner.socket._pid, offset: owner.cursors.at(-1).replace('task-1', 'secret-1') };
  await publish(numbers(3));
  const thief = new Follower(bridge, { user: OTHER_BUYER, auth: stolen });
  await thief.connected;
  await until('the refused room', () => thief.others.some(([event, data]) => event === 'error' && data.roomId === 'task:secret-1'));
  const [end] = numbers(1);
  await publish([end], { assigneeId: OTHER_BUYER });
  await thief.have(1);
  assert.deepEqual(thief.numbers, [end]);
  for (const offset of ['nonsense', '~', '~*', `${stolen.offset.slice(0, 10)}~x`, 'A'.repeat(5000)]) {
    const fresh = new Follower(bridge, { user: OTHER_BUYER, auth: { pid: 'x', offset } });
    await fresh.connected;
    assert.equal(fresh.recovered[0], false, offset.slice(0, 20));
    assert.notEqual(fresh.socket._pid, 'x');
    fresh.socket.close();
  }
  owner.socket.close();
  thief.socket.close();
  await bridge.terminate();
});

test('auth.cursor is the same for clients without recovery', async () => {
  const bridges = [await world.serve(), await world.serve()];
  const before = new Follower(bridges[0]);
  await before.connected;
  assert.equal((await before.socket.emitWithAck('subscribe.task', { taskId: 'task-5' })).ok, true);
  await until('the cursor', () => before.cursors.at(-1)?.endsWith('~task:task-5'));
  const cursor = before.cursors.at(-1);
  before.socket.close();
  const list = numbers(7);
  await publish(list, {});
  const after = new Follower(bridges[1], { auth: { cursor } });
  await after.have(1);
  assert.deepEqual(sorted(after.numbers), list.filter((n) => n % 7 === 5));
  after.socket.close();
  await Promise.all(bridges.map((bridge) => bridge.terminate()));
});

test('finish', () => world.finish());

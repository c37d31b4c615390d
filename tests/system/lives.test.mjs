// A topic is deleted and made again, or loses its end: a gap says so, once and before anything of the new life, and then
// all of that comes, in order, to those who lived through it and to those who come back, wherever they do.
import assert from 'node:assert/strict';
import { after, afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openWorld } from './lib/bridge.mjs';
import { connect as connectClient } from './lib/client.mjs';
import { ADMIN, order } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('lives', { partitions: 1 });
const TOPIC = world.topic('orders.v1');
const LONG = 15000;
const instances = [];
const clients = [];
const serve = async () => instances[instances.push(await world.serve()) - 1];
const connect = async (...given) => clients[clients.push(await connectClient(...given)) - 1];

const eventsOf = (client) => client.messages.filter((m) => m.type === 'new-order');
const idsOf = (client) => eventsOf(client).map((m) => m.data.id);
const gapsOf = (client) => client.messages.filter((m) => m.type === 'gap').map((m) => m.data);
const cursorOf = (client) => client.messages.findLast((m) => m.cursor !== undefined).cursor;
const has = (client, id) => until(`event ${id}`, () => idsOf(client).includes(id), { timeout: LONG });
const comeBack = (bridge, cursor) => connect(bridge, { user: ADMIN, query: { cursor } });

let lastId = 0;
const nextIds = (count) => Array.from({ length: count }, () => ++lastId);

// The record of an id is always the same, its time included.
const BEGAN = Date.now() - 60_000;
const produce = (ids) => world.kafka.produce(TOPIC, ...ids.map((id) => ({
  partition: 0, timestamp: String(BEGAN + id), headers: { ce_type: 'order.created' }, value: order({ id }),
})));

async function makeAgain(ids) {
  await world.kafka.admin.deleteTopics({ topics: [TOPIC] });
  await until('the topic to be gone', async () => !(await world.kafka.admin.listTopics()).includes(TOPIC), { timeout: LONG });
  await world.kafka.createTopics([TOPIC], 1);
  if (ids.length > 0) await produce(ids);
}

const begin = () => makeAgain([]);
// Also after a story that failed amid what it does.
afterEach(async () => {
  for (const client of clients.splice(0)) client.terminate();
  await Promise.all(instances.splice(0).filter((bridge) => !bridge.child.end).map((bridge) => bridge.kill()));
});
after(() => world.finish());

// One gap, before the new life, and then all of that.
function assertNewLife(client, ids, { from, reasons = ['recreated'], old = [] }) {
  const gaps = gapsOf(client);
  assert.equal(gaps.length, 1, JSON.stringify(gaps));
  const { reason, from: said, ...gap } = gaps[0];
  assert.ok(reasons.includes(reason), reason);
  assert.deepEqual(gap, { topic: TOPIC, partition: 0 });
  assert.ok(Number(said) === from || Number(said) === from - 1, `from ${said}`); // a cursor amid a record with two events names that
  assert.deepEqual(idsOf(client), [...old, ...ids]);
  const at = client.messages.findIndex((m) => m.type === 'gap');
  assert.equal(client.messages.slice(0, at).filter((m) => m.type === 'new-order').length, old.length, 'the gap stands between the lives');
}

for (const [name, length] of [['shorter', 4], ['equal', 10], ['longer', 25]]) {
  test(`a topic that is made again with ${name === 'equal' ? 'an equal' : `a ${name}`} log, before an instance and while there is none`, async () => {
    await begin();
    const bridge = await serve();
    const live = await connect(bridge, { user: ADMIN });
    const away = await connect(bridge, { user: ADMIN });
    const ids = nextIds(10);
    await produce(ids);
    await Promise.all([has(live, ids[9]), has(away, ids[9])]);
    away.terminate();

    const again = nextIds(length);
    await makeAgain(again);
    await has(live, again.at(-1));
    assertNewLife(live, again, { from: 10, old: ids });
    const later = await serve();
    for (const instance of [bridge, later]) {
      const back = await comeBack(instance, cursorOf(away));
      await has(back, again.at(-1));
      assertNewLife(back, again, { from: 10 });
      const none = await comeBack(instance, cursorOf(back));
      await none.expect('resumed', LONG);
      // Elsewhere a cursor of the first second of a life need not be understood: then all is told again, and marked.
      if (instance === bridge) assert.deepEqual([idsOf(none), gapsOf(none)], [[], []], 'told once');
      else assert.deepEqual(eventsOf(none).filter((m) => !m.redelivered).map((m) => m.data.id), []);
      none.terminate();
      back.terminate();
    }

    // Once more, and nobody is there to see it. One client slept through both.
    await Promise.all([bridge.kill(), later.kill()]);
    const third = nextIds(length + 3);
    await makeAgain(third);
    const cold = await serve();
    const back = await comeBack(cold, cursorOf(live));
    await has(back, third.at(-1));
    assertNewLife(back, third, { from: length });
    const sleeper = await comeBack(cold, cursorOf(away));
    await has(sleeper, third.at(-1));
    assertNewLife(sleeper, third, { from: 10 });
    await cold.terminate();
  });
}

test('a log that lost its end goes on behind a record that stayed, and what comes again is marked', async () => {
  await begin();
  const bridge = await serve();
  const live = await connect(bridge, { user: ADMIN });
  const ids = nextIds(10);
  await produce(ids);
  await has(live, ids[9]);
  const cursor = cursorOf(live);
  const after = nextIds(2);
  await makeAgain([...ids.slice(0, 6), ...after]); // for a reader the same as a log that was cut behind its sixth record
  await has(live, after[1]);
  assert.deepEqual(gapsOf(live), [{ topic: TOPIC, partition: 0, from: '10', reason: 'truncated' }]);
  const at = live.messages.findIndex((m) => m.type === 'gap');
  const again = live.messages.slice(at).filter((m) => m.type === 'new-order');
  assert.deepEqual(again.filter((m) => ids.includes(m.data.id) && !m.redelivered).map((m) => m.data.id), [], 'repeats are marked');
  assert.deepEqual(again.map((m) => m.data.id).filter((id) => after.includes(id)), after);

  const later = await serve();
  for (const instance of [bridge, later]) {
    const back = await comeBack(instance, cursor);
    await has(back, after[1]);
    const [gap, ...more] = gapsOf(back);
    assert.deepEqual([['9', '10'].includes(gap.from), more], [true, []]);
    assert.ok(['truncated', 'recreated'].includes(gap.reason));
    assert.deepEqual(eventsOf(back).filter((m) => ids.includes(m.data.id) && !m.redelivered).map((m) => m.data.id), []);
    back.terminate();
  }
  await Promise.all([bridge.terminate(), later.terminate()]);
});

test('a topic that is made again without a record is told at once, and what comes then is all of it', async () => {
  await begin();
  const bridge = await serve();
  const live = await connect(bridge, { user: ADMIN });
  const ids = nextIds(4);
  await produce(ids);
  await has(live, ids[3]);
  await makeAgain([]);
  await until('the gap', () => gapsOf(live).length === 1, { timeout: LONG });
  const between = cursorOf(await connect(bridge, { user: ADMIN }));
  const again = nextIds(2);
  await produce(again);
  await has(live, again[1]);
  assertNewLife(live, again, { from: 4, old: ids });

  // Told before the new life had a name. Elsewhere that says too little, and all is told again.
  const later = await serve();
  const here = await comeBack(bridge, between);
  await has(here, again[1]);
  assert.deepEqual([idsOf(here), gapsOf(here)], [again, []]);
  const there = await comeBack(later, between);
  await has(there, again[1]);
  assert.deepEqual(idsOf(there), again);
  await Promise.all([bridge.terminate(), later.terminate()]);
});

test('a cursor beyond the end of the log is a gap, and then what follows the end', async () => {
  await begin();
  const bridge = await serve();
  const live = await connect(bridge, { user: ADMIN });
  const ids = nextIds(6);
  await produce(ids.slice(0, 5));
  await has(live, ids[4]);
  await setTimeout(1500); // all that has a checkpoint
  await produce(ids.slice(5));
  await has(live, ids[5]);
  await bridge.kill();
  await makeAgain(ids.slice(0, 5)); // for a reader the same log, without its last record
  const cold = await serve();
  const back = await comeBack(cold, cursorOf(live));
  await back.expect('resumed', LONG);
  const after = nextIds(2);
  await produce(after);
  await has(back, after[1]);
  const [gap, ...more] = gapsOf(back);
  assert.deepEqual([['5', '6'].includes(gap.from), gap.to, more], [true, undefined, []]);
  assert.ok(['truncated', 'recreated'].includes(gap.reason));
  const fresh = eventsOf(back).filter((m) => !ids.includes(m.data.id));
  assert.deepEqual(fresh.map((m) => m.data.id), after);
  assert.deepEqual(eventsOf(back).filter((m) => ids.includes(m.data.id) && !m.redelivered), []);
  await cold.terminate();
});

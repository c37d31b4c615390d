// Dead letters: one for each bad record, whatever the number of instances and however they end, and nobody waits for them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { openLetterBox } from './lib/letters.mjs';
import { ADMIN, order, placeOrder, statusUpdate } from './lib/orders.mjs';
import { sleep, until } from './lib/processes.mjs';

// So that who was killed is soon out of the group.
const QUICK = { 'kafka.session.timeout.ms': '1500', 'kafka.heartbeat.interval.ms': '300', 'kafka.transaction.timeout.ms': '2000' };
const world = await openWorld('letters');
const topic = world.topic('orders.v1');
const typed = { ce_type: 'order.created' };
const wanted = new Set();
let box;

const without = (field) => ({ ...order(), [field]: undefined });

// Produces bad records and notes where they stand.
async function spoil(...records) {
  const acknowledged = await world.kafka.produceOnce(topic, ...records);
  const next = new Map(acknowledged.map((a) => [a.partition, Number(a.baseOffset)]));
  for (const { partition } of records) {
    const offset = next.get(partition);
    next.set(partition, offset + 1);
    wanted.add(`${topic}/${partition}/${offset}`);
  }
  return acknowledged.map((a) => `${topic}/${a.partition}/${a.baseOffset}`);
}

const REASONS = [
  ['not_json', undefined, { value: '{"user_id":', headers: typed }],
  ['not_object', '', { value: '[]' }],
  ['no_type', '/type', { value: order() }],
  ['no_data', '/data', { value: { type: 'order.created' } }],
  ['invalid', '', { value: without('city_id'), headers: typed }],
  ['invalid', '/data', { value: { type: 'order.created', data: without('city_id') } }],
  ['missing_field', undefined, { value: statusUpdate(), headers: { ce_type: 'order.status-updated' } }],
  ['bad_field', undefined, { value: statusUpdate(), headers: { ce_type: 'order.status-updated', user_id: 'x'.repeat(129) } }],
  ['invalid', '/user_id', { value: { ...order(), user_id: { id: 1 } }, headers: typed }],
  ['too_large', undefined, { value: { ...order(), comment: 'x'.repeat(17 << 10) }, headers: typed }],
];

test('records that came while no instance ran get their letters when the first one starts', async () => {
  await spoil({ partition: 0, key: 'early', value: 'early', headers: typed }, { partition: 2, value: 'bird', headers: typed });
  const bridge = await world.serve({ EVENT_MAX_BYTES: '16KiB', ...QUICK });
  box = await openLetterBox(world);
  await box.judged();
  box.assertExactly(wanted);
  assert.equal(await bridge.metric('causeway_dead_letters_total', { reason: 'not_json' }), 2);
  const { dead_letters: state, ready } = await bridge.readyz();
  assert.ok(ready && state.ok, JSON.stringify(state));
});

test('a letter is the record with its coordinates, the reason and the place', async () => {
  await world.serve({ EVENT_MAX_BYTES: '16KiB', ...QUICK });
  for (const [reason, pointer, record] of REASONS) {
    const value = typeof record.value === 'string' ? record.value : JSON.stringify(record.value);
    const before = Date.now();
    const [at] = await spoil({ partition: 1, key: `key-${reason}`, ...record, value, headers: { trace: 'abc', ...record.headers } });
    const letter = await until(`the letter about ${reason}`, () => box.letters.find((l) => l.at === at), { timeout: 20000 });
    assert.equal(letter.key, `key-${reason}`);
    assert.equal(letter.value.toString(), value);
    assert.equal(letter.headers.trace, 'abc');
    assert.equal(letter.headers.ce_type, record.headers?.ce_type);
    assert.equal(letter.headers['dlq-reason'], reason);
    assert.equal(letter.headers['dlq-pointer'], pointer, reason);
    assert.ok(letter.headers['dlq-detail'].length > 10);
    assert.ok(Math.abs(Number(letter.headers['dlq-timestamp']) - before) < 10000, letter.headers['dlq-timestamp']);
  }
  await world.publish('orders.v1', 'order.archived', { any: 'thing' }); // of no concern, which is no fault
  await box.judged();
  box.assertExactly(wanted);
});

test('a letter that is sent back and is bad again has the new coordinates only', async () => {
  const old = box.letters.find((l) => l.headers['dlq-pointer'] === '/user_id');
  const [at] = await spoil({ partition: 0, key: old.key, value: 'worse', headers: old.headers });
  const letter = await until('the letter about the letter', () => box.letters.find((l) => l.at === at), { timeout: 20000 });
  assert.equal(letter.headers['dlq-reason'], 'not_json');
  assert.equal(letter.headers['dlq-pointer'], undefined);
  assert.equal(letter.headers.trace, 'abc');
});

test('of 10,000 records 100 are poison: the good ones are all delivered, the bad ones get one letter each', async () => {
  const [bridge] = world.bridges;
  const admin = await connect(bridge, { user: ADMIN });
  const before = admin.messages.length;
  for (let batch = 0; batch < 100; batch++) {
    const records = Array.from({ length: 99 }, (_, i) => ({
      partition: (batch + i) % 3, value: order({ id: batch * 100 + i + 1 }), headers: typed,
    }));
    await Promise.all([
      world.kafka.produce(topic, ...records),
      spoil({ partition: batch % 3, value: `poison ${batch}`, headers: typed }),
    ]);
  }
  const ids = () => admin.messages.slice(before).filter((m) => m.type === 'new-order').map((m) => m.data.id);
  await until('9,900 events', () => ids().length >= 9900, { timeout: 20000 });
  assert.equal(new Set(ids()).size, 9900);
  await admin.close();
  await box.judged();
  box.assertExactly(wanted);
});

test('instances that are killed again and again in the middle of it leave each letter exactly once', async () => {
  const victims = world.bridges.slice();
  let done = false;
  let count = 0;
  const producing = (async () => {
    while (!done) {
      count += 20;
      await spoil(...Array.from({ length: 20 }, (_, i) => ({ partition: i % 3, value: `spoilt ${count} ${i}`, headers: typed })));
      await sleep(5);
    }
  })();
  for (let round = 0; round < 5; round++) {
    // in the middle of writing, at another point of it each time
    const seen = box.letters.length;
    await until('letters to be written', () => box.letters.length > seen + 20, { timeout: 30000 });
    await sleep(37 * round);
    await victims.shift().kill();
    victims.push(await world.serve({ EVENT_MAX_BYTES: '16KiB', ...QUICK }, { ready: false }));
  }
  done = true;
  await producing;
  await box.judged(60000);
  box.assertExactly(wanted);
  assert.ok(count > 200, `${count} bad records`);
});

test('the bridges end in good health', async () => {
  await box.close();
  await world.finish();
});

// Letters that cannot be written wait, and nothing else does: events flow, the bridge is ready, operators see why.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { openLetterBox } from './lib/letters.mjs';
import { ADMIN, order, placeOrder } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('letters-away');
const topic = world.topic('orders.v1');
const letters = world.topic('dead-letters');
const typed = { ce_type: 'order.created' };
const wanted = new Set();
const QUICK = { 'kafka.transaction.timeout.ms': '3000', 'kafka.topic.metadata.refresh.interval.ms': '500' };
let bridge;
let admin;
let box;
let next = 1;

async function spoil(record) {
  const [{ partition, baseOffset }] = await world.kafka.produceOnce(topic, { partition: 0, headers: typed, ...record });
  wanted.add(`${topic}/${partition}/${baseOffset}`);
}

async function eventsFlow() {
  const id = next++;
  await placeOrder(world, { id });
  assert.equal((await admin.expect('new-order', 2000)).data.id, id);
}

const configure = (name, value) => world.kafka.admin.alterConfigs({
  validateOnly: false, resources: [{ type: 2, name: letters, configEntries: [{ name, value }] }],
});
const state = async () => (await bridge.readyz()).dead_letters;

test('a topic that takes no letters delays the letters only, and /readyz and /metrics say so', async () => {
  await world.kafka.createTopics([letters], 1);
  await configure('max.message.bytes', '120'); // enough for the marks of transactions, and for no letter
  bridge = await world.serve(QUICK);
  admin = await connect(bridge, { user: ADMIN });
  await spoil({ value: 'one' });
  await eventsFlow();
  await until('the failure to be told', async () => !(await state()).ok, { timeout: 20000, every: 100 });
  assert.ok((await bridge.readyz()).ready);
  assert.match((await state()).detail, /dead-letters/);
  assert.ok(await bridge.metric('causeway_dead_letter_failures_total') > 0);
  await spoil({ value: 'two', partition: 1 });
  await eventsFlow();
  await until('the lag to be measured', async () => (await bridge.metric('causeway_dead_letter_lag_records')) > 0);
  assert.equal(await bridge.metric('causeway_dead_letters_total'), 0);
});

test('as soon as it takes them they are all there, once', async () => {
  await configure('max.message.bytes', '1000000');
  box = await openLetterBox(world);
  await box.judged();
  box.assertExactly(wanted);
  await until('/readyz to say so', async () => (await state()).ok);
  await until('the lag to be gone', async () => (await bridge.metric('causeway_dead_letter_lag_records')) === 0);
});

test('a letter that is too large for the topic goes without what the record carried, and holds up nobody', async () => {
  await configure('max.message.bytes', '20000');
  const before = box.letters.length;
  await spoil({ value: `large ${'x'.repeat(30000)}`, key: 'large' });
  for (let i = 0; i < 30; i++) await spoil({ value: `small ${'x'.repeat(1000)}`, key: 'small' });
  await eventsFlow();
  await box.judged();
  box.assertExactly(wanted);
  const large = box.letters.slice(before).filter((l) => l.headers['dlq-omitted']);
  assert.equal(large.length, 1);
  assert.ok(Number(large[0].headers['dlq-omitted']) > 30000);
  assert.equal(large[0].value, null);
  assert.equal(large[0].headers['dlq-reason'], 'not_json');
  assert.equal(box.letters.filter((l) => l.key === 'small').length, 30);
});

test('a topic that is deleted is made again, and letters go on', async () => {
  await box.close();
  await world.kafka.admin.deleteTopics({ topics: [letters] });
  wanted.clear();
  await spoil({ value: 'after' });
  await eventsFlow();
  box = await openLetterBox(world);
  await box.judged();
  box.assertExactly(wanted);
});

test('the bridge ends in good health', async () => {
  await Promise.all([box.close(), admin.close()]);
  await world.finish();
});

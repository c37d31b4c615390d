// Records that cannot be delivered: skipped, counted by reason, logged once per reason, and the next one flows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { KafkaSide } from './lib/kafka.mjs';
import { ADMIN, BUYER, order, placeOrder, statusUpdate } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('records');
const bridge = await world.serve({ EVENT_MAX_BYTES: '16KiB' });
const admin = await connect(bridge, { user: ADMIN });
const topic = world.topic('orders.v1');
const REJECTED = 'causeway_kafka_records_rejected_total';
const typed = { ce_type: 'order.created' };
const withField = (field, value) => ({ ...order(), [field]: value });

const BAD = [
  ['that is not JSON', { value: 'not json', headers: typed }, 'not_json'],
  ['that ends too early', { value: '{"user_id":1,"city_id":1', headers: typed }, 'not_json'],
  ['with something after it', { value: `${JSON.stringify(order())}]`, headers: typed }, 'not_json'],
  ['that is not UTF-8', { value: Buffer.concat([Buffer.from('{"user_id":1,"city_id":1,"x":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]), headers: typed }, 'not_json'],
  ['that is empty', { value: '', headers: typed }, 'not_json'],
  ['that is an array without a type', { value: '[]' }, 'not_object'],
  ['that is a string without a type', { value: '"order"' }, 'not_object'],
  ['that is an array with a type', { value: '[]', headers: typed }, 'invalid'],
  ['with one name twice', { value: '{"user_id":1,"city_id":1,"user_id":2}', headers: typed }, 'not_json'],
  ['without a type', { value: order() }, 'no_type'],
  ['with a type that is a number', { value: { type: 5, data: order() } }, 'no_type'],
  ['with a type but no data', { value: { type: 'order.created' } }, 'no_data'],
  ['without the buyer', { value: withField('user_id', undefined), headers: typed }, 'invalid'],
  ['with a city that is null', { value: withField('city_id', null), headers: typed }, 'invalid'],
  ['without the header that names the buyer', { value: statusUpdate(), headers: { ce_type: 'order.status-updated' } }, 'missing_field'],
  ['with a buyer that is an object', { value: withField('user_id', { id: 1 }), headers: typed }, 'invalid'],
  ['with a city that is a fraction', { value: withField('city_id', 1.5), headers: typed }, 'invalid'],
  ['with a city that is true', { value: withField('city_id', true), headers: typed }, 'invalid'],
  ['with an empty buyer', { value: withField('user_id', ''), headers: typed }, 'invalid'],
  ['with a buyer of 129 bytes', { value: withField('user_id', 'x'.repeat(129)), headers: typed }, 'invalid'],
  ['with a control character in the buyer', { value: withField('user_id', 'a\nb'), headers: typed }, 'invalid'],
  ['whose header names a buyer of 129 bytes', { value: statusUpdate(), headers: { ce_type: 'order.status-updated', user_id: 'x'.repeat(129) } }, 'bad_field'],
  ['that is larger than EVENT_MAX_BYTES', { value: withField('comment', 'x'.repeat(17 << 10)), headers: typed }, 'too_large'],
];

let next = 100;

for (const [what, record, reason] of BAD) {
  test(`a record ${what} is skipped and counted as ${reason}, and the next one flows`, async () => {
    const before = await bridge.metric(REJECTED, { reason });
    await world.kafka.produce(topic, { partition: 0, ...record });
    const id = ++next;
    await placeOrder(world, { id });
    assert.equal((await admin.expect((m) => m.type !== 'pong')).data.id, id);
    assert.equal(await bridge.metric(REJECTED, { reason }), before + 1);
  });
}

test('each reason was logged once, with the coordinates of the record and not with its content', async () => {
  for (const reason of new Set(BAD.map(([, , why]) => why))) {
    const lines = bridge.log().split('\n').filter((line) => new RegExp(`\\b${reason}\\b`).test(line));
    assert.equal(lines.length, 1, `${reason}:\n${lines.join('\n')}`);
    assert.ok(lines[0].includes(topic), lines[0]);
    assert.match(lines[0], /partition=0\b/);
    assert.match(lines[0], /offset=\d+/);
  }
  assert.ok(!bridge.log().includes('not json'));
});

test('a type that the topic does not list is ignored and counted, and is no fault', async () => {
  const faults = async () => (await bridge.metric(REJECTED)) - (await ignored());
  const ignored = () => bridge.metric(REJECTED, { reason: 'ignored' });
  const before = await ignored();
  const faultsBefore = await faults();
  await world.publish('orders.v1', 'order.archived', { any: 'thing' });
  await world.publish('orders.v1', 'bonus.updated', { balance: 1 }, { key: String(ADMIN) });
  await placeOrder(world, { id: 1 });
  await admin.expect((m) => m.data?.id === 1);
  assert.equal(await faults(), faultsBefore);
  assert.equal(await ignored(), before + 2);
});

test('a tombstone and a control record without meaning do not stop the partition', async () => {
  await world.kafka.produce(topic, { partition: 0, key: '5', value: null });
  await world.kafka.produce(topic, { partition: 0, key: '5', value: null, headers: typed });
  await placeOrder(world, { id: 2 });
  await admin.expect((m) => m.data?.id === 2);
});

test('records of a transaction that was aborted reach nobody', async () => {
  const producer = world.kafka.client.producer({ transactionalId: 'records-story', maxInFlightRequests: 1, idempotent: true });
  await producer.connect();
  const send = async (id, end) => {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ partition: 0, value: JSON.stringify(order({ id })), headers: typed }] });
    await transaction[end]();
  };
  await send(3, 'abort');
  await send(4, 'commit');
  await producer.disconnect();
  const event = await admin.expect('new-order');
  assert.equal(event.data.id, 4);
});

test('every partition is read', async () => {
  for (const partition of [0, 1, 2]) {
    await placeOrder(world, { id: 10 + partition }, { partition });
    assert.equal((await admin.expect('new-order')).data.id, 10 + partition);
  }
});

test('partitions that are added later are read from their beginning', async () => {
  const quick = await world.serve({ 'kafka.topic.metadata.refresh.interval.ms': '500' });
  const client = await connect(quick, { user: ADMIN });
  await world.kafka.admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] });
  const fresh = await new KafkaSide(world.brokers).open();
  await until('the new partition to take a record', () => fresh.produce(topic, { partition: 3, value: order({ id: 20 }), headers: typed }));
  await fresh.close();
  assert.equal((await client.expect('new-order', 20000)).data.id, 20);
  await client.close();
});

test('/metrics is text that Prometheus reads, and counts what was sent', async () => {
  const counting = await world.serve();
  const [staff, buyer] = [await connect(counting, { user: ADMIN }), await connect(counting, { user: BUYER })];
  await placeOrder(world, { id: 30 });
  await Promise.all([staff.expect('new-order'), buyer.expect('order-created')]);
  const delivered = () => counting.metric('causeway_deliveries_total');
  await until('both deliveries to be counted', async () => (await delivered()) >= 2);
  assert.equal(await delivered(), 2);
  assert.equal(await counting.metric('causeway_connections'), 2);
  const answer = await counting.get('/metrics');
  assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  const typesSeen = new Map();
  for (const line of answer.body.trimEnd().split('\n')) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (type) typesSeen.set(type[1], type[2]);
    else if (!/^# HELP \S+ .+/.test(line)) {
      const sample = /^([a-z_][a-z0-9_]*)(\{[a-z_]+="(?:[^"\\]|\\.)*"(?:,[a-z_]+="(?:[^"\\]|\\.)*")*\})? (-?[0-9.e+-]+|\+Inf|NaN)$/.exec(line);
      assert.ok(sample, line);
      const family = sample[1].replace(/_(bucket|sum|count)$/, '');
      assert.ok(typesSeen.has(sample[1]) || typesSeen.get(family) === 'histogram', `${line}: no TYPE before it`);
    }
  }
  await Promise.all([staff.close(), buyer.close()]);
});

test('the bridges end in good health', async () => {
  await admin.close();
  await world.finish();
});

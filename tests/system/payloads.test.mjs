// Payloads against their schemas, per channel: off, warn, enforce; and how they come: CloudEvents in both modes, with
// their trace, and what is in a registry's format. What is rejected reaches nobody, also not somebody who comes back
// later, and the record behind it flows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN } from './lib/orders.mjs';

const payload = {
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'integer', minimum: 1 }, sent: { type: 'string', format: 'date-time' } },
};
const MODES = ['off', 'warn', 'enforce'];
const send = (mode) => ({
  action: 'send',
  channel: { $ref: '#/channels/clients' },
  messages: [{ $ref: '#/channels/clients/messages/note' }],
  'x-causeway': { from: { $ref: `#/channels/${mode}/messages/note` }, to: ['all'] },
});
const catalogue = {
  asyncapi: '3.0.0',
  info: { title: 'Notes', version: '1.0.0' },
  servers: { kafka: { host: 'localhost:9092', protocol: 'kafka' }, ws: { host: 'localhost:3000', protocol: 'ws' } },
  channels: {
    ...Object.fromEntries(MODES.map((mode) => [mode, {
      address: `${mode}.v1`,
      servers: [{ $ref: '#/servers/kafka' }],
      messages: { note: { name: 'note', payload } },
      'x-causeway': { validation: mode },
    }])),
    clients: { address: '/', servers: [{ $ref: '#/servers/ws' }], messages: { note: { name: 'note', payload: { type: 'object' } } }, 'x-causeway': { traceparent: true } },
  },
  operations: Object.fromEntries(MODES.map((mode) => [`send-${mode}`, send(mode)])),
  'x-causeway': {
    principal: { lookup: 'user' },
    lookups: { user: { sql: 'SELECT id, role FROM users WHERE id::text = $1', params: ['{token.user}'] } },
    rooms: { all: { join: 'automatic', allow: [{}] } },
  },
};

const world = await openWorld('payloads', { catalogue });
const bridge = await world.serve();
const reader = await connect(bridge, { user: ADMIN });
const rejected = () => bridge.metric('causeway_kafka_records_rejected_total', { reason: 'invalid' });
const warned = () => bridge.metric('causeway_kafka_records_warned_total', { topic: world.topic('warn.v1') });

test('a payload that keeps its schema flows in every mode', async () => {
  for (const mode of MODES) {
    await world.publish(`${mode}.v1`, 'note', { id: 1, mode });
    assert.equal((await reader.expect('note')).data.mode, mode);
  }
  assert.deepEqual([await rejected(), await warned()], [0, 0]);
});

test('off: nobody looks', async () => {
  await world.publish('off.v1', 'note', { id: 'none' });
  assert.deepEqual((await reader.expect('note')).data, { id: 'none' });
  assert.deepEqual([await rejected(), await warned()], [0, 0]);
});

test('warn: delivered, counted, and logged once with the place of the fault', async () => {
  for (const id of ['secret-1', 'secret-2']) {
    await world.publish('warn.v1', 'note', { id });
    assert.equal((await reader.expect('note')).data.id, id);
  }
  assert.deepEqual([await rejected(), await warned()], [0, 2]);
  const lines = bridge.logLines('breaks its schema');
  assert.equal(lines.length, 1);
  assert.match(lines[0], new RegExp(`topic=${world.topic('warn.v1')} partition=0 offset=1 type=note: at '/id', type: is a string`));
  assert.ok(!bridge.log().includes('secret'), 'the payload is not shown');
});

test('enforce: rejected with the place of the fault, and the next one flows', async () => {
  for (const note of [{ id: 0 }, { sent: '2024-01-15T10:30:00Z' }, { id: 2, sent: 'yesterday' }, { id: 1e400 }]) {
    await world.publish('enforce.v1', 'note', note);
  }
  await world.publish('enforce.v1', 'note', { id: 7 });
  assert.equal((await reader.expect('note')).data.id, 7);
  assert.equal(await rejected(), 4);
  const lines = bridge.logLines('reason=invalid');
  assert.equal(lines.length, 1);
  assert.match(lines[0], /offset=1: .*type note, at '\/id', minimum: is less than 1/);
});

test('what was rejected is not replayed either', async () => {
  const first = reader.messages.find((message) => message.data?.mode === 'off');
  const other = await world.serve();
  const again = await connect(other, { user: ADMIN, query: { cursor: first.cursor } });
  await again.expect('resumed');
  const ids = again.of('note').filter((m) => m.id.startsWith(world.topic('enforce.v1'))).map((m) => m.data.id);
  assert.deepEqual(ids, [1, 7]);
  await again.close();
});

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const produce = (record) => world.kafka.produce(world.topic('enforce.v1'), { partition: 0, ...record });

test('CloudEvents of both modes arrive alike, with their trace', async () => {
  await produce({ value: { id: 10 }, headers: { ce_type: 'note', ce_specversion: '1.0', 'content-type': 'application/json', traceparent: TRACE } });
  const structured = { specversion: '1.0', id: 'e-1', source: '/notes', type: 'note', time: '2024-01-15T10:30:00Z', traceparent: TRACE, data: { id: 11 } };
  await produce({ value: structured, headers: { 'content-type': 'application/cloudevents+json; charset=utf-8' } });
  await produce({ value: { type: 'note', data: { id: 12 } } });
  for (const id of [10, 11, 12]) {
    const event = await reader.expect('note');
    assert.deepEqual(event.data, { id });
    assert.equal(event.traceparent, id === 12 ? undefined : TRACE);
  }
});

test('what no JSON can be read from says which format it is in', async () => {
  const reasons = ['confluent', 'bad_cloudevent', 'no_data'];
  const counts = () => Promise.all(reasons.map((reason) => bridge.metric('causeway_kafka_records_rejected_total', { reason })));
  await produce({ value: Buffer.concat([Buffer.from([0, 0, 0, 0, 42]), Buffer.from('{"id":1}')]), headers: { ce_type: 'note' } });
  await produce({ value: '[]', headers: { 'content-type': 'application/cloudevents-batch+json' } });
  await produce({ value: { specversion: '1.0', id: 'e', source: '/n', type: 'note', data_base64: 'e30=' }, headers: { 'content-type': 'application/cloudevents+json' } });
  await produce({ value: { id: 20 }, headers: { ce_type: 'note' } });
  assert.equal((await reader.expect('note')).data.id, 20);
  assert.deepEqual(await counts(), [1, 1, 1]);
  assert.match(bridge.logLines('reason=confluent')[0], /schema id 42; publish plain JSON/);
});

test('the bridges end in good health', async () => {
  await reader.close();
  await world.finish();
});

// What /metrics says of those who come back: each number against what the story did.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN, placeOrder } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('resume-metrics');
const RESUMES = 'causeway_resumes_total';
const comeBack = async (bridge, cursor) => {
  const client = await connect(bridge, { user: ADMIN, query: { cursor } });
  await client.expect('resumed', 30000);
  return client;
};

test('resumes by result, replayed events, gaps, the hot log and the lag are counted as they were', async () => {
  const [bridge, other] = await Promise.all([world.serve(), world.serve()]);
  const before = await connect(bridge, { user: ADMIN });
  for (let id = 1; id <= 20; id++) await placeOrder(world, { id });
  await before.expect((m) => m.data?.id === 20);
  const cursor = before.messages.find((m) => m.data?.id === 10).cursor;
  const replayed = await bridge.metric('causeway_replayed_events_total');
  assert.equal(replayed, 0, 'who is live is not replayed to');

  (await comeBack(bridge, cursor)).terminate();
  (await comeBack(other, cursor)).terminate();
  (await comeBack(bridge, 'not-a-cursor')).terminate();
  assert.equal(await bridge.metric(RESUMES, { result: 'exact' }), 1);
  assert.equal(await bridge.metric(RESUMES, { result: 'lost' }), 1);
  assert.equal(await bridge.metric(RESUMES), 2);
  // A message counts like an upgrade, and so does a room that is joined with a cursor; what cannot be read is an error only.
  const open = await connect(other, { user: ADMIN });
  await open.ask({ type: 'resume', data: { cursor } }, 'resumed');
  await open.ask({ type: 'leave-room', data: { roomId: 'admin-orders' } }, 'room-left');
  await open.ask({ type: 'join-room', data: { roomId: 'admin-orders', cursor: open.welcome.cursor } }, 'room-joined');
  await open.ask({ type: 'resume', data: { cursor: 'not-a-cursor' } }, 'error');
  open.terminate();
  assert.equal(await other.metric(RESUMES, { result: 'elsewhere' }), 2);
  assert.equal(await other.metric(RESUMES, { result: 'exact' }), 1);
  assert.equal(await other.metric(RESUMES), 3);
  await until('ten events to be counted', async () => (await bridge.metric('causeway_replayed_events_total')) === 10);
  // One gap per partition in which something passed: all were on partition 0.
  assert.equal(await bridge.metric('causeway_gaps_total', { reason: 'cursor' }), 1);
  assert.equal(await bridge.metric('causeway_gaps_total'), 1);

  const bytes = await bridge.metric('causeway_hotlog_bytes');
  const sent = before.messages.filter((m) => m.cursor && m.data?.id).reduce((sum, m) => sum + m.text.length, 0);
  assert.ok(bytes > sent && bytes < 10 * sent, `${bytes} bytes of the frames that held ${sent} for one of their rooms`);
  const { body } = await bridge.get('/metrics');
  for (const partition of [0, 1, 2]) {
    const label = `causeway_kafka_lag_records{partition="${world.topic('orders.v1')}/${partition}"}`;
    await until(`${label} 0`, async () => (await bridge.get('/metrics')).body.includes(`${label} 0`));
  }
  assert.ok(!body.includes('user='), 'no person is a label');
  assert.equal(await bridge.metric('causeway_sessions_behind'), 0);
  await Promise.all([bridge.terminate(), other.terminate()]);
});

test('the bridges end in good health', () => world.finish());

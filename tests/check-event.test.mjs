// causeway check-event: a producer team's captured records, judged as a bridge would that enforces all schemas.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const program = process.env.CAUSEWAY_TEST_BINARY ?? join(root, 'build/dev/causeway');
const order = { id: 456, order_number: '1234', user_id: 123, city_id: 1, status: 'pending', total: 1500 };
const headers = { ce_type: 'order.created' };

function check(records, ...args) {
  const input = records.map((record) => (typeof record === 'string' ? record : JSON.stringify(record))).join('\n');
  const run = spawnSync(program, ['check-event', ...args, '-'], { cwd: root, input, encoding: 'utf8', timeout: 20000 });
  return { code: run.status, lines: run.stdout.trim().split('\n'), stderr: run.stderr };
}

test('good records are fine: value as JSON, as text, as kcat writes them, with the topic named once', () => {
  const end = check([
    { topic: 'orders.v1', key: '456', headers, value: order },
    { topic: 'orders.v1', headers, value: JSON.stringify(order) },
    { topic: 'orders.v1', partition: 0, offset: 7, key: '456', headers: ['x', 'y', 'ce_type', 'order.created'], payload: JSON.stringify(order) },
    '',
    { headers, value: order },
  ], '--topic', 'orders.v1');
  assert.deepEqual(end, { code: 0, lines: ['4 events, 0 would be rejected'], stderr: '' });
});

test('each fault is told with its line, its reason, and the pointer into the payload', () => {
  const end = check([
    { topic: 'orders.v1', headers, value: { ...order, total: -1 } },
    { topic: 'orders.v1', headers, value: { ...order, status: 'lost' } },
    { topic: 'nowhere.v1', headers, value: order },
    { topic: 'orders.v1', headers, value: 'not json' },
    'no record',
    { topic: 'orders.v1', headers, value: order },
  ]);
  assert.equal(end.code, 1, end.stderr);
  const expected = [/^-:1: invalid: .*at '\/total', minimum: is less than 0/, /^-:2: invalid: .*at '\/status', enum: is none of/,
    /^-:3: unknown_topic: .*nowhere\.v1/, /^-:4: not_json: /, /^-:5: no_record: /, /^6 events, 5 would be rejected$/];
  assert.equal(end.lines.length, expected.length, end.lines.join('\n'));
  expected.forEach((pattern, i) => assert.match(end.lines[i], pattern));
});

test('wrong usage and a broken catalogue have exit codes of their own', () => {
  assert.equal(check([], '--catalogue', 'no/such.yaml').code, 78);
  assert.equal(spawnSync(program, ['check-event'], { cwd: root }).status, 2);
  assert.equal(spawnSync(program, ['check-event', 'no/such/file'], { cwd: root }).status, 2);
});

// The catalogue is a good AsyncAPI document: the parser accepts it, its examples are what its schemas say, its routes
// lead from a Kafka message to rooms that exist, and the example services publish what it describes.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { DiagnosticSeverity } from '@asyncapi/parser';
import * as orders from '../../examples/orders/service.mjs';
import {
  fieldsOf, messageOf, parseDocument, plain, readCatalogue, root, roomForm, shape, validator,
} from '../../tools/catalogue.mjs';

// What the parser may complain about, and why it is right as it is.
const JUSTIFIED = {
  'asyncapi-latest-version': '3.0.0 on purpose: every tool reads it, not all read 3.1.0',
};

const catalogue = readCatalogue();
const { channels, operations, rights } = catalogue;
const messages = channels.flatMap((channel) => channel.messages
  .map(({ key, name, message }) => ({ channel, name, message, place: `${channel.key}/${key}` })));
const routed = operations.filter(({ route }) => route);
const sourcesOf = (route) => route.from.map((reference) => ({ reference, ...messageOf(catalogue, reference) }));
const channelOf = (key) => channels.find((channel) => channel.key === key);

const extensionSchema = JSON.parse(readFileSync(join(root, 'schemas/x-causeway.schema.json'), 'utf8'));
// Without a part: the object at the root of the document.
const extensionValidator = (part) => validator(part
  ? { $ref: `#/definitions/${part}`, definitions: extensionSchema.definitions } : extensionSchema);

// Why the field is not certain to be there, or null.
function missing({ path: steps, optional }, message) {
  if (steps[0] === '$key') return message.bindings?.kafka?.key ? null : 'no key is described';
  const inHeaders = steps[0] === '$headers';
  let schema = inHeaders ? message.headers : message.payload;
  for (const step of inHeaders ? [steps.slice(1).join('.')] : steps) {
    const name = step.replace(/\[\]$/, '');
    const { properties, required } = shape(schema ?? {});
    if (!properties[name]) return `${name} is described nowhere`;
    if (!optional && !required.includes(name)) return `${name} is not required`;
    schema = step.endsWith('[]') ? properties[name].items : properties[name];
  }
  return null;
}

// --- the tests

describe('the AsyncAPI document', () => {
  test('is accepted by the AsyncAPI parser, with no complaint that has no reason', async () => {
    const { diagnostics, json } = await parseDocument();
    const complaints = diagnostics.filter((d) => d.severity === DiagnosticSeverity.Error || !JUSTIFIED[d.code]);
    assert.deepEqual(complaints.map((d) => `${d.code} at ${d.path.join('/')}: ${d.message}`), []);
    assert.ok(json, 'there is a document');
    const ours = Object.fromEntries(channels.map(({ key, channel }) => [key, plain(channel)]));
    assert.deepEqual(plain(json.channels), ours, 'our tools read it as the parser does');
  });

  test('says in words what every channel, message and operation is for', () => {
    const mute = [
      ...channels.filter(({ channel }) => !channel.description).map(({ key }) => `channel ${key}`),
      ...messages.filter(({ message }) => !message.summary).map(({ place }) => `message ${place}`),
      ...operations.filter(({ description }) => !description).map(({ name }) => `operation ${name}`),
    ];
    assert.deepEqual(mute, []);
  });

  test('gives every message of a channel a name of its own', () => {
    for (const { key, messages: own } of channels) {
      const names = own.map(({ name }) => name);
      assert.deepEqual(names, [...new Set(names)], key);
    }
  });

  test('lets every message of a channel take part in some operation', () => {
    const used = new Set(operations.flatMap(({ messages: sent, replies }) => [...sent, ...replies])
      .map(({ channel, message }) => `${channel}/${message}`));
    assert.deepEqual(messages.filter(({ place }) => !used.has(place)).map(({ place }) => place), []);
  });

  test('names topics as <word>.v<version> and gives their records a key', () => {
    for (const { channel, message, place } of messages.filter(({ channel: c }) => c.kafka)) {
      assert.match(channel.address, /^[a-z]+(\.[a-z-]+)*\.v\d+$/, place);
      assert.equal(channel.channel.bindings.kafka.topic, channel.address, place);
      assert.ok(message.bindings?.kafka?.key, `${place} has a key`);
    }
  });

  test('uses no schema file that is not there, and has no schema file that it does not use', () => {
    const there = ['asyncapi', 'schemas'].flatMap((dir) => readdirSync(join(root, dir))
      .filter((name) => /\.(yaml|json)$/.test(name) && !name.endsWith('.schema.json')).map((name) => join(dir, name)));
    assert.deepEqual(there.sort(), catalogue.files.map((file) => relative(root, file)).sort());
  });
});

describe('examples', () => {
  for (const { channel, message, place } of messages) {
    test(`every example of ${place} is what its schemas say`, () => {
      assert.ok(message.examples?.length > 0, 'there is an example');
      const checkPayload = validator(message.payload);
      const checkHeaders = validator(message.headers ?? {});
      for (const example of message.examples) {
        assert.deepEqual(checkPayload(example.payload), [], `payload of ${example.name}`);
        assert.deepEqual(checkHeaders(example.headers ?? {}), [], `headers of ${example.name}`);
        if (!channel.kafka) continue;
        assert.equal(example.headers.ce_type, message.name, `type of ${example.name}`);
        assert.deepEqual(validator(message.bindings.kafka.key)(example.headers.ce_partitionkey), [], `key of ${example.name}`);
      }
    });

    test(`the schemas of ${place} refuse a message that lacks what they require`, () => {
      const [{ payload }] = message.examples;
      const check = validator(message.payload);
      for (const name of shape(message.payload).required) {
        const { [name]: _, ...rest } = payload;
        assert.notDeepEqual(check(rest), [], `without ${name}`);
      }
    });
  }
});

describe('x-causeway', () => {
  test('at the root is what its schema says', () => {
    assert.deepEqual(extensionValidator()(rights), []);
  });

  for (const { name, action, written } of operations.filter(({ written: w }) => w?.command)) {
    test(`of ${name} is what its schema says`, () => {
      assert.deepEqual(extensionValidator('command')(written), []);
      assert.equal(action, 'receive');
    });
  }

  for (const { name, action, channel, messages: sends, written, route } of routed) {
    test(`of ${name} is what its schema says`, () => {
      assert.deepEqual(extensionValidator('operation')(written), []);
      assert.equal(action, 'send');
      assert.equal(sends.length, 1);
      assert.ok(!channelOf(channel).kafka, 'it sends to clients');
    });

    test(`of ${name} starts at messages of Kafka channels`, () => {
      for (const { reference, message } of sourcesOf(route)) {
        assert.ok(message, `${JSON.stringify(reference)} exists`);
        assert.ok(channelOf(reference.channel).kafka, `${reference.message} is on a Kafka channel`);
      }
    });

    test(`of ${name} leads to rooms that are declared, by fields that are sure to be there`, () => {
      const declared = Object.keys(rights.rooms).map(roomForm);
      for (const template of [...route.to, ...route.except]) {
        assert.ok(declared.includes(roomForm(template)), `${template} is a declared room`);
        for (const { reference, message } of sourcesOf(route)) {
          for (const field of fieldsOf(template)) {
            assert.equal(missing(field, message), null, `${template} from ${reference.message}`);
          }
        }
      }
    });

    test(`of ${name} hands on the payload that it promises to clients`, () => {
      const { name: type, message: sent } = messageOf(catalogue, sends[0]);
      const member = channelOf(channel).channel['x-causeway']?.payload ?? 'data';
      const promised = validator(sent.payload.properties[member]);
      for (const { payload } of sourcesOf(route).flatMap(({ message }) => message.examples)) {
        assert.deepEqual(promised(payload), []);
      }
      assert.deepEqual(sent.payload.properties.type.const, type);
    });
  }

  test('uses only lookups that are declared, with as many parameters as their statement has', () => {
    const { principal, lookups, rooms } = rights;
    const named = [principal.lookup, ...Object.values(rooms).flatMap((room) => room.allow.map((rule) => rule.lookup))];
    assert.deepEqual(named.filter((name) => name && !lookups[name]), []);
    for (const [name, { sql, params = [] }] of Object.entries(lookups)) {
      assert.equal(new Set(sql.match(/\$\d+/g)).size, params.length, name);
    }
  });

  test('is refused by its schema when it is misspelt, and only then', () => {
    const { rooms, ...rest } = rights;
    const { written: route } = routed[0];
    const pairs = [
      [undefined, { ...rest, rooms }, { ...rest, romms: rooms }],
      ['operation', { ...route, ephemeral: true }, { ...route, ephemeral: 'yes' }],
      ['operation', { ...route, ack: 'required' }, { ...route, ack: true }],
      ['operation', { ...route, ack: 'required', ephemeral: false }, { ...route, ack: 'required', ephemeral: true }],
      ['operation', { ...route, except: ['user-{actor_id}'] }, { ...route, exept: ['user-{actor_id}'] }],
      ['operation', { ...route, to: ['user-{participants[].user_id}'] }, { ...route, to: ['city-{city_id'] }],
      ['operation', { ...route, to: ['user-{$record.user_id?}'] }, { ...route, to: ['user-{$user_id}'] }],
      ['operation', { ...route, from: [route.from] }, { ...route, from: { $ref: '#/components/messages/orderCreated' } }],
      ['room', { join: 'request', allow: [{}] }, { join: 'automaticly', allow: [{}] }],
      ['room', { allow: [{ join: 'automatic', when: { role: 'admin' } }] }, { allow: [{ wenn: { role: 'admin' } }] }],
      ['lookup', { sql: 'SELECT $1', params: ['{room.taskId}'] }, { sql: 'SELECT $1', params: ['{taskId}'] }],
      ['kafkaChannel', { tombstone: 'task.deleted' }, { tombstones: 'task.deleted' }],
      ['kafkaChannel', { validation: 'enforce' }, { validation: true }],
      ['clientChannel', { payload: 'payload' }, { payload: 'type' }],
      ['clientChannel', { traceparent: true }, { traceparent: 'yes' }],
      ['clientChannel', { dialect: 'socket.io' }, { dialect: 'socketio' }],
      ['command', { command: 'join-room', room: 'task:{task.id}' }, { command: 'join-room', room: 'task:{ids[]}' }],
      ['command', { command: 'refresh' }, { room: 'task:{id}' }],
    ];
    for (const [part, good, bad] of pairs) {
      assert.deepEqual(extensionValidator(part)(good), [], JSON.stringify(good));
      assert.notDeepEqual(extensionValidator(part)(bad), [], JSON.stringify(bad));
    }
  });
});

describe('the example order service', () => {
  const order = orders.inventOrder({ id: 4711, userId: 123, cityId: 1 });
  const records = [
    orders.orderCreated(order),
    orders.orderStatusUpdated(order, 'confirmed'),
    orders.bonusUpdated(123, 150.5, { type: 'earned', amount: 75, orderId: 4711 }),
    orders.syncSucceeded('order', 4711, 1),
    orders.syncSucceeded('product', 48),
    orders.syncFailed('order', 4711, 'Connection timeout', 1),
  ];

  for (const { topic, key, headers, value } of records) {
    test(`publishes ${headers.ce_type} (${key}) as the document describes it`, () => {
      const channel = channels.find(({ address }) => address === topic);
      const message = channel?.messages.find(({ name }) => name === headers.ce_type)?.message;
      assert.ok(message, `${topic} lists ${headers.ce_type}`);
      assert.deepEqual(validator(message.headers)(headers), []);
      assert.deepEqual(validator(message.payload)(JSON.parse(value)), []);
      assert.deepEqual(validator(message.bindings.kafka.key)(key), []);
    });
  }

  test('publishes every message that Kafka channels list', () => {
    const listed = messages.filter(({ channel }) => channel.kafka && basename(channel.file) === 'orders.yaml').map(({ name }) => name);
    assert.deepEqual([...new Set(records.map((r) => r.headers.ce_type))].sort(), listed.sort());
  });
});

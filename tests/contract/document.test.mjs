// The catalogue is a good AsyncAPI document: the parser accepts it, its examples are what its schemas say, its routes
// lead from a Kafka message to rooms that exist, and the example services publish what it describes.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DiagnosticSeverity, Parser } from '@asyncapi/parser';
import AjvModule from 'ajv';
import addFormatsModule from 'ajv-formats';
import * as orders from '../../examples/orders/service.mjs';

const Ajv = AjvModule.default ?? AjvModule;
const addFormats = addFormatsModule.default ?? addFormatsModule;
const require = createRequire(import.meta.url);
// The YAML reader that the parser itself uses: for the document as it is written, its references not yet followed.
const yaml = createRequire(require.resolve('@asyncapi/parser'))('js-yaml');

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const path = join(root, 'asyncapi/asyncapi.yaml');
const text = readFileSync(path, 'utf8');
const written = yaml.load(text);
const { document, diagnostics } = await new Parser().parse(text, { source: path });
const whole = document?.json();

// What the parser may complain about, and why it is right as it is.
const JUSTIFIED = {
  'asyncapi-latest-version': '3.0.0 on purpose: every tool reads it, not all read 3.1.0',
};

// The parser's notes and what files say about themselves would make one schema meet itself twice.
const plain = (value) => JSON.parse(JSON.stringify(value, (key, member) => (
  key.startsWith('x-parser-') || key === '$schema' || key === '$id' ? undefined : member)));

function validator(schema) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  const validate = ajv.compile(plain(schema));
  return (value) => (validate(value) ? [] : validate.errors.map((e) => `${e.instancePath || '/'} ${e.message}`));
}

const extensionSchema = JSON.parse(readFileSync(join(root, 'schemas/x-causeway.schema.json'), 'utf8'));
// Without a part: the object at the root of the document.
const extensionValidator = (part) => validator(part
  ? { $ref: `#/definitions/${part}`, definitions: extensionSchema.definitions } : extensionSchema);

const follow = (reference) => reference.split('/').slice(1)
  .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~')).reduce((node, token) => node?.[token], whole);

const channels = Object.entries(whole?.channels ?? {});
const isKafka = (channel) => channel.servers.some((server) => server.protocol === 'kafka');
const messages = channels.flatMap(([name, channel]) => Object.entries(channel.messages)
  .map(([key, message]) => ({ channel, message, place: `${name}/${key}` })));
const routed = Object.entries(written.operations).filter(([, operation]) => operation['x-causeway'])
  .map(([name, operation]) => ({ name, operation, route: operation['x-causeway'] }));
const sourcesOf = (route) => [route.from].flat().map((source) => source.$ref);

// --- templates

const fieldsOf = (template) => [...template.matchAll(/\{([^{}]+)\}/g)].map(([, field]) => ({
  path: field.replace(/\?$/, '').split('.'), optional: field.endsWith('?'),
}));

// All properties that a schema knows, with allOf taken together.
function shape(schema) {
  const parts = [schema, ...(schema.allOf ?? []).map(shape)];
  return {
    properties: Object.assign({}, ...parts.map((part) => part.properties ?? {})),
    required: parts.flatMap((part) => part.required ?? []),
  };
}

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

const roomShape = (template) => template.replaceAll(/\{[^{}]+\}/g, '{}');

// --- the tests

describe('the AsyncAPI document', () => {
  test('is accepted by the AsyncAPI parser, with no complaint that has no reason', () => {
    const complaints = diagnostics.filter((d) => d.severity === DiagnosticSeverity.Error || !JUSTIFIED[d.code]);
    assert.deepEqual(complaints.map((d) => `${d.code} at ${d.path.join('/')}: ${d.message}`), []);
    assert.ok(document, 'there is a document');
  });

  test('says in words what every channel, message and operation is for', () => {
    const mute = [
      ...channels.filter(([, channel]) => !channel.description).map(([name]) => `channel ${name}`),
      ...messages.filter(({ message }) => !message.summary).map(({ place }) => `message ${place}`),
      ...Object.entries(whole.operations).filter(([, op]) => !op.description).map(([name]) => `operation ${name}`),
    ];
    assert.deepEqual(mute, []);
  });

  test('gives every message of a channel a name of its own', () => {
    for (const [channelName, channel] of channels) {
      const names = Object.values(channel.messages).map((message) => message.name);
      assert.deepEqual(names, [...new Set(names)], channelName);
    }
  });

  test('lets every message of a channel take part in some operation', () => {
    const used = new Set(Object.values(written.operations)
      .flatMap((operation) => [...operation.messages, ...(operation.reply?.messages ?? [])]).map(({ $ref }) => follow($ref)));
    assert.deepEqual(messages.filter(({ message }) => !used.has(message)).map(({ place }) => place), []);
  });

  test('names topics as <word>.v<version> and gives their records a key', () => {
    for (const { channel, message, place } of messages.filter(({ channel: c }) => isKafka(c))) {
      assert.match(channel.address, /^[a-z]+(\.[a-z-]+)*\.v\d+$/, place);
      assert.equal(channel.bindings.kafka.topic, channel.address, place);
      assert.ok(message.bindings?.kafka?.key, `${place} has a key`);
    }
  });

  test('uses no schema file that is not there, and has no schema file that it does not use', () => {
    const dir = join(root, 'schemas');
    const there = readdirSync(dir).filter((name) => name.endsWith('.json') && !name.endsWith('.schema.json'));
    const used = new Set([...text.matchAll(/\.\.\/schemas\/([\w.-]+)/g)].map(([, name]) => name));
    for (const name of used) {
      const nested = readFileSync(join(dir, name), 'utf8').matchAll(/"\$ref": "([\w.-]+\.json)"/g);
      for (const [, inner] of nested) used.add(inner);
    }
    assert.deepEqual(there.sort(), [...used].sort());
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
        if (!isKafka(channel)) continue;
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
    assert.deepEqual(extensionValidator()(written['x-causeway']), []);
  });

  for (const { name, operation, route } of routed) {
    test(`of ${name} is what its schema says`, () => {
      assert.deepEqual(extensionValidator('operation')(route), []);
      assert.equal(operation.action, 'send');
      assert.equal(operation.messages.length, 1);
      assert.ok(!isKafka(follow(operation.channel.$ref)), 'it sends to clients');
    });

    test(`of ${name} starts at messages of Kafka channels`, () => {
      for (const reference of sourcesOf(route)) {
        const source = follow(reference);
        assert.ok(source, `${reference} exists`);
        const owner = follow(reference.split('/').slice(0, 3).join('/'));
        assert.ok(isKafka(owner), `${reference} is on a Kafka channel`);
      }
    });

    test(`of ${name} leads to rooms that are declared, by fields that are sure to be there`, () => {
      const declared = Object.keys(written['x-causeway'].rooms).map(roomShape);
      for (const template of [...route.to, ...(route.except ?? [])]) {
        assert.ok(declared.includes(roomShape(template)), `${template} is a declared room`);
        for (const reference of sourcesOf(route)) {
          for (const field of fieldsOf(template)) {
            assert.equal(missing(field, follow(reference)), null, `${template} from ${reference}`);
          }
        }
      }
    });

    test(`of ${name} hands on the payload that it promises to clients`, () => {
      const [sent] = operation.messages.map(({ $ref }) => follow($ref));
      const promised = validator(sent.payload.properties.data);
      for (const { payload } of sourcesOf(route).flatMap((reference) => follow(reference).examples)) {
        assert.deepEqual(promised(payload), []);
      }
      assert.deepEqual(sent.payload.properties.type.const, sent.name);
    });
  }

  test('uses only lookups that are declared, with as many parameters as their statement has', () => {
    const { principal, lookups, rooms } = written['x-causeway'];
    const named = [principal.lookup, ...Object.values(rooms).flatMap((room) => room.allow.map((rule) => rule.lookup))];
    assert.deepEqual(named.filter((name) => name && !lookups[name]), []);
    for (const [name, { sql, params = [] }] of Object.entries(lookups)) {
      assert.equal(new Set(sql.match(/\$\d+/g)).size, params.length, name);
    }
  });

  test('is refused by its schema when it is misspelt, and only then', () => {
    const { rooms, ...rest } = written['x-causeway'];
    const { route } = routed[0];
    const pairs = [
      [undefined, { ...rest, rooms }, { ...rest, romms: rooms }],
      ['operation', { ...route, ephemeral: true }, { ...route, ephemeral: 'yes' }],
      ['operation', { ...route, except: ['user-{actor_id}'] }, { ...route, exept: ['user-{actor_id}'] }],
      ['operation', { ...route, to: ['user-{participants[].user_id}'] }, { ...route, to: ['city-{city_id'] }],
      ['operation', { ...route, to: ['user-{$record.user_id?}'] }, { ...route, to: ['user-{$user_id}'] }],
      ['operation', { ...route, from: [route.from] }, { ...route, from: { $ref: '#/components/messages/orderCreated' } }],
      ['room', { join: 'request', allow: [{}] }, { join: 'automaticly', allow: [{}] }],
      ['room', { allow: [{ join: 'automatic', when: { role: 'admin' } }] }, { allow: [{ wenn: { role: 'admin' } }] }],
      ['lookup', { sql: 'SELECT $1', params: ['{room.taskId}'] }, { sql: 'SELECT $1', params: ['{taskId}'] }],
      ['kafkaChannel', { tombstone: 'task.deleted' }, { tombstones: 'task.deleted' }],
      ['clientChannel', { payload: 'payload' }, { payload: 'type' }],
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
      const channel = channels.map(([, c]) => c).find((c) => c.address === topic);
      const message = Object.values(channel?.messages ?? {}).find((m) => m.name === headers.ce_type);
      assert.ok(message, `${topic} lists ${headers.ce_type}`);
      assert.deepEqual(validator(message.headers)(headers), []);
      assert.deepEqual(validator(message.payload)(JSON.parse(value)), []);
      assert.deepEqual(validator(message.bindings.kafka.key)(key), []);
    });
  }

  test('publishes every message that Kafka channels list', () => {
    const listed = messages.filter(({ channel }) => isKafka(channel)).map(({ message }) => message.name);
    assert.deepEqual([...new Set(records.map((r) => r.headers.ce_type))].sort(), listed.sort());
  });
});

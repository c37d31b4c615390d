#!/usr/bin/env node
// A stand-in for `causeway serve` that keeps all it has read in memory and whose cursors are vectors of offsets: exact on any
// instance, as long as no topic is made again. With it, the harness can be tried without the program:
//   CAUSEWAY_TEST_BINARY=tests/chaos/model-server.mjs ./dev chaos --only kill,term,stop,second,third,broker,partitions
// MODEL_FAULT=drop|unmarked|skip|swap makes it a bad one, for the harness to find out.
import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import { WebSocketServer } from 'ws';
import { hashOf } from './history.mjs';

const TOPIC = 'notes';
const fault = process.env.MODEL_FAULT ?? '';
const log = []; // {partition, offset, rooms, head, payload}
const next = []; // per partition
const sessions = new Set();
const database = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
database.on('error', () => {});
let ready = false;
let sequence = 0;

const encode = (vector) => `m${vector.map((offset) => offset.toString(36)).join('.')}`;
const decode = (cursor) => cursor.slice(1).split('.').map((text) => parseInt(text, 36));

async function readKafka() {
  const kafka = new Kafka({ brokers: process.env.KAFKA_BROKERS.split(','), logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 1e6 } });
  const admin = kafka.admin();
  await admin.connect();
  const ends = new Map((await admin.fetchTopicOffsets(TOPIC)).map(({ partition, high }) => [partition, Number(high)]));
  await admin.disconnect();
  const consumer = kafka.consumer({ groupId: `model-${process.pid}-${Date.now()}`, maxWaitTimeInMs: 5, metadataMaxAge: 500, sessionTimeout: 60_000 });
  await consumer.connect();
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const message of batch.messages) append(batch.partition, Number(message.offset), message);
      ready ||= [...ends].every(([partition, end]) => (next[partition] ?? 0) >= end);
    },
  });
  ready ||= [...ends.values()].every((end) => end === 0);
}

function append(partition, offset, { value, timestamp }) {
  for (let p = next.length; p <= partition; p++) next[p] = 0;
  if (offset < next[partition]) return;
  next[partition] = offset + 1;
  const { groups, board } = JSON.parse(value);
  const rooms = [...groups.map((id) => `group-${id}`), ...(board ? [`board:${board}`] : [])];
  const id = `${TOPIC}:${partition}:${offset}:${hashOf(Buffer.from(timestamp + offset)).toString(16).padStart(8, '0')}`;
  const entry = { partition, offset, rooms, head: `{"type":"note","id":"${id}","time":"${new Date(Number(timestamp)).toISOString()}","data":${value}`, after: null };
  entry.after = encode(next);
  log.push(entry);
  sequence++;
  if (fault === 'drop' && sequence % 997 === 0) return;
  for (const session of sessions) if (rooms.some((room) => session.rooms.has(room))) session.socket.send(`${entry.head},"cursor":"${entry.after}"}`);
}

// What lies behind the cursor, for these rooms.
function replay(socket, cursor, rooms, mark) {
  const vector = decode(cursor);
  const skip = fault === 'skip' && Math.random() < 0.2 ? 1 : 0;
  let left = skip;
  for (const entry of log) {
    if (entry.offset < (vector[entry.partition] ?? 0) || !entry.rooms.some((room) => rooms.has(room))) continue;
    if (left-- > 0) continue;
    socket.send(`${entry.head}${fault === 'unmarked' ? '' : mark}}`);
  }
}

async function attach(socket, url) {
  const claims = JSON.parse(Buffer.from(url.searchParams.get('token').split('.')[1], 'base64url'));
  const { rows } = await database.query('SELECT group_id FROM group_members WHERE user_id = $1', [claims.sub]);
  const session = { socket, rooms: new Set(rows.map(({ group_id: id }) => `group-${id}`)) };
  const cursor = url.searchParams.get('cursor');
  for (const room of (url.searchParams.get('rooms') ?? '').split(',').filter(Boolean)) session.rooms.add(room);
  const send = (message) => socket.send(JSON.stringify(message));
  send({ type: 'connected', data: { userId: claims.sub, role: 'member' }, cursor: cursor ?? encode(next) });
  if (cursor) {
    replay(socket, cursor, session.rooms, ',"redelivered":true');
    send({ type: 'resumed', data: {}, cursor: encode(next) });
  }
  sessions.add(session);
  const timer = setInterval(() => send({ type: 'cursor', cursor: encode(next) }), 1000);
  socket.on('close', () => {
    clearInterval(timer);
    sessions.delete(session);
  });
  return (message) => {
    const { roomId, cursor: since, rooms = [] } = message.data;
    if (message.type === 'join-room') {
      if (since) replay(socket, since, new Set([roomId]), ',"backfill":true');
      session.rooms.add(roomId);
      send({ type: 'room-joined', data: { roomId } });
    } else if (message.type === 'resume') {
      for (const room of rooms) session.rooms.add(room);
      replay(socket, since, session.rooms, ',"backfill":true');
      send({ type: 'resumed', data: {} });
    }
  };
}

const server = createServer((request, response) => {
  response.statusCode = request.url === '/readyz' && !ready ? 503 : 200;
  response.end('{}');
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket, request) => {
  socket.on('error', () => {});
  if (!ready) {
    socket.close(1013);
    return;
  }
  const attached = attach(socket, new URL(request.url, 'ws://model')).catch(() => socket.close(1013));
  socket.on('message', async (data) => (await attached)?.(JSON.parse(data)));
});
server.listen(0, '127.0.0.1', () => {
  writeFileSync(`${process.env.PORT_FILE}.new`, String(server.address().port));
  renameSync(`${process.env.PORT_FILE}.new`, process.env.PORT_FILE);
});
process.on('SIGTERM', () => {
  for (const socket of sockets.clients) socket.close(1012, 'restart: reconnect after 100 ms');
  setTimeout(() => process.exit(0), 300);
});
readKafka().catch((error) => {
  console.error(error);
  process.exit(1);
});

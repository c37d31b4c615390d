// What resuming is for: a client that is cut, and a bridge that is killed, while orders go on. The client is all that a
// client needs to be: it keeps the last cursor and the ids it has seen.
import WebSocket from 'ws';
import { until } from '../../tests/system/lib/processes.mjs';
import { inventOrder, orderCreated } from '../orders/service.mjs';

const BEFORE = 3;
const WHILE_CUT = 5;
const AROUND_KILL = 40;

class Follower {
  constructor(url) {
    this.url = url;
    this.ids = new Map(); // id -> order
    this.repeats = 0;
    this.unmarked = 0;
  }

  async connect() {
    const resumed = this.cursor ? `&cursor=${this.cursor}` : '';
    await until('the bridge to let the client in', () => new Promise((done) => {
      const socket = new WebSocket(this.url + resumed);
      socket.on('message', (bytes) => this.take(JSON.parse(bytes.toString()), socket, done));
      socket.on('error', () => done(false));
      socket.on('close', () => done(false));
    }), { timeout: 30000 });
  }

  take(message, socket, connected) {
    if (message.cursor) this.cursor = message.cursor;
    if (message.type === 'connected') {
      this.socket = socket;
      connected(true);
    }
    if (message.type !== 'new-order') return;
    if (this.ids.has(message.id)) {
      this.repeats += 1;
      this.unmarked += message.redelivered ? 0 : 1;
    }
    this.ids.set(message.id, message.data.id);
  }

  cut() {
    this.socket.terminate();
  }

  missing(orders) {
    const got = new Set(this.ids.values());
    return orders.filter((order) => !got.has(order.id));
  }

  async judge(title, orders, detail) {
    await until('the orders', () => this.missing(orders).length === 0, { timeout: 15000 }).catch(() => {});
    const lost = this.missing(orders).length;
    const text = `${orders.length - lost} of ${orders.length} received, ${this.repeats} repeats, ${this.unmarked} of them not marked`;
    return { ok: lost === 0 && this.unmarked === 0, text: `${title}: ${detail}: ${text}` };
  }
}

export async function comeBack(stage, service, { user, firstId }) {
  const buyer = 123;
  let next = firstId;
  const orders = (count) => Array.from({ length: count }, () => inventOrder({ id: next++, userId: buyer, cityId: 1 }));
  const publish = async (list) => { for (const order of list) await service.publish(orderCreated(order)); };
  const client = new Follower(stage.url(stage.token(user)));
  const verdicts = [];

  await client.connect();
  const before = orders(BEFORE);
  await publish(before);
  verdicts.push(await client.judge('live', before, `${BEFORE} orders`));

  client.cut();
  const meanwhile = orders(WHILE_CUT);
  await publish(meanwhile);
  await client.connect();
  verdicts.push(await client.judge('the client is cut', meanwhile, `${WHILE_CUT} orders meanwhile`));

  const around = orders(AROUND_KILL);
  const published = publish(around);
  await stage.killBridge();
  await published;
  await stage.openBridge();
  await client.connect();
  verdicts.push(await client.judge('the bridge is killed with -9', around, `${AROUND_KILL} orders before, during and after`));
  client.cut();
  return verdicts;
}

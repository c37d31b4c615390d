// An example order service: what a team publishes, and nothing about who gets it. Records are CloudEvents in Kafka's
// binary mode, as asyncapi/asyncapi.yaml describes them.
//
//   KAFKA_BROKERS=localhost:9092 node examples/orders/service.mjs [--every MILLISECONDS] [--count ORDERS]
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { Kafka, Partitioners, logLevel } from 'kafkajs';

export const TOPICS = { orders: 'orders.v1', bonuses: 'bonuses.v1', sync: 'sync.v1' };

// --- records: {topic, key, headers, value}; the value is the payload, its bytes are what clients get -----------------

function record(topic, key, type, source, payload, audience = {}) {
  const headers = {
    ce_specversion: '1.0',
    ce_id: randomUUID(),
    ce_source: `/services/${source}`,
    ce_type: type,
    ce_time: new Date().toISOString(),
    ce_partitionkey: key,
    'content-type': 'application/json',
  };
  for (const [name, id] of Object.entries(audience)) {
    if (id !== undefined && id !== null) headers[name] = String(id);
  }
  return { topic, key, headers, value: JSON.stringify(payload) };
}

const now = () => new Date().toISOString();

// The payload names buyer and city itself.
export const orderCreated = (order) => record(TOPICS.orders, String(order.id), 'order.created', 'orders', order);

// The payload names neither, so the headers do.
export const orderStatusUpdated = (order, newStatus) => record(
  TOPICS.orders, String(order.id), 'order.status-updated', 'orders',
  { orderId: order.id, newStatus, oldStatus: order.status, timestamp: now() },
  { user_id: order.user_id, city_id: order.city_id },
);

// The key says whose balance it is.
export const bonusUpdated = (userId, balance, operation) => record(
  TOPICS.bonuses, String(userId), 'bonus.updated', 'bonuses', { balance, operation, timestamp: now() },
);

export const syncSucceeded = (entity, entityId, cityId) => record(
  TOPICS.sync, `${entity}:${entityId}`, 'sync.succeeded', 'sync', { entity, entityId, timestamp: now() },
  { city_id: cityId },
);

export const syncFailed = (entity, entityId, error, cityId) => record(
  TOPICS.sync, `${entity}:${entityId}`, 'sync.failed', 'sync', { entity, entityId, error, timestamp: now() },
  { city_id: cityId },
);

// --- orders that look real -------------------------------------------------------------------------------------------

const MENU = [
  { product_id: 12, name: 'Margherita', price: 620 },
  { product_id: 31, name: 'Beef goulash', price: 550 },
  { product_id: 48, name: 'Crème brûlée', price: 400 },
  { product_id: 77, name: 'Lemonade', price: 190 },
  { product_id: 83, name: 'Caesar salad', price: 479.5 },
];
const STREETS = ['Riverside Lane', 'Mill Street', 'Station Road', 'Old Harbour'];
const STEPS = ['pending', 'confirmed', 'preparing', 'ready', 'delivering', 'delivered'];

const dice = (sides) => Math.floor(Math.random() * sides);

export function inventOrder({ id, userId, cityId }) {
  const first = dice(MENU.length);
  const items = Array.from({ length: 1 + dice(3) }, (_, i) => {
    const dish = MENU[(first + i) % MENU.length];
    return { product_id: dish.product_id, name: dish.name, quantity: 1 + dice(2), price: dish.price };
  });
  const total = items.reduce((sum, item) => sum + item.quantity * item.price, 0);
  const pickup = dice(4) === 0;
  return {
    id,
    order_number: String(id % 10000).padStart(4, '0'),
    user_id: userId,
    city_id: cityId,
    status: 'pending',
    total,
    bonuses_earned: Math.floor(total / 20),
    bonuses_used: 0,
    delivery_type: pickup ? 'pickup' : 'delivery',
    delivery_address: pickup ? null : `${1 + dice(90)} ${STREETS[dice(STREETS.length)]}`,
    payment_method: ['card', 'cash', 'online'][dice(3)],
    items,
    created_at: now(),
  };
}

// --- the service -----------------------------------------------------------------------------------------------------

export class OrderService {
  constructor({ brokers }) {
    const kafka = new Kafka({
      clientId: 'example-orders',
      brokers: brokers.split(','),
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 20 },
    });
    this.producer = kafka.producer({
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner, // the Java client's choice: services agree on partitions
    });
    this.balances = new Map();
  }

  async open() {
    await this.producer.connect();
    return this;
  }

  // Resolves once Kafka has it. `partition` overrides the choice by key.
  async publish({ topic, ...message }, { partition } = {}) {
    const [report] = await this.producer.send({ topic, acks: -1, messages: [{ ...message, partition }] });
    return { topic, partition: report.partition, offset: report.baseOffset };
  }

  async placeOrder(order) {
    await this.publish(orderCreated(order));
    const synced = dice(5) > 0
      ? syncSucceeded('order', order.id, order.city_id)
      : syncFailed('order', order.id, 'Connection timeout', order.city_id);
    await this.publish(synced);
  }

  // One step on; false when there is none left.
  async advance(order) {
    const next = STEPS[STEPS.indexOf(order.status) + 1];
    if (!next) return false;
    await this.publish(orderStatusUpdated(order, next));
    order.status = next;
    if (next === 'delivered' && order.bonuses_earned > 0) {
      const balance = (this.balances.get(order.user_id) ?? 0) + order.bonuses_earned;
      this.balances.set(order.user_id, balance);
      await this.publish(bonusUpdated(order.user_id, balance,
        { type: 'earned', amount: order.bonuses_earned, orderId: order.id }));
    }
    return next !== 'delivered';
  }

  async close() {
    await this.producer.disconnect();
  }
}

async function main(args) {
  const option = (name, fallback) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : fallback);
  const every = option('--every', 2000);
  const count = option('--count', Infinity);
  const service = await new OrderService({ brokers: process.env.KAFKA_BROKERS ?? 'localhost:9092' }).open();
  let stopped = false;
  let wake = () => {};
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      stopped = true;
      wake();
    });
  }

  let open = [];
  let placed = 0;
  const firstId = Math.floor(Date.now() / 1000); // above those of an earlier run
  const buyers = [123, 124];
  const cities = [1, 2, 3];
  while (!stopped && (placed < count || open.length > 0)) {
    const going = [];
    for (const order of open) {
      if (await service.advance(order)) going.push(order);
      console.log(`order ${order.id}: ${order.status}`);
    }
    open = going;
    if (placed < count) {
      const order = inventOrder({
        id: firstId + placed, userId: buyers[placed % buyers.length], cityId: cities[placed % cities.length],
      });
      await service.placeOrder(order);
      console.log(`order ${order.id}: placed by ${order.user_id} in city ${order.city_id}, total ${order.total}`);
      open.push(order);
      placed += 1;
    }
    await new Promise((done) => {
      const timer = setTimeout(done, stopped ? 0 : every);
      wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }
  await service.close();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(process.argv.slice(2));
}

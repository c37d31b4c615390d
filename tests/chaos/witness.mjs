// The ground truth: reads the topic by itself, from Kafka, life by life, before anything is taken from it.
import { until } from '../system/lib/processes.mjs';
import { hashOf, NONE } from './history.mjs';

export class Witness {
  constructor({ kafka, admin, topic, truth }) {
    Object.assign(this, { kafka, admin, topic, truth, life: 0, next: new Map(), readings: 0 });
  }

  /* Reads what has come since the last reading. */
  async read() {
    const ends = await this.ends();
    const open = new Map(ends.filter(({ partition, high }) => high > (this.next.get(partition) ?? 0)).map(({ partition, high }) => [partition, high]));
    for (const { partition, low } of ends) {
      const next = this.next.get(partition) ?? 0;
      if (low > next) throw new Error(`the records of ${this.topic}:${partition} from ${next} to ${low} went unseen`);
    }
    if (open.size === 0) return;
    const consumer = this.kafka.consumer({ groupId: `witness-${process.pid}-${++this.readings}`, maxWaitTimeInMs: 50, sessionTimeout: 30000 });
    await consumer.connect();
    await consumer.subscribe({ topic: this.topic, fromBeginning: true });
    let failed;
    const finished = new Promise((done, broken) => {
      failed = broken;
      consumer.on(consumer.events.CRASH, ({ payload }) => { if (!payload.restart) broken(payload.error); });
      consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          this.take(batch, open.get(batch.partition));
          if (open.has(batch.partition) && Number(batch.lastOffset()) + 1 >= open.get(batch.partition)) open.delete(batch.partition);
          if (open.size === 0) done();
        },
      }).catch(broken);
    });
    for (const partition of open.keys()) consumer.seek({ topic: this.topic, partition, offset: String(this.next.get(partition) ?? 0) });
    const timer = setTimeout(() => failed(new Error(`reading ${this.topic} took too long; left ${JSON.stringify([...open])}`)), 120_000);
    await finished.finally(() => clearTimeout(timer));
    await consumer.disconnect();
  }

  // A broker that is busy or just back does not lead its partitions at once.
  async ends() {
    const answer = await until('the ends of the partitions', () => this.admin.fetchTopicOffsets(this.topic), { timeout: 60_000, every: 200 });
    return answer.map(({ partition, low, high }) => ({ partition, low: Number(low), high: Number(high) }));
  }

  take({ partition, messages }, end) {
    if (end === undefined) return;
    let next = this.next.get(partition) ?? 0;
    for (const { offset, value } of messages) {
      const at = Number(offset);
      if (at < next) continue;
      this.truth.add(partition, this.life, at, numberOf(value), hashOf(value));
      next = at + 1;
    }
    this.next.set(partition, next);
  }

  /* How long each partition is, after a reading. */
  lengths(partitions) {
    return Array.from({ length: partitions }, (_, partition) => this.next.get(partition) ?? 0);
  }

  newLife() {
    this.life++;
    this.next.clear();
  }
}

// Of {"n":123,...
function numberOf(value) {
  const found = /^\{"n":(\d+)/.exec(value.subarray(0, 20).toString('latin1'));
  return found ? Number(found[1]) : NONE;
}

// What goes wrong in a run, one thing at a time, each written down with its time and undone again.
import { NONE } from './history.mjs';
import { sleep, until } from '../system/lib/processes.mjs';
import { TOPIC } from './stage.mjs';

const PARTITIONS_MAX = 12;
const NEW_PARTITION_PATIENCE = 10_000;

export class Nemesis {
  /* crew: what can be told to the processes full of clients: order(message). */
  constructor({ stage, producer, witness, truth, clock, rng, crew, say }) {
    Object.assign(this, { stage, producer, witness, truth, clock, rng, crew, say });
    this.lives = new Map();
    this.heals = [];
    this.born = [];
    this.counts = {};
  }

  /* One fault and its healing. */
  async strike(name) {
    const last = this.heals.at(-1);
    if (last) last.until = this.clock.ticks();
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    this.say(name);
    await FAULTS[name].call(this);
    this.heals.push({ time: this.clock.ticks(), until: NONE, strict: false });
  }

  /* Everything is well now, and stays so. */
  healed() {
    const last = this.heals.at(-1);
    const time = this.clock.ticks();
    if (last) last.until = time;
    this.heals.push({ time, until: NONE, strict: true });
  }

  any() {
    return this.rng.pick(this.stage.up()).number;
  }

  async restart(how, pause) {
    const number = this.any();
    await this.stage.endInstance(number, how);
    await sleep(pause);
    await this.stage.startInstance(number);
  }

  async endAll(how) {
    const numbers = this.stage.up().map(({ number }) => number);
    await Promise.all(numbers.map((number) => this.stage.endInstance(number, how)));
    return numbers;
  }

  async startAll(numbers) {
    for (const number of numbers) await this.stage.startInstance(number);
  }

  async toggle(number) {
    if (this.stage.instances[number]?.open) {
      await this.stage.endInstance(number, this.rng.chance(0.5) ? 'kill' : 'terminate');
    } else {
      await this.stage.startInstance(number);
    }
  }

  // Some clients are away while `during` goes on, so that they come back with cursors from before.
  async whileSomeAreAway(during) {
    this.crew.order({ order: 'leave', share: 0.5 });
    await sleep(this.rng.between(500, 1500));
    await during();
    this.crew.order({ order: 'comeBack' });
  }

  // With `cold`, no instance lives through it.
  async recreate(lengthOf) {
    const { stage, producer, witness, truth, clock } = this;
    const cold = this.rng.chance(0.5);
    await this.whileSomeAreAway(async () => {
      await producer.hold();
      await witness.read();
      const lengths = witness.lengths(producer.partitions);
      const ended = cold ? await this.endAll('kill') : [];
      const time = clock.ticks();
      for (let part = 0; part < producer.partitions; part++) {
        truth.remove(part, witness.life, NONE, time);
        this.lives.set(part, [...(this.lives.get(part) ?? []), time]);
      }
      await this.makeAgain();
      witness.newLife();
      producer.life++;
      const counts = lengths.map(lengthOf);
      this.say(`  ${cold ? 'with no instance up, ' : ''}${lengths.join(' ')} records, then ${counts.join(' ')}`);
      const early = this.rng.chance(0.5);
      if (early) await this.startAll(ended);
      await producer.burst(counts);
      if (!early) await this.startAll(ended);
      producer.release();
    });
    await sleep(2000);
  }

  async makeAgain() {
    const { side } = this.stage;
    await side.admin.deleteTopics({ topics: [TOPIC] });
    await until('the topic to be gone', async () => !(await side.admin.listTopics()).includes(TOPIC), { timeout: 20_000, every: 50 });
    await side.createTopics([TOPIC], this.producer.partitions);
  }
}

export const FAULTS = {
  async kill() {
    await this.restart('kill', this.rng.between(0, 2000));
  },

  async term() {
    await this.restart('terminate', this.rng.between(0, 500));
  },

  async stop() {
    const { pid } = this.rng.pick(this.stage.up()).bridge;
    process.kill(pid, 'SIGSTOP');
    await sleep(this.rng.between(1000, 6000));
    process.kill(pid, 'SIGCONT');
  },

  // A few catalogues, one after the other, which mean the same.
  async reload() {
    for (let i = this.rng.between(1, 4); i > 0; i--) {
      this.stage.writeCatalogue();
      for (const instance of this.stage.up()) this.stage.reload(instance);
      await sleep(this.rng.between(100, 1500));
    }
  },

  async second() {
    await this.toggle(1);
    await sleep(2000);
  },

  async third() {
    await this.toggle(2);
    await sleep(2000);
  },

  async broker() {
    await this.stage.kafka.halt('SIGKILL');
    await sleep(this.rng.between(200, 2500));
    await this.stage.kafka.start();
  },

  async partitions() {
    const { producer, stage } = this;
    if (producer.partitions + 2 > PARTITIONS_MAX) return;
    const count = producer.partitions + 2;
    await stage.side.admin.createPartitions({ topicPartitions: [{ topic: TOPIC, count }] });
    const time = this.clock.ticks();
    for (let part = producer.partitions; part < count; part++) {
      this.born.push({ part, time });
      this.lives.set(part, Array(this.witness.life).fill(time)); // lives are counted by topic, in the dumps too
    }
    producer.partitions = count;
    await sleep(NEW_PARTITION_PATIENCE);
  },

  async shorter() {
    await this.recreate((length) => Math.floor(length * this.rng.between(0.1, 0.7)));
  },

  async equal() {
    await this.recreate((length) => length);
  },

  async longer() {
    await this.recreate((length) => length + 20 + this.rng.below(300));
  },

  // Records that somebody still needs are deleted.
  async trim() {
    const { stage, witness, truth, clock } = this;
    const cold = this.rng.chance(0.7);
    await this.whileSomeAreAway(async () => {
      await sleep(1500);
      const ended = cold ? await this.endAll('kill') : [];
      await witness.read();
      const time = clock.ticks();
      const partitions = [...witness.next].map(([partition, next]) => ({ partition, offset: String(next) }));
      for (const { partition, offset } of partitions) truth.remove(partition, witness.life, Number(offset), time);
      await stage.side.admin.deleteTopicRecords({ topic: TOPIC, partitions });
      await this.startAll(ended);
    });
  },
};

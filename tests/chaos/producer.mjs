// Numbered events at a steady rate, each for the members of a group (at times two) or of a board. Every key stays in one
// partition and counts its own events. What Kafka answered is written down per event.
import { PARTS_PER_TOPIC, STATE, NONE } from './history.mjs';

const TICK = 20; // ms
const KEYS_PER_PARTITION = 8;
const BATCH_MAX = 2000;
const PADDING = 'x'.repeat(256);

export class Producer {
  /* rooms: {groups: [room], boards: [room]}, by their numbers in the history; life: of the topic, counted by the nemesis. */
  constructor({ kafka, clock, rng, events, topic, partitions, rooms, rate }) {
    Object.assign(this, { clock, rng, events, topic, rooms, rate });
    this.partitions = partitions;
    this.life = 0;
    this.seqs = new Map();
    this.failures = 0;
    this.producer = kafka.producer({ allowAutoTopicCreation: false, metadataMaxAge: 1000, idempotent: false });
    this.held = 0;
    this.running = null;
  }

  async start() {
    await this.producer.connect();
    this.wanted = true;
    this.running = this.loop();
  }

  async loop() {
    let last = performance.now();
    let owed = 0;
    while (this.wanted) {
      await new Promise((done) => setTimeout(done, TICK));
      const now = performance.now();
      if (!this.held) owed = Math.min(owed + ((now - last) / 1000) * this.rate, BATCH_MAX);
      last = now;
      if (this.held || owed < 1) continue;
      const count = Math.floor(owed);
      owed -= count;
      this.sending = this.send(Array.from({ length: count }, () => this.drawPartition()));
      await this.sending;
    }
  }

  drawPartition() {
    return this.rng.below(this.partitions);
  }

  /* Nothing is under way when this resolves, until release(). */
  async hold() {
    this.held++;
    await this.sending;
  }

  release() {
    this.held--;
  }

  async stop() {
    this.wanted = false;
    await this.running;
    await this.producer.disconnect().catch(() => {});
  }

  // As many events as said, at once; for a producer that is held. A topic that was just made may refuse the first request in
  // part, and all of it is then sent again: that one is small.
  async burst(perPartition) {
    await this.send([...perPartition.keys()].filter((partition) => perPartition[partition] > 0));
    const list = perPartition.flatMap((count, partition) => Array(Math.max(0, count - 1)).fill(partition));
    for (let i = 0; i < list.length; i += BATCH_MAX) await this.send(list.slice(i, i + BATCH_MAX));
  }

  // The last event of each room in each partition: who has them all has everything.
  async markers(rooms) {
    const list = rooms.flatMap((room) => Array.from({ length: this.partitions }, (_, partition) => ({ partition, room })));
    for (let i = 0; i < list.length; i += BATCH_MAX) {
      const part = list.slice(i, i + BATCH_MAX);
      await this.send(part.map(({ partition }) => partition), part.map(({ room }) => [room]));
    }
  }

  audience() {
    const { rng, rooms } = this;
    const draw = rng.next();
    if (draw < 0.2 && rooms.boards.length > 0) return [rng.pick(rooms.boards)];
    const group = rng.pick(rooms.groups);
    const other = rng.pick(rooms.groups);
    return draw > 0.9 && other !== group ? [group, other] : [group];
  }

  async send(partitions, audiences) {
    const begun = partitions.map((partition, i) => this.begin(partition, audiences ? audiences[i] : this.audience(), audiences !== undefined));
    const messages = begun.map(({ message }) => message);
    try {
      const answers = await this.producer.send({ topic: this.topic, acks: -1, messages });
      this.settle(begun, answers);
    } catch (error) {
      this.failures++;
      this.lastFailure = error.message;
      const time = this.clock.ticks();
      for (const { n } of begun) this.events.end(n, STATE.UNKNOWN, time);
    }
  }

  begin(partition, audience, last) {
    const key = partition + PARTS_PER_TOPIC * this.rng.below(KEYS_PER_PARTITION);
    const seq = this.seqs.get(key) ?? 0;
    this.seqs.set(key, seq + 1);
    const n = this.events.invoke({ key, seq, part: partition, life: this.life, rooms: audience, time: this.clock.ticks() });
    const { groups, boards } = this.rooms;
    const inGroups = audience.filter((room) => groups.includes(room)).map((room) => room - groups[0] + 1);
    const board = audience.filter((room) => boards.includes(room)).map((room) => `"board":${room - boards[0] + 1},`).join('');
    const value = `{"n":${n},"k":${key},"s":${seq},"groups":[${inGroups}],${board}${last ? '"last":1,' : ''}"pad":"${PADDING.slice(0, n % 97)}","z":0}`;
    return { n, partition, message: { key: String(key), partition, value, headers: { ce_type: 'note.added' } } };
  }

  // Within a partition, the records of one request lie one behind the other.
  settle(begun, answers) {
    const time = this.clock.ticks();
    const next = new Map(answers.filter(({ errorCode }) => errorCode === 0).map(({ partition, baseOffset }) => [partition, Number(baseOffset)]));
    for (const { n, partition } of begun) {
      const offset = next.get(partition) ?? NONE;
      if (offset === NONE) {
        this.events.end(n, STATE.UNKNOWN, time);
      } else {
        this.events.end(n, STATE.OK, time, offset);
        next.set(partition, offset + 1);
      }
    }
  }
}

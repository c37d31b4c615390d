// Reads a dead-letter topic as its readers should: from the beginning, committed letters only.
import assert from 'node:assert/strict';
import { until } from './processes.mjs';

const text = (value) => (value === null || value === undefined ? value : value.toString());

export async function openLetterBox(world, topic = world.topic('dead-letters')) {
  const consumer = world.kafka.client.consumer({ groupId: `${topic}-reader-${Date.now()}`, maxBytesPerPartition: 64 << 20 });
  const box = { topic, letters: [], marks: new Set() };
  const read = new Set(); // a reader that joins its group again begins where it last said, and reads some twice
  await until(`topic ${topic} to be there`, async () => (await world.kafka.admin.listTopics()).includes(topic), { timeout: 20000 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const place = `${partition}/${message.offset}`;
      if (read.has(place)) return;
      read.add(place);
      const headers = Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, text(value)]));
      if (headers.mark) box.marks.add(headers.mark);
      else box.letters.push({ key: text(message.key), value: message.value, headers, at: `${headers['dlq-topic']}/${headers['dlq-partition']}/${headers['dlq-offset']}` });
    },
  });

  // Everything that stands in the topic by now has been read.
  box.settle = async () => {
    const mark = `${Date.now()}-${Math.random()}`;
    await world.kafka.produce(topic, { partition: 0, value: null, headers: { mark } });
    await until('the letters to be read', () => box.marks.has(mark), { timeout: 30000 });
  };

  // The group has judged all there is in the topics of the catalogue.
  box.judged = async (timeout = 40000) => {
    const group = world.topic('dead-letters');
    await until('all records to be judged', async () => {
      const committed = await world.kafka.admin.fetchOffsets({ groupId: group, topics: world.topics });
      for (const name of world.topics) {
        const known = committed.find((c) => c.topic === name)?.partitions ?? [];
        for (const { partition, high, low } of await world.kafka.admin.fetchTopicOffsets(name)) {
          const at = Number(known.find((p) => p.partition === partition)?.offset ?? -1);
          if (Number(high) > Number(low) && at < Number(high)) throw new Error(`${name}/${partition} stands at ${at} of ${high}`);
        }
      }
      return true;
    }, { timeout, every: 100 });
    await box.settle();
  };

  // Exactly one letter for each of these "topic/partition/offset", and none for anything else.
  box.assertExactly = (wanted) => {
    const counts = new Map();
    for (const { at } of box.letters) counts.set(at, (counts.get(at) ?? 0) + 1);
    assert.deepEqual([...counts].filter(([, n]) => n > 1), [], 'letters that came more than once');
    assert.deepEqual([...counts.keys()].sort(), [...wanted].sort());
  };

  box.close = () => consumer.disconnect();
  return box;
}

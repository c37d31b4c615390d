// Causeway beside a yardstick: both up all the time, short rounds in turn, the ratio of each pair.
import { measure, median, together } from './measure.mjs';
import { touchFreeMemory } from './memory.mjs';

/* `starts` fresh processes with `rounds` pairs each, since bursts differ more between processes than between rounds.
   A round is `repeat` times `count` events at `rate`. `yard` and `own` start a server each. */
export async function paired(stage, { yard, own, count, rate, repeat = 1, rounds, starts, linger, warm, note }) {
  const mine = [];
  const others = [];
  const ratios = [];
  for (let start = 0; start < starts; start++) {
    const servers = [await yard(), await own()];
    const clients = [await stage.clients(servers[0]), await stage.clients(servers[1], { linger })];
    touchFreeMemory();
    for (const each of clients) await measure(each, warm, rate);
    for (let round = 0; round < rounds; round++) {
      const results = [];
      for (const each of round % 2 === 0 ? clients : clients.slice().reverse()) {
        const parts = [];
        for (let i = 0; i < repeat; i++) parts.push(await measure(each, count, rate));
        (each === clients[0] ? others : mine).push(...parts);
        results[clients.indexOf(each)] = together(parts);
      }
      ratios.push(results[1].perCpuSecond / results[0].perCpuSecond);
      note(`start ${start + 1}, round ${round + 1}: ${ratios.at(-1).toFixed(2)}`);
    }
    await stage.stop(...clients.flatMap(({ load, publisher }) => [load, publisher]), ...servers);
  }
  return { yard: together(others), causeway: together(mine), ratio: median(ratios), ratios };
}

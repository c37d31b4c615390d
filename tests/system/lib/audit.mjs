// The model of the audit: who had a right to which room when, by the database's own log of the steps, and by that what
// was handed over without a right, and what was lost.

/* [{at, kind, user, what}], in the order of the log -> Map of 'user room' to its intervals [{from, to}]. */
export function rightsOf(log) {
  const users = new Map(); // id -> {role, cities, tasks}
  const intervals = new Map();
  const roomsOf = (user) => new Set(user ? [
    ...(user.role === 'manager' ? [...user.cities].map((city) => `city-${city}`) : []),
    ...[...user.tasks].map((task) => `task-${task}`)] : []);
  const apply = {
    create: (id, role) => users.set(id, { role, cities: new Set(), tasks: new Set() }),
    delete: (id) => users.delete(id),
    role: (id, role) => { users.get(id).role = role; },
    city: (id, city) => users.get(id).cities.add(city),
    uncity: (id, city) => users.get(id).cities.delete(city),
    task: (id, task) => users.get(id).tasks.add(task),
    untask: (id, task) => users.get(id).tasks.delete(task),
  };
  for (const { at, kind, user, what } of log) {
    const before = roomsOf(users.get(user));
    apply[kind](user, what);
    const after = roomsOf(users.get(user));
    for (const room of before) if (!after.has(room)) intervals.get(`${user} ${room}`).at(-1).to = at;
    for (const room of after) {
      const key = `${user} ${room}`;
      if (!intervals.has(key)) intervals.set(key, []);
      if (!before.has(room)) intervals.get(key).push({ from: at, to: Infinity });
    }
  }
  return intervals;
}

/* handed: [{at, user, room, n}] -> those without a right, or later than `bound` ms after its end, and the largest delay. */
export function judgeHandOvers(intervals, handed, bound) {
  let largest = 0;
  const wrong = handed.filter(({ at, user, room }) => {
    const begun = (intervals.get(`${user} ${room}`) ?? []).filter(({ from }) => from <= at);
    const over = at - Math.max(...begun.map(({ to }) => to));
    if (over > 0 && over < Infinity) largest = Math.max(largest, over);
    return over > bound;
  });
  return { wrong, largest };
}

/* `asked(room)`: one is there only when one has joined, `stood(user, room, from, to)` by all that one was told. events: [{n, room, at}]. Lost is what was published while a right held, or up to `outran` ms before it, when the right
   outlived the event by `settled` ms (a number by user), and was not received. Withdrawals that hit: those that kept an event of that time from ever being handed over. */
export function judgeReceipts(intervals, events, { received, handed, settled, outran, asked, stood }) {
  const lost = [];
  let hits = 0;
  for (const [key, list] of intervals) {
    const [user, room] = key.split(' ');
    const ofRoom = events.filter((event) => event.room === room);
    const begin = asked(room) ? 0 : outran;
    const there = (at, until) => !asked(room) || stood(user, room, at, until);
    for (const { from, to } of list) {
      const during = ofRoom.filter(({ at }) => at > from && at < to && there(at, at));
      lost.push(...ofRoom.filter(({ at, n }) => at > from - begin && at + settled(user) <= to && there(at, at + settled(user)) && !received(user).has(n))
        .map((event) => ({ user, from, to, ...event })));
      if (to < Infinity && during.some(({ n }) => !handed(user).has(n))) hits += 1;
    }
  }
  return { lost, hits };
}

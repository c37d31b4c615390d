// One clock for all processes of a run, in tenths of milliseconds since it began.
import { TICKS } from './history.mjs';

const monotonic = () => {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
};

export function makeClock(began = monotonic()) {
  const ms = () => monotonic() - began;
  return { began, ms, ticks: () => Math.max(0, Math.floor(ms() * TICKS)) };
}

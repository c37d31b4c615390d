// Results as text.
const COLUMNS = [
  ['', (r) => r.name],
  ['D/s', (r) => many(r.perSecond)],
  ['D/cpu-s', (r) => many(r.perCpuSecond)],
  ['ratio', (r) => r.ratio?.toFixed(2)],
  ['p50 ms', (r) => ms(r.p50)],
  ['p99 ms', (r) => ms(r.p99)],
  ['max ms', (r) => ms(r.max)],
  ['server CPU', (r) => percent(r.serverShare)],
  ['client CPU', (r) => percent(r.loadShare)],
  ['CPU 0 busy', (r) => percent(r.serverBusy)],
  ['CPU 1 busy', (r) => percent(r.otherBusy)],
  ['B/event', (r) => r.bytesEach?.toFixed(0)],
  ['rounds', (r) => r.rounds],
];

const many = (n) => n && (n >= 1e6 ? `${(n / 1e6).toFixed(2)} M` : `${(n / 1e3).toFixed(0)} k`);
const ms = (us) => (us === undefined ? undefined : (us / 1000).toFixed(1));
const percent = (share) => (share === undefined ? undefined : `${(share * 100).toFixed(share < 0.1 ? 2 : 0)} %`);

export function printTable(header, lines) {
  const cells = [header, ...lines].map((line) => line.map((cell) => String(cell ?? '')));
  const widths = header.map((_, i) => Math.max(...cells.map((line) => line[i].length)));
  for (const line of cells) {
    console.log(`  ${line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ').trimEnd()}`);
  }
}

export function printRows(title, rows) {
  console.log(`\n${title}`);
  printTable(COLUMNS.map(([name]) => name), rows.map((row) => COLUMNS.map(([, pick]) => pick(row))));
  warnOfOthers(rows);
  for (const { name, threads, seconds } of rows.filter((row) => row.threads?.length > 1)) {
    const parts = threads.filter(([, cpu]) => cpu > seconds / 10000).map(([thread, cpu]) => `${thread} ${percent(cpu / seconds)}`);
    console.log(`  ${name} by thread: ${parts.join(', ')}`);
  }
}

// Ticks are coarse, so only a long run tells.
function warnOfOthers(rows) {
  const disturbed = rows.filter((row) => row.pinned !== false && row.seconds > 2 && row.serverBusy - row.serverShare > 0.1);
  for (const { name } of disturbed) console.log(`  ${name}: something else ran on the server's CPU; do not trust this row`);
}

// Returns the number of bars that were missed.
export function printVerdicts(verdicts) {
  console.log('\nverdict');
  const word = (v) => (v.bar === 'none' ? '' : v.ok ? 'met' : 'MISSED');
  printTable(['', 'bar', 'measured', ''], verdicts.map((v) => [v.what, v.bar, v.measured, word(v)]));
  const judged = verdicts.filter((v) => v.bar !== 'none');
  const failed = judged.filter((v) => !v.ok).length;
  console.log(`\n${judged.length - failed} bars met, ${failed} missed`);
  return failed;
}

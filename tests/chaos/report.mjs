// A verdict for people to read.
import { RULES } from './checker.mjs';

const list = (counts) => Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(', ') || 'none';

export function report({ ok, violations, counts, summary: s }) {
  const lines = [
    `events       ${s.events} begun, ${s.acknowledged} acknowledged, ${s.records} in the topics`,
    `deliveries   ${s.deliveries} to ${s.clients} clients: ${s.firsts} first receipts, ${s.repeats} repeats `
      + `(${s.repeatsRedelivered} redelivered, ${s.repeatsBackfill} backfill, ${s.repeatsAnonymous} on Socket.IO, ${s.repeatsFresh} after a connect without a cursor), ${s.markedButFirst} marked but first, ${s.beforeStart} before the start`,
    `connections  ${s.connects}: ${s.resumes} resumed by query (${s.exactResumes} must be exact), ${s.resumeMessages} by message, `
      + `${s.joinsWithCursor} joins with a cursor, ${s.resumed} resumed to the end; closes: ${list(s.closes)}; errors: ${list(s.errors)}`,
    `gaps         ${list(s.gaps)}; ${s.declaredLost} events declared lost`,
    `time         at most ${(s.catchUpMs / 1000).toFixed(1)} s to catch up after the last healing (${(s.catchUpDuringMs / 1000).toFixed(1)} s after others), ${(s.newPartitionMs / 1000).toFixed(1)} s until a new partition was seen, ${(s.resumeMs / 1000).toFixed(1)} s to be resumed; `
      + `live events ${s.latency.p50 ?? '-'} ms (p50), ${s.latency.p99 ?? '-'} ms (p99) after their acknowledgement`,
  ];
  for (const [rule, count] of Object.entries(counts)) {
    lines.push(`${rule}: ${count} (${RULES[rule]})`);
    for (const v of violations.filter((violation) => violation.rule === rule)) {
      const where = [v.client, v.rows.length > 0 ? `rows ${v.rows.join(', ')}` : null].filter(Boolean).join(', ');
      lines.push(`    ${where ? `${where}: ` : ''}${v.text}`);
    }
  }
  lines.push(ok ? 'no undeclared loss, no disorder, no unmarked repeat, no phantom'
    : `${Object.values(counts).reduce((sum, count) => sum + count, 0)} violations`);
  return lines.join('\n');
}

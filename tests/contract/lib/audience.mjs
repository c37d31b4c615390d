// Who should get an event, worked out from the document and the database alone: the rules of x-causeway once more, in
// the few lines that they take when nothing needs to be fast. The contract tests hold the bridge against it.
import { fieldsOf, roomForm } from '../../../tools/catalogue.mjs';

const listOf = (value) => [value].flat();
const fill = (template, values) => template.replaceAll(/\{([^{}]+)\}/g, (_, field) => values[field]);

// --- an event's rooms

// All values of a path into a JSON value; an array's elements one by one.
function valuesAt(value, [step, ...rest]) {
  if (step === undefined) return value === undefined || value === null ? [] : [String(value)];
  const name = step.replace(/\[\]$/, '');
  const inner = value?.[name];
  return name === step ? valuesAt(inner, rest) : (inner ?? []).flatMap((element) => valuesAt(element, rest));
}

function fieldValues({ path, text }, { key, headers, payload }) {
  if (text === '$key') return valuesAt(key, []);
  if (path[0] === '$headers') return valuesAt(headers[path.slice(1).join('.')], []);
  return valuesAt(payload, path);
}

/* The rooms that templates name for a record {key, headers, payload}. */
export function roomsOfRecord(templates, record) {
  return templates.flatMap((template) => fieldsOf(template).reduce(
    (names, field) => fieldValues(field, record)
      .flatMap((value) => names.map((name) => name.replace(/\{[^{}]+\}/, value))),
    [template],
  ));
}

// --- a person's rooms

const patternOf = (form) => new RegExp(`^${form.split('{}').map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('([\\w.@-]+)')}$`);

/* `query`: (sql, params) => rows. */
export class Rights {
  constructor({ principal, lookups, rooms }, query) {
    Object.assign(this, { principal, lookups, rooms, query });
  }

  run(lookup, values) {
    const { sql, params = [] } = this.lookups[lookup];
    return this.query(sql, params.map((param) => fill(param, values)));
  }

  async person(id) {
    const [row] = await this.run(this.principal.lookup, { 'token.user': id });
    return { ...Object.fromEntries(Object.entries(row).map(([column, value]) => [`user.${column}`, String(value)])), 'token.user': id };
  }

  rules(pattern, channel) {
    const { join, allow, channels } = this.rooms[pattern];
    if (channels && !channels.includes(channel)) return [];
    return allow.map((rule) => ({ join, ...rule }));
  }

  holds(rule, person) {
    return Object.entries(rule.when ?? {}).every(([column, values]) => listOf(values).map(String).includes(person[`user.${column}`]));
  }

  // The rooms that the person stands in on that channel without asking.
  async automatic(person, channel) {
    const names = new Set();
    for (const pattern of Object.keys(this.rooms)) {
      for (const rule of this.rules(pattern, channel).filter((r) => r.join === 'automatic' && this.holds(r, person))) {
        const filled = Object.fromEntries(Object.entries(rule.with ?? {}).map(([name, template]) => [name, fill(template, person)]));
        const rows = rule.lookup ? await this.run(rule.lookup, person) : [{}];
        for (const row of rows) names.add(fill(pattern, { ...row, ...filled }));
      }
    }
    return names;
  }

  // May the person ask to stand in that room?
  async mayJoin(person, channel, room) {
    for (const pattern of Object.keys(this.rooms)) {
      const match = patternOf(roomForm(pattern)).exec(room);
      if (!match) continue;
      const captured = Object.fromEntries(fieldsOf(pattern).map(({ text }, i) => [`room.${text}`, match[i + 1]]));
      for (const rule of this.rules(pattern, channel).filter((r) => r.join === 'request' && this.holds(r, person))) {
        const agrees = Object.entries(rule.with ?? {}).every(([name, template]) => fill(template, person) === captured[`room.${name}`]);
        if (agrees && (!rule.lookup || (await this.run(rule.lookup, { ...person, ...captured })).length > 0)) return true;
      }
    }
    return false;
  }
}

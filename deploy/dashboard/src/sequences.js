// Which numbers of a session's readings have not arrived. Backlog comes after newer readings, so a gap may still close.

const SESSIONS = 4;
const GAPS = 256;

class Session {
  #first = null;
  #last = null;
  /** [from, to], both included, in their order. */
  #gaps = [];
  #given_up_count = 0;

  add(seq) {
    if (this.#last === null) [this.#first, this.#last] = [seq, seq];
    else if (seq > this.#last) {
      if (seq > this.#last + 1) this.#gaps.push([this.#last + 1, seq - 1]);
      this.#last = seq;
      if (this.#gaps.length > GAPS) {
        const [from, to] = this.#gaps.shift();
        this.#given_up_count += to - from + 1;
      }
    } else if (seq > this.#first) this.#close(seq);
  }

  #close(seq) {
    const at = this.#gaps.findIndex(([from, to]) => from <= seq && seq <= to);
    if (at === -1) return;
    const [from, to] = this.#gaps[at];
    const rest = [[from, seq - 1], [seq + 1, to]].filter(([low, high]) => low <= high);
    this.#gaps.splice(at, 1, ...rest);
  }

  get missing_count() {
    return this.#gaps.reduce((sum, [from, to]) => sum + to - from + 1, this.#given_up_count);
  }
}

/** The newest sessions of a device. What came before the first reading that was seen is not missing. */
export class Sequences {
  #sessions = new Map();
  #ended_count = 0;

  add(session, seq) {
    if (!this.#sessions.has(session)) {
      this.#sessions.set(session, new Session());
      if (this.#sessions.size > SESSIONS) {
        const [oldest, ended] = this.#sessions.entries().next().value;
        this.#ended_count += ended.missing_count;
        this.#sessions.delete(oldest);
      }
    }
    this.#sessions.get(session).add(seq);
  }

  get missing_count() {
    let sum = this.#ended_count;
    for (const session of this.#sessions.values()) sum += session.missing_count;
    return sum;
  }
}

/** IndexedDB in memory, as much of it as recording-store.js uses; and the browser's locks. */

const compare = (a, b) => {
  if (!Array.isArray(a)) return a < b ? -1 : Number(a > b);
  for (let i = 0; i < a.length; i += 1) {
    const order = compare(a[i], b[i]);
    if (order) return order;
  }
  return 0;
};

export const FakeKeyRange = {
  bound: (lower, upper) => ({ includes: (key) => compare(key, lower) >= 0 && compare(key, upper) <= 0 }),
};

class FakeObjectStore {
  constructor(table, transaction) {
    Object.assign(this, { table, transaction });
  }

  put(value) {
    this.transaction.change(() => {
      const { keyPath, rows } = this.table;
      const key = Array.isArray(keyPath) ? keyPath.map((name) => value[name]) : value[keyPath];
      this.table.rows = [...rows.filter((row) => compare(row.key, key)), { key, value: structuredClone(value) }];
      this.table.rows.sort((a, b) => compare(a.key, b.key));
    });
  }

  delete(range) {
    const isIn = range.includes ? (key) => range.includes(key) : (key) => compare(key, range) === 0;
    this.transaction.change(() => {
      this.table.rows = this.table.rows.filter(({ key }) => !isIn(key));
    });
  }

  getAll(range = null) {
    const request = {};
    const rows = this.table.rows.filter(({ key }) => !range || range.includes(key));
    queueMicrotask(() => {
      request.result = rows.map(({ value }) => structuredClone(value));
      request.onsuccess();
    });
    return request;
  }
}

class FakeTransaction {
  constructor(database, names, mode) {
    Object.assign(this, { database, names, mode });
  }

  objectStore(name) {
    if (!this.names.includes(name)) throw new Error(`${name} is not in this transaction`);
    return new FakeObjectStore(this.database.tables.get(name), this);
  }

  change(apply) {
    if (this.mode !== "readwrite") throw new Error("this transaction only reads");
    if (!this.database.refusal) apply();
  }

  commit() {
    queueMicrotask(() => {
      this.error = this.database.refusal;
      if (this.database.isStuck) return;
      if (this.error) this.onabort();
      else this.oncomplete();
    });
  }
}

/** refusal: the error that every write ends with. isStuck: writes never end. */
export class FakeIndexedDB {
  constructor() {
    this.tables = new Map();
    this.refusal = null;
    this.isStuck = false;
  }

  open() {
    const request = { result: this };
    queueMicrotask(() => {
      if (!this.tables.size) request.onupgradeneeded();
      request.onsuccess();
    });
    return request;
  }

  createObjectStore(name, { keyPath }) {
    this.tables.set(name, { keyPath, rows: [] });
  }

  transaction(names, mode) {
    return new FakeTransaction(this, names, mode);
  }

  rows(name) {
    return this.tables.get(name).rows.map(({ value }) => value);
  }
}

/** Locks of all pages: one holder a name; others wait, or until their signal. */
export class FakeLocks {
  constructor() {
    this.holders = new Map();
  }

  async request(name, ...rest) {
    const callback = rest.at(-1);
    if (this.holders.has(name)) {
      const { signal = null } = rest.length > 1 ? rest[0] : {};
      if (!signal) await this.holders.get(name);
      else throw new DOMException("timed out", "TimeoutError"); // as if that time had passed
    }
    const held = Promise.resolve(callback());
    this.holders.set(name, held);
    try {
      return await held;
    } finally {
      this.holders.delete(name);
    }
  }
}

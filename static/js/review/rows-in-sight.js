/** Which rows are on the screen or near it. */

/** Two screens or so beyond the edges: what is scrolled to is there already. */
const MARGIN = "900px 0px";

export class RowsInSight {
  /** onCome(rows): they came near. Observer: of elements, as browsers have it. */
  constructor(onCome, Observer = globalThis.IntersectionObserver) {
    this.rows = new Set();
    this._onCome = onCome;
    this._observer = new Observer((entries) => this._see(entries), { rootMargin: MARGIN });
  }

  has(row) {
    return this.rows.has(row);
  }

  add(row) {
    this._observer.observe(row);
  }

  remove(row) {
    this._observer.unobserve(row);
    this.rows.delete(row);
  }

  clear() {
    this._observer.disconnect();
    this.rows.clear();
  }

  _see(entries) {
    const came = [];
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) this.rows.delete(target);
      else if (!this.rows.has(target)) came.push(target);
      if (isIntersecting) this.rows.add(target);
    }
    if (came.length) this._onCome(came);
  }
}

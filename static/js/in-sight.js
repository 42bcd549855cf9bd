/** Which rows of a long list are on the screen: nobody needs to be told of the others as they change. */

const DELAY_MS = 200;
/** Rows just outside are kept fresh too, so that scrolling shows no old captions. */
const MARGIN = "300px 0px";

export class InSight {
  /** onChange(ids): called after DELAY_MS of rest. Elements are known by their data-id. */
  constructor({ onChange, Observer = globalThis.IntersectionObserver }) {
    this.onChange = onChange;
    this.elements = new Set();
    this._timer = null;
    this._observer = new Observer((entries) => this._see(entries), { rootMargin: MARGIN });
  }

  add(element) {
    this._observer.observe(element);
  }

  remove(element) {
    this._observer.unobserve(element);
    if (this.elements.delete(element)) this._change();
  }

  get ids() {
    return [...this.elements].map((element) => element.dataset.id);
  }

  _see(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.elements.add(target);
      else this.elements.delete(target);
    }
    this._change();
  }

  _change() {
    this._timer ??= setTimeout(() => {
      this._timer = null;
      this.onChange(this.ids);
    }, DELAY_MS);
  }
}

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { InSight } from "../../../static/js/in-sight.js";
import { FakeClock } from "./fake-clock.js";

const clock = new FakeClock();

beforeEach(() => clock.install());
afterEach(() => clock.uninstall());

class FakeObserver {
  constructor(callback) {
    this.callback = callback;
    this.observed = new Set();
    FakeObserver.last = this;
  }
  observe(element) {
    this.observed.add(element);
  }
  unobserve(element) {
    this.observed.delete(element);
  }
  see(...targets) {
    this.callback(targets.map((target) => ({ target, isIntersecting: true })));
  }
  lose(...targets) {
    this.callback(targets.map((target) => ({ target, isIntersecting: false })));
  }
}

const row = (id) => ({ dataset: { id } });

function watch() {
  const told = [];
  const inSight = new InSight({ onChange: (ids) => told.push(ids), Observer: FakeObserver });
  return { inSight, observer: FakeObserver.last, told };
}

test("it tells what is in sight once the list has come to rest", () => {
  const { inSight, observer, told } = watch();
  const [one, two, three] = ["one", "two", "three"].map(row);
  for (const element of [one, two, three]) inSight.add(element);
  observer.see(one, two);
  observer.see(three);
  observer.lose(one);
  assert.deepEqual(told, []);
  clock.tick(300);
  assert.deepEqual(told, [["two", "three"]]);
});

test("a row that is removed is out of sight and is not watched any more", () => {
  const { inSight, observer, told } = watch();
  const one = row("one");
  inSight.add(one);
  observer.see(one);
  clock.tick(300);
  inSight.remove(one);
  clock.tick(300);
  assert.deepEqual(told, [["one"], []]);
  assert.equal(observer.observed.size, 0);
});

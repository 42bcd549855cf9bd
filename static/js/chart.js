/**
 * Small line charts without a library: an SVG that is drawn again as its values change, the values in words for those
 * who do not see it. The numbers behind a chart are the page's to offer.
 */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320;
const HEIGHT = 96;
const PAD = { top: 6, right: 4, bottom: 16, left: 34 };

export class Chart {
  /**
   * box: an empty element. series: [{className}]. format(value): as it stands at the axis. least: the axis
   * reaches at least so far. ends: the words at both ends of the time axis. limit: a line across, or null.
   */
  constructor(box, { series, format, least = 1, ends = ["", ""], limit = null }) {
    Object.assign(this, { series, format, least, ends, limit });
    this.svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "chart", preserveAspectRatio: "none" });
    this.lines = series.map(({ className }) => make("path", { class: `chart-line ${className}`, fill: "none" }));
    this.grid = make("path", { class: "chart-grid", fill: "none" });
    this.limitLine = make("path", { class: "chart-limit", fill: "none" });
    this.top = this._text(PAD.left - 4, PAD.top + 8, "end");
    this.bottom = this._text(PAD.left - 4, HEIGHT - PAD.bottom, "end");
    this.first = this._text(PAD.left, HEIGHT - 3, "start");
    this.last = this._text(WIDTH - PAD.right, HEIGHT - 3, "end");
    this.svg.append(this.grid, this.limitLine, ...this.lines, this.top, this.bottom, this.first, this.last);
    // Until there are values: what the chart is of.
    this.svg.setAttribute("aria-label", box.closest("figure")?.querySelector("figcaption")?.textContent.trim() ?? "");
    box.append(this.svg);
  }

  /** values: a list for each series, all equally long, oldest first; null: nothing was measured. summary: in words. */
  draw(values, summary) {
    const most = Math.max(this.least, this.limit ?? 0, ...values.flat().filter((value) => value !== null));
    this.lines.forEach((line, index) => line.setAttribute("d", linePath(values[index], most)));
    const [low, high] = [yOf(0, most), yOf(most, most)];
    this.grid.setAttribute("d", `M${PAD.left} ${low}H${WIDTH - PAD.right}M${PAD.left} ${high}H${WIDTH - PAD.right}`);
    this.limitLine.setAttribute("d", this.limit === null ? "" : `M${PAD.left} ${yOf(this.limit, most)}H${WIDTH - PAD.right}`);
    this.top.textContent = this.format(most);
    this.bottom.textContent = this.format(0);
    [this.first.textContent, this.last.textContent] = this.ends;
    this.svg.setAttribute("aria-label", summary);
  }

  _text(x, y, anchor) {
    return make("text", { x, y, "text-anchor": anchor, class: "chart-text" });
  }
}

const yOf = (value, most) => round(HEIGHT - PAD.bottom - (value / most) * (HEIGHT - PAD.top - PAD.bottom));

/** A path with a gap where nothing was measured; a value alone is a short dash. */
export function linePath(values, most) {
  const step = (WIDTH - PAD.left - PAD.right) / Math.max(1, values.length - 1);
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    const isFirst = index === 0 || values[index - 1] === null;
    const x = round(PAD.left + index * step);
    path += `${isFirst ? "M" : "L"}${x} ${yOf(value, most)}`;
    if (isFirst && (values[index + 1] ?? null) === null) path += "h2";
  });
  return path;
}

const round = (number) => Math.round(number * 10) / 10;

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** Notices above a list, one for each thing that is the matter. */

export class Banners {
  /** box: where they stand. announce(text): tells screen readers of a new one. */
  constructor(box, announce) {
    Object.assign(this, { box, announce });
    this.banners = new Map(); // about -> element
  }

  /** link: {text, href}, or null. The words of a banner that stands already may change. */
  show(about, tone, text, link = null) {
    const isNew = !this.banners.has(about);
    const banner = this.banners.get(about) ?? this._add(about);
    banner.dataset.tone = tone;
    const words = banner.querySelector("span");
    if (words.textContent !== text) words.textContent = text;
    const anchor = banner.querySelector("a");
    anchor.hidden = !link;
    if (link) Object.assign(anchor, { href: link.href, textContent: link.text });
    if (isNew) this.announce(text);
  }

  hide(about) {
    this.banners.get(about)?.remove();
    this.banners.delete(about);
  }

  _add(about) {
    const banner = document.createElement("div");
    banner.className = "notice";
    banner.dataset.about = about;
    const line = document.createElement("p");
    line.append(document.createElement("span"), " ", document.createElement("a"));
    banner.append(line);
    this.banners.set(about, banner);
    this.box.append(banner);
    return banner;
  }
}

/** Notices above a list, one for each thing that is the matter. */

export class Banners {
  /** box: where they stand. template: of one, with a <span> and an <a>. announce(text): tells screen readers of a new one. */
  constructor(box, template, announce) {
    Object.assign(this, { box, template, announce });
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

  has(about) {
    return this.banners.has(about);
  }

  hide(about) {
    this.banners.get(about)?.remove();
    this.banners.delete(about);
  }

  _add(about) {
    const banner = this.template.content.firstElementChild.cloneNode(true);
    banner.dataset.about = about;
    this.banners.set(about, banner);
    this.box.append(banner);
    return banner;
  }
}

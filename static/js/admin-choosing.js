/** Select2 gives the part of its box that shows what is chosen the role of a text box, without a name. It is text. */
new MutationObserver(() => {
  for (const shown of document.querySelectorAll('.select2-selection__rendered[role="textbox"]')) {
    shown.removeAttribute("role");
    shown.removeAttribute("aria-readonly");
  }
}).observe(document.documentElement, { subtree: true, childList: true, attributeFilter: ["role"] });

/* Buttons with data-copy="ID" copy the text of that element; where the browser refuses, they select it. */

function selectText(element) {
  const selection = window.getSelection();
  const range = document.createRange();
  range.selectNodeContents(element);
  selection.removeAllRanges();
  selection.addRange(range);
}

async function copyFrom(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    // No clipboard without a secure address or permission: one keystroke is left to the person.
    selectText(source);
    return;
  }
  button.textContent = button.dataset.copied;
  document.getElementById("copy-status").textContent = button.dataset.copied;
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copyFrom(button));
}

// For the whole page: its keys, and its title, which tells how far a drawing is.

// Ctrl+Enter (or Cmd+Enter) starts, Escape stops, Alt and a number or the arrows go to another tab,
// ? shows them all.
(() => {
  const press = (...buttons) => {
    const visible = buttons
      .map((id) => document.getElementById(id))
      .find((button) => button && button.offsetParent !== null);
    visible?.click();
    return Boolean(visible);
  };
  const tabs = () => [...document.querySelectorAll("[role=tab]")];
  const go = (tab) => {
    tab?.click();
    tab?.focus();
    return Boolean(tab);
  };
  const beside = (tab, step) => tabs().at((tabs().indexOf(tab) + step) % tabs().length);
  const help = () => document.getElementById("keys-dialog");
  document.addEventListener("click", (event) => {
    if (event.target.closest("#keys-button")) help().showModal();
  });
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return; // which Escape closes, and nothing else
    const { key, code, target } = event;
    const starts = key === "Enter" && (event.ctrlKey || event.metaKey);
    if (starts && press("draw", "ask")) event.preventDefault();
    const isTyping = target.closest(
      "textarea, [contenteditable], input:not([type=radio], [type=checkbox], [type=range])",
    );
    if (key === "?" && !isTyping) help()?.showModal();
    if (key === "Escape") press("stop-drawing", "stop-answer");
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step && target.role === "tab") go(beside(target, step));
    // By its place, because Option and a digit make another character.
    const [, digit] = code.match(/^Digit([1-9])$/) ?? [];
    const goes = digit && event.altKey && !event.ctrlKey && !event.metaKey;
    if (goes && go(tabs()[digit - 1])) event.preventDefault();
  });
})();

(() => {
  const tell = () => {
    const bar = document.querySelector("#progress progress");
    const title = bar ? `${Math.round(100 * bar.value)} % - Janus` : "Janus";
    if (document.title !== title) document.title = title;
  };
  const changes = { attributeFilter: ["value"], childList: true, subtree: true };
  new MutationObserver(tell).observe(document, changes);
})();

// For the whole page: its keys, and its title, which tells how far a drawing is.

// Ctrl+Enter (or Cmd+Enter) starts, Escape stops, ? opens About.
(() => {
  const press = (...buttons) => {
    const visible = buttons
      .map((id) => document.getElementById(id))
      .find((button) => button && button.offsetParent !== null);
    visible?.click();
    return Boolean(visible);
  };
  document.addEventListener("keydown", (event) => {
    const starts = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (starts && press("draw", "ask")) event.preventDefault();
    const isTyping = event.target.closest("input, textarea, [contenteditable]");
    if (event.key === "?" && !isTyping) press("about-button");
    if (event.key === "Escape") press("stop-drawing", "stop-answer");
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

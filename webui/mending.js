// What Gradio's own markup lacks for screen readers: roles of named parts, and the names of pictures.
(() => {
  const mend = () => {
    const all = (selector) => document.querySelectorAll(selector);
    for (const empty of all(".empty[aria-label]:not([role])")) empty.role = "img";
    for (const said of all("[role=log] [data-testid][aria-label]:not([role])")) said.role = "group";
    // A button around the button that takes files.
    for (const outer of all("button.icon-button:not([role]):has(button)")) {
      outer.role = "group";
      outer.tabIndex = -1;
    }
    for (const image of all(":is(.thumbnail-item, .media-button) > img")) {
      const [name, button] = [image.alt || image.title, image.parentElement];
      if (name && button.ariaLabel !== name) button.ariaLabel = name;
    }
  };
  const watch = () => {
    const changes = { childList: true, subtree: true, attributeFilter: ["alt", "aria-label"] };
    new MutationObserver(mend).observe(document.body, changes);
  };
  document.addEventListener("DOMContentLoaded", watch);
})();

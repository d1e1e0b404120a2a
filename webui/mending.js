// What Gradio's own markup lacks for screen readers and keys: roles of named parts, names of
// pictures and of choices.
(() => {
  const mend = () => {
    const all = (selector) => document.querySelectorAll(selector);
    for (const empty of all(".empty[aria-label]:not([role])")) empty.role = "img";
    for (const said of all("[role=log] [data-testid][aria-label]:not([role])")) said.role = "group";
    // Buttons around buttons: the inner ones take files, and close a toast.
    const buttons = ".icon-button:not([role]), .toast-header[role=button]";
    for (const outer of all(`:is(${buttons}):has(button)`)) {
      outer.role = "group";
      outer.tabIndex = -1;
    }
    // Each has a name of its own, so that arrows would not go from one to the next.
    for (const choice of all("fieldset[id] input[type=radio]")) {
      const { id } = choice.closest("fieldset");
      if (choice.name !== id) choice.name = id;
    }
    // In the conversation, where Gradio drops other names.
    for (const image of all("[role=log] .image-frame > img[alt='']"))
      image.alt = decodeURIComponent(image.src.split("/").pop());
    // Their names otherwise are "Thumbnail 1 of 2", whatever they show.
    for (const image of all(":is(.thumbnail-item, .media-button) > img")) {
      if (!image.alt && image.title) image.alt = image.title;
      if (image.alt) image.parentElement.removeAttribute("aria-label");
    }
    for (const caption of all(".thumbnail-item > .caption-label")) caption.ariaHidden = "true";
  };
  const attributeFilter = ["alt", "aria-label", "name"];
  const changes = { childList: true, subtree: true, attributeFilter };
  new MutationObserver(mend).observe(document, changes);
})();

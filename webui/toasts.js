// Says in the language of the page what Gradio's own page says in English only.
(phrases) => {
  const translate = (toast) => {
    for (const [pattern, said] of phrases) {
      const found = toast.textContent.match(new RegExp(pattern));
      if (!found) continue;
      const own = said[document.documentElement.lang];
      toast.textContent = own.replace(/{(\w+)}/g, (_, name) => found.groups[name]);
      return;
    }
  };
  const translateAll = () =>
    document.querySelectorAll("[data-testid=toast-text]").forEach(translate);
  const all = { childList: true, characterData: true, subtree: true };
  new MutationObserver(translateAll).observe(document.documentElement, all);
}

// Where no motion is wanted nothing moves, neither by styles nor by Gradio's scripts.
(() => {
  const wish = matchMedia("(prefers-reduced-motion: reduce)");
  const animate = Element.prototype.animate;
  Element.prototype.animate = function (frames, options) {
    const timing = typeof options === "number" ? { duration: options } : options;
    const calm = { ...timing, duration: 0, delay: 0 };
    return animate.call(this, frames, wish.matches ? calm : options);
  };
  // Not among the files in style/, which Gradio keeps from its toasts.
  const style = document.createElement("style");
  style.textContent = `@media ${wish.media} {
    *, ::before, ::after {
      animation: none !important;
      transition: none !important;
      scroll-behavior: auto !important;
    }
  }`;
  document.head.append(style);
})();

// Files that are pasted or dropped anywhere on a tab go to where it takes files.
(() => {
  const boxes = ["pictures", "dropped"];
  const take = (event, { files }) => {
    const box = boxes.map((id) => document.getElementById(id)).find((box) => box?.offsetParent);
    const input = box?.querySelector("input[type=file]");
    if (!files.length || event.defaultPrevented) return;
    event.preventDefault(); // or the browser leaves the page to show the file
    if (!input) return;
    input.files = files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  document.addEventListener("paste", (event) => take(event, event.clipboardData));
  document.addEventListener("drop", (event) => take(event, event.dataTransfer));
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
})();

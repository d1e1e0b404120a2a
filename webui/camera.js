// Takes pictures for the Ask tab: opens the dialog of camera.py in place of Gradio's own camera.
(() => {
  const part = (selector) => document.querySelector(`#camera ${selector}`);
  const dialog = () => document.getElementById("camera");

  const begin = async () => {
    dialog().showModal();
    const said = part("[role=status]");
    said.textContent = "";
    try {
      // Of a phone's cameras, the one that looks away from its owner.
      const video = { facingMode: "environment", width: { ideal: 1280 } };
      const stream = await navigator.mediaDevices.getUserMedia({ video });
      if (!dialog().open) return stop(stream);
      part("video").srcObject = stream;
      await part("video").play(); // before that there is nothing to take
      part("#take-picture").disabled = false;
      part("#take-picture").focus();
    } catch ({ name }) {
      const { refused, missing, insecure } = said.dataset;
      const why = name === "NotAllowedError" ? refused : missing;
      said.textContent = isSecureContext ? why : insecure;
    }
  };

  const stop = (stream) => stream?.getTracks().forEach((track) => track.stop());

  const end = () => {
    stop(part("video").srcObject);
    part("video").srcObject = null;
    part("#take-picture").disabled = true;
  };

  const take = () => {
    const video = part("video");
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob(keep, "image/jpeg", 0.95);
    dialog().close();
  };

  const keep = (picture) => {
    const files = new DataTransfer();
    files.items.add(new File([picture], "camera.jpg", { type: picture.type }));
    const input = document.querySelector("#pictures input[type=file]");
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const opens = (button) => {
    const names = ["Capture from camera", part("h2")?.textContent];
    return button && names.includes(button.ariaLabel);
  };

  const pressed = (event) => {
    if (event.target.closest("#take-picture")) take();
    if (!opens(event.target.closest("#pictures button"))) return;
    event.stopPropagation();
    begin();
  };
  document.addEventListener("click", pressed, true); // before Gradio knows of it
  document.addEventListener("close", (event) => event.target.id === "camera" && end(), true);
})();

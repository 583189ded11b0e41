// What widgets cannot do: say that a key is pressed, be opened by a key, be clicked at a place, be copied, take a file that
// is dropped. A studio runs it when it is shown and after each new sound; its listeners are set once for a page.

window.cvaeStudio ??= (() => {
  const NAME = "audio[aria-label='the clip']";
  const HEAD = ".cvae-studio [class*='-Collapse-header']";
  let begins = null; // the studio whose next clip is played, because its map was clicked while the clip was paused
  let before = null; // that clip

  /** A click on the map: a hidden field tells the kernel where. */
  function go(map, event) {
    const box = map.getBoundingClientRect();
    const place = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const studio = map.closest(".cvae-studio");
    const field = studio.querySelector(".cvae-clicked input");
    before = studio.querySelector(NAME);
    begins = before.closest(".clip.playing") ? null : studio;
    field.value = place.map((share) => share.toFixed(4));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  async function copy(key) {
    const box = key.closest(".cvae-code");
    const field = box.querySelector("textarea");
    const said = box.querySelector("[role=status]");
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = "Copied: these lines make this sound again.";
    } catch {
      said.textContent = "The lines are selected: copy them.";
    }
  }

  /** Hands a dropped file to the button that would ask for one; its <input> stands outside the page. */
  function take(studio, files) {
    const ask = HTMLInputElement.prototype.click;
    HTMLInputElement.prototype.click = function () {
      this.files = files;
      this.dispatchEvent(new Event("change"));
    };
    try {
      studio.querySelector(".widget-upload").click();
    } finally {
      HTMLInputElement.prototype.click = ask;
    }
  }

  document.addEventListener("click", (event) => {
    const map = event.target.closest(".cvae-map");
    const key = event.target.closest(".cvae-copy");
    if (map) go(map, event);
    if (key) copy(key);
    if (event.target.closest(HEAD)) mark();
  });
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches?.(HEAD) || ![" ", "Enter"].includes(event.key)) return;
    event.preventDefault();
    event.target.click();
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      const studio = event.target.closest?.(".cvae-studio"); // beside the area too, or the browser would leave the page
      if (!studio || !event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      studio.querySelector(".cvae-drop").classList.toggle("cvae-over", kind === "dragover");
      if (kind === "drop") take(studio, event.dataTransfer.files);
    });
  }

  /** What widgets leave out for screen readers and for the keyboard; then the clip that a click on the map asked for. */
  function mark() {
    for (const key of document.querySelectorAll(".cvae-genres button")) {
      key.setAttribute("aria-pressed", key.classList.contains("mod-primary"));
    }
    for (const handle of document.querySelectorAll(".cvae-studio .noUi-handle")) {
      handle.setAttribute("aria-label", handle.closest(".widget-slider").querySelector("label").textContent);
    }
    for (const head of document.querySelectorAll(HEAD)) {
      head.tabIndex = 0;
      head.setAttribute("role", "button");
      head.setAttribute("aria-label", head.textContent); // without the sign before it
      head.setAttribute("aria-expanded", head.parentElement.className.includes("-Collapse-open"));
    }
    const audio = begins?.querySelector(NAME);
    const figure = audio?.closest("figure");
    const play = figure?.querySelector("button.play");
    if (audio === before || !play) return; // it is not there yet
    begins = null;
    if (figure.dataset.silent === undefined) play.click();
  }

  const watch = new MutationObserver(mark);
  return () => {
    for (const studio of document.querySelectorAll(".cvae-studio")) {
      studio.dataset.lmSuppressShortcuts = "true"; // keys are not JupyterLab's here
      watch.observe(studio, { childList: true, subtree: true });
    }
    mark();
  };
})();
window.cvaeStudio();

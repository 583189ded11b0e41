// What was made before: the address of each clip, the way back, the last eight to look at.

import { draw } from "./picture.js";

const MOST = 8;

export class Trail {
  /**
   * @param list Element for the last clips, hidden with its parent while there are none.
   * @param back Button that goes back.
   * @param onReturn Called with the text of an address that was returned to, and the gesture that did it.
   */
  constructor(list, back, onReturn) {
    Object.assign(this, { list, back, onReturn, last: [], gesture: Symbol("opened"), shown: null });
    if (!history.state) history.replaceState({ depth: 0 }, "");
    this.update();
    back.addEventListener("click", () => history.back());
    addEventListener("popstate", () => {
      if (location.hash && !location.hash.includes("=")) return; // a place in the page
      if (!history.state) history.replaceState({ depth: 0 }, ""); // an address that was typed
      this.gesture = Symbol("back");
      this.update();
      onReturn(this.text, this.gesture);
    });
  }

  /** What the address says of the controls. */
  get text() {
    return location.hash.slice(1);
  }

  /** Writes an address. What one gesture changes, as a slider that is dragged, is one step back. */
  note(text, gesture) {
    if (text === this.text) return;
    const address = text ? `#${text}` : location.pathname + location.search;
    const isSame = gesture !== null && gesture === this.gesture;
    try {
      if (isSame) history.replaceState(history.state, "", address);
      else history.pushState({ depth: history.state.depth + 1 }, "", address);
    } catch {
      // A browser refuses more than so many a second; the next change writes it.
    }
    this.gesture = gesture;
    this.update();
  }

  update() {
    this.back.disabled = !(history.state?.depth > 0);
  }

  /** Keeps a clip among the last; those of one gesture are one. */
  keep(text, gesture, title, words, levels) {
    const found = this.last.findIndex((entry) => entry.text === text);
    const entry = { text, gesture, title, words, levels };
    if (found >= 0) this.last[found] = { ...entry, gesture: this.last[found].gesture };
    else if (gesture !== null && this.last[0]?.gesture === gesture) this.last[0] = entry;
    else this.last.unshift(entry);
    this.last.length = Math.min(this.last.length, MOST);
    this.shown = text;
    this.list.parentElement.hidden = this.last.length < 2;
    this.last.forEach((each, k) => this.fill(k, each));
  }

  fill(place, entry) {
    const { list } = this;
    if (!list.children[place]) {
      const item = document.createElement("li"), button = document.createElement("button"), label = document.createElement("span");
      const canvas = Object.assign(document.createElement("canvas"), { width: 128, height: 128 });
      button.type = "button";
      button.append(canvas, label);
      button.addEventListener("click", () => this.onReturn(this.last[place].text, null));
      item.append(button);
      list.append(item);
    }
    const button = list.children[place].firstChild;
    const [canvas, label] = button.children;
    if (button.levels !== entry.levels) draw(canvas, entry.levels);
    button.levels = entry.levels;
    label.textContent = entry.title;
    button.title = entry.words;
    button.setAttribute("aria-label", entry.words);
    button.setAttribute("aria-current", String(entry.text === this.shown));
  }
}

// What was made before: the address of each clip, the way back, the last eight to look at.

import { draw } from "./player.js";

const MOST = 8;

export class Trail {
  /**
   * @param list Element for the last clips, hidden with its parent while there are none.
   * @param back Button that goes back.
   * @param onReturn Called with the text of an address that was returned to, and the gesture that did it.
   */
  constructor(list, back, onReturn) {
    Object.assign(this, { list, back, onReturn, last: [], gesture: Symbol("opened") });
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
    const { last, list } = this;
    let entry = last.find((other) => other.text === text);
    if (!entry && gesture !== null && last[0]?.gesture === gesture) [entry] = last;
    if (!entry) {
      entry = this.newEntry();
      last.unshift(entry);
      list.prepend(entry.item);
      if (last.length > MOST) last.pop().item.remove();
    }
    if (entry.text !== text) Object.assign(entry, { text, gesture });
    const [canvas, label] = entry.button.children;
    draw(canvas, levels);
    label.textContent = title;
    entry.button.title = words;
    entry.button.setAttribute("aria-label", words);
    for (const each of last) each.button.setAttribute("aria-current", String(each === entry));
    list.parentElement.hidden = last.length < 2;
  }

  newEntry() {
    const [item, button, label] = ["li", "button", "span"].map((name) => document.createElement(name));
    const entry = { item, button, text: null };
    button.type = "button";
    button.append(Object.assign(document.createElement("canvas"), { width: 128, height: 128 }), label);
    button.addEventListener("click", () => this.onReturn(entry.text, null));
    item.append(button);
    return entry;
  }
}

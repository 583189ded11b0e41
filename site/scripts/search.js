// The search: sections that hold every word, those with the words in their headings first.

const MOST = 50;
const AROUND = 90; // characters of text to each side of the first word

document.getElementById("blocked").remove(); // it says that no script runs
const query = new URLSearchParams(location.search).get("q")?.trim() ?? "";
const words = query.toLowerCase().split(/\s+/).filter(Boolean);
const found = document.getElementById("found");

const occurrences = (text, word) => text.split(word).length - 1;

/** How well a section fits, 0 if a word is missing. */
export function score(entry, words) {
  const heading = `${entry.section} ${entry.title}`.toLowerCase();
  const text = entry.text.toLowerCase();
  const each = words.map((word) => 20 * occurrences(heading, word) + occurrences(text, word));
  return each.some((value) => value === 0) ? 0 : each.reduce((sum, value) => sum + value, 0);
}

/** Text around the first word, the words marked. */
function snippet(text, words) {
  const place = Math.max(text.toLowerCase().indexOf(words[0]), 0);
  const from = Math.max(place - AROUND, 0);
  const part = text.slice(from, place + AROUND);
  const line = document.createElement("p");
  const marks = new RegExp(`(${words.map((word) => word.replace(/[^\w\s]/g, "\\$&")).join("|")})`, "gi");
  line.append(from ? "…" : "");
  for (const piece of part.split(marks)) {
    if (!words.includes(piece.toLowerCase())) line.append(piece);
    else line.append(Object.assign(document.createElement("mark"), { textContent: piece }));
  }
  line.append("…");
  return line;
}

if (!words.length) {
  found.textContent = "Type words into the field above: sections that hold all of them are listed here.";
} else {
  document.getElementById("find").value = query;
  const entries = await (await fetch("search.json")).json();
  const fitting = entries.map((entry) => ({ entry, fit: score(entry, words) })).filter(({ fit }) => fit > 0);
  fitting.sort((a, b) => b.fit - a.fit);
  found.textContent = `${fitting.length} section${fitting.length === 1 ? "" : "s"} with “${query}”.`;
  if (fitting.length > MOST) found.textContent += ` The first ${MOST} are shown.`;
  document.getElementById("results").append(
    ...fitting.slice(0, MOST).map(({ entry }) => {
      const item = document.createElement("li");
      const link = Object.assign(document.createElement("a"), { href: `${entry.page}#${entry.anchor}` });
      const page = `${entry.number} ${entry.title}`.trim();
      link.textContent = entry.section === entry.title ? page : `${page} — ${entry.section}`;
      item.append(link, snippet(entry.text, words));
      return item;
    }),
  );
}

// Search: case and accents do not matter, and a phrase may run over words, lines and paragraphs.
const query = document.getElementById("query");
const count = document.getElementById("count");
const steps = [document.getElementById("previous"), document.getElementById("next")];
const MOST = 10_000;
let index = null;
let matches = [];
let current = -1;
let waiting = 0;

function folded(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

// All words in one text, and where in it each begins. Made when it is first needed.
function makeIndex() {
  const pieces = [];
  const offsets = [];
  let length = 0;
  for (const paragraph of paragraphs) {
    for (const element of wordsIn(paragraph)) {
      const spaced = element.nextElementSibling === null || element.nextSibling.nodeType === Node.TEXT_NODE;
      const piece = folded(element.textContent) + (spaced ? " " : "");
      offsets.push(length);
      pieces.push(piece);
      length += piece.length;
    }
  }
  return { text: pieces.join(""), offsets };
}

function find(wanted) {
  index ??= makeIndex();
  const found = [];
  let at = wanted ? index.text.indexOf(wanted) : -1;
  while (at >= 0 && found.length < MOST) {
    const [first, last] = [at, at + wanted.length - 1].map((end) => lastUpTo(end, index.offsets.length, (place) => index.offsets[place]));
    if (!paragraphOf(first).hidden) found.push({ first, last });
    at = index.text.indexOf(wanted, at + wanted.length);
  }
  return found;
}

function mark(match, name, on) {
  for (let word = match.first; word <= match.last; word++) elementOf(word).classList.toggle(name, on);
}

function search() {
  clearTimeout(waiting);
  waiting = 0;
  if (current >= 0) mark(matches[current], "current", false);
  for (const match of matches) mark(match, "hit", false);
  const wanted = folded(query.value).replace(/\s+/g, " ").trim();
  matches = find(wanted);
  current = -1;
  for (const match of matches) mark(match, "hit", true);
  for (const step of steps) step.disabled = matches.length === 0;
  count.textContent = wanted && !matches.length ? "No matches" : "";
  if (matches.length) step(nearest());
}

// The first match that is not above what is being read.
function nearest() {
  const reading = paragraphs.find((each) => !each.hidden && each.getBoundingClientRect().bottom > 120);
  const from = reading ? firsts[paragraphs.indexOf(reading)] : 0;
  const place = matches.findIndex((match) => match.first >= from);
  return Math.max(0, place);
}

function step(to) {
  if (!matches.length) return;
  if (current >= 0) mark(matches[current], "current", false);
  current = (to + matches.length) % matches.length;
  mark(matches[current], "current", true);
  setFollowing(false);
  elementOf(matches[current].first).scrollIntoView({ block: "center" });
  count.textContent = `${current + 1} of ${matches.length}${matches.length === MOST ? "+" : ""}`;
}

query.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(search, 150);
});
query.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.shiftKey) {
    event.preventDefault();
    step(current - 1);
  }
});
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  if (waiting) search();
  else step(current + 1);
});
steps[0].addEventListener("click", () => step(current - 1));

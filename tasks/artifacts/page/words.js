// Which word stands where, and when it is spoken. Words have numbers, from 0 in the order of the text.
document.documentElement.classList.add("scripted");

const paragraphs = [...document.querySelectorAll("#text > [data-at]")];
const { words: deltas, passages } = JSON.parse(document.getElementById("times").textContent);
const starts = new Float64Array(deltas.length / 2);
const ends = new Float64Array(starts.length);
for (let word = 0, at = 0; word < starts.length; word++) {
  at += deltas[2 * word];
  starts[word] = at;
  ends[word] = at + deltas[2 * word + 1];
}
// Where several speak at once, the order of the text is not that of the times.
const spoken = Uint32Array.from(starts.keys()).sort((one, two) => starts[one] - starts[two] || one - two);

const firsts = [];
let counted = 0;
for (const paragraph of paragraphs) {
  firsts.push(counted);
  counted += wordsIn(paragraph).length;
}

function wordsIn(paragraph) {
  return paragraph.lastElementChild.children;
}

// The last place of 0..length-1 whose value is at most `most`; -1 where there is none.
function lastUpTo(most, length, valueAt) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (valueAt(middle) <= most) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function paragraphOf(word) {
  return paragraphs[lastUpTo(word, firsts.length, (place) => firsts[place])];
}

function elementOf(word) {
  const place = lastUpTo(word, firsts.length, (at) => firsts[at]);
  return wordsIn(paragraphs[place])[word - firsts[place]];
}

function numberOf(element) {
  const paragraph = element.closest("[data-at]");
  return firsts[paragraphs.indexOf(paragraph)] + [...wordsIn(paragraph)].indexOf(element);
}

// The word spoken at a time, or just before; -1 before the first, and in a pause.
function wordAt(ms) {
  const place = lastUpTo(ms, spoken.length, (at) => starts[spoken[at]]);
  const word = place < 0 ? -1 : spoken[place];
  return word >= 0 && ms - ends[word] < 1000 ? word : -1;
}

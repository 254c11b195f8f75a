// What is shown, and how.
const theme = document.getElementById("theme");
const THEMES = ["system", "dark", "light"];

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  theme.textContent = `Theme: ${name}`;
}

theme.addEventListener("click", () => {
  const name = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  setTheme(name);
  try {
    localStorage.setItem("theme", name);
  } catch {
    // Some browsers keep nothing for files: then it holds until the page is closed.
  }
});

function storedTheme() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

setTheme(THEMES.includes(storedTheme()) ? storedTheme() : "system");

const boxes = [...document.querySelectorAll("[name=speaker]")];

function filter() {
  const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  for (const each of paragraphs) each.hidden = each.dataset.speaker !== undefined && !shown.has(each.dataset.speaker);
  if (query.value) search();
}

function showAll() {
  for (const box of boxes) box.checked = true;
  filter();
}

for (const box of boxes) box.addEventListener("change", filter);
// Some browsers put back at a reload what was ticked and searched for.
addEventListener("pageshow", filter);

// A copy of the page as NAME.html has its neighbours' copies beside it as NAME.txt and so on.
const copied = location.pathname.match(/([^/]+)\.html$/);
if (copied) {
  for (const link of document.querySelectorAll("nav a")) {
    link.setAttribute("href", link.getAttribute("href").replace(/^(transcript|translation)(?=\.)/, () => `./${copied[1]}`));
  }
}
// A copy elsewhere does not have the minutes' own file beside its folder.
if (copied && !/^(transcript|translation)$/.test(copied[1])) document.getElementById("markdown")?.remove();

// An address may name a moment, in seconds or as a clock: #t=754.2, #t=12:34.2; or a paragraph.
function momentOf(hash) {
  const named = hash.match(/^#t=(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)$/);
  if (named) return 1000 * (3600 * (named[1] ?? 0) + 60 * (named[2] ?? 0) + Number(named[3]));
  return Number(document.getElementById(hash.slice(1))?.dataset.at ?? NaN);
}

// The word that is spoken at a moment, or the next one. Who writes an address may have rounded the time.
function wordFor(ms) {
  const word = wordAt(ms + 100);
  const next = lastUpTo(ms, spoken.length, (at) => starts[spoken[at]]) + 1;
  return word >= 0 ? word : spoken[Math.min(next, spoken.length - 1)];
}

function goToMoment() {
  const ms = momentOf(decodeURIComponent(location.hash));
  if (Number.isNaN(ms)) return;
  const word = wordFor(ms);
  for (const each of document.querySelectorAll("#text > .opened")) each.classList.remove("opened");
  setFollowing(true);
  if (word === undefined) return seek(ms);
  const paragraph = paragraphOf(word);
  if (paragraph.hidden) showAll();
  seek(wordAt(ms + 100) < 0 ? ms : Math.max(ms, starts[word]));
  paragraph.classList.add("opened");
  elementOf(word).scrollIntoView({ block: "center" });
}

document.getElementById("minutes")?.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (!link) return;
  event.preventDefault();
  history.replaceState(null, "", link.hash);
  goToMoment();
  play();
});

addEventListener("hashchange", goToMoment);
// Not before: until then the browser itself scrolls to what the address names.
addEventListener("load", () => setTimeout(goToMoment));

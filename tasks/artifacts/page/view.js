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

for (const box of boxes) box.addEventListener("change", filter);
// Some browsers put back at a reload what was ticked and searched for.
addEventListener("pageshow", filter);

// A copy of the page as NAME.html has its neighbours' copies beside it as NAME.txt and so on.
const copied = location.pathname.match(/([^/]+)\.html$/);
if (copied) {
  for (const link of document.querySelectorAll("nav a")) {
    link.setAttribute("href", link.getAttribute("href").replace("transcript", () => `./${copied[1]}`));
  }
}

const opened = document.getElementById(location.hash.slice(1));
if (opened?.dataset.at) seek(Number(opened.dataset.at));

// The recording, and the word that is heard.
const media = document.getElementById("media");
const state = document.getElementById("state");
const follow = document.getElementById("follow");
let heard = -1;
let pending = 0;
let frame = 0;

// An address is not always one that can be played: of another machine, or a page on the web and a file on disk.
function hasRecording() {
  return media.hasAttribute("src");
}

function askForRecording(why) {
  media.removeAttribute("src");
  media.load();
  media.hidden = true;
  state.textContent = `${why}Open the recording from your disk to listen.`;
}

function open(file) {
  if (media.src.startsWith("blob:")) URL.revokeObjectURL(media.src);
  media.src = URL.createObjectURL(file);
  media.hidden = false;
  media.playbackRate = Number(document.getElementById("speed").value);
  media.currentTime = pending / 1000;
  state.textContent = file.name;
}

function seek(ms) {
  pending = Math.max(0, ms);
  media.currentTime = pending / 1000;
  show(wordAt(pending));
}

function play() {
  if (!hasRecording()) askForRecording("");
  else media.play().catch(() => {});
}

function playOrPause() {
  if (media.paused) play();
  else media.pause();
}

function setFollowing(on) {
  follow.setAttribute("aria-pressed", String(on));
}

function show(word) {
  if (word === heard) return;
  if (heard >= 0) elementOf(heard).classList.remove("now");
  heard = word;
  if (word < 0) return;
  elementOf(word).classList.add("now");
  if (follow.getAttribute("aria-pressed") === "true") keepInView(elementOf(word));
}

function keepInView(element) {
  if (element.closest("[hidden]")) return;
  const { top, bottom } = element.getBoundingClientRect();
  const first = document.querySelector(".tools").getBoundingClientRect().bottom;
  const last = document.querySelector(".player").getBoundingClientRect().top;
  if (top < Math.max(0, first) || bottom > last) element.scrollIntoView({ block: "center" });
}

function showHeard() {
  pending = media.currentTime * 1000;
  show(wordAt(pending));
}

function onEachFrame() {
  cancelAnimationFrame(frame);
  showHeard();
  if (!media.paused) frame = requestAnimationFrame(onEachFrame);
}

media.addEventListener("play", onEachFrame);
media.addEventListener("seeked", showHeard);
media.addEventListener("error", () => {
  if (!hasRecording()) return;
  const isOpened = media.src.startsWith("blob:");
  askForRecording(isOpened ? "This browser cannot play that file. " : "The recording cannot be played from where it was. ");
});
document.getElementById("file").addEventListener("change", ({ target }) => target.files[0] && open(target.files[0]));
document.getElementById("speed").addEventListener("change", ({ target }) => {
  media.defaultPlaybackRate = media.playbackRate = Number(target.value);
});
follow.addEventListener("click", () => {
  setFollowing(follow.getAttribute("aria-pressed") === "false");
  if (heard >= 0) keepInView(elementOf(heard));
});
// Who scrolls wants to read elsewhere.
for (const kind of ["wheel", "touchmove"]) {
  document.addEventListener(kind, () => media.paused || setFollowing(false), { passive: true });
}

document.getElementById("text").addEventListener("click", (event) => {
  if (!getSelection().isCollapsed) return;
  const time = event.target.closest("a");
  const word = event.target.closest("p > span");
  if (!time && !word) return;
  if (time) {
    // The address is there to be copied; the page need not jump.
    event.preventDefault();
    history.replaceState(null, "", time.hash);
  }
  setFollowing(true);
  seek(time ? Number(time.closest("[data-at]").dataset.at) : starts[numberOf(word)]);
  play();
});

if (!hasRecording()) askForRecording("");
else if (media.src.startsWith("file:")) {
  if (location.protocol === "file:") media.preload = "metadata";
  else askForRecording("");
}

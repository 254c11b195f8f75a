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

function open(recording, name) {
  if (media.src.startsWith("blob:")) URL.revokeObjectURL(media.src);
  media.src = URL.createObjectURL(recording);
  media.hidden = false;
  media.playbackRate = Number(document.getElementById("speed").value);
  media.currentTime = pending / 1000;
  state.textContent = name;
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const signs = atob(base64);
  const bytes = new Uint8Array(signs.length);
  for (let at = 0; at < signs.length; at++) bytes[at] = signs.charCodeAt(at);
  return bytes;
}

// A recording may come in the page itself, in pieces. What was taken out is not kept twice.
function takeOut() {
  const pieces = [...document.querySelectorAll("script.sound")];
  if (!pieces.length) return;
  const parts = pieces.map((piece) => bytesOf(piece.textContent));
  for (const piece of pieces) piece.remove();
  open(new Blob(parts, { type: "audio/webm; codecs=opus" }), "");
}

function seek(ms) {
  pending = Math.max(0, ms);
  media.currentTime = pending / 1000;
  show(wordAt(pending));
}

function play() {
  takeOut();
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
document.getElementById("file").addEventListener("change", ({ target }) => target.files[0] && open(target.files[0], target.files[0].name));
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

// The address says which moment was chosen last, to be copied; the page itself need not jump.
function choose(ms) {
  history.replaceState(null, "", `#t=${ms / 1000}`);
  setFollowing(true);
  seek(ms);
  play();
}

document.getElementById("text").addEventListener("click", (event) => {
  if (!getSelection().isCollapsed) return;
  const time = event.target.closest("a");
  const word = event.target.closest("p > span");
  if (!time && !word) return;
  if (time) event.preventDefault();
  choose(time ? Number(time.closest("[data-at]").dataset.at) : starts[numberOf(word)]);
});

if (document.querySelector("script.sound")) addEventListener("load", () => setTimeout(takeOut));
else if (!hasRecording()) askForRecording("");
else if (media.src.startsWith("file:")) {
  if (location.protocol === "file:") media.preload = "metadata";
  else askForRecording("");
}

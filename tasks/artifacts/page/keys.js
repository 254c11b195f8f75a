// The keyboard. What has a meaning where the focus is keeps it there.
function stepPassage(by) {
  const shown = passages.filter((word) => !paragraphOf(word).hidden);
  if (!shown.length) return;
  // A rounded time must not be taken for the passage before.
  const place = lastUpTo(pending + 1, shown.length, (at) => starts[shown[at]]) + by;
  setFollowing(true);
  seek(starts[shown[Math.min(Math.max(place, 0), shown.length - 1)]]);
}

const KEYS = {
  " ": playOrPause,
  ArrowLeft: () => seek(pending - 5000),
  ArrowRight: () => seek(pending + 5000),
  j: () => stepPassage(1),
  k: () => stepPassage(-1),
  "/": () => query.select(),
};

function isTaken(target, key) {
  if (target.closest("input:not([type=checkbox]), select, textarea")) return true;
  return key === " " && target.closest("button, a, input, label") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target === query) return query.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event.target, event.key)) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

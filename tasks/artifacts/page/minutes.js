// Addresses of moments: #t=754.2 is that second of the recording, here and in what links to this page.
function momentOf(hash) {
  const found = hash.match(/^#t=(\d+(?:\.\d+)?)$/);
  return found ? Number(found[1]) * 1000 : -1;
}

function goTo(ms) {
  setFollowing(true);
  seek(ms);
  // A rounded time must not be taken for the word before.
  const place = lastUpTo(ms + 1, spoken.length, (at) => starts[spoken[at]]);
  if (place >= 0) elementOf(spoken[place]).scrollIntoView({ block: "center" });
}

document.getElementById("minutes")?.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  const ms = link ? momentOf(link.hash) : -1;
  if (ms < 0) return;
  event.preventDefault();
  history.replaceState(null, "", link.hash);
  goTo(ms);
  play();
});

function goToAddress() {
  const ms = momentOf(location.hash);
  if (ms >= 0) goTo(ms);
}

addEventListener("hashchange", goToAddress);
goToAddress();

// A copy of the page elsewhere does not have the minutes' own file beside its folder.
if (copied && copied[1] !== "transcript") document.getElementById("markdown")?.remove();

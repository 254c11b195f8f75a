// A link beside a passage leads where it says; to the transcript's own script it would be the time to play.
document.addEventListener("click", (event) => {
  if (event.target.closest("a.edit")) event.stopPropagation();
}, true);

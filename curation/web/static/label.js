// A key presses the button that names it, unless something is being typed.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (event.target.matches("input, textarea, select")) return;
  for (const button of document.querySelectorAll("button[data-key]")) {
    if (button.dataset.key === event.key) {
      event.preventDefault();
      button.click();
      return;
    }
  }
});

(() => {
  "use strict";
  const root = document.documentElement;
  const sections = [...document.querySelectorAll("main > section")];
  const links = [...document.querySelectorAll("nav a")];
  const [back, next, place, theme] = ["back", "next", "place", "theme"].map((id) => document.getElementById(id));
  let current = 0;

  function show(number, isNew = true) {
    current = Math.max(0, Math.min(sections.length - 1, number));
    sections.forEach((section, at) => section.classList.toggle("shown", at === current));
    links.forEach((link, at) => {
      if (at === current) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    });
    back.disabled = current === 0;
    next.disabled = current === sections.length - 1;
    const equation = sections[current].querySelector(".equation").getAttribute("aria-label");
    place.firstElementChild.textContent = `${current + 1} of ${sections.length}`;
    place.lastElementChild.textContent = equation;
    const nav = links[current].closest("nav");
    nav.scrollLeft = links[current].offsetLeft - nav.offsetLeft - nav.clientWidth / 2;
    if (isNew) {
      history.replaceState(null, "", `#${sections[current].id}`);
      scrollTo(0, 0);
    }
  }

  function fromAddress() {
    const at = sections.findIndex((section) => `#${section.id}` === location.hash);
    show(at < 0 ? 0 : at, false);
    scrollTo(0, 0);
  }

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function nameTheme() {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", isDark() ? "Show light colours" : "Show dark colours");
  }

  back.addEventListener("click", () => show(current - 1));
  next.addEventListener("click", () => show(current + 1));
  links.forEach((link, at) => link.addEventListener("click", (event) => {
    event.preventDefault();
    show(at);
  }));
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  });
  addEventListener("hashchange", fromAddress);
  addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const wide = event.target instanceof Element && event.target.closest(".wide");
    const to = { ArrowLeft: -1, ArrowRight: 1, PageUp: -1, PageDown: 1 }[event.key];
    // A table that is wider than the screen is scrolled by the arrows, a page that is longer by the keys of presenters.
    if (to === undefined || (wide && wide.scrollWidth > wide.clientWidth)) return;
    const isEnd = to < 0 ? scrollY <= 0 : scrollY + innerHeight >= root.scrollHeight - 2;
    if (event.key.startsWith("Page") && !isEnd) return;
    event.preventDefault();
    show(current + to);
  });

  root.classList.add("js");
  nameTheme();
  fromAddress();
})();

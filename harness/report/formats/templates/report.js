"use strict";
(() => {
  const root = document.documentElement;

  // Colours: those of the system, light or dark. If nothing can be stored, the choice lasts as long as the page.
  const toggle = document.getElementById("theme");
  const names = { "": "system", light: "light", dark: "dark" };
  const wear = (theme) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    toggle.textContent = "Colours: " + names[theme];
    toggle.setAttribute("aria-label", "Colours: " + (theme || "as the system has them") + ". Press to change.");
    try {
      if (theme) localStorage.setItem("harness-theme", theme);
      else localStorage.removeItem("harness-theme");
    } catch { /* a page from a file may have no storage */ }
  };
  let stored = "";
  try { stored = localStorage.getItem("harness-theme") || ""; } catch { /* as above */ }
  wear(stored in names ? stored : "");
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const order = Object.keys(names);
    wear(order[(order.indexOf(root.dataset.theme || "") + 1) % order.length]);
  });

  // A small screen begins with the answer, not with the contents.
  const contents = document.getElementById("contents");
  if (matchMedia("(max-width: 70rem)").matches) contents.open = false;

  // Tables: sorted by a button in each header. Long tables have a filter, and a button that shows all rows.
  const words = new Intl.Collator("en", { numeric: true });
  const numberOf = (cell) => parseFloat(cell.dataset.v ?? cell.textContent.replace("−", "-"));
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    if (rows.length < 2) continue;
    const most = Number(table.dataset.rows);
    let cut = rows.length > most;
    let order = rows;
    let wanted = "";
    const scroll = table.parentElement;
    const status = document.createElement("p");
    status.className = "note status";
    status.setAttribute("role", "status");
    const all = document.createElement("button");
    all.type = "button";
    all.className = "all";
    all.textContent = "Show all " + rows.length.toLocaleString("en") + " rows";
    const texts = rows.length > 15 ? new Map(rows.map((row) => [row, row.textContent.toLowerCase()])) : null;

    const show = () => {
      const kept = wanted ? order.filter((row) => texts.get(row).includes(wanted)) : order;
      const here = new Set(cut ? kept.slice(0, most) : kept);
      for (const row of order) row.hidden = !here.has(row);
      all.hidden = !(cut && kept.length > most);
      status.textContent = here.size < rows.length ? here.size + " of " + rows.length.toLocaleString("en") + " rows are shown." : "";
    };

    [...table.tHead.rows[0].cells].forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const numbers = head.classList.contains("n");
        const keys = new Map(rows.map((row) => {
          const cell = row.cells[index];
          return [row, numbers ? numberOf(cell) : cell.textContent];
        }));
        const none = (key) => (numbers ? Number.isNaN(key) : key === "");
        order = [...rows].sort((one, other) => {
          const [a, b] = [keys.get(one), keys.get(other)];
          if (none(a) || none(b)) return none(a) - none(b);
          return (down ? -1 : 1) * (numbers ? a - b : words.compare(a, b));
        });
        body.append(...order);
        show();
      });
    });

    if (texts) {
      const label = document.createElement("label");
      const input = document.createElement("input");
      input.type = "search";
      input.placeholder = "words in a row";
      label.className = "filter";
      label.append("Filter ", input);
      input.addEventListener("input", () => { wanted = input.value.trim().toLowerCase(); show(); });
      scroll.before(label);
    }
    if (texts || cut) {
      all.addEventListener("click", () => { cut = false; show(); });
      scroll.after(status, all);
      show();
    }
  }
})();

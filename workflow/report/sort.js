// Tables of numbers sort by the header that is pressed: falling, rising, as they were. Rows stay in their group.
function sortableBy(cell) {
  const shown = (cell.querySelector("div") ?? cell).textContent.trim();
  const plain = shown.replace(/\u2212/g, "-").replace(/(\d)[,\s\u00a0\u202f](?=\d{3}(\D|$))/g, "$1");
  const number = cell.dataset.value ?? /^[<>≤≥~]?\s*([+-]?\d*\.?\d+(e[+-]?\d+)?)(?=$|[\s%[,])/i.exec(plain)?.[1];
  return { shown: /^[–-]?$/.test(shown) ? "" : shown, number: number === undefined ? NaN : Number(number) };
}
function sortRows(rows, column, sign) {
  const cells = new Map(rows.map(row => [row, sortableBy(row.cells[column])]));
  const isNumeric = [...cells.values()].every(cell => !cell.shown || !isNaN(cell.number));
  return [...rows].sort((first, second) => {
    const a = cells.get(first), b = cells.get(second);
    if (!a.shown || !b.shown) return Number(!a.shown) - Number(!b.shown);  // what is missing stays below
    return sign * (isNumeric ? a.number - b.number : a.shown.localeCompare(b.shown, undefined, { numeric: true }));
  });
}
for (const table of document.querySelectorAll("table.numbers:not(.cards), table.claims")) {
  const groups = [[]];
  for (const row of table.tBodies[0].rows) {
    if (row.classList.contains("group")) groups.push([row]); else groups.at(-1).push(row);
  }
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    if (!head.textContent.trim()) button.setAttribute("aria-label", "sort by this column");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { descending: "ascending", ascending: "" }[head.getAttribute("aria-sort")] ?? "descending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      for (const rows of groups) {
        const fixed = rows.filter(row => row.classList.contains("group"));
        const free = rows.filter(row => !row.classList.contains("group"));
        table.tBodies[0].append(...fixed, ...(next ? sortRows(free, column, next === "ascending" ? 1 : -1) : free));
      }
    });
  });
}

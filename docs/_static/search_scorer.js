// How the search ranks pages: findings and guides before the reference, which contains every word many times.
// The other numbers are those of Sphinx.
var Scorer = {
  score: ([docname, , , , score]) => {
    if (docname.startsWith("reference/") || ["tables", "what-works"].includes(docname)) return score - 20;
    if (docname.startsWith("findings/")) return score + 5;
    return score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

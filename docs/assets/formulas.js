// Formulas: what pymdownx.arithmatex leaves, drawn by KaTeX. The copy beside this file is release
// 0.19.1 of the npm package katex, unchanged: katex.min.js, katex.min.css, the woff2 fonts, LICENSE.
for (const element of document.querySelectorAll(".arithmatex")) {
  const latex = element.textContent.trim().slice(2, -2); // without \( \) or \[ \]
  katex.render(latex, element, { displayMode: element.tagName === "DIV", throwOnError: true });
}

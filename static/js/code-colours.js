/** Comments, texts and keywords of a program, so that a page can colour them. Nothing is understood beyond that. Pure. */

const WORDS = {
  python: "and as async await def elif else except finally for from if import in is lambda not or raise return try while with",
  javascript: "async await break class const else export extends for from function if import let new of return this try while",
  shell: "do done elif else fi for if in set then while",
};
const TEXTS = { python: /"""[\s\S]*?"""|f?"(?:\\.|[^"\\\n])*"/, javascript: /`(?:\\.|[^`\\])*`|"(?:\\.|[^"\\\n])*"/, shell: /'[^']*'|"(?:\\.|[^"\\])*"/ };
const COMMENTS = { python: /#.*/, javascript: /(?<!:)\/\/.*/, shell: /(?<=^|\s)#.*/ };
const SAME = { browser: "javascript", library: "python" };

/** text in order, cut into {kind, text}; kind: "comment", "text", "word" or "". */
export function coloured(text, language) {
  const name = SAME[language] ?? language;
  const word = `\\b(?:${WORDS[name].replaceAll(" ", "|")})\\b`;
  const pattern = new RegExp(`(${TEXTS[name].source})|(${COMMENTS[name].source})|(${word})`, "gm");
  const parts = [];
  let done = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > done) parts.push({ kind: "", text: text.slice(done, match.index) });
    parts.push({ kind: match[1] !== undefined ? "text" : match[2] !== undefined ? "comment" : "word", text: match[0] });
    done = match.index + match[0].length;
  }
  if (done < text.length) parts.push({ kind: "", text: text.slice(done) });
  return parts;
}

// Gradio writes some texts of its own. This puts those of the page in their place.
() => {
  const texts = TEXTS;  // GRADIO of texts.py
  const parts = ['aria-label', 'title', 'placeholder'];
  const skipped = '.html-container, .prose, [role=option], script, style';
  const inLanguage = (value) => {
    const begins = (each) => value.trimStart().startsWith(each);
    const entry = texts.find(([written]) => begins(written))
      || texts.find(([, pair]) => pair.some(begins));
    if (!entry) return value;
    const [written, pair] = entry;
    const wanted = pair[document.documentElement.lang === 'zh' ? 1 : 0];
    return value.replace([written, ...pair].find(begins), wanted);
  };
  const translate = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const value = inLanguage(node.data);
      if (value !== node.data) node.data = value;
    } else if (node.nodeType === Node.ELEMENT_NODE && !node.matches(skipped)) {
      for (const part of parts.filter((each) => node.hasAttribute(each))) {
        const value = inLanguage(node.getAttribute(part));
        if (value !== node.getAttribute(part)) node.setAttribute(part, value);
      }
      node.childNodes.forEach(translate);
    }
  };
  new MutationObserver((changes) => {
    for (const node of new Set(changes.map((each) => each.target))) {
      const element = node.parentElement || node;
      if (node === document.documentElement) translate(document.body);
      else if (!element.closest(skipped)) translate(node);
    }
  }).observe(document.documentElement, {
    subtree: true, childList: true, characterData: true, attributes: true,
    attributeFilter: ['lang', ...parts],
  });
}

/* Sets the theme before anything is painted: what the person chose, else what the system prefers. */
(() => {
  const KEY = 'bulkhead-theme';
  const system = matchMedia('(prefers-color-scheme: dark)');
  const chosen = () => localStorage.getItem(KEY);
  const apply = () => {
    const theme = chosen() ?? (system.matches ? 'dark' : 'light');
    document.documentElement.dataset.bsTheme = theme;
    document.dispatchEvent(new CustomEvent('bulkhead:theme', { detail: theme }));
  };
  apply();
  system.addEventListener('change', apply);
  document.addEventListener('click', (event) => {
    if (!(event.target instanceof Element) || event.target.closest('[data-theme-toggle]') === null) return;
    localStorage.setItem(KEY, document.documentElement.dataset.bsTheme === 'dark' ? 'light' : 'dark');
    apply();
  });
})();

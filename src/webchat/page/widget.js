// `<script src="…/widget.js" data-token="NAME" data-to="USER">` puts a chat into any page: docs/widget.md explains it.
(() => {
  const script = document.currentScript;
  const { origin } = new URL(script.src);
  const settings = {settings};
  import(`${origin}/web-chat/{digest}/widget-view.js`).then(({ mount }) => mount(script, { origin, ...settings }), (error) => console.error('The chat could not be loaded:', error));
})();

// Login and registration.
import { html, useState } from './vendor/preact.js';

import { Icon } from './ui.js';

export function Door({ http, mayRegister, reason, enter }) {
  const [isNew, setNew] = useState(false);
  const [error, setError] = useState(reason ?? '');
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const { elements } = event.target;
    const value = (name) => elements[name]?.value.trim() || undefined;
    const password = elements.password.value;
    setBusy(true);
    setError('');
    try {
      const account = isNew ? { username: value('username'), email: value('email'), fullName: value('fullName'), password } : { login: value('login'), password };
      const { user } = await http.post(isNew ? '/api/auth/register' : '/api/auth/login', account);
      enter(user);
    } catch ({ message, status, retryAfterMs }) {
      setError(status === 429 && retryAfterMs ? `Too many tries. Wait ${Math.ceil(retryAfterMs / 1_000)} seconds.` : message);
      setBusy(false);
    }
  };
  const turn = () => {
    setNew(!isNew);
    setError('');
  };
  return html`<main class="door">
    <form class="card" key=${isNew} onSubmit=${submit}>
      <span class="sign"><${Icon} name="chat" /></span>
      <h1>${isNew ? 'Make an account' : 'Log in'}</h1>
      ${isNew ? html`
        <label>Username<input name="username" autocomplete="username" required maxlength="64" autocapitalize="none" spellcheck="false" /></label>
        <label><span>Name <small>(optional)</small></span><input name="fullName" autocomplete="name" maxlength="100" /></label>
        <label>E-mail<input name="email" type="email" autocomplete="email" required /></label>
        <label>Password<input name="password" type="password" autocomplete="new-password" required minlength="8" maxlength="1024" /></label>` : html`
        <label>Username or e-mail<input name="login" autocomplete="username" required autocapitalize="none" spellcheck="false" /></label>
        <label>Password<input name="password" type="password" autocomplete="current-password" required /></label>`}
      <p class="error" role="alert">${error}</p>
      <button disabled=${isBusy}>${isBusy ? 'One moment…' : isNew ? 'Make the account' : 'Log in'}</button>
      ${mayRegister && html`<p class="hint">${isNew ? 'Have an account?' : 'New here?'} <button type="button" class="link" onClick=${turn}>${isNew ? 'Log in' : 'Make an account'}</button></p>`}
    </form>
  </main>`;
}

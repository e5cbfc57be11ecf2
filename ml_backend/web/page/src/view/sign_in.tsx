/** The first screen: who one is, by one's own token of Label Studio. */

import { useState } from "preact/hooks";
import { ranOut, signIn } from "../state/session";
import { Logo } from "./top_bar";

export function SignIn() {
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await signIn(token.trim());
    } catch (failure) {
      setError((failure as Error).message);
    }
    setBusy(false);
  };
  return (
    <main class="sign-in">
      <form class="sign-in-card" onSubmit={(event) => void submit(event)}>
        <Logo />
        <h1>Sign in</h1>
        {ranOut.value && <p role="status">You were signed out. Sign in to go on where you were.</p>}
        <p>You see and do here what you may in Label Studio.</p>
        <label class="field">
          <span>Label Studio access token</span>
          <input
            class="input"
            type="password"
            autocomplete="off"
            spellcheck={false}
            required
            value={token}
            aria-describedby={error ? "sign-in-error" : "sign-in-where"}
            aria-invalid={error !== ""}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        {error && (
          <p id="sign-in-error" class="error" role="alert">
            {error}
          </p>
        )}
        <button type="submit" class="button button-strong" disabled={busy || token.trim() === ""}>
          {busy ? "Signing in…" : "Sign in"}
        </button>
        <p id="sign-in-where" class="hint">
          In Label Studio: your picture, top right › Account &amp; Settings › Personal Access Token
          › Create New Token. The token is not kept in this browser.
        </p>
      </form>
    </main>
  );
}

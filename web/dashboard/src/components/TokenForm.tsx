import { type FormEvent, type ReactNode, useId, useRef, useState } from "react";

interface Props {
  /** What was wrong with the last token, if somebody gave one. */
  trouble: string | undefined;
  action: string;
  /** Takes the token; the result is what is wrong with it. */
  enter: (token: string) => Promise<string | undefined>;
}

/** One field for a token. What is entered is covered, and offered to no store of passwords. */
export function TokenForm({ trouble, action, enter }: Props): ReactNode {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const [wrong, setWrong] = useState(trouble);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const found = await enter(field.current?.value ?? "");
    setBusy(false);
    setWrong(found);
    if (found !== undefined) field.current?.select();
  };
  return (
    <form className="token-form" onSubmit={submit}>
      <label htmlFor={id}>Token</label>
      <input
        ref={field}
        id={id}
        className="covered"
        type="text"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        aria-invalid={wrong !== undefined}
        aria-describedby={`${id}-wrong`}
        // biome-ignore lint/a11y/noAutofocus: it is what the page or dialog is for
        autoFocus
      />
      <p id={`${id}-wrong`} className="wrong" role="alert">
        {wrong}
      </p>
      <button type="submit" className="primary" aria-disabled={busy}>
        {busy ? "Asking the server…" : action}
      </button>
    </form>
  );
}

/** Where tokens come from, for who has none. */
export function WhereTokensComeFrom(): ReactNode {
  return (
    <div className="where">
      <p>Whoever runs the server makes tokens with its key:</p>
      <pre>
        <code>thor token create --sub NAME --accounts ACCOUNT</code>
      </pre>
      <p>
        A token says who you are, which accounts you see and until when. It is kept for this tab alone and forgotten
        when you sign out or close it.
      </p>
    </div>
  );
}

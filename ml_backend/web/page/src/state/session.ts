/** Who is signed in. */

import { signal } from "@preact/signals";
import * as client from "../api/client";
import type { Session } from "../api/contract";

/** null while nobody is signed in, undefined while that is not known. */
export const session = signal<Session | null | undefined>(undefined);
export const sessionError = signal("");

export async function findSession(): Promise<void> {
  try {
    session.value = await client.session();
    sessionError.value = "";
  } catch (error) {
    if (error instanceof client.ApiError && error.status === 401) session.value = null;
    else sessionError.value = (error as Error).message;
  }
}

export async function signIn(token: string): Promise<void> {
  await client.signIn(token);
  session.value = await client.session();
}

export async function signOut(): Promise<void> {
  await client.signOut();
  session.value = null;
}

/** A session that ran out shows the sign-in screen; any other error is the caller's. */
export function noteSignedOut(error: unknown): void {
  if (error instanceof client.ApiError && error.status === 401) session.value = null;
}

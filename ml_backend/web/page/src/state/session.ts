/** Who is signed in. */

import { signal } from "@preact/signals";
import * as client from "../api/client";
import type { Session } from "../api/contract";

/** null while nobody is signed in, undefined while that is not known. */
export const session = signal<Session | null | undefined>(undefined);
export const sessionError = signal("");
/** Whether a session ended by itself: who did not sign out is told so. */
export const ranOut = signal(false);

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
  ranOut.value = false;
}

/** Throws an ApiError that says why one is still signed in. */
export async function signOut(): Promise<void> {
  try {
    await client.signOut();
    session.value = null;
  } catch (error) {
    noteSignedOut(error);
    if (session.peek()) throw error;
  }
}

/** A session that ran out shows the sign-in screen; any other error is the caller's. */
export function noteSignedOut(error: unknown): void {
  if (!(error instanceof client.ApiError) || error.status !== 401) return;
  if (session.peek()) ranOut.value = true;
  session.value = null;
}

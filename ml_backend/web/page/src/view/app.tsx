/** Which screen is shown. */

import { projectId } from "../state/route";
import { findSession, session, sessionError } from "../state/session";
import { ProjectList } from "./project_list";
import { ProjectPage } from "./project_page";
import { SignIn } from "./sign_in";
import { Failed, Waiting } from "./states";

export function App() {
  if (session.value === undefined) {
    if (!sessionError.value) return <Waiting title="Opening Relook" />;
    const retry = () => void findSession();
    return <Failed title="Relook cannot be reached" message={sessionError.value} retry={retry} />;
  }
  if (session.value === null) return <SignIn />;
  return projectId.value === null ? <ProjectList /> : <ProjectPage />;
}

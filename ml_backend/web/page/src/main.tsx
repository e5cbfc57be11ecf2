import { render } from "preact";
import "./state/events";
import "./state/title";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/review.css";
import "./styles/overview.css";
import { findSession } from "./state/session";
import { App } from "./view/app";

void findSession();
render(<App />, document.getElementById("root") as HTMLElement);

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./components/App.tsx";
import { Boundary } from "./components/Boundary.tsx";
import { Gate } from "./lib/gate.ts";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/page.css";
import "./styles/panel.css";
import "./styles/signin.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
const gate = new Gate();
createRoot(root).render(
  <StrictMode>
    <Boundary of={undefined} instead={<p className="banner banner-error">This page has failed. Reload it.</p>}>
      <App gate={gate} />
    </Boundary>
  </StrictMode>,
);
await gate.knock();

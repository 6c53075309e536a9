import { ThorProvider } from "@thor/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { newClient } from "./api/client.ts";
import { Boundary } from "./components/Boundary.tsx";
import { DashboardPage } from "./pages/DashboardPage.tsx";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/page.css";
import "./styles/panel.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
const client = await newClient();
createRoot(root).render(
  <StrictMode>
    <ThorProvider client={client}>
      <Boundary of={undefined} instead={<p className="banner banner-error">This page has failed. Reload it.</p>}>
        <DashboardPage />
      </Boundary>
    </ThorProvider>
  </StrictMode>,
);

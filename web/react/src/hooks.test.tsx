import { act, cleanup, render, screen } from "@testing-library/react";
import { type External, emptySnapshot, type FeatureSnapshot, ThorClient } from "@thor/client";
import { type ReactNode, StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  getDataSource,
  ThorProvider,
  useConnection,
  useFeature,
  useStage,
  useWebSocketEnabled,
  useWebSocketFeatureData,
  WebSocketShadowMonitor,
} from "./index.ts";
import { FakeServer } from "./testing/server.ts";

afterEach(cleanup);

function setup(content: ReactNode, strict = false) {
  const server = new FakeServer();
  const client = new ThorClient({ environment: server.environment, shadowLog: false });
  const tree = <ThorProvider client={client}>{content}</ThorProvider>;
  const view = render(strict ? <StrictMode>{tree}</StrictMode> : tree);
  return { server, client, ...view };
}

describe("ThorProvider", () => {
  it("opens one socket in StrictMode and closes it when it is gone", async () => {
    const { server, unmount } = setup(<Equity />, true);
    await server.settle();
    expect(server.sockets).toHaveLength(1);
    expect(server.closed).toBe(0);
    unmount();
    await server.settle();
    expect(server.closed).toBe(1);
  });

  it("is missed by name", () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    expect(() => render(<Equity />)).toThrow("<ThorProvider>");
  });
});

describe("useFeature", () => {
  it("gives what is to be rendered, with its label", async () => {
    const { server } = setup(<Equity />);
    await act(() => server.connect("live", 100));
    expect(screen.getByTestId("equity").textContent).toBe("100 WebSocket live");
    await act(() => server.balance(101));
    expect(screen.getByTestId("equity").textContent).toBe("101 WebSocket live");
  });

  it("renders again only when its own stream has changed", async () => {
    const renders = vi.fn();
    const { server } = setup(<Equity onRender={renders} />);
    await act(() => server.connect("live", 100));
    const before = renders.mock.calls.length;
    await act(() => server.say({ type: "pong", ts: 1 }));
    await act(() => server.balance(500, "B"));
    expect(renders.mock.calls.length).toBe(before);
    await act(() => {
      server.balance(101);
      server.balance(102);
      return server.balance(103);
    });
    expect(renders.mock.calls.length).toBe(before + 1);
  });

  it("has nothing while nobody has chosen an account", () => {
    const { client } = setup(null);
    const feed: External<FeatureSnapshot> = client.feed("account_balance");
    expect(feed.getSnapshot()).toBe(emptySnapshot);
  });
});

describe("the hooks named for the WebSocket", () => {
  function Probe({ seen }: { seen: (equity: number | null) => void }): ReactNode {
    useWebSocketFeatureData("account_balance", "account_balance", (data) => seen(data.equity));
    const enabled = useWebSocketEnabled("account_balance");
    return `${enabled} ${useStage("account_balance")?.stage} ${useConnection().status}`;
  }

  it("say what is enabled and hand over the data while it is", async () => {
    const seen = vi.fn();
    const { server, container } = setup(<Probe seen={seen} />);
    await act(() => server.settle());
    expect(container.textContent).toBe("false undefined connecting");
    await act(() => server.connect("shadow", 100));
    await act(() => server.balance(101));
    expect(container.textContent).toBe("false shadow connected");
    expect(getDataSource("account_balance")).toBe("REST (Shadow)");
    expect(seen).not.toHaveBeenCalled();
    await act(() => server.stage("live", 2));
    await act(() => server.balance(102));
    expect(container.textContent).toBe("true live connected");
    expect(getDataSource("account_balance")).toBe("WebSocket");
    expect(seen.mock.calls).toEqual([[102]]);
  });
});

describe("WebSocketShadowMonitor", () => {
  it("shows every feature, its stage and what has arrived", async () => {
    const { server, client } = setup(<WebSocketShadowMonitor />);
    await act(() => server.connect("shadow", 100));
    await act(() => server.balance(101));
    await act(() => server.settle(600));
    const row = screen.getByRole("row", { name: /^account_balance/ });
    expect(row.textContent).toContain("account_balanceshadowREST (Shadow)2");
    expect(screen.getAllByRole("row")).toHaveLength(1 + client.features.length);
    act(() => screen.getByRole("checkbox").click());
    expect(client.shadowLog).toBe(true);
  });
});

describe("on a server", () => {
  it("everything renders without a window, and opens nothing", () => {
    const server = new FakeServer();
    const client = new ThorClient({ environment: server.environment });
    const html = renderToString(
      <ThorProvider client={client}>
        <Equity />
        <WebSocketShadowMonitor />
      </ThorProvider>,
    );
    expect(html).toContain("undefined None undefined");
    expect(server.sockets).toHaveLength(0);
  });
});

function Equity({ onRender }: { onRender?: () => void }): ReactNode {
  onRender?.();
  const { data, label, stage } = useFeature("account_balance", "A");
  return <span data-testid="equity">{`${data?.equity} ${label} ${stage}`}</span>;
}

import { act, cleanup, render, screen } from "@testing-library/react";
import { type Environment, type SocketHandlers, ThorClient } from "@thor/client";
import { ThorProvider } from "@thor/react";
import { afterEach, expect, it } from "vitest";
import { ForcedBanner } from "./ForcedBanner.tsx";

afterEach(cleanup);

it("says what is forced, from which stage, and nothing when it is over", async () => {
  let handlers: SocketHandlers | undefined;
  const environment: Partial<Environment> = {
    openSocket: (_, given) => {
      handlers = given;
      return { send: () => {}, close: () => {} };
    },
    fetch: () => Promise.reject(new Error("no REST")),
    baseUrl: "http://thor/",
    nextFrame: (run) => queueMicrotask(run),
  };
  render(
    <ThorProvider client={new ThorClient({ environment, shadowLog: false })}>
      <ForcedBanner />
    </ThorProvider>,
  );
  const say = (data: object): Promise<void> =>
    act(async () =>
      handlers?.message(JSON.stringify({ type: "cutover", data: { feature: "positions", rev: 4, ...data } })),
    );
  expect(screen.queryByRole("status")).toBeNull();
  await say({ stage: "live" });
  await say({ stage: "shadow", forced: true });
  expect(screen.getByRole("status").textContent?.trim()).toBe("positions is forced to shadow (stored: live).");
  await say({ stage: "live", forced: false });
  expect(screen.queryByRole("status")).toBeNull();
});

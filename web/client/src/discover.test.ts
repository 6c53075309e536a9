import { expect, test } from "vitest";
import { fetchFeatures } from "./discover.ts";
import { features as generated } from "./generated.ts";

const about = {
  type: "orders",
  path: "/api/orders",
  param: "account_id",
  list: "",
  key: "account_id",
  window: 0,
  cadence_ms: 1000,
  private: true,
};

function world(answer: () => Promise<Response>) {
  const asked: string[] = [];
  let expire = (): void => {};
  const environment = {
    baseUrl: "http://desk/thor/",
    fetch: (url: string, init: RequestInit) => {
      asked.push(url);
      return Promise.race([
        answer(),
        new Promise<never>((_, reject) => init.signal?.addEventListener("abort", () => reject(new Error("aborted")))),
      ]);
    },
    after: (_ms: number, run: () => void) => {
      expire = run;
      return () => {};
    },
  };
  return { asked, environment, expire: () => expire() };
}

test("the server names its features, also those this build does not know", async () => {
  const { environment, asked } = world(async () => Response.json({ features: [{ feature: "orders", about }] }));
  const { cadence_ms: cadenceMs, ...rest } = about;
  expect(await fetchFeatures(environment)).toEqual([{ name: "orders", ...rest, cadenceMs }]);
  expect(asked).toEqual(["http://desk/thor/api/features"]);
});

test.each([
  ["nobody answers", () => Promise.reject(new Error("no server"))],
  ["it wants a token", async () => Response.json({}, { status: 401 })],
  ["it is another kind of server", async () => new Response("<html>")],
  ["the answer has another form", async () => Response.json({ features: [{}] })],
])("when %s, they are those of this build", async (_, answer) => {
  expect(await fetchFeatures(world(answer).environment)).toBe(generated);
});

test("a server that takes too long is not waited for", async () => {
  const { environment, expire } = world(() => new Promise(() => {}));
  const features = fetchFeatures(environment);
  expire();
  expect(await features).toBe(generated);
});

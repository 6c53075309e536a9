import { expect, test } from "vitest";
import { knock } from "./discover.ts";
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
  const tokens: (string | null)[] = [];
  let expire = (): void => {};
  const environment = {
    baseUrl: "http://desk/thor/",
    fetch: (url: string, init: RequestInit) => {
      asked.push(url);
      tokens.push(new Headers(init.headers).get("Authorization"));
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
  return { asked, tokens, environment, expire: () => expire() };
}

test("the server names its features, also those this build does not know", async () => {
  const { environment, asked } = world(async () => Response.json({ features: [{ feature: "orders", about }] }));
  const { cadence_ms: cadenceMs, ...rest } = about;
  expect(await knock(undefined, environment)).toEqual({ features: [{ name: "orders", ...rest, cadenceMs }] });
  expect(asked).toEqual(["http://desk/thor/api/features"]);
});

test.each([
  ["nobody answers", () => Promise.reject(new Error("no server"))],
  ["it is another kind of server", async () => new Response("<html>")],
  ["the answer has another form", async () => Response.json({ features: [{}] })],
])("when %s, they are those of this build", async (_, answer) => {
  expect((await knock(undefined, world(answer).environment)).features).toBe(generated);
});

test("whoever is refused is told why, and the token is in the header alone", async () => {
  const problem = { detail: "the token has expired", hint: "Get a new one." };
  const { environment, asked, tokens } = world(async () => Response.json(problem, { status: 401 }));
  expect(await knock("a.b.c", environment)).toEqual({
    features: generated,
    refused: "The token has expired. Get a new one.",
  });
  expect(tokens).toEqual(["Bearer a.b.c"]);
  expect(asked.join()).not.toContain("a.b.c");
  expect(await knock(undefined, world(async () => new Response("<html>", { status: 401 })).environment)).toEqual({
    features: generated,
    refused: "",
  });
});

test("a server that takes too long is not waited for", async () => {
  const { environment, expire } = world(() => new Promise(() => {}));
  const welcome = knock(undefined, environment);
  expire();
  expect((await welcome).features).toBe(generated);
});

import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { useChoice } from "./preference.ts";

afterEach(() => {
  cleanup();
  localStorage.clear();
});

describe("a choice", () => {
  it("is the first that became known, and stays that", () => {
    const { result, rerender } = renderHook(({ first }) => useChoice("symbol", first), {
      initialProps: { first: undefined as string | undefined },
    });
    expect(result.current[0]).toBe("");
    rerender({ first: "B" });
    rerender({ first: "A" }); // sorts before it and came later
    expect(result.current[0]).toBe("B");
  });

  it("outlives the page", () => {
    const { result } = renderHook(() => useChoice("symbol", "A"));
    act(() => result.current[1]("C"));
    cleanup();
    expect(renderHook(() => useChoice("symbol", "A")).result.current[0]).toBe("C");
  });
});

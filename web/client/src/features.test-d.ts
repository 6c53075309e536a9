import { expectTypeOf } from "vitest";
import type { ThorClient } from "./client.ts";
import type { DataOf, PayloadOf } from "./features.ts";
import type { AccountBalance, Bar, MarketStatus, Positions } from "./generated.ts";

expectTypeOf<DataOf<"account_balance">>().toEqualTypeOf<AccountBalance>();
expectTypeOf<DataOf<"positions">>().toEqualTypeOf<Positions>();
expectTypeOf<DataOf<"intraday">>().toEqualTypeOf<readonly Bar[]>();
expectTypeOf<DataOf<"global_market">>().toEqualTypeOf<readonly MarketStatus[]>();
expectTypeOf<PayloadOf<"intraday">>().toEqualTypeOf<Bar>();

declare const client: ThorClient;
expectTypeOf(client.feed("positions", "A").getSnapshot().data).toEqualTypeOf<Positions | undefined>();
expectTypeOf(client.feed("orders", "A").getSnapshot().data).toEqualTypeOf<unknown>();

import type { Position, Positions } from "@thor/client";
import type { ReactNode } from "react";
import { alignedPrices, money, percent, price, quantity } from "../lib/format.ts";
import { Delta } from "./Delta.tsx";

/**
 * The positions of an account, with the totals the server computed. Where it is
 * narrow, what has lost its column stands small below its neighbour.
 */
export function PositionsTable({ positions: { positions, totals } }: { positions: Positions }): ReactNode {
  const entries = alignedPrices(positions.map((p) => p.entry_price));
  const prices = alignedPrices(positions.map((p) => p.current_price));
  return (
    <table className="positions">
      <thead>
        <tr>
          <th scope="col">Symbol</th>
          <th scope="col" className="wide">
            Quantity
          </th>
          <th scope="col" className="wide">
            Entry
          </th>
          <th scope="col" className="wide">
            Price
          </th>
          <th scope="col">Value</th>
          <th scope="col">
            P&amp;L<small className="narrow">day</small>
          </th>
          <th scope="col" className="wide">
            P&amp;L %
          </th>
          <th scope="col" className="wide">
            Day P&amp;L
          </th>
        </tr>
      </thead>
      <tbody>
        {positions.map((position, i) => (
          <Row key={position.symbol} position={position} entry={entries[i]} price={prices[i]} />
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">Total</th>
          <td className="wide" />
          <td className="wide" />
          <td className="wide" />
          <td>{money(totals.market_value)}</td>
          <td>
            <Delta value={totals.pnl} />
            <small className="narrow">
              <Delta value={totals.day_pnl} />
            </small>
          </td>
          <td className="wide" />
          <td className="wide">
            <Delta value={totals.day_pnl} />
          </td>
        </tr>
      </tfoot>
    </table>
  );
}

interface RowProps {
  position: Position;
  /** The prices as they are written in their columns. */
  entry: string | undefined;
  price: string | undefined;
}

function Row({ position: p, ...written }: RowProps): ReactNode {
  return (
    <tr>
      <th scope="row" title={p.symbol}>
        {p.display}
        <small className="class wide-inline">{p.asset_class}</small>
        <small className="narrow">
          {quantity(p.quantity)} × {price(p.current_price)}
        </small>
      </th>
      <td className="wide">{quantity(p.quantity)}</td>
      <td className="wide">{written.entry}</td>
      <td className="wide">{written.price}</td>
      <td>{money(p.market_value)}</td>
      <td>
        <Delta value={p.pnl} />
        <small className="narrow">
          <Delta value={p.day_pnl} />
        </small>
      </td>
      <td className="wide">
        <Delta value={p.pnl_percent} format={percent} arrow={false} />
      </td>
      <td className="wide">
        <Delta value={p.day_pnl} />
      </td>
    </tr>
  );
}

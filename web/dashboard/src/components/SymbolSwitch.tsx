import type { SymbolEntry } from "@thor/client";
import type { ReactNode } from "react";

interface Props {
  symbols: readonly SymbolEntry[];
  symbol: string;
  onSymbol: (symbol: string) => void;
}

/** More symbols than this go into a list that drops down. */
const mostInRow = 14;

export function SymbolSwitch({ symbols, symbol, onSymbol }: Props): ReactNode {
  if (symbols.length > mostInRow) {
    return (
      <label className="symbol-select">
        <span className="visually-hidden">Symbol</span>
        <select value={symbol} onChange={(event) => onSymbol(event.target.value)}>
          {!symbols.some((entry) => entry.symbol === symbol) && <option value={symbol}>{symbol}</option>}
          {symbols.map((entry) => (
            <option key={entry.symbol} value={entry.symbol}>
              {entry.display}
            </option>
          ))}
        </select>
      </label>
    );
  }
  return (
    <fieldset className="switch symbol-switch">
      <legend className="visually-hidden">Symbol</legend>
      {symbols.map((entry) => (
        <label key={entry.symbol} title={entry.symbol}>
          <input type="radio" name="symbol" checked={entry.symbol === symbol} onChange={() => onSymbol(entry.symbol)} />
          <span>{entry.display}</span>
        </label>
      ))}
    </fieldset>
  );
}

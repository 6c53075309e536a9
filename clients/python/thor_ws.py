"""Publish to thor from a Python job, for instance a Django one.

    from thor_ws import WebSocketFeatureFlags, build_intraday_bar_message, broadcast_to_websocket_sync

    if WebSocketFeatureFlags().is_intraday_enabled():
        for bar in bars:
            broadcast_to_websocket_sync(channel_layer, build_intraday_bar_message(bar))

A job that calls this is never held up and never fails because of it: a call
puts the message into a bounded queue and returns, and nothing is raised. One
daemon thread sends what is in the queue over one connection. While the server
is away the newest message of each key is kept; what had to be left out is
counted, see stats(), and logged at most once a minute.

The server is found by THOR_URL (http://localhost:8000), its token, one with the
role publisher, by THOR_TOKEN. Python 3.8 or later, the standard library alone.

Money is exact: Decimal, strings and integers go out as they are, and a float
as its shortest decimal. None and NaN are unknown, which is never zero.
"""

import atexit
import collections
import datetime
import decimal
import http.client
import json
import logging
import os
import ssl
import threading
import time
import urllib.parse
import uuid

__all__ = [
    "WebSocketFeatureFlags",
    "build_account_balance_message",
    "build_positions_message",
    "build_intraday_bar_message",
    "build_market_status_message",
    "broadcast_to_websocket_sync",
    "flush",
    "stats",
]

log = logging.getLogger("thor_ws")

FEATURES = ("account_balance", "positions", "intraday", "global_market")
STAGES = ("off", "shadow", "canary", "live", "rampdown", "complete")


# --- What a job may ask -------------------------------------------------------


class WebSocketFeatureFlags:
    """The stage of each feature, as the server said last.

    In a job "enabled" means: publish. That is so in every stage but off, for
    in shadow the messages are sent, compared and not rendered. Asking never
    waits for the server. As long as it has not answered yet a feature counts as
    enabled, for the server itself knows what it may send on.
    """

    def is_account_balance_enabled(self):
        return self.is_enabled("account_balance")

    def is_positions_enabled(self):
        return self.is_enabled("positions")

    def is_intraday_enabled(self):
        return self.is_enabled("intraday")

    def is_global_market_enabled(self):
        return self.is_enabled("global_market")

    def is_enabled(self, feature):
        """Whether a job is to publish this feature."""
        return _sender.stages().get(feature) != "off"

    def get_status(self):
        """For each feature its stage, None as long as it is not known."""
        stages = _sender.stages()
        return {
            name: {"stage": stages.get(name), "enabled": stages.get(name) != "off", "live": _is_live(stages.get(name))}
            for name in list(FEATURES) + sorted(set(stages) - set(FEATURES))
        }

    def all_live(self):
        """Whether clients render every feature from the WebSocket."""
        return all(status["live"] for status in self.get_status().values())

    def any_live(self):
        """Whether clients render some feature from the WebSocket."""
        return any(status["live"] for status in self.get_status().values())


def _is_live(stage):
    return stage in STAGES and STAGES.index(stage) >= STAGES.index("live")


# --- Messages -----------------------------------------------------------------
#
# A builder takes a dict or an object with attributes, a Django model say, and
# looks for each value under thor's name first and then under the names it has
# in older systems. What it cannot read it leaves unknown, and the server says
# what is missing. It raises nothing of its own; when a list of positions cannot
# be read, that error is the job's, for an empty list says that all are closed.


def build_account_balance_message(balance, **known):
    """The message of an account's balance."""
    get = _getter(balance, known)
    data = {
        "account_id": _text(get("account_id", "broker_account_id", "account_key")),
        "currency": _text(get("currency")) or "USD",
        "cash": _number(get("cash", "current_cash")),
        "equity": _number(get("equity")),
        "portfolio_value": _number(get("portfolio_value", "net_liquidation", "net_liq")),
        "buying_power": _number(get("buying_power", "stock_buying_power")),
        "source": _text(get("source")) or "python",
        "timestamp": _time(get("timestamp", "updated_at")) or _now(),
    }
    day = _number(get("day_trading_buying_power", "day_trade_bp"))
    if day is not None:
        data["day_trading_buying_power"] = day
    return {"type": "account_balance", "data": data}


def build_positions_message(positions, **known):
    """The message of all positions of an account; what is not in it is closed.

    positions is an object with account_id and positions, or a list of rows with
    account_id=… beside it.
    """
    if isinstance(positions, (list, tuple)) or _is_query(positions):
        known.setdefault("positions", list(positions))
        positions = {}
    get = _getter(positions, known)
    return {
        "type": "positions",
        "data": {
            "account_id": _text(get("account_id", "broker_account_id", "account_key")),
            "positions": [_position(row) for row in get("positions") or ()],
            "timestamp": _time(get("timestamp", "updated_at")) or _now(),
        },
    }


def _position(row):
    get = _getter(row, {})
    kind = _text(get("asset_class", "asset_type"))
    symbol = _canonical(_text(get("symbol")), kind)
    return {
        "symbol": symbol,
        "display": _text(get("display")) or _text(get("symbol")),
        "asset_class": _CLASSES.get(symbol.partition(".")[0], ""),
        "quantity": _number(get("quantity", "qty")),
        "multiplier": _number(get("multiplier")) or _MULTIPLIERS.get(symbol.partition(".")[0]),
        "entry_price": _number(get("entry_price", "avg_price", "average_price", "avg_entry_price")),
        "current_price": _number(get("current_price", "mark_price", "mark")),
        "market_value": _number(get("market_value")),
        "pnl": _number(get("pnl", "unrealized_pl", "unrealized_pnl")),
        "pnl_percent": _number(get("pnl_percent", "pl_percent")),
        "day_pnl": _number(get("day_pnl", "broker_pl_day")),
        "currency": _text(get("currency")) or "USD",
    }


def build_intraday_bar_message(bar, **known):
    """The message of a one-minute bar.

    A bar that does not say whether it is final is, when its minute is over.
    """
    get = _getter(bar, known)
    symbol = _text(get("symbol", "future"))
    kind = _text(get("asset_class", "asset_type")) or ("future" if get("symbol") is None else "")
    minute = _instant(get("timestamp_minute"))
    over = None if minute is None else minute + datetime.timedelta(minutes=1)
    final = get("final")
    if final is None and over is not None:
        final = over <= _utcnow()
    timestamp = _time(get("timestamp")) or (_format(over) if final and over else _now())
    return {
        "type": "intraday_bar",
        "data": {
            "symbol": _canonical(symbol, kind),
            "display": _text(get("display")) or symbol,
            "country": _text(get("country")) or "USA",
            "timestamp_minute": _format(minute),
            "open": _number(get("open", "open_1m", "o")),
            "high": _number(get("high", "high_1m", "h")),
            "low": _number(get("low", "low_1m", "l")),
            "close": _number(get("close", "close_1m", "c")),
            "volume": _number(get("volume", "volume_1m", "v")),
            "vwap": _number(get("vwap")),
            "final": bool(final),
            "timestamp": timestamp,
        },
    }


def build_market_status_message(market, **known):
    """The message of a market's status."""
    get = _getter(market, known)
    name = _text(get("market_id", "key", "country", "name"))
    status = _text(get("status", "current_state")).upper()
    status = {"HOLIDAY_CLOSED": "HOLIDAY", "PREMARKET": "PREOPEN"}.get(status, status)
    trading = get("trading")
    data = {
        "market_id": _MARKETS.get(name.lower(), name),
        "market": _text(get("market", "display_name", "name")) or name,
        "country": _text(get("country")) or name,
        "timezone": _text(get("timezone", "timezone_name")),
        "status": status,
        "trading": status in ("OPEN", "PRECLOSE") if trading is None else bool(trading),
        "provisional": bool(get("provisional") or False),
        "weight": _number(get("weight")) or "0",
        "timestamp": _time(get("timestamp", "status_changed_at")) or _now(),
    }
    for field in ("session_date", "next_event"):
        if get(field):
            data[field] = _text(get(field))
    if _time(get("next_event_at")):
        data["next_event_at"] = _time(get("next_event_at"))
    return {"type": "market_status", "data": data}


_CLASSES = {"EQ": "equity", "FUT": "future", "CRYPTO": "crypto", "OPT": "option", "FX": "fx", "IDX": "index"}

_MULTIPLIERS = {"EQ": "1", "CRYPTO": "1", "FX": "1"}  # of a future or an option nobody can guess it

_PREFIXES = {
    "equity": "EQ", "eq": "EQ", "stock": "EQ", "us_equity": "EQ", "etf": "EQ",
    "future": "FUT", "futures": "FUT", "crypto": "CRYPTO", "option": "OPT", "us_option": "OPT",
    "fx": "FX", "forex": "FX", "index": "IDX",
}  # fmt: skip

_MARKETS = {
    "japan": "XTKS", "tokyo": "XTKS", "china": "XSHG", "shanghai": "XSHG", "hong kong": "XHKG", "india": "XNSE",
    "bombay": "XNSE", "germany": "XETR", "frankfurt": "XETR", "united kingdom": "XLON", "london": "XLON",
    "pre_usa": "XNYS.PRE", "usa": "XNYS", "canada": "XTSE", "toronto": "XTSE", "mexico": "XMEX", "mexican": "XMEX",
    "futures": "CMES",
}  # fmt: skip


def _canonical(symbol, kind):
    """EQ.AAPL of AAPL: what a symbol is called everywhere."""
    if symbol.partition(".")[0] in _CLASSES and "." in symbol:
        return symbol
    prefix = _PREFIXES.get(kind.lower())
    if prefix is None:
        prefix = "FUT" if symbol.startswith("/") else "IDX" if symbol.startswith("$") else "EQ"
    return prefix + "." + symbol.lstrip("/$").replace("/", "-")


def _getter(source, known):
    def get(*names):
        for name in names:
            value = known.get(name)
            if value is None and isinstance(source, dict):
                value = source.get(name)
            elif value is None:
                try:
                    value = getattr(source, name, None)
                except Exception:  # a property of a model may do anything
                    value = None
            if value is not None:
                return value
        return None

    return get


def _is_query(value):
    """Whether it is a list in all but name: a Django QuerySet, a generator."""
    return not isinstance(value, (dict, str, bytes)) and hasattr(value, "__iter__")


def _text(value):
    return "" if value is None else str(value)


def _number(value):
    """A decimal as a string with all its digits, or None for what is unknown."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float):
        value = repr(value)
    try:
        number = decimal.Decimal(str(value).strip())
    except decimal.InvalidOperation:
        return None
    return format(number, "f") if number.is_finite() else None


def _instant(value):
    """A time with its zone, or None. One without a zone is taken for UTC."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1000 if value > 1e11 else value
        try:
            return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
        except (OverflowError, OSError, ValueError):
            return None
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime.datetime):
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.timezone.utc)
    return value.astimezone(datetime.timezone.utc)


def _format(instant):
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def _time(value):
    return _format(_instant(value))


def _utcnow():
    return datetime.datetime.now(datetime.timezone.utc)


def _now():
    return _format(_utcnow())


# --- Sending ------------------------------------------------------------------


def broadcast_to_websocket_sync(channel_layer, message):
    """Put a message into the queue and return whether it is there.

    It never waits and never raises. channel_layer is ignored; it is there so
    that an existing call need not change.
    """
    return _sender.put(message)


def flush(timeout=2.0):
    """Wait until everything is sent, at most so many seconds; for the end of a script."""
    return _sender.flush(timeout)


def stats():
    """Counts since the start: queued, sent, replaced, dropped, refused, and waiting."""
    return _sender.stats()


class _Refused(Exception):
    """The server has looked at the messages and does not want them."""


class _Sender:
    """The queue and the thread that empties it."""

    CAPACITY = 10_000
    BATCH = 500
    BATCH_BYTES = 900_000  # the server takes 1 MiB
    TIMEOUT = 5.0
    POLL = 2.0  # seconds between two looks at the stages
    FIRST_RETRY, LAST_RETRY = 0.25, 10.0

    def __init__(self):
        self._reset()

    def _reset(self):
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._queue = collections.OrderedDict()  # key → the message, encoded
        self._sending = 0
        self._thread = None
        self._stages = {}
        self._counts = collections.Counter()
        self._said = {}  # what was logged, and when
        self._connection = None

    def stages(self):
        with self._lock:
            self._start()
            return dict(self._stages)

    def put(self, message):
        try:
            encoded = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
            key = self._key(message)
        except Exception as error:  # never into the job
            self._count("refused", "a message cannot be sent: %s", error)
            return False
        with self._lock:
            self._start()
            self._counts["queued"] += 1
            if key in self._queue:
                self._counts["replaced"] += 1
            self._queue[key] = encoded
            dropped = 0
            while len(self._queue) > self.CAPACITY:
                self._queue.popitem(last=False)
                dropped += 1
            self._wake.notify()
        if dropped:
            self._count("dropped", "the queue is full, and the oldest messages are left out; is thor at %s?", _url(), n=dropped)
        return True

    @staticmethod
    def _key(message):
        """What a newer message must share with an older one to replace it."""
        data = message["data"]
        owner = data.get("account_id") or data.get("symbol") or data.get("market_id")
        return (message["type"], owner, data.get("timestamp_minute"), data.get("final"))

    def stats(self):
        with self._lock:
            counts = {name: self._counts[name] for name in ("queued", "sent", "replaced", "dropped", "refused")}
            counts["waiting"] = len(self._queue) + self._sending
            return counts

    def flush(self, timeout):
        until = time.monotonic() + timeout
        with self._wake:
            while self._queue or self._sending:
                if self._thread is None or time.monotonic() >= until:
                    return False
                self._wake.wait(min(0.05, timeout))
        return True

    def _start(self):
        """Start the thread. The caller holds the lock; a fork has a thread of its own."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="thor_ws", daemon=True)
            self._thread.start()

    def _run(self):
        failures, looked = 0, None
        while True:
            try:
                if looked is None or time.monotonic() - looked >= self.POLL:
                    looked = time.monotonic()
                    self._look()
                self._send()
                failures = 0
                with self._wake:
                    if not self._queue:
                        self._wake.wait(max(0.01, self.POLL - (time.monotonic() - looked)))
            except Exception as error:  # the thread outlives everything
                failures += 1
                self._close()
                self._tell("thor cannot be reached at %s: %s", _url(), error)
                time.sleep(min(self.LAST_RETRY, self.FIRST_RETRY * 2 ** min(failures - 1, 10)))

    def _look(self):
        status, body = self._request("GET", "/api/features")
        if status != 200:
            self._tell("thor does not say where its features stand: %d %s", status, _problem(body))
            return
        stages = {f["feature"]: f.get("effective", f["stage"]) for f in json.loads(body)["features"]}
        with self._lock:
            self._stages = stages

    def _send(self):
        """Send what is in the queue, a batch at a time."""
        while True:
            batch, size = [], 0
            with self._lock:
                while self._queue and len(batch) < self.BATCH and size < self.BATCH_BYTES:
                    key, encoded = self._queue.popitem(last=False)
                    batch.append((key, encoded))
                    size += len(encoded) + 1
                self._sending = len(batch)
            if not batch:
                return
            try:
                self._post(batch)
            except _Refused as refused:
                self._refuse(batch, refused)
            except Exception:
                self._put_back(batch)
                raise
            finally:
                with self._wake:
                    self._sending = 0
                    self._wake.notify_all()

    def _post(self, batch):
        body = b"[" + b",".join(encoded for _, encoded in batch) + b"]"
        status, answer = self._request("POST", "/api/publish", body)
        if status == 202:
            with self._lock:
                self._counts["sent"] += len(batch)
            return
        if status in (400, 413, 422):
            raise _Refused("%d %s" % (status, _problem(answer)))
        raise OSError("%d %s" % (status, _problem(answer)))  # a token, another publisher, a full disk: it may change

    def _refuse(self, batch, refused):
        """One bad message does not take the others with it."""
        if len(batch) == 1:
            self._count("refused", "thor has refused a message: %s", refused)
            return
        for i, one in enumerate(batch):
            try:
                self._post([one])
            except _Refused as why:
                self._count("refused", "thor has refused a message: %s", why)
            except Exception:
                self._put_back(batch[i:])
                raise

    def _put_back(self, batch):
        """What could not be sent waits, unless something newer has come."""
        with self._lock:
            for key, encoded in reversed(batch):
                if key in self._queue:
                    self._counts["replaced"] += 1
                else:
                    self._queue[key] = encoded
                    self._queue.move_to_end(key, last=False)

    def _request(self, method, path, body=None):
        url = urllib.parse.urlsplit(_url())
        if self._connection is None:
            kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
            more = {"context": ssl.create_default_context()} if url.scheme == "https" else {}
            self._connection = kind(url.hostname or "localhost", url.port, timeout=self.TIMEOUT, **more)
        headers = {"Accept": "application/json", "User-Agent": "thor_ws.py"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if os.environ.get("THOR_TOKEN"):
            headers["Authorization"] = "Bearer " + os.environ["THOR_TOKEN"]
        self._connection.request(method, url.path.rstrip("/") + path, body=body, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _close(self):
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _count(self, what, message, *args, n=1):
        with self._lock:
            self._counts[what] += n
        self._tell(message, *args)

    def _tell(self, message, *args):
        """Log a kind of message at most once a minute."""
        with self._lock:
            now = time.monotonic()
            if now - self._said.get(message, -60.0) < 60.0:
                return
            self._said[message] = now
        log.warning(message, *args)


def _url():
    return os.environ.get("THOR_URL") or "http://localhost:8000"


def _problem(body):
    """What a problem+json says, in one line."""
    try:
        problem = json.loads(body)
        faults = "; ".join("%s: %s" % (e.get("path", ""), e.get("message", "")) for e in problem.get("errors") or ())
        return " ".join(part for part in (problem.get("detail"), faults, problem.get("hint")) if part)
    except Exception:
        return body[:200].decode("utf-8", "replace")


_sender = _Sender()
atexit.register(flush)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sender._reset)

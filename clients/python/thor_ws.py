"""Publish to thor from a Python job, for instance a Django one.

    from thor_ws import WebSocketFeatureFlags, build_intraday_bar_message, broadcast_to_websocket_sync

    if WebSocketFeatureFlags().is_intraday_enabled():
        for bar in bars:
            broadcast_to_websocket_sync(channel_layer, build_intraday_bar_message(bar))

A job that calls this is never held up and never fails because of it: a call
puts the message into a bounded queue and returns, and nothing is raised. One
daemon thread sends what is in the queue over one connection. While the server
is away the newest message of each key is kept; what had to be left out is
counted, see stats(), and the log of the name thor_ws says so, each kind of
trouble at most once a minute.

The server is found by THOR_URL (http://localhost:8000), its token, one with the
role publisher, by THOR_TOKEN, and the authority of its certificate, where it is
your own, by THOR_CA. Python 3.8 or later, the standard library alone.

Money is exact: Decimal, strings and integers go out as they are, and a float
as its shortest decimal. None and NaN are unknown, which is never zero. A time
without a zone is taken for UTC.

It may be used by many threads, and behind a fork: a child has a queue and a
thread of its own. What is still queued when the program ends is given two
seconds; a child of multiprocessing, which ends without that, calls flush().
"""

import atexit
import collections
import collections.abc
import contextlib
import datetime
import decimal
import functools
import http.client
import json
import logging
import math
import os
import random
import re
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
    waits for the server, and never raises. While the server is away its last
    word counts; before its first one a feature counts as enabled, for the
    server itself knows what it may send on, and what a job that has just begun
    does not publish would be lost. That clients render something is never
    assumed: all_live() and any_live() are False until the server has said so.
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
# what is missing; a timestamp that is not there is now, for the job says it now.
# It raises nothing: when a list of positions cannot be read there is no message,
# which the log says, for an empty list would say that all are closed.


def _builder(kind):
    """Make a message of what a function reads, or one without data, which is not sent."""

    def wrap(read):
        @functools.wraps(read)
        def build(*args, **known):
            try:
                return {"type": kind, "data": read(*args, **known)}
            except Exception as error:  # never into the job
                _sender.tell("build " + kind, "a message %s cannot be built, and is not sent: %s", kind, _words(error))
                return {"type": kind, "data": None}

        return build

    return wrap


@_builder("account_balance")
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
        "timestamp": _when(get("timestamp", "updated_at")),
    }
    day = _number(get("day_trading_buying_power", "day_trade_bp"))
    if day is not None:
        data["day_trading_buying_power"] = day
    return data


@_builder("positions")
def build_positions_message(positions, **known):
    """The message of all positions of an account; what is not in it is closed.

    positions is an object with account_id and positions, or a list of rows with
    account_id=… beside it.
    """
    if isinstance(positions, (list, tuple)) or _is_query(positions):
        known.setdefault("positions", list(positions))
        positions = {}
    get = _getter(positions, known)
    rows = get("positions")
    if rows is None:
        raise ValueError("it has no list of positions; one that is empty says that all are closed")
    if callable(getattr(rows, "all", None)):  # what a Django model has of the rows that point at it
        rows = rows.all()
    return {
        "account_id": _text(get("account_id", "broker_account_id", "account_key")),
        "positions": [_position(row) for row in rows],
        "timestamp": _when(get("timestamp", "updated_at")),
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


@_builder("intraday_bar")
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
    timestamp = get("timestamp")
    if timestamp is None and final:
        timestamp = over
    return {
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
        "timestamp": _when(timestamp),
    }


@_builder("market_status")
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
        "weight": _number(get("weight")) or "0",  # without one it has no part in a composite
        "timestamp": _when(get("timestamp", "status_changed_at")),
    }
    for field in ("session_date", "next_event"):
        if get(field):
            data[field] = _text(get(field))
    if _time(get("next_event_at")):
        data["next_event_at"] = _time(get("next_event_at"))
    return data


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
            if value is None and isinstance(source, collections.abc.Mapping):
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
    return not isinstance(value, (collections.abc.Mapping, str, bytes)) and hasattr(value, "__iter__")


def _text(value):
    return "" if value is None else str(value)


def _number(value):
    """A decimal as a string with all its digits, or None for what is unknown."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float):
        value = float.__repr__(value)  # that of a subclass may say more than the number
    try:
        number = decimal.Decimal(str(value).strip())
    except decimal.InvalidOperation:
        return None
    if not number.is_finite():
        return None
    if abs(number.adjusted()) > 40:  # no such money: the server says so, and nobody writes a million zeros
        return str(number)
    return format(number, "f")


def _instant(value):
    """A time with its zone, or None. One without a zone is taken for UTC."""
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, (int, float, decimal.Decimal)):
            seconds = value / 1000 if value > 1e11 else value
            return datetime.datetime.fromtimestamp(float(seconds), datetime.timezone.utc)
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(_iso(value.strip()))
        if not isinstance(value, datetime.datetime):
            return None
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return value.astimezone(datetime.timezone.utc)
    except (ArithmeticError, OSError, ValueError):  # the year 1 or 9999, which stands for never
        return None


def _iso(text):
    """The form that every Python reads: six digits behind the point, a zone with a colon."""
    match = re.match(r"^(.*?)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$", text)
    moment, fraction, zone = match.groups() if match else (text, None, None)
    if fraction:
        moment += fraction[:7].ljust(7, "0")
    if zone == "Z":
        zone = "+00:00"
    elif zone and ":" not in zone:
        zone = zone[:3] + ":" + zone[3:]
    return moment + (zone or "")


def _format(instant):
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def _time(value):
    return _format(_instant(value))


def _when(value):
    """The time of a message: now when none is given, None when it cannot be read."""
    return _now() if value is None else _time(value)


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
    """Wait until everything is sent, at most so many seconds, and return whether it is."""
    return _sender.flush(timeout)


def stats():
    """Counts since the start: queued, sent, replaced, dropped, refused, and waiting."""
    return _sender.stats()


# What a newer message must share with an older one to replace it, by type. Of
# other types the server says it; before that nothing replaces another.
_KEYS = {
    "account_balance": ("account_id",),
    "positions": ("account_id",),
    "intraday_bar": ("symbol", "timestamp_minute", "final"),
    "market_status": ("market_id",),
}


class _Away(Exception):
    """Nothing can be sent now; it may work later, after so many seconds if given."""

    def __init__(self, message, after=None):
        super().__init__(message)
        self.after = after


class _Held(Exception):
    """The messages of one type are not taken now; others may be."""


class _Sender:
    """The queue and the thread that empties it.

    Each type has a queue of its own, so that one whose messages are not taken,
    because another publisher has it or the token is not for it, does not hold
    up the others.
    """

    CAPACITY = 10_000  # messages that wait, and their bytes
    CAPACITY_BYTES = 32 << 20
    BATCH = 500  # messages in a call, and their bytes: the server takes 1 MiB
    BATCH_BYTES = 900_000
    MESSAGE_BYTES = (1 << 20) - 2  # of a message alone, brackets around it
    CONNECT = 5.0  # seconds
    ANSWER = 35.0  # the server gives up after 30; to ask again earlier might send twice
    POLL = 2.0  # between two looks at the stages
    FIRST_RETRY, LAST_RETRY = 0.25, 10.0
    QUIET = 60.0  # between two lines of a kind in the log

    def __init__(self):
        self._reset()

    def _reset(self):
        """Begin anew. A child of a fork does: what waits and the connection are its parent's."""
        self._lock = threading.RLock()  # it may be a signal's handler that calls
        self._wake = threading.Condition(self._lock)
        # The lock guards these.
        self._queues = {}  # type → key → the message, encoded
        self._bytes = collections.Counter()  # in each of these
        self._unique = 0
        self._sending = 0
        self._counts = collections.Counter()
        self._says = {}  # kind → what the thread has to log
        self._thread = None
        self._idle = False  # the thread waits for something to send
        self._stages = {}
        self._keys = dict(_KEYS)
        self._back = 0.0  # until when nothing is tried
        self._held = {}  # type → until when it is not tried
        # The thread alone uses these.
        self._failures = 0
        self._looked = None
        self._said = {}  # kind → when it was logged
        self._connection = None

    # What a job calls. Nothing here waits or raises.

    def stages(self):
        with self._started():
            return dict(self._stages)

    def put(self, message):
        try:
            kind, key = self._key(message)
            encoded = _encode(message)
            if len(encoded) > self.MESSAGE_BYTES:
                raise ValueError("it has %d bytes; thor takes 1 MiB" % len(encoded))
        except Exception as error:
            with self._started():
                self._counts["refused"] += 1
                self.tell("refused", "a message cannot be sent: %s; refused so far: %d", _words(error), self._counts["refused"])
            return False
        with self._started():
            self._counts["queued"] += 1
            queue = self._queues.setdefault(kind, collections.OrderedDict())
            if key in queue:
                self._counts["replaced"] += 1
                self._bytes[kind] -= len(queue[key])
            queue[key] = encoded
            self._bytes[kind] += len(encoded)
            self._shrink()
            if self._idle:
                self._wake.notify_all()
        return True

    def stats(self):
        with self._lock:
            counts = {name: self._counts[name] for name in ("queued", "sent", "replaced", "dropped", "refused")}
            counts["waiting"] = self._waiting()
            return counts

    def flush(self, timeout):
        return self._until(time.monotonic() + timeout, lambda: False)

    def finish(self, timeout):
        """Give what waits a last chance, as long as there is hope, and log what is lost."""
        self._until(time.monotonic() + timeout, self._hopeless)
        with self._lock:
            lost = self._waiting()
        if lost:
            self.tell("lost", "the program ends, and messages were not sent: %d; is thor at %s?", lost, _url())
        self._speak()

    def tell(self, kind, message, *args):
        """Have the thread log something: the newest of its kind, at most once a minute."""
        with self._lock:
            self._says[kind] = (message, args)
            if self._idle:
                self._wake.notify_all()

    # What both use, with the lock held.

    def _key(self, message):
        kind, data = message["type"], message["data"]
        if not isinstance(kind, str) or not isinstance(data, collections.abc.Mapping):
            raise TypeError("a message is {'type': …, 'data': {…}}")
        names = self._keys.get(kind)
        if names is None:
            with self._lock:
                self._unique += 1
                return kind, self._unique
        key = tuple(data.get(name) for name in names)
        hash(key)
        return kind, key

    def _waiting(self):
        return sum(map(len, self._queues.values())) + self._sending

    def _shrink(self):
        """Leave out the oldest, of the type that takes most of the place."""
        while True:
            if sum(self._bytes.values()) > self.CAPACITY_BYTES:
                kind = max(self._bytes, key=self._bytes.get)
            elif sum(map(len, self._queues.values())) > self.CAPACITY:
                kind = max(self._queues, key=lambda kind: len(self._queues[kind]))
            else:
                return
            self._bytes[kind] -= len(self._queues[kind].popitem(last=False)[1])
            self._counts["dropped"] += 1
            self.tell("dropped", "the queue is full, and the oldest messages are left out, so far: %d; is thor at %s?", self._counts["dropped"], _url())

    @contextlib.contextmanager
    def _started(self):
        """The lock, with a thread that runs."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._start()
            alone = self._thread is None
            yield
        if alone:
            self._speak()

    def _start(self):
        try:
            self._thread = threading.Thread(target=self._run, name="thor_ws", daemon=True)
            self._thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter ends; the next call tries again
            self._thread = None
            self.tell("thread", "no thread can be started, and nothing is sent: %s", error)

    def _hopeless(self):
        """Whether all that waits waits for something to change."""
        now = self.now()
        return now < self._back or not self._sending and all(now < self._held.get(kind, 0) for kind, queue in self._queues.items() if queue)

    def _until(self, end, enough):
        with self._wake:
            while self._waiting() and not enough():
                left = end - time.monotonic()
                if left <= 0 or self._thread is None:
                    break
                self._wake.wait(min(0.05, left))
            return not self._waiting()

    # What the thread does.

    now = staticmethod(time.monotonic)

    def _run(self):
        while True:
            try:
                wait = self.run_once()
            except Exception as error:  # the thread outlives everything
                self.tell("fault", "a fault of thor_ws: %s", _words(error))
                wait = self.LAST_RETRY
            self._speak()
            with self._wake:
                if wait > 0 and self.now() >= self._back and not self._ready():
                    self._idle = True
                    self._wake.wait(wait)
                    self._idle = False
                    wait = 0
            if wait > 0:
                time.sleep(wait)

    def run_once(self):
        """Do what is due, and return for how many seconds there may be nothing to do."""
        now = self.now()
        if now < self._back:
            return self._back - now
        try:
            if self._looked is None or now - self._looked >= self.POLL:
                self._look()
                self._looked = self.now()
            kind = self._ready()
            if kind:
                self._send(kind)
        except Exception as error:
            self._close()
            self._failures += 1
            wait = min(self.LAST_RETRY, self.FIRST_RETRY * 2 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1)
            if isinstance(error, _Away):
                wait = max(wait, error.after or 0)
                self.tell("away", "thor at %s takes nothing now: %s", _url(), error)
            else:
                self.tell("away", "thor cannot be reached at %s: %s", _url(), _words(error))
            with self._lock:
                self._back = self.now() + wait
            return wait
        if self._failures:
            self._failures = 0
            with self._lock:
                self._says.pop("away", None)
            if "away" in self._said:
                del self._said["away"]
                log.info("thor at %s takes messages again", _url())
        if self._ready():
            return 0
        ends = [self._looked + self.POLL] + list(self._held.values())
        return max(0.01, min(end for end in ends if end > now) - self.now())

    def _ready(self):
        """A type that has messages and is not held, or None."""
        with self._lock:
            now = self.now()
            self._held = {kind: until for kind, until in self._held.items() if until > now}
            return next((kind for kind, queue in self._queues.items() if queue and kind not in self._held), None)

    def _look(self):
        """Ask where the features stand. What is wrong with the answer holds up no message."""
        status, body, _ = self._request("GET", "/api/features")
        try:
            if status != 200:
                raise LookupError("%d %s" % (status, _problem(body)))
            stages, keys = {}, dict(_KEYS)
            for f in json.loads(body)["features"]:
                stages[f["feature"]] = f.get("effective") or f["stage"]
                about = f.get("about") or {}
                if about.get("type") and about.get("key"):
                    keys.setdefault(about["type"], tuple(n for n in (about.get("param"), about["key"], "final") if n))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            self.tell("stages", "thor at %s does not say where its features stand: %s", _url(), error)
            return
        with self._lock:
            self._stages, self._keys = stages, keys

    def _send(self, kind):
        """Send a batch of a type. What is not taken now is put back."""
        batches, size = [[]], 0
        with self._lock:
            queue = self._queues[kind]
            while queue and len(batches[0]) < self.BATCH:
                size += len(next(iter(queue.values()))) + 1
                if batches[0] and size > self.BATCH_BYTES:
                    break
                batches[0].append(queue.popitem(last=False))
                self._bytes[kind] -= len(batches[0][-1][1])
            # A type's turn comes again when the others have had theirs.
            del self._queues[kind]
            if queue:
                self._queues[kind] = queue
            else:
                del self._bytes[kind]
            self._sending = len(batches[0])
        try:
            while batches:
                batches[:1] = self._post(kind, batches[0])
        except _Held as error:
            with self._lock:
                self._held[kind] = self.now() + self.LAST_RETRY * random.uniform(0.5, 1)
            self.tell("held " + kind, "thor does not take messages %s now: %s", kind, error)
        finally:
            with self._wake:
                self._put_back(kind, [one for batch in batches for one in batch])
                self._sending = 0
                self._wake.notify_all()

    def _post(self, kind, batch):
        """Post a batch, and return the batches that are to be posted in its place."""
        body = b"[" + b",".join(encoded for _, encoded in batch) + b"]"
        status, answer, after = self._request("POST", "/api/publish", body)
        if status == 202:
            with self._lock:
                self._counts["sent"] += len(batch)
                self._sending -= len(batch)
            return []
        words = "%d %s" % (status, _problem(answer))
        if status in (403, 409):
            raise _Held(words)
        if status not in (400, 413, 422):  # a token, a full disk, a proxy without a server: it may change
            raise _Away(words, after)
        # One bad message does not take the others with it.
        bad = _named(answer) & set(range(len(batch))) if status == 422 else set()
        if not bad and len(batch) > 1:
            half = len(batch) // 2
            return [batch[:half], batch[half:]]
        bad = bad or {0}
        with self._lock:
            self._counts["refused"] += len(bad)
            self._sending -= len(bad)
            refused = self._counts["refused"]
        self.tell("refused", "thor has refused a message: %s; refused so far: %d", words, refused)
        rest = [one for i, one in enumerate(batch) if i not in bad]
        return [rest] if rest else []

    def _put_back(self, kind, batch):
        """What could not be sent waits, unless something newer has come."""
        if not batch:
            return
        with self._lock:
            queue = self._queues.setdefault(kind, collections.OrderedDict())
            for key, encoded in reversed(batch):
                if key in queue:
                    self._counts["replaced"] += 1
                else:
                    queue[key] = encoded
                    queue.move_to_end(key, last=False)
                    self._bytes[kind] += len(encoded)

    def _request(self, method, path, body=None):
        """Return the status, the body, and the seconds the server wants to be left alone."""
        headers = {"Accept": "application/json", "User-Agent": "thor_ws.py"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if os.environ.get("THOR_TOKEN"):
            headers["Authorization"] = "Bearer " + os.environ["THOR_TOKEN"].strip()
        url = urllib.parse.urlsplit(_url())
        while True:
            fresh = self._connection is None
            if fresh:
                self._connection = self._connect(url)
            try:
                self._connection.request(method, url.path.rstrip("/") + path, body=body, headers=headers)
                answer = self._connection.getresponse()
                after = answer.getheader("Retry-After") or ""
                return answer.status, answer.read(), min(60, int(after)) if after.isdigit() else None
            except (ConnectionError, http.client.BadStatusLine):
                # A connection that was kept ends with the server, or by itself when
                # nobody used it. The key keeps what was taken from being taken twice.
                self._close()
                if fresh:
                    raise

    def _connect(self, url):
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("THOR_URL is http://HOST:PORT, or https")
        if url.scheme == "https":
            context = ssl.create_default_context()
            if os.environ.get("THOR_CA"):
                context.load_verify_locations(os.environ["THOR_CA"])
            connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=self.CONNECT, context=context)
        else:
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=self.CONNECT)
        connection.connect()
        connection.sock.settimeout(self.ANSWER)
        return connection

    def _close(self):
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _speak(self):
        """Log what there is to say."""
        now = self.now()
        with self._lock:
            due = [kind for kind in self._says if now - self._said.get(kind, now - self.QUIET) >= self.QUIET]
            lines = [self._says.pop(kind) for kind in due]
            self._said.update((kind, now) for kind in due)
        for message, args in lines:
            try:
                log.warning(message, *args)
            except Exception:  # a handler's own trouble
                pass


def _encode(message):
    try:
        text = json.dumps(message, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError:  # NaN and the like
        text = json.dumps(_known(message), separators=(",", ":"), allow_nan=False, default=_plain)
    return text.encode()


def _plain(value):
    """What JSON does not have, as the server reads it."""
    if isinstance(value, decimal.Decimal):
        return _number(value)
    if isinstance(value, datetime.datetime):
        return _time(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError("a value of type %s" % type(value).__name__)


def _known(value):
    """A copy in which unknown numbers are None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, collections.abc.Mapping):
        return {name: _known(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(item) for item in value]
    return value


def _url():
    url = os.environ.get("THOR_URL") or "http://localhost:8000"
    return url if "://" in url else "http://" + url


def _problem(body):
    """What a problem+json says, in one line."""
    try:
        problem = json.loads(body)
        faults = "; ".join("%s: %s" % (e.get("path", ""), e.get("message", "")) for e in problem.get("errors") or ())
        return " ".join(part for part in (problem.get("detail"), faults, problem.get("hint")) if part)
    except Exception:
        return body[:200].decode("utf-8", "replace")


def _named(body):
    """Which messages of a list a problem+json names: those before the slash of 3/data/cash."""
    try:
        heads = (str(e.get("path", "")).partition("/")[0] for e in json.loads(body).get("errors") or ())
        return {int(head) for head in heads if head.isdigit()}
    except Exception:
        return set()


def _words(error):
    try:
        return "%s: %s" % (type(error).__name__, error)
    except Exception:  # it has no words for itself
        return type(error).__name__


_sender = _Sender()
atexit.register(_sender.finish, 2.0)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sender._reset)

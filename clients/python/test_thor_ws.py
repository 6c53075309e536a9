"""What the builders make of what a job has, what the queue does when it is full, and what becomes of every answer."""

import ast
import datetime
import decimal
import http.server
import json
import logging
import os
import pathlib
import subprocess
import sys
import threading
import unittest
import unittest.mock
import uuid

import thor_ws

HERE = pathlib.Path(__file__).parent


class Row:
    """Stands for a model: attributes, and a property that fails."""

    def __init__(self, **values):
        self.__dict__.update(values)

    @property
    def currency(self):
        raise RuntimeError("the database is away")


class Number(float):
    """Stands for numpy's, whose repr says more than the number."""

    def __repr__(self):
        return "np.float64(%s)" % float.__repr__(self)


class Unprintable:
    def __str__(self):
        raise RuntimeError("no words")


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Grumpy(dict):
    def get(self, *_):
        raise Speechless


class Quiet(unittest.TestCase):
    def setUp(self):
        self.said = []
        handler = logging.Handler()
        handler.emit = lambda record: self.said.append(record.getMessage())
        thor_ws.log.addHandler(handler)
        self.addCleanup(thor_ws.log.removeHandler, handler)
        propagate, level = thor_ws.log.propagate, thor_ws.log.level
        thor_ws.log.propagate = False
        thor_ws.log.setLevel(logging.INFO)
        self.addCleanup(setattr, thor_ws.log, "propagate", propagate)
        self.addCleanup(thor_ws.log.setLevel, level)


class Builders(Quiet):
    def setUp(self):
        super().setUp()
        patch = unittest.mock.patch.object(thor_ws, "_sender", thor_ws._Sender())
        patch.start()
        self.addCleanup(patch.stop)

    def test_the_balance_of_a_model_with_older_names(self):
        message = thor_ws.build_account_balance_message(
            Row(broker_account_id="A-1", net_liq=decimal.Decimal("1E+5"), cash=0.1, equity=float("nan"), buying_power="",
                day_trade_bp=decimal.Decimal("420000.00"), updated_at=datetime.datetime(2025, 12, 19, 15, 30))
        )  # fmt: skip
        self.assertEqual(
            message,
            {
                "type": "account_balance",
                "data": {
                    "account_id": "A-1", "currency": "USD", "cash": "0.1", "equity": None, "portfolio_value": "100000",
                    "buying_power": None, "source": "python", "timestamp": "2025-12-19T15:30:00Z",
                    "day_trading_buying_power": "420000.00",
                },
            },
        )  # fmt: skip

    def test_nothing_unknown_becomes_zero(self):
        for build in (thor_ws.build_account_balance_message, thor_ws.build_intraday_bar_message):
            data = build({})["data"]
            self.assertFalse([name for name, value in data.items() if value in (0, "0", 0.0) and value is not False], data)
        rows = thor_ws.build_positions_message([{"symbol": "/ES"}], account_id="A-1")["data"]["positions"]
        self.assertIsNone(rows[0]["multiplier"], "of a future nobody can guess it")

    def test_symbols_become_canonical(self):
        for symbol, kind, want in (
            ("AAPL", "EQUITY", "EQ.AAPL"), ("/ES", "FUTURE", "FUT.ES"), ("/ES", "", "FUT.ES"), ("$DJI", "INDEX", "IDX.DJI"),
            ("BTC/USD", "crypto", "CRYPTO.BTC-USD"), ("EQ.AAPL", "", "EQ.AAPL"), ("BRK.B", "EQUITY", "EQ.BRK.B"),
        ):  # fmt: skip
            row = {"symbol": symbol, "asset_type": kind}
            got = thor_ws.build_positions_message([row], account_id="A-1")["data"]["positions"][0]
            self.assertEqual((got["symbol"], got["display"]), (want, symbol))

    def test_a_bar_is_final_when_its_minute_is_over(self):
        now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
        for age, final in ((0, False), (1, True), (60, True)):
            minute = now - datetime.timedelta(minutes=age)
            self.assertIs(thor_ws.build_intraday_bar_message({"symbol": "AAPL", "timestamp_minute": minute})["data"]["final"], final)
        said = thor_ws.build_intraday_bar_message({"symbol": "AAPL", "timestamp_minute": now, "final": True})["data"]
        self.assertIs(said["final"], True)

    def test_times_of_every_form_are_the_same_instant(self):
        for value in (1795447800, 1795447800000, "2026-11-23T15:30:00", "2026-11-23T15:30:00Z", "2026-11-23T16:30:00+01:00",
                      datetime.datetime(2026, 11, 23, 15, 30)):  # fmt: skip
            data = thor_ws.build_account_balance_message({"timestamp": value})["data"]
            self.assertEqual(data["timestamp"], "2026-11-23T15:30:00Z", value)

    def test_markets_have_the_codes_of_their_exchanges(self):
        data = thor_ws.build_market_status_message(
            {"country": "Japan", "display_name": "Tokyo", "timezone_name": "Asia/Tokyo", "status": "HOLIDAY_CLOSED", "weight": "0.25"}
        )["data"]
        self.assertEqual((data["market_id"], data["market"], data["status"], data["trading"]), ("XTKS", "Tokyo", "HOLIDAY", False))

    def test_numbers_keep_their_digits(self):
        for value, want in (
            (Number(0.1), "0.1"), (1e22, "10000000000000000000000"), (decimal.Decimal("1.10"), "1.10"), ("1e-7", "0.0000001"),
            (True, None), (float("inf"), None), (decimal.Decimal("sNaN"), None), ("", None), (Unprintable, None),
            (decimal.Decimal("1e999999"), "1E+999999"),
        ):  # fmt: skip
            self.assertEqual(thor_ws.build_account_balance_message({"cash": value})["data"]["cash"], want)

    def test_times_of_older_pythons(self):
        for value, want in (
            ("2026-11-23T15:30:00.5Z", "2026-11-23T15:30:00.500000Z"), ("2026-11-23T15:30:00.123456789Z", "2026-11-23T15:30:00.123456Z"),
            ("2026-11-23 15:30:00+0000", "2026-11-23T15:30:00Z"),
        ):  # fmt: skip
            self.assertEqual(thor_ws.build_account_balance_message({"timestamp": value})["data"]["timestamp"], want)

    def test_a_time_that_cannot_be_read_is_not_now(self):
        east = datetime.timezone(datetime.timedelta(hours=1))
        for value in ("yesterday", object(), float("nan"), 1e300, datetime.datetime.min.replace(tzinfo=east)):
            for build in (thor_ws.build_account_balance_message, thor_ws.build_intraday_bar_message, thor_ws.build_market_status_message):
                self.assertIsNone(build({"timestamp": value})["data"]["timestamp"], value)
        self.assertIsNotNone(thor_ws.build_account_balance_message({})["data"]["timestamp"])

    def test_positions_that_cannot_be_read_do_not_say_that_all_are_closed(self):
        class Broken:
            account_id = "A-1"

            @property
            def positions(self):
                raise RuntimeError("the database is away")

        def rows():
            yield {"symbol": "AAPL"}
            raise RuntimeError("the database is away")

        sender = thor_ws._Sender()
        for positions in (Broken(), rows(), {"account_id": "A-1"}, {"account_id": "A-1", "positions": 7}, None):
            message = thor_ws.build_positions_message(positions, account_id="A-1")
            self.assertIsNone(message["data"])
            thor_ws._sender._speak()
            self.assertIn("a message positions cannot be built, and is not sent: ", self.said[0])
            with unittest.mock.patch.object(sender, "_start"):
                self.assertFalse(sender.put(message))
        closed = thor_ws.build_positions_message([], account_id="A-1")["data"]
        self.assertEqual(closed["positions"], [])

    def test_the_rows_that_point_at_a_model(self):
        related = Row(all=lambda: [Row(symbol="AAPL", quantity=3)])
        data = thor_ws.build_positions_message(Row(account_id="A-1", positions=related))["data"]
        self.assertEqual([(row["symbol"], row["quantity"]) for row in data["positions"]], [("EQ.AAPL", "3")])

    def test_a_builder_raises_nothing(self):
        for build in (thor_ws.build_account_balance_message, thor_ws.build_positions_message, thor_ws.build_intraday_bar_message,
                      thor_ws.build_market_status_message):  # fmt: skip
            for value in (None, 7, "x", Unprintable(), Grumpy(), {"account_id": Unprintable(), "symbol": Unprintable(), "market_id": Unprintable(), "positions": []},
                          {"timestamp_minute": datetime.datetime.max}):  # fmt: skip
                self.assertIsInstance(build(value), dict)


class Queue(Quiet):
    def setUp(self):
        super().setUp()
        self.sender = thor_ws._Sender()
        self.sender._start = lambda: None  # nothing leaves the queue
        self.sender._thread = threading.current_thread()

    def bar(self, minute, final=True, volume=1):
        return {"type": "intraday_bar", "data": {"symbol": "EQ.A", "timestamp_minute": minute, "final": final, "volume": volume}}

    def bars(self):
        return self.sender._queues["intraday_bar"]

    def test_a_newer_message_takes_the_place_of_its_key(self):
        for volume in range(3):
            self.sender.put(self.bar("m", final=False, volume=volume))
        self.assertEqual((self.sender.stats()["replaced"], self.sender.stats()["waiting"]), (2, 1))
        self.assertIn(b'"volume":2', next(iter(self.bars().values())))

    def test_a_final_bar_is_not_replaced_by_one_that_is_not(self):
        self.sender.put(self.bar("m", final=True))
        self.sender.put(self.bar("m", final=False))
        self.assertEqual(self.sender.stats()["waiting"], 2)

    def test_of_a_type_nobody_knows_nothing_is_replaced(self):
        for order in range(3):
            self.sender.put({"type": "orders", "data": {"account_id": "A-1", "order": order}})
        self.assertEqual((self.sender.stats()["replaced"], self.sender.stats()["waiting"]), (0, 3))

    def test_when_it_is_full_the_oldest_is_left_out_and_counted(self):
        self.sender.CAPACITY = 10
        self.sender.put({"type": "positions", "data": {"account_id": "A-1", "positions": []}})
        for minute in range(25):
            self.sender.put(self.bar(str(minute)))
        self.assertEqual((self.sender.stats()["dropped"], self.sender.stats()["waiting"]), (16, 10))
        self.assertEqual(next(iter(self.bars()))[1], "16")
        self.assertEqual(len(self.sender._queues["positions"]), 1, "a flood of bars takes no place from others")
        self.sender._speak()
        self.assertEqual(len(self.said), 1)
        self.assertIn("left out, so far: 16", self.said[0])

    def test_it_is_bounded_in_bytes_too(self):
        self.sender.CAPACITY_BYTES = 5000
        for minute in range(25):
            self.sender.put(self.bar(str(minute), volume="9" * 900))
        self.assertEqual(self.sender.stats()["waiting"], 5)
        self.assertEqual(self.sender._bytes["intraday_bar"], sum(map(len, self.bars().values())))
        self.assertFalse(self.sender.put(self.bar("x", volume="9" * (1 << 20))), "no server takes it")

    def test_what_could_not_be_sent_waits_unless_something_newer_came(self):
        self.sender.put(self.bar("1", volume=1))
        self.sender.put(self.bar("2", volume=1))
        batch = [self.bars().popitem(last=False) for _ in range(2)]
        self.sender.put(self.bar("2", volume=9))
        self.sender._put_back("intraday_bar", batch)
        self.assertEqual([key[1] for key in self.bars()], ["1", "2"])
        self.assertIn(b'"volume":9', list(self.bars().values())[1])

    def test_nothing_is_raised_into_the_job(self):
        circular = {}
        circular["self"] = circular
        bad = (
            None, {}, {"type": "x"}, {"type": "x", "data": object()}, {"type": "x", "data": {"cash": object()}}, {"type": 7, "data": {}},
            {"type": "positions", "data": {"account_id": []}}, {"type": "positions", "data": None}, {"type": "x", "data": circular},
            {"type": "positions", "data": Grumpy()},
        )  # fmt: skip
        for message in bad:
            self.assertIs(self.sender.put(message), False)
        self.assertEqual(self.sender.stats()["refused"], len(bad))

    def test_what_json_does_not_have_is_written_as_the_server_reads_it(self):
        self.assertTrue(
            self.sender.put({"type": "x", "data": {
                "limit": decimal.Decimal("1.10"), "at": datetime.datetime(2026, 11, 23, 15, 30), "day": datetime.date(2026, 11, 23),
                "id": uuid.UUID(int=7), "nan": float("nan"), "unknown": [decimal.Decimal("NaN"), (float("inf"),)], "number": Number(0.5),
            }})  # fmt: skip
        )
        self.assertEqual(
            json.loads(next(iter(self.sender._queues["x"].values())))["data"],
            {"limit": "1.10", "at": "2026-11-23T15:30:00Z", "day": "2026-11-23", "id": str(uuid.UUID(int=7)), "nan": None,
             "unknown": [None, [None]], "number": 0.5},
        )  # fmt: skip

    def test_a_thread_that_cannot_be_started_is_the_logs_business(self):
        sender = thor_ws._Sender()
        with unittest.mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")):
            self.assertTrue(sender.put(self.bar("1")))
            self.assertEqual(sender.stages(), {})
            self.assertFalse(sender.flush(1))
        self.assertEqual(self.said, ["no thread can be started, and nothing is sent: can't start new thread"])

    def test_a_log_that_fails_is_not_the_jobs_trouble(self):
        handler = logging.Handler()
        handler.emit = unittest.mock.Mock(side_effect=RuntimeError("the log is full"))
        thor_ws.log.addHandler(handler)
        self.addCleanup(thor_ws.log.removeHandler, handler)
        self.sender.put(None)
        self.sender.finish(0)
        self.assertTrue(handler.emit.called)

    def test_a_handler_of_a_signal_may_call_too(self):
        with self.sender._lock:  # where the signal came
            self.assertTrue(self.sender.put(self.bar("1")))


class Server(http.server.ThreadingHTTPServer):
    """Stands for thor: answers what the test says, and keeps what it was told."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []  # (status, body, headers) in order; then 202 for all
        self.features = (200, {"features": []}, {})
        self.posts = []
        self.looks = 0
        self.connections = 0
        self.hang_up = 0  # how many requests get no answer
        self.go_on = threading.Event()
        self.go_on.set()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.server.connections += 1

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in dict(headers, **{"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.server.go_on.wait()
        self.server.looks += 1
        self.answer(*self.server.features)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.go_on.wait()
        self.server.posts.append((body, dict(self.headers)))
        if self.server.hang_up:
            self.server.hang_up -= 1
            self.close_connection = True
            return
        status, body, headers = self.server.answers.pop(0) if self.server.answers else (202, {"accepted": len(body)}, {})
        self.answer(status, body, headers)


def problem(status, detail, *paths):
    return status, {"detail": detail, "errors": [{"path": path, "message": "is wrong"} for path in paths]}, {}


class Sending(Quiet):
    """Drives the sender by hand, over a real connection and on a clock of the test."""

    def setUp(self):
        super().setUp()
        self.server = Server()
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.go_on.set)
        self.enterEnv(THOR_URL="http://127.0.0.1:%d" % self.server.server_port)
        self.sender = thor_ws._Sender()
        self.sender._start = lambda: None
        self.sender._thread = threading.current_thread()
        self.clock = 1000.0
        self.sender.now = lambda: self.clock
        self.addCleanup(self.sender._close)

    def enterEnv(self, **values):
        patch = unittest.mock.patch.dict(os.environ, values)
        patch.start()
        self.addCleanup(patch.stop)

    def run_for(self, seconds):
        """Let the thread's work go on for a time, which does not pass."""
        end = self.clock + seconds
        while self.clock <= end:
            wait = self.sender.run_once()
            self.sender._speak()
            if wait > 0:
                self.clock += wait
        self.clock = end

    def put(self, *accounts, kind="account_balance", **data):
        for account in accounts:
            self.assertTrue(self.sender.put({"type": kind, "data": dict(data, account_id=account)}))

    def sent(self):
        return [[m["data"]["account_id"] for m in body] for body, _ in self.server.posts]

    def test_a_batch_goes_over_one_connection_with_a_token(self):
        self.enterEnv(THOR_TOKEN="secret\n")
        self.put("A", "B")
        self.run_for(1)
        self.put("C")
        self.run_for(1)
        self.assertEqual(self.sent(), [["A", "B"], ["C"]])
        self.assertEqual((self.sender._queues, self.sender._bytes), ({}, {}), "a type that has nothing costs nothing")
        self.assertEqual(self.server.connections, 1)
        self.assertEqual(self.server.posts[0][1]["Authorization"], "Bearer secret")
        self.assertEqual(self.sender.stats(), {"queued": 3, "sent": 3, "replaced": 0, "dropped": 0, "refused": 0, "waiting": 0})
        self.assertEqual(self.said, [])

    def test_a_batch_fits_into_a_call(self):
        self.sender.BATCH_BYTES = 1000
        self.put(*"ABCDE", note="x" * 300)
        self.run_for(0)
        self.assertEqual(self.sent(), [["A", "B"], ["C", "D"], ["E"]])

    def test_a_kept_connection_that_has_ended_is_no_trouble(self):
        self.put("A")
        self.run_for(0)
        self.server.hang_up = 1
        self.put("B")
        self.run_for(0)
        self.assertEqual(self.sent(), [["A"], ["B"], ["B"]])
        keys = [headers["Idempotency-Key"] for _, headers in self.server.posts]
        self.assertEqual((keys[1] == keys[2], keys[0] == keys[1]), (True, False), "said twice, it is taken once")
        self.assertEqual((self.said, self.sender.stats()["sent"]), ([], 2))

    def test_what_is_wrong_is_refused_and_the_others_go(self):
        self.server.answers = [problem(422, "2 faults; nothing was taken", "1/data/cash", "3/data")]
        self.put(*"ABCDE")
        self.run_for(0)
        self.assertEqual(self.sent(), [list("ABCDE"), list("ACE")])
        self.assertEqual((self.sender.stats()["sent"], self.sender.stats()["refused"]), (3, 2))
        self.assertEqual(self.said, ["thor has refused a message: 422 2 faults; nothing was taken 1/data/cash: is wrong; 3/data: is wrong; refused so far: 2"])

    def test_what_is_wrong_without_a_name_is_found(self):
        for status in (400, 413, 422):
            self.server.posts.clear()
            self.server.answers = [problem(status, "no"), problem(status, "no"), problem(status, "no"), (202, {}, {}), (202, {}, {})]
            before = self.sender.stats()
            self.put(*"ABCD")
            self.run_for(0)
            self.assertEqual(self.sent(), [list("ABCD"), list("AB"), ["A"], ["B"], list("CD")])
            after = self.sender.stats()
            self.assertEqual((after["sent"] - before["sent"], after["refused"] - before["refused"], after["waiting"]), (3, 1, 0))

    def test_a_feature_that_is_not_taken_does_not_hold_up_the_others(self):
        for status, words in ((403, "the token is not for publishing positions"), (409, "positions is published by job, and now by x as well")):
            self.server.posts.clear()
            self.server.answers = [problem(status, words)]
            self.put("P", kind="positions")
            self.put("A")
            self.run_for(1)
            self.assertEqual(self.sent(), [["P"], ["A"]])
            self.put("P", kind="positions", newest=True)
            self.put("B")
            self.run_for(3)
            self.assertEqual(self.sent()[2:], [["B"]])
            self.assertIn("thor does not take messages positions now: %d %s" % (status, words), self.said)
            self.run_for(10)
            self.assertEqual(self.server.posts[-1][0], [{"type": "positions", "data": {"newest": True, "account_id": "P"}}])
            self.assertEqual(self.sender.stats()["waiting"], 0)
            self.clock += 60

    def test_what_may_change_is_tried_again(self):
        for status in (401, 404, 429, 500, 502, 503):
            self.said.clear()
            self.server.posts.clear()
            self.server.answers = [problem(status, "not now")] * 2
            self.put("A", "B")
            self.run_for(0)
            self.put("B", newest=True)
            self.assertEqual(self.sender.stats()["waiting"], 2)
            self.run_for(2)
            self.assertEqual(self.sent(), [["A", "B"]] * 3)
            self.assertEqual(self.server.posts[2][0][1]["data"], {"newest": True, "account_id": "B"})
            url = os.environ["THOR_URL"]
            self.assertEqual(self.said, ["thor at %s takes nothing now: %d not now" % (url, status), "thor at %s takes messages again" % url])
            self.clock += 60

    def test_a_server_that_wants_to_be_left_alone_is(self):
        self.server.answers = [(429, {"detail": "you ask too often"}, {"Retry-After": "30"})]
        self.put("A")
        self.run_for(29)
        self.assertEqual(len(self.server.posts), 1)
        self.run_for(2)
        self.assertEqual(len(self.server.posts), 2)

    def test_it_backs_off_and_says_so_once_a_minute(self):
        self.server.answers = [problem(503, "the disk is full")] * 1000
        self.put("A")
        self.run_for(59)
        self.assertLess(len(self.server.posts), 20)
        self.assertEqual(len(self.said), 1)
        self.run_for(60)
        self.assertEqual(len(self.said), 2)

    def test_the_newest_waits_for_a_server_that_is_away(self):
        url = os.environ["THOR_URL"]
        os.environ["THOR_URL"] = "http://127.0.0.1:1"
        for cash in range(3):
            self.put("A", cash=cash)
            self.run_for(1)
        self.assertIn("thor cannot be reached at http://127.0.0.1:1: ConnectionRefusedError", self.said[0])
        os.environ["THOR_URL"] = url
        self.run_for(10)
        self.assertEqual([body for body, _ in self.server.posts], [[{"type": "account_balance", "data": {"cash": 2, "account_id": "A"}}]])

    def test_an_address_that_is_none_is_named(self):
        for url in ("localhost:x", "ftp://localhost", "http://"):
            os.environ["THOR_URL"] = url
            self.said.clear()
            self.put("A")
            self.run_for(0)
            self.assertEqual(len(self.said), 1, url)
            self.clock += 100
        os.environ["THOR_URL"] = "127.0.0.1:%d" % self.server.server_port
        self.run_for(10)
        self.assertEqual(self.sent(), [["A"]])

    def test_a_newer_message_of_a_feature_of_ones_own_replaces_by_what_the_server_says(self):
        self.server.features = (200, {"features": [
            {"feature": "orders", "stage": "live", "effective": "off", "about": {"type": "order", "param": "account_id", "key": "order_id"}},
        ]}, {})  # fmt: skip
        self.run_for(0)
        self.assertEqual(self.sender.stages(), {"orders": "off"})
        for order in (1, 2, 1):
            self.put("A", kind="order", order_id=order)
        self.assertEqual((self.sender.stats()["replaced"], self.sender.stats()["waiting"]), (1, 2))

    def test_flags_that_cannot_be_read_hold_up_no_message(self):
        for features in ((401, {"detail": "who are you?"}, {}), (200, b"<html>", {}), (200, {"features": [7]}, {}), (200, [], {}), (200, {}, {})):
            self.server.features = features
            self.server.posts.clear()
            self.said.clear()
            self.put("A")
            self.run_for(3)
            self.assertEqual(self.sent(), [["A"]])
            self.assertIn("does not say where its features stand", self.said[0])
            self.clock += 60

    def test_a_server_that_hangs_holds_up_the_thread_alone(self):
        """The server answers when the job is done, and not before: a job that waited for it would never be."""
        self.server.go_on.clear()
        sender = thor_ws._Sender()
        sender.CONNECT = sender.ANSWER = 600
        sender.CAPACITY = 100
        with unittest.mock.patch.object(thor_ws, "_sender", sender):
            flags = thor_ws.WebSocketFeatureFlags()
            for i in range(2000):
                self.assertTrue(flags.is_intraday_enabled())
                self.assertFalse(flags.all_live() or flags.any_live())
                self.assertTrue(thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_intraday_bar_message({"symbol": "A", "timestamp_minute": 60 * i})))
            self.assertFalse(thor_ws.flush(0.01))
            self.assertEqual(self.server.looks, 0)
            self.server.go_on.set()
            self.assertTrue(thor_ws.flush(60))
        self.assertEqual((sender.stats()["sent"], sender.stats()["dropped"]), (100, 1900))

    def test_a_message_goes_at_once(self):
        sender = thor_ws._Sender()
        sender.POLL = 3600  # the thread would sleep for so long
        for sent in range(3):
            while sent and not sender._idle:
                self.server.go_on.wait(0.001)
            sender.put({"type": "x", "data": {"i": sent}})
            self.assertTrue(sender.flush(60))
        self.assertEqual(len(self.server.posts), 3)

    def test_many_threads_may_call(self):
        sender = thor_ws._Sender()

        def job(name):
            for i in range(200):
                sender.put({"type": "x", "data": {"name": name, "i": i}})

        jobs = [threading.Thread(target=job, args=(name,)) for name in range(8)]
        for thread in jobs:
            thread.start()
        for thread in jobs:
            thread.join()
        self.assertTrue(sender.flush(60))
        got = [(m["data"]["name"], m["data"]["i"]) for body, _ in self.server.posts for m in body]
        self.assertEqual(sorted(got), [(name, i) for name in range(8) for i in range(200)])
        for name in range(8):
            self.assertEqual([i for n, i in got if n == name], list(range(200)), "each thread's in order")

    def python(self, script):
        """Run a program that uses the client, and return what it printed; its log is on standard error."""
        run = subprocess.run([sys.executable, "-B", "-c", script], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=True)
        self.said.extend(run.stderr.decode().splitlines())
        return run.stdout.decode()

    def test_a_child_of_a_fork_sends_its_own(self):
        self.python("""
import os, thor_ws
def put(account): thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_account_balance_message({"account_id": account}))
put("before")
thor_ws.flush(30)
child = os.fork()
put("child" if child == 0 else "parent")
if child == 0:
    os._exit(0 if thor_ws.flush(30) and thor_ws.stats()["sent"] == 1 else 1)
assert os.waitpid(child, 0)[1] == 0
""")
        self.assertEqual(sorted(sum(self.sent(), [])), ["before", "child", "parent"])
        self.assertEqual(self.said, [])

    def test_what_waits_at_the_end_is_sent(self):
        self.python("import thor_ws; thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_account_balance_message({'account_id': 'A'}))")
        self.assertEqual(self.sent(), [["A"]])

    def test_what_is_lost_at_the_end_is_said(self):
        os.environ["THOR_URL"] = "http://127.0.0.1:1"
        # With two seconds it would wait for nothing: the server is away, and that is known at once.
        self.python("""
import thor_ws
import atexit
atexit.unregister(thor_ws._sender.finish)
atexit.register(thor_ws._sender.finish, 3600)
thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_account_balance_message({'account_id': 'A'}))
""")
        self.assertIn("the program ends, and messages were not sent: 1; is thor at http://127.0.0.1:1?", self.said)


class Language(unittest.TestCase):
    def test_it_is_python_3_8_and_the_standard_library(self):
        tree = ast.parse((HERE / "thor_ws.py").read_text(), feature_version=(3, 8))
        names = {a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        self.assertGreater(len(names), 10)
        if hasattr(sys, "stdlib_module_names"):
            self.assertLessEqual(names, sys.stdlib_module_names)
        newer = {"removeprefix", "removesuffix", "zoneinfo", "to_thread", "UTC"}
        self.assertFalse(newer & {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)})


if __name__ == "__main__":
    unittest.main()

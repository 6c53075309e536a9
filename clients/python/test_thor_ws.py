"""What the builders make of what a job has, and what the queue does when it is full."""

import datetime
import decimal
import unittest

import thor_ws


class Row:
    """Stands for a model: attributes, and a property that fails."""

    def __init__(self, **values):
        self.__dict__.update(values)

    @property
    def currency(self):
        raise RuntimeError("the database is away")


class Builders(unittest.TestCase):
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


class Queue(unittest.TestCase):
    def setUp(self):
        self.sender = thor_ws._Sender()
        self.sender._start = lambda: None  # nothing leaves the queue
        thor_ws.log.disabled = True
        self.addCleanup(setattr, thor_ws.log, "disabled", False)

    def bar(self, minute, final=True, volume=1):
        return {"type": "intraday_bar", "data": {"symbol": "EQ.A", "timestamp_minute": minute, "final": final, "volume": volume}}

    def test_a_newer_message_takes_the_place_of_its_key(self):
        for volume in range(3):
            self.sender.put(self.bar("m", final=False, volume=volume))
        self.assertEqual((self.sender.stats()["replaced"], self.sender.stats()["waiting"]), (2, 1))
        self.assertIn(b'"volume":2', next(iter(self.sender._queue.values())))

    def test_a_final_bar_is_not_replaced_by_one_that_is_not(self):
        self.sender.put(self.bar("m", final=True))
        self.sender.put(self.bar("m", final=False))
        self.assertEqual(self.sender.stats()["waiting"], 2)

    def test_when_it_is_full_the_oldest_is_left_out_and_counted(self):
        self.sender.CAPACITY = 10
        for minute in range(25):
            self.sender.put(self.bar(str(minute)))
        self.assertEqual((self.sender.stats()["dropped"], self.sender.stats()["waiting"]), (15, 10))
        self.assertEqual(next(iter(self.sender._queue))[2], "15")

    def test_what_could_not_be_sent_waits_unless_something_newer_came(self):
        self.sender.put(self.bar("1", volume=1))
        self.sender.put(self.bar("2", volume=1))
        batch = [self.sender._queue.popitem(last=False) for _ in range(2)]
        self.sender.put(self.bar("2", volume=9))
        self.sender._put_back(batch)
        self.assertEqual([key[2] for key in self.sender._queue], ["1", "2"])
        self.assertIn(b'"volume":9', list(self.sender._queue.values())[1])

    def test_nothing_is_raised_into_the_job(self):
        for message in (None, {}, {"type": "x"}, {"type": "x", "data": object()}, {"type": "x", "data": {"cash": float("nan")}}):
            self.assertIs(self.sender.put(message), False)
        self.assertEqual(self.sender.stats()["refused"], 5)


if __name__ == "__main__":
    unittest.main()

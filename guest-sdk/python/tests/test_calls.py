"""What becomes of what handlers return and raise."""

from __future__ import annotations

import contextlib
import io
import unittest
from dataclasses import dataclass
from typing import Any, Callable

import conche
from conche import Event, Fault, Json, Query, Reject, Reply, Retry, Text, _run
from conche._table import Table

from . import double
from .double import host, json, types


@dataclass
class Ask:
    name: str


@dataclass
class Node:
    child: Node | None = None


def returning(answer: object) -> Callable[[], object]:
    return lambda: answer


class Calls(unittest.TestCase):
    def setUp(self) -> None:
        host.reset()

    def query(self, function: Callable[..., Any], data: Any = None, **attributes: Any) -> Any:
        """The reply's record, or the fault's."""
        table = Table()
        table.add("query", function, "handler", ["op"])
        table.seal()
        try:
            return _run.query(table, double.matched("handler"), double.event("op", data, **attributes))
        except double.Err as error:
            return error.value

    def event(self, function: Callable[..., Any], data: Any = None, **attributes: Any) -> Any:
        """None, or the record of the retry or of the fault with which it is rejected."""
        table = Table()
        table.add("event", function, "handler", ["type"])
        table.seal()
        matched = double.matched("handler", "listener-1", "state-1")
        try:
            return _run.event(table, matched, double.event("type", data, **attributes))
        except double.Err as error:
            return error.value.value

    def raising(self, error: BaseException) -> Callable[[], None]:
        def handler() -> None:
            raise error

        return handler


class Queries(Calls):
    def test_answers(self) -> None:
        for answer, data in [
            ({"a": [1, None]}, json('{"a":[1,null]}')),
            (Ask("ada"), json('{"name":"ada"}')),
            ("text", json('"text"')),
            (None, json("null")),
            (Json("12345678901234567890123.0"), json("12345678901234567890123.0")),
            (Text("plain"), types.Payload_Text("plain")),
            (b"\xff", types.Payload_Binary(b"\xff")),
        ]:
            self.assertEqual(self.query(returning(answer)).data, data)

    def test_a_reply_may_say_more(self) -> None:
        reply = self.query(
            returning(
                Reply(type="t", subject="s", extensions={"flag": True, "count": -3, "word": "x"})
            )
        )
        self.assertEqual((reply.type, reply.subject, reply.data), ("t", "s", None))
        self.assertEqual(
            reply.extensions,
            [
                types.Extension("flag", types.Attribute_Boolean(True)),
                types.Extension("count", types.Attribute_Integer(-3)),
                types.Extension("word", types.Attribute_Text("x")),
            ],
        )

    def test_silence_is_no_answer(self) -> None:
        self.assertIsNone(self.query(lambda: conche.SILENCE))

    def test_an_answer_that_is_no_json_is_a_fault(self) -> None:
        fault = self.query(lambda: {1, 2})
        text = "the answer is no JSON: a value of type set has no form in JSON"
        self.assertEqual((fault.code, fault.message), (500, text))
        fault = self.query(lambda: Reply(extensions={"big": 2**31}))
        self.assertEqual(fault.code, 500)

    def test_a_reply_that_cannot_be_sent_is_a_fault(self) -> None:
        wrong: Any = 17
        for reply, message in [
            (Reply(1, subject=wrong), "subject is of type int, and no string"),
            (Reply(1, type=wrong), "type is of type int, and no string"),
            (Reply(1, extensions={"a": "\ud800"}), "extension `a` is no Unicode"),
            (Reply(Text("\ud800")), "the data is no Unicode"),
            (Text("\ud800"), "the data is no Unicode"),
        ]:
            fault = self.query(returning(reply))
            self.assertEqual(fault.code, 500)
            self.assertTrue(fault.message.startswith(f"invalid message: {message}"), fault.message)
        self.assertEqual(host.lines, [])

    def test_a_fault_leaves_whatever_it_holds(self) -> None:
        wrong: Any = KeyError("name")
        fault = self.query(self.raising(Fault(404, wrong, details=Text("\ud800"))))
        self.assertEqual(fault, types.Fault(404, "'name'", None))
        self.assertEqual(self.event(self.raising(Retry(wrong))), types.Retry("'name'", None))
        for code in (404.0, "404", None, -1, 65536):
            with self.assertRaisesRegex(ValueError, "is no code of a fault"):
                Fault(code, "x")  # type: ignore[arg-type]

    def test_arguments_are_what_annotations_say(self) -> None:
        def both(query: Query, ask: Ask) -> list[object]:
            return [ask.name, query.type, query.handler, query.transaction_id, query.extensions]

        extension = types.Extension("n", types.Attribute_Integer(1))
        reply = self.query(both, json('{"name":"ada"}'), transaction_id="tid", extensions=[extension])
        self.assertEqual(reply.data, json('["ada","op","handler","tid",{"n":1}]'))
        self.assertEqual(self.query(lambda data: data, json("[1]")).data, json("[1]"))
        # Without an argument nobody looks at the data.
        self.assertEqual(self.query(lambda: 1, json("{")).data, json("1"))

        def whole(query: Query) -> Any:
            return query.data

        long = "[12345678901234567890123, 1.10]"
        self.assertEqual(self.query(whole, json(long)).data, json(long))

    def test_data_that_does_not_fit_is_a_fault_400(self) -> None:
        def greet(ask: Ask) -> str:
            return ask.name

        for data, message in [
            (json('{"name":1}'), "invalid data: `name` is an integer, not a string"),
            (json("{"), "invalid data: Expecting property name enclosed in double quotes"),
            (None, "no data: it is null, not an object"),
            (types.Payload_Text("x"), "the data is text, not JSON"),
            (types.Payload_Binary(b"x"), "the data is binary, not JSON"),
        ]:
            fault = self.query(greet, data)
            self.assertEqual(fault.code, 400)
            self.assertTrue(fault.message.startswith(message), fault.message)
        self.assertEqual(host.lines, [])

    def test_data_that_is_nested_too_deep_does_not_fit(self) -> None:
        def deep(node: Node) -> None:
            raise AssertionError("must not be called")

        data = json('{"child":' * 600 + "null" + "}" * 600)
        expected = types.Fault(400, "invalid data: nested too deep", None)
        self.assertEqual(self.query(deep, data), expected)
        self.assertEqual(self.event(deep, data), expected)
        self.assertEqual(host.lines, [])

    def test_what_is_raised_on_purpose(self) -> None:
        for error, code, message in [
            (Fault(422, "no", details={"a": 1}), 422, "no"),
            (Reject(422, "no", details={"a": 1}), 422, "no"),
            (conche.Remote(Fault(404, "gone")), 404, "gone"),
            (conche.Busy(), 503, "busy"),
            (conche.NoResponders(), 503, "nobody answers"),
            (conche.TimedOut(), 504, "timed out"),
            (conche.Refused("add a line"), 500, "add a line"),
            (conche.OverBudget("emits"), 500, "over budget: emits"),
            (conche.Invalid("type"), 500, "invalid message: type"),
            (conche.SendFailed("odd"), 500, "odd"),
            (conche.ConfigError("key", "bad"), 500, "`key` in [config]: bad"),
            (Retry("later"), 503, "later"),
        ]:
            fault = self.query(self.raising(error))
            self.assertEqual((fault.code, fault.message), (code, message))
        self.assertEqual(self.query(self.raising(Fault(422, "", {"a": 1}))).details, json('{"a":1}'))
        self.assertIsNone(self.query(self.raising(Fault(422, "", {1, 2}))).details)
        self.assertEqual(host.lines, [])

    def test_an_uncaught_exception_is_a_fault_500_and_logged(self) -> None:
        for error, text in [
            (RuntimeError("on purpose"), "on purpose"),
            (KeyError("name"), "KeyError: 'name'"),
            (ZeroDivisionError(), "ZeroDivisionError"),
            (SystemExit("bye"), "bye"),
            (RuntimeError("half \ud800"), "half ?"),
            (MemoryError(), "out of memory: raise memory in [limits], or hold less"),
        ]:
            host.reset()
            fault = self.query(self.raising(error))
            self.assertEqual((fault.code, fault.message), (500, f"the handler failed: {text}"))
            [(level, message, fields)] = host.lines
            self.assertEqual((level, message, fields["error"]), ("ERROR", "the handler failed", text))
            self.assertIn("in handler\n    raise error", fields["stack"])
            self.assertNotIn("_run.py", fields["stack"])

    def test_a_handler_that_is_not_there_is_a_fault(self) -> None:
        with self.assertRaises(double.Err) as caught:
            _run.query(Table(), double.matched("gone"), double.event("op"))
        self.assertEqual(caught.exception.value.message, "the plugin has no handler `gone`")


class Events(Calls):
    def test_success(self) -> None:
        seen: list[Event] = []

        def handler(event: Event) -> None:
            seen.append(event)

        self.assertIsNone(self.event(handler, json("1"), time="2026-01-01T00:00:00Z"))
        [event] = seen
        self.assertEqual((event.listener, event.state), ("listener-1", "state-1"))
        self.assertEqual((event.time, event.json()), ("2026-01-01T00:00:00Z", 1))

    def test_what_becomes_of_the_event(self) -> None:
        for error, outcome in [
            (Reject(500, "never"), types.Fault(500, "never", None)),
            (Retry("later", after=1.5), types.Retry("later", 1500)),
            (Retry("later"), types.Retry("later", None)),
            (Fault(404, "gone"), types.Fault(404, "gone", None)),
            (Fault(500, "down"), types.Retry("down (code 500)", None)),
            (conche.Remote(Fault(404, "gone")), types.Fault(404, "gone", None)),
            (conche.Remote(Fault(503, "down")), types.Retry("down (code 503)", None)),
            (conche.Refused("add a line"), types.Fault(500, "add a line", None)),
            (conche.Invalid("type"), types.Fault(500, "invalid message: type", None)),
            (conche.OverBudget("emits"), types.Retry("over budget: emits", None)),
            (conche.Busy(), types.Retry("busy", None)),
            (conche.NoResponders(), types.Retry("nobody answers", None)),
            (conche.TimedOut(), types.Retry("timed out", None)),
            (conche.SendFailed("odd"), types.Retry("odd", None)),
            (conche.ConfigError("key", "bad"), types.Retry("`key` in [config]: bad", None)),
        ]:
            self.assertEqual(self.event(self.raising(error)), outcome)
        self.assertEqual(host.lines, [])

    def test_an_uncaught_exception_is_a_retry_and_logged(self) -> None:
        retry = self.event(self.raising(RuntimeError("on purpose")))
        self.assertEqual(retry, types.Retry("the handler failed: on purpose", None))
        self.assertEqual(host.lines[0][:2], ("ERROR", "the handler failed"))

    def test_data_that_does_not_fit_is_rejected(self) -> None:
        def handler(ask: Ask) -> None:
            raise AssertionError("must not be called")

        rejected = self.event(handler, json("{}"))
        self.assertEqual(rejected, types.Fault(400, "invalid data: `name` is missing", None))

    def test_what_is_printed_is_flushed(self) -> None:
        output = io.TextIOWrapper(io.BytesIO(), write_through=False)
        with contextlib.redirect_stdout(output):
            self.event(lambda: print("hello"))
        self.assertEqual(output.buffer.getvalue(), b"hello\n")

"""What the host is told: messages, listeners, log lines, registrations; and what it answers."""

from __future__ import annotations

import logging
import unittest
from datetime import timedelta
from typing import Any, Callable
from unittest import mock

import conche
from conche import Draft, Json, Text, _host, _run, _table, call, config, listeners, log
from conche._table import Registration, Table

from . import double
from .double import host, json, types


class Sending(unittest.TestCase):
    def setUp(self) -> None:
        host.reset()

    def test_emit(self) -> None:
        id = conche.emit(
            "t", {"a": 1}, subject="s", key="k", transaction_id="tid", extensions={"n": 1}
        )
        self.assertEqual(id, "id-emitted")
        [draft] = host.emitted
        self.assertEqual((draft.type, draft.subject, draft.key), ("t", "s", "k"))
        self.assertEqual((draft.transaction_id, draft.data), ("tid", json('{"a":1}')))
        self.assertEqual(draft.extensions, [types.Extension("n", types.Attribute_Integer(1))])

    def test_data_goes_as_what_it_is(self) -> None:
        for data in (None, Json("[1 ]"), Text("x"), b"x", "x"):
            conche.emit("t", data)
        self.assertEqual(
            [draft.data for draft in host.emitted],
            [
                None,
                json("[1 ]"),
                types.Payload_Text("x"),
                types.Payload_Binary(b"x"),
                json('"x"'),
            ],
        )

    def test_what_cannot_be_sent_is_invalid(self) -> None:
        for data, extensions in [({1}, {}), (1, {"n": 2**31}), (1, {"n": 1.5}), ("\ud800", {})]:
            with self.assertRaises(conche.Invalid):
                conche.emit("t", data, extensions=extensions)  # type: ignore[arg-type]
        self.assertEqual(host.emitted, [])

    def test_a_text_that_is_none_is_invalid(self) -> None:
        """The bindings would end the call at it, past every `except`."""
        attributes = ["subject", "datacontenttype", "dataschema", "transaction_id", "key"]
        for wrong, reason in [
            (17, "is of type int, and no string"),
            (b"x", "is of type bytes, and no string"),
            ("a\ud800", "is no Unicode: it holds half of a surrogate pair"),
        ]:
            draft: dict[str, Any] = {name: Draft("t", **{name: wrong}) for name in attributes}
            calls: dict[str, Callable[[], object]] = {
                "type": lambda: conche.emit(wrong),
                "the name of an extension": lambda: conche.emit("t", extensions={wrong: 1}),
                "an answer's type": lambda: conche.exchange("t", answers=["a", wrong]),
                "a listener's type": lambda: listeners.add("h", types=["t", wrong]),
                "a listener's transaction_id": lambda: listeners.add("h", transaction_id=wrong),
                "state": lambda: listeners.add("h", state=wrong),
                "id": lambda: listeners.remove(wrong),
            }
            calls |= {name: lambda name=name: conche.request_all([draft[name]]) for name in attributes}
            for what, call in calls.items():
                with self.subTest(what), self.assertRaises(conche.Invalid) as caught:
                    call()
                self.assertEqual(str(caught.exception), f"invalid message: {what} {reason}")
        for data, extensions in [(Text("\ud800"), {}), (Json('"\ud800"'), {}), (1, {"a": "\ud800"})]:
            with self.assertRaisesRegex(conche.Invalid, "half of a surrogate pair"):
                conche.emit("t", data, extensions=extensions)
        self.assertEqual((host.emitted, host.asked, host.added, host.removed), ([], [], [], []))

    def test_errors_of_the_host_are_exceptions(self) -> None:
        fault = types.Fault(404, "gone", json("[1]"))
        for record, kind, text in [
            (types.SendError_Refused("add a line"), conche.Refused, "add a line"),
            (types.SendError_OverBudget("emits"), conche.OverBudget, "over budget: emits"),
            (types.SendError_Invalid("type"), conche.Invalid, "invalid message: type"),
            (types.SendError_NoResponders(), conche.NoResponders, "nobody answers"),
            (types.SendError_TimedOut(), conche.TimedOut, "timed out"),
            (types.SendError_Busy(), conche.Busy, "busy"),
            (types.SendError_Remote(fault), conche.Remote, "the other side failed: gone (code 404)"),
            (types.SendError_Other("odd"), conche.SendFailed, "odd"),
        ]:
            host.error = record
            with self.assertRaises(conche.SendError) as caught:
                conche.request("op")
            self.assertIs(type(caught.exception), kind)
            self.assertEqual(str(caught.exception), text)
        host.error = types.SendError_Remote(fault)
        with self.assertRaises(conche.Remote) as remote:
            conche.emit("t")
        self.assertEqual(remote.exception.fault.details, Json("[1]"))

    def test_request(self) -> None:
        host.answers = [double.event("op", json('{"a": 1}'))]
        answer = conche.request("op", [1], timeout=0.25, subject="s")
        self.assertEqual(answer.json(), {"a": 1})
        [(draft, timeout_ms)] = host.asked
        self.assertEqual((draft.subject, draft.data, timeout_ms), ("s", json("[1]"), 250))

    def test_request_all_answers_errors_in_their_places(self) -> None:
        host.answers = [double.Ok(double.event("a", json("1"))), double.Err(types.SendError_Busy())]
        first, second = conche.request_all([Draft("a"), Draft("b", 2)], timeout=timedelta(seconds=1))
        assert isinstance(first, conche.CloudEvent)
        self.assertEqual(first.json(), 1)
        self.assertIsInstance(second, conche.Busy)
        [(drafts, timeout_ms)] = host.asked
        self.assertEqual([draft.type for draft in drafts], ["a", "b"])
        self.assertEqual(timeout_ms, 1000)

    def test_exchange(self) -> None:
        host.answers = [double.event("paid", None, transaction_id="tid")]
        self.assertEqual(conche.exchange("pay", 1, answers=["paid", "failed"]).type, "paid")
        self.assertEqual(host.asked[0][1:], (["paid", "failed"], None))

    def test_listeners(self) -> None:
        table = Table()
        table.add("listener", self.test_listeners.__func__, "paid", [])  # type: ignore[attr-defined]
        id = listeners.add(
            type(self).test_listeners, types=["t"], once=True, state="s", expires=60.0
        )
        self.assertEqual(id, "id-added")
        listeners.remove(id)
        [added] = host.added
        self.assertEqual((added.handler, added.types, added.once), ("paid", ["t"], True))
        self.assertEqual((added.state, added.expires_ms), ("s", 60_000))
        self.assertEqual(host.removed, ["id-added"])

    def test_what_the_plugin_does_not_use_names_the_line(self) -> None:
        with mock.patch.dict(_host._optional, emit=None):
            with self.assertRaisesRegex(RuntimeError, 'add "emit" to `uses` in conche-plugin.toml'):
                conche.emit("t")

    def test_times(self) -> None:
        for time, milliseconds in [(0, 0), (0.57, 570), (10**12, 2**32 - 1), (None, None)]:
            self.assertEqual(conche.Retry("", after=time).after_ms, milliseconds)
        for wrong in (-1, float("nan"), timedelta(seconds=-1)):
            with self.assertRaisesRegex(ValueError, "is no time to wait"):
                conche.Retry("", after=wrong)


class Asking(unittest.TestCase):
    def test_config(self) -> None:
        host.reset(attempts="3", name="x")
        self.assertEqual(config.get("name"), "x")
        self.assertEqual(config.keys(), ["attempts", "name"])
        self.assertEqual(config.parse("attempts", int), 3)
        self.assertEqual(config.parse("missing", int, 5), 5)
        self.assertIsNone(config.parse("missing", int))
        with self.assertRaisesRegex(conche.ConfigError, r"`name` in \[config\]: invalid literal"):
            config.parse("name", int)

    def test_call(self) -> None:
        host.reset()
        self.assertEqual((call.attempt(), call.idempotency_key()), (1, "key"))
        self.assertEqual((call.remaining(), call.hops()), (1.5, 2))


class Logging(unittest.TestCase):
    def setUp(self) -> None:
        host.reset()

    def test_levels_and_fields(self) -> None:
        for level in ("trace", "debug", "info", "warn", "error", "critical"):
            getattr(log, level)("message", order=7, message="\ud800")
        fields = {"order": "7", "message": "?"}
        self.assertEqual(
            host.lines,
            [
                (level, "message", fields)
                for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "CRITICAL")
            ],
        )

    def test_the_standard_module(self) -> None:
        logger = logging.Logger("orders")
        logger.addHandler(log.Handler())
        logger.warning("no %s", "tea", extra={"sku": "tea"})
        logger.log(5, "little")
        try:
            raise RuntimeError("on purpose")
        except RuntimeError:
            logger.exception("it failed")
        self.assertEqual(host.lines[0], ("WARN", "no tea", {"sku": "tea", "logger": "orders"}))
        self.assertEqual(host.lines[1][0], "TRACE")
        self.assertEqual(host.lines[2][:2], ("ERROR", "it failed"))
        self.assertIn("RuntimeError: on purpose", host.lines[2][2]["stack"])


class Registering(unittest.TestCase):
    def setUp(self) -> None:
        host.reset()
        self.table = Table()
        patched = mock.patch.object(_table, "PLUGIN", self.table)
        patched.start()
        self.addCleanup(patched.stop)

    def refused(self) -> str:
        with self.assertRaises(double.Err) as caught:
            _run.registered(self.table)
        return str(caught.exception.value)

    def test_what_decorators_say_is_told_in_order(self) -> None:
        @conche.query("a", "b")
        @conche.event("t", name="other")
        def handler() -> None: ...

        @conche.any_query
        def any_query() -> None: ...

        @conche.any_event(name="rest")
        def any_event() -> None: ...

        @conche.listener
        def listener() -> None: ...

        @conche.query()
        def later() -> None: ...

        @conche.register
        def register(registration: Registration) -> None:
            registration.query(later, "c")
            registration.event(any_event, "u", "v")

        conche.reusable()
        _run.registered(self.table)
        self.assertEqual(
            host.registered,
            [
                ("reusable",),
                ("event", "other", ["t"]),
                ("query", "handler", "a"),
                ("query", "handler", "b"),
                ("any query", "any_query"),
                ("any event", "rest"),
                ("listener", "listener"),
                ("query", "later", "c"),
                ("event", "rest", ["u", "v"]),
            ],
        )

    def test_register_may_refuse(self) -> None:
        @conche.register
        def register(registration: Registration) -> None:
            raise ValueError("`url` is needed in [config]")

        self.assertEqual(self.refused(), "`url` is needed in [config]")
        self.assertEqual(host.lines, [])

    def test_a_refusal_is_text_that_can_leave(self) -> None:
        @conche.register
        def register(registration: Registration) -> None:
            raise ValueError("half \ud800")

        self.assertEqual(self.refused(), "half ?")

    def test_an_error_in_register_refuses_and_is_logged(self) -> None:
        @conche.register
        def register(registration: Registration) -> None:
            raise KeyError("url")

        self.assertEqual(self.refused(), "KeyError: 'url'")
        self.assertEqual(host.lines[0][:2], ("ERROR", "`register` failed"))

    def test_a_name_that_no_handler_has_is_refused(self) -> None:
        @conche.register
        def register(registration: Registration) -> None:
            registration.query("gone", "op")

        self.assertIn("no query handler is called `gone`", self.refused())

    def test_mistakes_are_told_where_they_are_made(self) -> None:
        with self.assertRaisesRegex(TypeError, r'@query takes strings: @query\("…"\)'):
            conche.query(lambda: 1)  # type: ignore[arg-type]

        async def handler() -> None: ...

        with self.assertRaisesRegex(TypeError, "`handler` is async"):
            conche.query("op")(handler)
        conche.query("op", name="one")(lambda: 1)
        with self.assertRaisesRegex(ValueError, "two query handlers are called `one`"):
            conche.query("op", name="one")(lambda: 2)

        @conche.query("op")
        def third(a: int, b: int) -> None: ...

        with self.assertRaisesRegex(TypeError, "handler `third`: takes at most two arguments"):
            self.table.seal()
